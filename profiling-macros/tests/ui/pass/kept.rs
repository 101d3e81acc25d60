//! The function stays as it was: visibility, documentation, attributes, lifetimes, where-clause.

use profiling_core::profile_job;

#[path = "../support.rs"]
mod support;

mod jobs {
    #![deny(unused_must_use)]

    use profiling_core::profile_job;

    /// Documented.
    #[profile_job(args(2))]
    #[inline(never)]
    #[must_use = "it is all that the function does"]
    #[expect(clippy::let_and_return)]
    pub(crate) fn square(x: u64) -> u64 {
        let square = x * x;
        square
    }

    #[cfg(all())]
    #[profile_job]
    pub(super) fn configured() {}

    #[profile_job]
    #[cfg(any())]
    pub fn configured() {}

    #[profile_job(args(&[3, 1, 2], &0))]
    pub fn longest<'a, 'b: 'a>(list: &'a [u64], other: &'b u64) -> &'a u64
    where
        u64: Copy,
    {
        list.iter().max().unwrap_or(other)
    }
}

macro_rules! job {
    ($(#[$attribute:meta])* $visibility:vis fn $name:ident($x:ident) with $value:expr, $body:block) => {
        #[profile_job(setup(input = $value), args(input + run), verify(|output| *output == input + run))]
        $(#[$attribute])*
        $visibility fn $name($x: u64) -> u64 $body
    };
}

job!(#[inline] pub fn made_by_a_macro(x) with 5, { x });

#[profile_job(params(n = [2, 3]), args(n))]
fn main_parameter(n: u64) -> u64 {
    n
}

fn main() {
    assert_eq!(jobs::square(3), 9);
    jobs::configured();
    assert_eq!(*jobs::longest(&[1, 2], &0), 2);
    assert_eq!(main_parameter(1), 1);
    for name in ["square", "configured", "longest", "made_by_a_macro", "main_parameter"] {
        support::execute(name).expect(name);
    }
}
