//! Fits a sum of columns to figures by their ratios: what is a tenth too large is off as much for a small
//! figure as for a large one, and twice too large as much as half.

use super::least_squares::{MOST, Problem};

/// Figures are whole numbers: below so many units, the rounding is more than the noise. Added to a figure
/// and to what is fitted to it before they are compared, so that zero can be, too.
const SMALLEST: f64 = 10.0;
/// The search ends when a step improves less than this part.
const PRECISION: f64 = 1e-9;
const STEPS: usize = 50;
const HALVINGS: usize = 6;

/// How far off `fitted` is, as the logarithm of the ratio.
pub(super) fn deviation(fitted: f64, figure: f64) -> f64 {
    ((fitted + SMALLEST) / (figure + SMALLEST)).ln()
}

/// A figure as a deviation is told in parts of.
pub(super) fn unit(figure: f64) -> f64 {
    figure + SMALLEST
}

/// By how much of a figure a value is off.
pub(super) fn relative(value: f64, figure: f64) -> f64 {
    (value - figure).abs() / unit(figure)
}

/// What fits best.
#[derive(Debug, Clone)]
pub(super) struct Fit {
    /// None is negative.
    pub(super) coefficients: Vec<f64>,
    /// The sum of the squares of the deviations.
    pub(super) squares: f64,
    linear: Linear,
}

/// The problem of least squares that is the same near a solution: its rows, and what they shall be.
#[derive(Debug, Clone)]
struct Linear {
    columns: Vec<Vec<f64>>,
    values: Vec<f64>,
    problem: Problem,
}

impl Fit {
    /// Minimises the squares of the deviations, by Gauss's and Newton's steps from the least squares of the
    /// relative residuals, with non-negative coefficients.
    pub(super) fn new(columns: &[Vec<f64>], figures: &[f64]) -> Self {
        let mut best = linear(columns, figures, figures).step(columns.len());
        let mut squares = squares(columns, figures, &best);
        for _ in 0..STEPS {
            let next = linear(columns, figures, &sum(columns, &best)).step(columns.len());
            let halved = (0..HALVINGS).map(|times| 0.5_f64.powi(i32::try_from(times).unwrap_or(0)));
            let tried = halved.map(|part| -> Vec<f64> {
                best.iter().zip(&next).map(|(best, next)| best + part * (next - best)).collect()
            });
            let improved = tried
                .map(|there| (self::squares(columns, figures, &there), there))
                .find(|(there, _)| *there < squares * (1.0 - PRECISION));
            let Some((less, there)) = improved else { break };
            (squares, best) = (less, there);
        }
        let linear = linear(columns, figures, &sum(columns, &best));
        Self { coefficients: best, squares, linear }
    }

    /// The factor by which the variance of the deviations becomes each coefficient's own; `None` where
    /// they can't be told apart.
    pub(super) fn variances(&self) -> Option<Vec<f64>> {
        self.linear.problem.variances()
    }

    /// The coefficients, nearly, without one of the figures.
    pub(super) fn without(&self, at: usize) -> Vec<f64> {
        let row: Vec<f64> = self.linear.columns.iter().map(|column| column[at]).collect();
        let solution = self.linear.problem.without(&row, self.linear.values[at]).solve();
        solution.coefficients[..self.coefficients.len()].to_vec()
    }
}

impl Linear {
    fn step(&self, coefficients: usize) -> Vec<f64> {
        self.problem.solve().coefficients[..coefficients].to_vec()
    }
}

/// Linear in the coefficients where the sum has the values `near`.
fn linear(columns: &[Vec<f64>], figures: &[f64], near: &[f64]) -> Linear {
    debug_assert!(columns.len() <= MOST, "a sum has few terms");
    let scaled = |column: &Vec<f64>| column.iter().zip(near).map(|(x, &near)| x / unit(near)).collect();
    let columns: Vec<Vec<f64>> = columns.iter().map(scaled).collect();
    let values: Vec<f64> =
        figures.iter().zip(near).map(|(&figure, &near)| near / unit(near) - deviation(near, figure)).collect();
    let slices: Vec<&[f64]> = columns.iter().map(Vec::as_slice).collect();
    let problem = Problem::new(&slices, &values);
    Linear { columns, values, problem }
}

fn sum(columns: &[Vec<f64>], coefficients: &[f64]) -> Vec<f64> {
    let rows = columns.first().map_or(0, Vec::len);
    (0..rows).map(|row| columns.iter().zip(coefficients).map(|(column, b)| b * column[row]).sum()).collect()
}

fn squares(columns: &[Vec<f64>], figures: &[f64], coefficients: &[f64]) -> f64 {
    sum(columns, coefficients).iter().zip(figures).map(|(&fitted, &figure)| deviation(fitted, figure).powi(2)).sum()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn half_and_twice_as_much_are_off_as_much() {
        let fit = Fit::new(&[vec![1.0; 2]], &[1_000_000.0, 4_000_000.0]);
        assert!((fit.coefficients[0] / 2_000_000.0 - 1.0).abs() < 1e-3, "{fit:?}");
    }

    #[test]
    fn without_a_figure_it_is_the_fit_to_the_others() {
        let n: Vec<f64> = (1..=6).map(|n| f64::from(n) * 1_000.0).collect();
        let figures: Vec<f64> = n.iter().enumerate().map(|(at, n)| n * (7.0 + 0.01 * at as f64)).collect();
        let fit = Fit::new(&[vec![1.0; 6], n.clone()], &figures).without(5);
        let anew = Fit::new(&[vec![1.0; 5], n[..5].to_vec()], &figures[..5]).coefficients;
        assert!((fit[1] / anew[1] - 1.0).abs() < 1e-4, "{fit:?} {anew:?}");
    }

    proptest! {
        #[test]
        fn finds_what_the_figures_were_made_of(constant in 0.0..1e6_f64, slope in 0.1..1e3_f64) {
            let n: Vec<f64> = (0..8).map(|power| 10_f64.powi(power)).collect();
            let figures: Vec<f64> = n.iter().map(|n| constant + slope * n).collect();
            let fit = Fit::new(&[vec![1.0; 8], n], &figures);
            prop_assert!(fit.squares < 1e-9, "{fit:?}");
            prop_assert!((fit.coefficients[1] / slope - 1.0).abs() < 1e-3, "{fit:?}");
        }

        /// However bad a description the sum is, no small change of a coefficient makes it better.
        #[test]
        fn no_step_makes_it_better(figures in prop::collection::vec(0.0..1e9_f64, 4..12)) {
            let n: Vec<f64> = (0..figures.len()).map(|at| (at * at) as f64).collect();
            let columns = [vec![1.0; figures.len()], n];
            let fit = Fit::new(&columns, &figures);
            for at in 0..2 {
                for factor in [0.999, 1.001] {
                    let mut there = fit.coefficients.clone();
                    there[at] *= factor;
                    prop_assert!(squares(&columns, &figures, &there) >= fit.squares * (1.0 - 1e-5), "{fit:?}");
                }
            }
        }
    }
}
