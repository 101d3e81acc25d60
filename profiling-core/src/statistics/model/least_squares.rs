//! Non-negative least squares (Lawson and Hanson, "Solving Least Squares Problems", 1974) for the few
//! unknowns that a model has: every set of them that may be above zero is tried.

/// The most unknowns.
pub(super) const MOST: usize = 3;

/// The sums of products that least squares are found from. Columns are scaled to a length of one.
#[derive(Debug, Clone)]
pub(super) struct Problem {
    gram: Matrix,
    right: [f64; MOST],
    squares: f64,
    scales: [f64; MOST],
    columns: usize,
}

type Matrix = [[f64; MOST]; MOST];

/// What solves a problem best, in the columns' own scale.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Solution {
    /// None is negative; those beyond the number of columns are 0.
    pub(super) coefficients: [f64; MOST],
    /// The sum of the squares of what is left.
    pub(super) residual_squares: f64,
}

impl Problem {
    /// `columns` times the unknowns shall be `values`; all have the same length, and there are at most
    /// [`MOST`] columns.
    pub(super) fn new(columns: &[&[f64]], values: &[f64]) -> Self {
        let mut problem = Self {
            gram: [[0.0; MOST]; MOST],
            right: [0.0; MOST],
            squares: dot(values, values),
            scales: [0.0; MOST],
            columns: columns.len(),
        };
        for (at, column) in columns.iter().enumerate() {
            let length = dot(column, column).sqrt();
            problem.scales[at] = if length > 0.0 { 1.0 / length } else { 0.0 };
        }
        for (row, first) in columns.iter().enumerate() {
            problem.right[row] = dot(first, values) * problem.scales[row];
            for (column, second) in columns.iter().enumerate() {
                problem.gram[row][column] = dot(first, second) * problem.scales[row] * problem.scales[column];
            }
        }
        problem
    }

    /// The same without one of the rows.
    pub(super) fn without(&self, row: &[f64], value: f64) -> Self {
        let mut rest = self.clone();
        rest.squares -= value * value;
        let scaled = |column: usize| row[column] * self.scales[column];
        for at in 0..self.columns {
            rest.right[at] -= scaled(at) * value;
            for column in 0..self.columns {
                rest.gram[at][column] -= scaled(at) * scaled(column);
            }
        }
        rest
    }

    /// The best of all solutions in which no unknown is negative. All zero where nothing better is found.
    pub(super) fn solve(&self) -> Solution {
        let sets = (1..1_usize << self.columns).map(|set| self.solve_within(set));
        let none = Solution { coefficients: [0.0; MOST], residual_squares: self.squares.max(0.0) };
        let best = sets.flatten().fold(
            none,
            |best, next| {
                if next.residual_squares < best.residual_squares { next } else { best }
            },
        );
        let mut coefficients = best.coefficients;
        for (coefficient, scale) in coefficients.iter_mut().zip(self.scales) {
            *coefficient *= scale;
        }
        Solution { coefficients, ..best }
    }

    /// The solution whose unknowns are zero outside of a set; `None` where one of them is negative, or
    /// where they can't be told apart.
    fn solve_within(&self, set: usize) -> Option<Solution> {
        let members: Vec<usize> = (0..self.columns).filter(|at| set & (1 << at) != 0).collect();
        let right: Vec<f64> = members.iter().map(|&at| self.right[at]).collect();
        let found = self.factor(&members)?.solve(&right);
        if found.iter().any(|&coefficient| coefficient < 0.0) {
            return None;
        }
        let mut coefficients = [0.0; MOST];
        members.iter().zip(&found).for_each(|(&at, &coefficient)| coefficients[at] = coefficient);
        let explained: f64 = found.iter().zip(&right).map(|(coefficient, right)| coefficient * right).sum();
        Some(Solution { coefficients, residual_squares: (self.squares - explained).max(0.0) })
    }

    /// The factor by which the variance of what is left becomes each unknown's own; `None` where they
    /// can't be told apart.
    pub(super) fn variances(&self) -> Option<Vec<f64>> {
        let members: Vec<usize> = (0..self.columns).collect();
        let factor = self.factor(&members)?;
        let variance = |at: usize| {
            let unit: Vec<f64> = members.iter().map(|&other| if other == at { 1.0 } else { 0.0 }).collect();
            factor.solve(&unit)[at] * self.scales[at].powi(2)
        };
        Some(members.iter().map(|&at| variance(at)).collect())
    }

    /// Cholesky's factor of the members' rows and columns.
    fn factor(&self, members: &[usize]) -> Option<Factor> {
        /// What two columns of length one have that differ by nothing but rounding.
        const SINGULAR: f64 = 1e-10;
        let mut lower = [[0.0; MOST]; MOST];
        for (row, &at) in members.iter().enumerate() {
            for column in 0..=row {
                let known: f64 = (0..column).map(|k| lower[row][k] * lower[column][k]).sum();
                let rest = self.gram[at][members[column]] - known;
                if row == column && rest < SINGULAR {
                    return None;
                }
                lower[row][column] = if row == column { rest.sqrt() } else { rest / lower[column][column] };
            }
        }
        Some(Factor { lower })
    }
}

