//! Stages where the feature `profiling` is off: nothing.

use std::marker::PhantomData;

/// A stage that is entered, until this is dropped. See [`stage!`](crate::stage!).
#[derive(Debug)]
#[must_use = "a stage is left when this is dropped: bind it, as in `let _stage = stage!(…);`"]
pub struct Stage(PhantomData<*const ()>);

impl Stage {
    /// Does nothing.
    #[doc(hidden)]
    #[inline(always)]
    #[expect(clippy::inline_always, reason = "nothing of it is to be left")]
    pub fn off() -> Self {
        Self(PhantomData)
    }

    /// What a stage's name must be, where one is on.
    #[doc(hidden)]
    pub const fn check_name(name: &'static str) {
        super::check_name(name);
    }

    /// The future as it is.
    #[inline(always)]
    #[expect(clippy::inline_always, reason = "nothing of it is to be left")]
    pub fn instrument<F: Future>(self, future: F) -> F {
        future
    }
}

/// As where the feature is on, so that the same code is right or wrong.
impl Drop for Stage {
    #[inline(always)]
    fn drop(&mut self) {}
}
