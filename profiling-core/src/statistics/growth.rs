//! Whether something grows with every execution.

/// How fast something grows, per execution.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Growth {
    /// The slope of the line of least squares.
    pub slope: f64,
    /// The lower end of its 95% interval.
    pub low: f64,
    /// The upper end of its 95% interval.
    pub high: f64,
}

/// What grows takes back less than one part in so many of what it adds. More is what threads leave that
/// end a little later, and pools that give back in their own time.
const TAKEN_BACK: i64 = 20;

/// The fewest executions that can have grown for it to be called growth.
const FEWEST: usize = 3;

impl Growth {
    /// The growth of a sum of which `steps` are the changes, in order; `None` where it doesn't grow.
    ///
    /// It grows if both halves have added to it, at least three steps were up, those down took back less
    /// than a twentieth of them or the mean step is above zero for sure, it has not come to rest, and the
    /// slope's interval is above zero. So a cache that fills and then stays, and what comes and goes, are no growth; a
    /// collection whose capacity doubles ever more rarely is.
    ///
    /// ```
    /// use profiling_core::statistics::Growth;
    ///
    /// let growth = Growth::of(&[1024; 10]).expect("it grows");
    /// assert!((growth.slope - 1024.0).abs() < 1e-6);
    /// assert_eq!(Growth::of(&[4096, 0, 0, 0, 0, 0]), None);
    /// ```
    #[must_use]
    pub fn of(steps: &[i64]) -> Option<Self> {
        let (first, second) = steps.split_at(steps.len() / 2);
        let rises = steps.iter().filter(|&&step| step > 0).count();
        let grows = |half: &[i64]| sum_of(half, |step| step) > 0;
        if rises < FEWEST || !grows(first) || !grows(second) || !rises_reliably(steps) || has_stopped(steps) {
            return None;
        }
        let sums = steps.iter().scan(0.0, |sum, &step| {
            *sum += step as f64;
            Some(*sum)
        });
        Some(Self::line(&sums.collect::<Vec<f64>>())).filter(|growth| growth.low > 0.0)
    }

    /// The line of least squares through points at 0, 1, 2, …; at least three of them.
    fn line(points: &[f64]) -> Self {
        let count = points.len() as f64;
        let middle = (count - 1.0) / 2.0;
        let mean = points.iter().sum::<f64>() / count;
        let spread: f64 = (0..points.len()).map(|at| (at as f64 - middle).powi(2)).sum();
        let common: f64 = points.iter().enumerate().map(|(at, point)| (at as f64 - middle) * (point - mean)).sum();
        let slope = common / spread;
        let off = |(at, point): (usize, &f64)| (point - mean - slope * (at as f64 - middle)).powi(2);
        let squares: f64 = points.iter().enumerate().map(off).sum();
        let error = (squares / (count - 2.0) / spread).sqrt();
        let half = student_t(points.len() - 2) * error;
        Self { slope, low: slope - half, high: slope + half }
    }
}

/// Whether hardly anything is taken back, or else the 95% interval of the mean step is above zero.
fn rises_reliably(steps: &[i64]) -> bool {
    let (added, taken) = (sum_of(steps, |step| step.max(0)), sum_of(steps, |step| -step.min(0)));
    if taken.saturating_mul(TAKEN_BACK) <= added {
        return true;
    }
    let count = steps.len() as f64;
    let mean = steps.iter().map(|&step| step as f64).sum::<f64>() / count;
    let squares: f64 = steps.iter().map(|&step| (step as f64 - mean).powi(2)).sum();
    mean > student_t(steps.len() - 1) * (squares / (count - 1.0) / count).sqrt()
}

/// Whether there was a longer rest at the end than ever before, and no larger step before it: a cache that
/// is full. The steps of a collection whose capacity doubles get rarer, too, but larger.
fn has_stopped(steps: &[i64]) -> bool {
    let Some(last) = steps.iter().rposition(|&step| step > 0) else { return true };
    let rest = steps.len() - 1 - last;
    let longest = steps[..last].split(|&step| step > 0).skip(1).map(<[i64]>::len).max().unwrap_or(0);
    let mut rises: Vec<i64> = steps.iter().copied().filter(|&step| step > 0).collect();
    rises.sort_unstable();
    rest > longest && rest > 1 && steps[last] <= rises[rises.len() / 2]
}

fn sum_of(steps: &[i64], part: fn(i64) -> i64) -> i64 {
    steps.iter().fold(0, |sum: i64, &step| sum.saturating_add(part(step)))
}

/// The 97.5th percentile of Student's t distribution, rounded up (any table of it; beyond 30 degrees of
/// freedom that of 30).
pub(super) fn student_t(degrees: usize) -> f64 {
    const TABLE: [f64; 30] = [
        12.707, 4.303, 3.183, 2.777, 2.571, 2.447, 2.365, 2.307, 2.263, 2.229, 2.201, 2.179, 2.161, 2.145, 2.132,
        2.120, 2.110, 2.101, 2.094, 2.086, 2.080, 2.074, 2.069, 2.064, 2.060, 2.056, 2.052, 2.049, 2.046, 2.043,
    ];
    TABLE[degrees.clamp(1, TABLE.len()) - 1]
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_vec_whose_capacity_doubles_grows() {
        let growth = Growth::of(&[2 << 20, 0, 4 << 20, 0, 0, 0, 8 << 20, 0, 0, 0]).expect("it does");
        assert!((1.0..2.0).contains(&(growth.slope / f64::from(1 << 20))), "{growth:?}");
    }

    #[test]
    fn what_grows_more_than_it_shrinks_grows() {
        let steps: Vec<i64> = [4, -1].repeat(10);
        assert!(Growth::of(&steps).is_some());
        assert!(Growth::of(&[1, 0, 0, 1, 0, 0, 1, 0, 0, 1, 0, 0]).is_some(), "with every third execution");
    }

    #[test]
    fn what_fills_once_or_comes_and_goes_does_not() {
        assert_eq!(Growth::of(&[1 << 20, 0, 0, 0, 0, 0, 0, 0]), None);
        assert_eq!(Growth::of(&[1 << 20, 1 << 20, 1 << 20, 0, 0, 0, 0, 0]), None);
        assert_eq!(Growth::of(&[64, -64, 64, -64, 64, -64, 64, -64, 64]), None);
        // A thread pool per execution, whose threads end when they get to it.
        assert_eq!(Growth::of(&[4376, -40, 4608, 4376, -568, -800, -984, 2304, 2304, -1216]), None);
        let mut full = [1; 20];
        full[16..].fill(0);
        assert_eq!(Growth::of(&full), None, "a cache that was full after 16");
        assert_eq!(Growth::of(&[10, 0, 10, 0, 0, 10, 10, 0, 0, 0, 0]), None, "as many keys as there are");
        assert_eq!(Growth::of(&[0; 100]), None);
        assert_eq!(Growth::of(&[8, 8]), None, "too few to tell");
        assert_eq!(Growth::of(&[]), None);
    }

    proptest! {
        #[test]
        fn the_slope_of_equal_steps_is_the_step(step in 1_i64..1 << 40, count in 3_usize..200) {
            let growth = Growth::of(&vec![step; count]).expect("it grows");
            prop_assert!((growth.slope / step as f64 - 1.0).abs() < 1e-6);
            prop_assert!(growth.low <= growth.slope && growth.slope <= growth.high);
        }

        #[test]
        fn what_shrinks_does_not_grow(steps in prop::collection::vec(-1000_i64..=0, 0..50)) {
            prop_assert_eq!(Growth::of(&steps), None);
        }
    }
}
