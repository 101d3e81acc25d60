//! Stages where the feature `profiling` is off: nothing.

use std::marker::PhantomData;

/// A place in the source where a stage is entered.
#[doc(hidden)]
#[derive(Debug)]
pub struct Site(());

/// A stage that is entered, until this is dropped. See [`stage!`](crate::stage!).
#[derive(Debug)]
#[must_use = "a stage is left when this is dropped: bind it, as in `let _stage = stage!(…);`"]
pub struct Stage(PhantomData<*const ()>);

impl Site {
    /// Checks the name.
    #[must_use]
    pub const fn new(name: &'static str) -> Self {
        super::check_name(name);
        Self(())
    }
}

impl Stage {
    /// Does nothing.
    #[doc(hidden)]
    #[inline(always)]
    #[expect(clippy::inline_always, reason = "nothing of it is to be left")]
    pub fn enter(_: &'static Site) -> Self {
        Self(PhantomData)
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
