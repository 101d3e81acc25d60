//! What `fixture(…)` makes: values that are made once per worker and that one execution after the other uses.

use std::any::Any;
use std::cell::Cell;
use std::fmt::{self, Debug, Display};
use std::panic::Location;

/// Why a fixture could not be made, in a line or more for a person to read.
///
/// It is made of every error that can be shown, so that `?` works in the expressions of `fixture`. (Were it one
/// itself, it would have to be made of itself, too.)
#[derive(Debug)]
pub struct Unmade(String);

impl Unmade {
    /// The reason, with its place.
    #[must_use]
    pub fn into_reason(self) -> String {
        self.0
    }

    fn of(place: &Location<'_>, reason: impl Display) -> Self {
        Self(format!("returned Err at {place}: {reason}"))
    }
}

impl<E: Display> From<E> for Unmade {
    #[track_caller]
    fn from(error: E) -> Self {
        Self::of(Location::caller(), format_args!("{error:#}"))
    }
}

/// What an expression of `fixture` has for a value. The generated code calls `value` on four references to it:
/// method lookup takes them off one by one, and so finds the most telling implementation that the type has.
pub struct Given<T>(Cell<Option<T>>);

impl<T> Given<T> {
    /// Of this value.
    pub const fn new(value: T) -> Self {
        Self(Cell::new(Some(value)))
    }

    fn take(&self) -> T {
        self.0.take().expect("the generated code asks once")
    }
}

impl<T> Debug for Given<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Given").finish_non_exhaustive()
    }
}

/// The value that a fixture has of what its expression returned.
pub trait Value {
    /// Its type.
    type Value;

    /// What a `Result` holds; anything else is the value itself.
    ///
    /// # Errors
    ///
    /// Where it is `Err`.
    fn value(&self) -> Result<Self::Value, Unmade>;
}

impl<T, E: Display> Value for &&&Given<Result<T, E>> {
    type Value = T;

    #[track_caller]
    fn value(&self) -> Result<T, Unmade> {
        let place = Location::caller();
        self.take().map_err(|error| Unmade::of(place, format_args!("{error:#}")))
    }
}

impl<T, E: Debug> Value for &&Given<Result<T, E>> {
    type Value = T;

    #[track_caller]
    fn value(&self) -> Result<T, Unmade> {
        let place = Location::caller();
        self.take().map_err(|error| Unmade::of(place, format_args!("{error:?}")))
    }
}

impl<T, E> Value for &Given<Result<T, E>> {
    type Value = T;

    #[track_caller]
    fn value(&self) -> Result<T, Unmade> {
        let place = Location::caller();
        self.take().map_err(|_| Unmade(format!("returned Err at {place}")))
    }
}

impl<T> Value for Given<T> {
    type Value = T;

    fn value(&self) -> Result<T, Unmade> {
        Ok(self.take())
    }
}

/// The values of one worker's fixture. Their types are known to the generated code alone.
#[derive(Default)]
pub(crate) struct Fixture {
    state: State,
    /// An `Option<T>` of the values, so that an execution can take them out without the heap.
    values: Option<Box<dyn Any>>,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
enum State {
    #[default]
    Unmade,
    /// The generated code is to make them, and nothing else.
    Wanted,
    Kept,
    /// An execution has them; one that panics doesn't give them back.
    Lent,
}

impl Fixture {
    /// Has the next call of the generated code make the values.
    pub(crate) fn want(&mut self) {
        *self = Self { state: State::Wanted, values: None };
    }

    pub(crate) fn is_wanted(&self) -> bool {
        self.state == State::Wanted
    }

    /// Whether the next execution can have them.
    pub(crate) fn is_kept(&self) -> bool {
        self.state == State::Kept
    }

    pub(crate) fn keep<T: 'static>(&mut self, values: T) {
        self.state = State::Kept;
        match self.values.as_mut().and_then(|kept| kept.downcast_mut::<Option<T>>()) {
            Some(kept) => *kept = Some(values),
            None => self.values = Some(Box::new(Some(values))),
        }
    }

    pub(crate) fn lend<T: 'static>(&mut self) -> Option<T> {
        self.state = State::Lent;
        self.values.as_mut()?.downcast_mut::<Option<T>>()?.take()
    }
}

impl Debug for Fixture {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Fixture").field("state", &self.state).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_lent_and_kept_again_in_one_place() {
        let mut fixture = Fixture::default();
        assert!(!fixture.is_wanted() && !fixture.is_kept());
        fixture.want();
        assert!(fixture.is_wanted());
        fixture.keep((vec![1, 2], "x"));
        for _ in 0..2 {
            assert!(fixture.is_kept());
            let values: (Vec<i32>, &str) = fixture.lend().expect("they are of this type");
            assert!(!fixture.is_kept(), "a panic now would lose them");
            assert_eq!(values, (vec![1, 2], "x"));
            fixture.keep(values);
        }
        assert_eq!(fixture.lend::<u8>(), None, "of another type");
    }

    #[test]
    #[expect(clippy::needless_borrow, reason = "as the generated code has it")]
    fn a_result_is_judged_and_anything_else_is_itself() {
        struct Silent;
        let line = line!() + 1;
        let shown = (&&&&Given::new(Err::<u8, _>("no such host"))).value().expect_err("it is");
        let reason = shown.into_reason();
        assert!(reason.starts_with(&format!("returned Err at {}:{line}:", file!())), "{reason}");
        assert!(reason.ends_with(": no such host"), "{reason}");
        let debugged = (&&&&Given::new(Err::<u8, _>(Some(3)))).value().expect_err("it is").into_reason();
        assert!(debugged.ends_with(": Some(3)"), "{debugged}");
        assert!((&&&&Given::new(Err::<u8, _>(Silent))).value().is_err());
        assert_eq!((&&&&Given::new(Ok::<_, Silent>(4))).value().ok(), Some(4));
        assert_eq!((&&&&Given::new(Some(5))).value().ok(), Some(Some(5)));
    }

    #[test]
    fn a_question_mark_has_its_place() {
        let line = line!() + 1;
        let made = || -> Result<u8, Unmade> { Ok("x".parse::<u8>()?) };
        let reason = made().expect_err("x is no number").into_reason();
        assert!(reason.starts_with(&format!("returned Err at {}:{line}:", file!())), "{reason}");
        assert!(reason.ends_with(": invalid digit found in string"), "{reason}");
    }
}
