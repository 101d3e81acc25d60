//! How sure a mean is.

use super::growth::student_t;
use super::percentile::Interval;

/// With fewer samples there is not even an interval of the median.
const FEWEST: usize = 6;

/// The 95% interval of the mean of so many samples, from the sums of the squares and of the cubes of their
/// deviations from it; `None` with fewer than six.
///
/// It is the bootstrap's bias-corrected and accelerated interval as it comes out of endlessly many draws,
/// which for a mean needs no drawing at all (`DiCiccio` and Efron, "More Accurate Confidence Intervals in
/// Exponential Families", 1992: the ABC method): it reaches farther to the side of the longer tail. For few
/// samples it is expanded as Student's t is, without which a bootstrap covers the mean of 10 normal values
/// in 90% of all cases (Hesterberg, "What Teachers Should Know About the Bootstrap", 2015, section 3.3).
pub(super) fn interval(samples: usize, mean: f64, squares: f64, cubes: f64) -> Option<Interval<f64>> {
    if samples < FEWEST {
        return None;
    }
    if squares <= 0.0 {
        return Some(Interval { low: mean, high: mean });
    }
    let count = samples as f64;
    let error = squares.sqrt() / count;
    let acceleration = cubes / squares.powf(1.5) / 6.0;
    let expanded = student_t(samples - 1) * (count / (count - 1.0)).sqrt();
    let end = |normal: f64| {
        let corrected = acceleration + normal;
        mean + error * corrected / (1.0 - acceleration * corrected).powi(2)
    };
    Some(Interval { low: end(-expanded), high: end(expanded) })
}

#[cfg(test)]
mod tests {
    use fastrand::Rng;

    use super::super::normal;
    use super::*;

    fn mean_of(samples: &[f64]) -> f64 {
        samples.iter().sum::<f64>() / samples.len() as f64
    }

    fn interval_of(samples: &[f64]) -> Interval<f64> {
        let mean = mean_of(samples);
        let sum = |power: i32| samples.iter().map(|sample| (sample - mean).powi(power)).sum::<f64>();
        interval(samples.len(), mean, sum(2), sum(3)).expect("enough samples")
    }

    /// About normal.
    fn normal(random: &mut Rng) -> f64 {
        (0..12).map(|_| random.f64()).sum::<f64>() - 6.0
    }

    #[test]
    fn few_samples_have_none_and_equal_ones_no_width() {
        assert_eq!(interval(5, 1.0, 0.0, 0.0), None);
        assert_eq!(interval_of(&[7.0; 10]), Interval { low: 7.0, high: 7.0 });
    }

    #[test]
    fn agrees_with_a_bootstrap_that_draws() {
        let mut random = Rng::with_seed(1);
        let samples: Vec<f64> = (0..40).map(|_| normal(&mut random).exp()).collect();
        let (count, mean) = (samples.len(), mean_of(&samples));
        let mut means: Vec<f64> = (0..20_000)
            .map(|_| (0..count).map(|_| samples[random.usize(..count)]).sum::<f64>() / count as f64)
            .collect();
        means.sort_unstable_by(f64::total_cmp);
        // Efron and Tibshirani, "An Introduction to the Bootstrap", 1993, section 14.3.
        let bias = -normal::exceeded_with(means.partition_point(|&drawn| drawn < mean) as f64 / means.len() as f64);
        let sum = |power: i32| samples.iter().map(|sample| (sample - mean).powi(power)).sum::<f64>();
        let acceleration = sum(3) / sum(2).powf(1.5) / 6.0;
        let expanded = student_t(count - 1) * (count as f64 / (count - 1) as f64).sqrt();
        let found = interval_of(&samples);
        for (end, to_normal) in [(found.low, -expanded), (found.high, expanded)] {
            let corrected = bias + (bias + to_normal) / (1.0 - acceleration * (bias + to_normal));
            let below = 1.0 - normal::above(corrected);
            let drawn = means.partition_point(|&drawn| drawn < end) as f64 / means.len() as f64;
            assert!((drawn - below).abs() < 0.01, "{drawn} of the draws are below an end, and {below} should be");
        }
    }

    #[test]
    fn covers_the_mean() {
        let mut random = Rng::with_seed(2);
        for (samples, skewed, fewest) in
            [(6, false, 0.93), (10, false, 0.93), (100, false, 0.93), (10, true, 0.90), (100, true, 0.93)]
        {
            let truth: f64 = if skewed { 0.125_f64.exp() } else { 0.0 };
            let covered = (0..1000).filter(|_| {
                let draw = |random: &mut Rng| if skewed { (0.5 * normal(random)).exp() } else { normal(random) };
                let drawn: Vec<f64> = (0..samples).map(|_| draw(&mut random)).collect();
                let Interval { low, high } = interval_of(&drawn);
                low <= truth && truth <= high
            });
            let covered = covered.count() as f64 / 1000.0;
            assert!((fewest..0.98).contains(&covered), "{covered} with {samples} samples, skewed: {skewed}");
        }
    }
}
