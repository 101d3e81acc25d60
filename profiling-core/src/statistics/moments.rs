//! Mean, spread and skewness of figures, and their extremes.

use std::io;

use super::Figure;
use super::mean;
use super::percentile::Interval;
use super::values::Values;

/// Sums over all figures, in their own order.
#[derive(Debug, Clone, Copy)]
pub(super) struct Moments<T> {
    pub(super) count: usize,
    pub(super) min: T,
    pub(super) max: T,
    /// The arithmetic mean.
    pub(super) mean: f64,
    /// Of the deviations from the mean, the sum of their squares.
    squares: f64,
    /// And of their cubes.
    cubes: f64,
}

impl<T: Figure> Moments<T> {
    /// `None` without figures.
    pub(super) fn of(figures: &[T]) -> Option<Self> {
        let mut moments = Total::of(figures)?.moments();
        moments.add(figures);
        Some(moments)
    }

    /// The same of figures of which there may be more than fit into memory.
    pub(super) fn of_values(values: &dyn Values<T>) -> io::Result<Option<Self>> {
        let mut total: Option<Total<T>> = None;
        values.visit(&mut |piece| {
            total = match (total, Total::of(piece)) {
                (Some(total), Some(more)) => Some(total.and(more)),
                (total, more) => total.or(more),
            };
        })?;
        let Some(mut moments) = total.map(Total::moments) else { return Ok(None) };
        values.visit(&mut |piece| moments.add(piece))?;
        Ok(Some(moments))
    }

    fn add(&mut self, figures: &[T]) {
        for figure in figures {
            let deviation = figure.as_f64() - self.mean;
            let square = deviation * deviation;
            self.squares += square;
            self.cubes += square * deviation;
        }
    }

    /// With n − 1 in the denominator; 0 for a single figure.
    pub(super) fn standard_deviation(&self) -> f64 {
        if self.count < 2 { 0.0 } else { (self.squares / (self.count - 1) as f64).sqrt() }
    }

    pub(super) fn interval_of_mean(&self) -> Option<Interval<f64>> {
        mean::interval(self.count, self.mean, self.squares, self.cubes)
    }
}

/// The exact sum of figures, and their extremes.
#[derive(Debug, Clone, Copy)]
struct Total<T> {
    count: usize,
    sum: i128,
    min: T,
    max: T,
}

impl<T: Figure> Total<T> {
    fn of(figures: &[T]) -> Option<Self> {
        let first = *figures.first()?;
        let mut total = Self { count: figures.len(), sum: 0, min: first, max: first };
        for &figure in figures {
            total.sum += figure.into();
            total.min = total.min.min(figure);
            total.max = total.max.max(figure);
        }
        Some(total)
    }

    fn and(self, more: Self) -> Self {
        Self {
            count: self.count + more.count,
            sum: self.sum + more.sum,
            min: self.min.min(more.min),
            max: self.max.max(more.max),
        }
    }

    fn moments(self) -> Moments<T> {
        let Self { count, sum, min, max } = self;
        // What is the same everywhere doesn't deviate, be the sum as inexact as it may.
        let mean = if min == max { min.as_f64() } else { sum as f64 / count as f64 };
        Moments { count, min, max, mean, squares: 0.0, cubes: 0.0 }
    }
}
