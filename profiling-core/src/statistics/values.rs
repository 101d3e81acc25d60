//! Numbers of which there may be more than fit into memory.

use std::io;

use super::Figure;

/// Numbers in an order of their own, which are handed over piece by piece, as often as anyone asks.
pub(crate) trait Values<T: Copy> {
    /// How many there are.
    fn count(&self) -> usize;

    /// Hands over all of them in order.
    fn visit(&self, visit: &mut dyn FnMut(&[T])) -> io::Result<()>;

    /// All of them at once; only for few.
    fn collect(&self) -> io::Result<Vec<T>> {
        let mut all = Vec::with_capacity(self.count());
        self.visit(&mut |piece| all.extend_from_slice(piece))?;
        Ok(all)
    }
}

impl<T: Copy> Values<T> for &[T] {
    fn count(&self) -> usize {
        self.len()
    }

    fn visit(&self, visit: &mut dyn FnMut(&[T])) -> io::Result<()> {
        visit(self);
        Ok(())
    }
}

/// Values made of others, one of each.
pub(crate) struct Mapped<'a, A, F> {
    pub(crate) values: &'a dyn Values<A>,
    pub(crate) map: F,
}

impl<A: Copy, B: Copy, F: Fn(A) -> B> Values<B> for Mapped<'_, A, F> {
    fn count(&self) -> usize {
        self.values.count()
    }

    fn visit(&self, visit: &mut dyn FnMut(&[B])) -> io::Result<()> {
        let mut mapped = Vec::new();
        self.values.visit(&mut |piece| {
            mapped.clear();
            mapped.extend(piece.iter().map(|&value| (self.map)(value)));
            visit(&mapped);
        })
    }
}

/// The figures as numbers in the same order.
pub(crate) fn keys<T: Figure>(values: &dyn Values<T>) -> Mapped<'_, T, fn(T) -> u64> {
    Mapped { values, map: T::key }
}

/// A key of a number that is 0 or more, in the same order.
pub(crate) fn key_of_positive(number: f64) -> u64 {
    // Without its sign, zero has one key.
    number.abs().to_bits()
}
