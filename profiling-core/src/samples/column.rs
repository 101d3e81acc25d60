//! One figure of all samples of a case.

use std::io;
use std::marker::PhantomData;

use super::CaseSamples;
use crate::sample::{Column, Sample};
use crate::statistics::Figure;
use crate::statistics::values::Values;

/// A figure that no sample lacks.
pub(crate) struct ColumnValues<'a, T> {
    samples: &'a CaseSamples,
    column: Column,
    figure: PhantomData<T>,
}

impl CaseSamples {
    /// A figure of all samples; `None` where one lacks it. It has the type that it has in [`Sample`].
    pub(crate) fn column<T: Figure>(&self, column: Column) -> Option<ColumnValues<'_, T>> {
        let lacking = self.spill.as_ref().is_some_and(|spill| spill.lacking[column as usize]);
        let all = !lacking && self.recent.iter().all(|sample| sample.key(column).is_some());
        all.then_some(ColumnValues { samples: self, column, figure: PhantomData })
    }

    /// The largest of a figure; `None` where no sample has it.
    ///
    /// # Errors
    ///
    /// Where the samples can't be read.
    pub fn max(&self, column: Column) -> io::Result<Option<u64>> {
        let mut max = None;
        self.visit_only(&[column], &mut |samples| {
            max = max.max(samples.iter().filter_map(|sample| sample.key(column)).max());
        })?;
        Ok(max)
    }

    /// The sum of a figure; `None` where a sample lacks it.
    pub(crate) fn sum(&self, column: Column) -> io::Result<Option<u64>> {
        let Some(values) = self.column::<u64>(column) else { return Ok(None) };
        let mut sum = 0_u64;
        values.visit(&mut |figures| sum = figures.iter().fold(sum, |sum, &figure| sum.saturating_add(figure)))?;
        Ok(Some(sum))
    }

    /// Whether something is so for every sample. `columns` are what it looks at.
    pub(crate) fn all(&self, columns: &[Column], is_so: impl Fn(&Sample) -> bool) -> io::Result<bool> {
        let mut all = true;
        self.visit_only(columns, &mut |samples| all = all && samples.iter().all(&is_so))?;
        Ok(all)
    }
}

impl<T: Figure> Values<T> for ColumnValues<'_, T> {
    fn count(&self) -> usize {
        self.samples.len()
    }

    fn visit(&self, visit: &mut dyn FnMut(&[T])) -> io::Result<()> {
        let mut figures: Vec<T> = Vec::new();
        if let Some(spill) = &self.samples.spill {
            let mut reader = spill.reader()?;
            let mut keys = Vec::new();
            while reader.next()? {
                reader.read_all(self.column, &mut keys)?;
                figures.clear();
                figures.extend(keys.iter().map(|&key| T::of_key(key)));
                visit(&figures);
            }
        }
        figures.clear();
        // That no sample lacks it was made sure.
        figures.extend(self.samples.recent.iter().filter_map(|sample| sample.key(self.column)).map(T::of_key));
        visit(&figures);
        Ok(())
    }
}

/// A value of each sample, made of some of its figures.
pub(crate) struct Derived<'a, F> {
    pub(crate) samples: &'a CaseSamples,
    /// What it is made of.
    pub(crate) columns: &'static [Column],
    pub(crate) of: F,
}

impl<T: Copy, F: Fn(&Sample) -> T> Values<T> for Derived<'_, F> {
    fn count(&self) -> usize {
        self.samples.len()
    }

    fn visit(&self, visit: &mut dyn FnMut(&[T])) -> io::Result<()> {
        let mut values = Vec::new();
        self.samples.visit_only(self.columns, &mut |samples| {
            values.clear();
            values.extend(samples.iter().map(&self.of));
            visit(&values);
        })
    }
}
