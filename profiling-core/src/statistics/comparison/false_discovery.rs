//! Many tests at once.

/// Adjusts p-values so that, of all that are at most `q` afterwards, a share of `q` is false in the mean
/// (Benjamini and Hochberg, "Controlling the False Discovery Rate", 1995).
///
/// ```
/// use profiling_core::statistics::comparison::benjamini_hochberg;
///
/// let adjusted = benjamini_hochberg(&[0.01, 0.04, 0.03, 0.5]);
/// assert!((adjusted[0] - 0.04).abs() < 1e-12);
/// assert!((adjusted[1] - adjusted[2]).abs() < 1e-12, "no larger p-value gets a smaller one");
/// ```
#[must_use]
pub fn benjamini_hochberg(p_values: &[f64]) -> Vec<f64> {
    let mut order: Vec<usize> = (0..p_values.len()).collect();
    order.sort_unstable_by(|&one, &other| p_values[other].total_cmp(&p_values[one]));
    let mut adjusted = vec![1.0; p_values.len()];
    let mut least: f64 = 1.0;
    for (larger, at) in order.into_iter().enumerate() {
        let rank = p_values.len() - larger;
        least = least.min(p_values[at] * p_values.len() as f64 / rank as f64);
        adjusted[at] = least;
    }
    adjusted
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn agrees_with_the_paper() {
        // Its example: 15 p-values, of which four are found at 5%.
        let p_values = [
            0.0001, 0.0004, 0.0019, 0.0095, 0.0201, 0.0278, 0.0298, 0.0344, 0.0459, 0.3240, 0.4262, 0.5719, 0.6528,
            0.7590, 1.000,
        ];
        let found = benjamini_hochberg(&p_values).iter().filter(|&&p| p <= 0.05).count();
        assert_eq!(found, 4);
        assert_eq!(benjamini_hochberg(&[]), Vec::<f64>::new());
    }

    proptest! {
        #[test]
        fn lies_between_no_correction_and_bonferroni(p_values in prop::collection::vec(0.0_f64..=1.0, 1..50)) {
            let count = p_values.len() as f64;
            for (adjusted, p) in benjamini_hochberg(&p_values).iter().zip(&p_values) {
                prop_assert!(*adjusted >= p - 1e-12 && *adjusted <= (p * count).min(1.0) + 1e-12);
            }
        }
    }
}
