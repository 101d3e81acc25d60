//! The code that a job's attribute brings along.

/// The attribute's own code around a job's execution: what comes of it is no part of the job.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Around {
    /// `fixture`, before the first execution.
    pub fixture: bool,
    /// `setup`, or `args` that call something, before each.
    pub before: bool,
    /// `verify` or `teardown`, after each.
    pub after: bool,
}

impl Around {
    /// Whether there is any.
    #[must_use]
    pub fn is_any(self) -> bool {
        self.fixture || self.before || self.after
    }
}