struct Factor {
    lower: Matrix,
}

impl Factor {
    fn solve(&self, right: &[f64]) -> Vec<f64> {
        let mut x = right.to_vec();
        for row in 0..x.len() {
            let known: f64 = (0..row).map(|k| self.lower[row][k] * x[k]).sum();
            x[row] = (x[row] - known) / self.lower[row][row];
        }
        for row in (0..x.len()).rev() {
            let known: f64 = (row + 1..x.len()).map(|k| self.lower[k][row] * x[k]).sum();
            x[row] = (x[row] - known) / self.lower[row][row];
        }
        x
    }
}

fn dot(first: &[f64], second: &[f64]) -> f64 {
    first.iter().zip(second).map(|(first, second)| first * second).sum()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn finds_what_the_values_were_made_of() {
        let x: Vec<f64> = (1..=10).map(f64::from).collect();
        let ones = [1.0; 10];
        let squares: Vec<f64> = x.iter().map(|x| x * x).collect();
        let values: Vec<f64> = x.iter().map(|x| 7.0 + 3.0 * x * x).collect();
        let solution = Problem::new(&[&ones, &x, &squares], &values).solve();
        for (found, truth) in solution.coefficients.iter().zip([7.0, 0.0, 3.0]) {
            assert!((found - truth).abs() < 1e-6, "{solution:?}");
        }
        assert!(solution.residual_squares < 1e-6);
    }

    #[test]
    fn what_falls_is_a_constant() {
        let x: Vec<f64> = (1..=10).map(f64::from).collect();
        let values: Vec<f64> = x.iter().map(|x| 100.0 - x).collect();
        let solution = Problem::new(&[&[1.0; 10], &x], &values).solve();
        assert!(solution.coefficients[1].abs() < 1e-12);
        assert!((solution.coefficients[0] - 94.5).abs() < 1e-9, "the mean");
    }

    #[test]
    fn columns_that_are_the_same_share_nothing() {
        let x: Vec<f64> = (1..=4).map(f64::from).collect();
        let problem = Problem::new(&[&x, &x], &x);
        let solution = problem.solve();
        assert!((solution.coefficients.iter().sum::<f64>() - 1.0).abs() < 1e-9);
        assert_eq!(problem.variances(), None);
    }

    #[test]
    fn the_variance_of_a_mean() {
        let variances = Problem::new(&[&[1.0; 5]], &[3.0; 5]).variances().expect("one column");
        assert!((variances[0] - 0.2).abs() < 1e-12);
    }

    fn rows() -> impl Strategy<Value = Vec<(f64, f64, f64)>> {
        prop::collection::vec((1.0..100.0, 1.0..100.0, 1.0..1000.0), 3..20)
    }

    proptest! {
        /// At the optimum, a step along any column makes it worse (the conditions of Karush, Kuhn and Tucker).
        #[test]
        fn no_step_makes_it_better(rows in rows()) {
            let (x, y): (Vec<f64>, Vec<f64>) = rows.iter().map(|row| (row.0, row.1)).unzip();
            let values: Vec<f64> = rows.iter().map(|row| row.2).collect();
            let solution = Problem::new(&[&x, &y], &values).solve();
            let squares = |b: [f64; 2]| -> f64 {
                (0..values.len()).map(|i| (values[i] - b[0] * x[i] - b[1] * y[i]).powi(2)).sum()
            };
            let best = [solution.coefficients[0], solution.coefficients[1]];
            prop_assert!(best.iter().all(|&b| b >= 0.0));
            let least = squares(best);
            prop_assert!((least - solution.residual_squares).abs() <= 1e-6 * squares([0.0, 0.0]));
            for step in [[0.01, 0.0], [-0.01, 0.0], [0.0, 0.01], [0.0, -0.01]] {
                let there = [best[0] + step[0], best[1] + step[1]];
                if there.iter().all(|&b| b >= 0.0) {
                    prop_assert!(squares(there) >= least * (1.0 - 1e-9));
                }
            }
        }

        #[test]
        fn a_row_can_be_taken_out(rows in rows()) {
            let (x, y): (Vec<f64>, Vec<f64>) = rows.iter().map(|row| (row.0, row.1)).unzip();
            let values: Vec<f64> = rows.iter().map(|row| row.2).collect();
            let rest = Problem::new(&[&x, &y], &values).without(&[x[0], y[0]], values[0]).solve();
            let anew = Problem::new(&[&x[1..], &y[1..]], &values[1..]).solve();
            let (rest, anew) = (rest.residual_squares, anew.residual_squares);
            prop_assert!((rest - anew).abs() <= 1e-6 * (1.0 + values.iter().map(|v| v * v).sum::<f64>()), "{rest} {anew}");
        }
    }
}
