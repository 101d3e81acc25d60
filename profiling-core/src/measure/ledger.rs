//! Who has brought what is there: the job, or what runs beside it. Pure.

/// Whose something is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Origin {
    /// It was there before anything of the user's ran.
    Before,
    /// The job's.
    Job,
    /// That of the attribute's own code around the job, or of something which that has started.
    Around,
    /// One of the two's.
    Either,
}

/// What can have brought something, in the time between two looks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Ran {
    pub job: bool,
    pub around: bool,
}

impl Ran {
    pub(super) fn origin(self) -> Origin {
        match (self.job, self.around) {
            (true, false) => Origin::Job,
            (false, true) => Origin::Around,
            (true, true) | (false, false) => Origin::Either,
        }
    }
}

/// Things of a kind that are there, each with its origin, in order. What has gone is forgotten, so that another
/// thing can have its name.
#[derive(Debug)]
pub(super) struct Ledger<T> {
    entries: Vec<(T, Origin)>,
    /// The entries to be; kept, so that a look allocates only where there is more than ever before.
    next: Vec<(T, Origin)>,
}

impl<T: Copy + Ord> Ledger<T> {
    /// All that is there before anything ran.
    pub(super) fn new(there: &[T]) -> Self {
        let entries: Vec<_> = there.iter().map(|&one| (one, Origin::Before)).collect();
        Self { next: Vec::with_capacity(entries.len() + 16), entries }
    }

    /// Takes note of what is `there` now, in order. What was not there before is of the given origin.
    pub(super) fn see(&mut self, there: &[T], origin: impl Fn(&Self, T) -> Origin) {
        if self.entries.iter().map(|(one, _)| one).eq(there) {
            return;
        }
        let mut next = std::mem::take(&mut self.next);
        next.clear();
        for &one in there {
            let known = self.entries.binary_search_by(|(known, _)| known.cmp(&one));
            next.push((one, known.map_or_else(|_| origin(self, one), |index| self.entries[index].1)));
        }
        self.next = std::mem::replace(&mut self.entries, next);
    }

    /// What is of this origin.
    pub(super) fn of(&self, origin: Origin) -> impl Iterator<Item = T> {
        self.entries.iter().filter(move |entry| entry.1 == origin).map(|entry| entry.0)
    }

    pub(super) fn has(&self, origin: Origin) -> bool {
        self.of(origin).next().is_some()
    }

    /// The origin of the first that meets a condition.
    pub(super) fn origin_of(&self, condition: impl Fn(T) -> bool) -> Option<Origin> {
        self.entries.iter().find(|entry| condition(entry.0)).map(|entry| entry.1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all(ledger: &Ledger<u32>) -> [Vec<u32>; 4] {
        [Origin::Before, Origin::Job, Origin::Around, Origin::Either].map(|origin| ledger.of(origin).collect())
    }

    #[test]
    fn everything_keeps_the_origin_it_came_with() {
        let mut ledger = Ledger::new(&[1, 5]);
        let around = Ran { job: false, around: true };
        ledger.see(&[1, 3, 5], |_, _| around.origin());
        let job = Ran { job: true, around: false };
        ledger.see(&[1, 2, 3, 5], |_, _| job.origin());
        let both = Ran { job: true, around: true };
        ledger.see(&[1, 2, 3, 5, 9], |_, _| both.origin());
        assert_eq!(all(&ledger), [vec![1, 5], vec![2], vec![3], vec![9]]);
        assert!(ledger.has(Origin::Around));
        assert_eq!(ledger.origin_of(|one| one > 2), Some(Origin::Around));
    }

    #[test]
    fn what_has_gone_is_forgotten() {
        let mut ledger = Ledger::new(&[1]);
        ledger.see(&[1, 7], |_, _| Origin::Around);
        ledger.see(&[1], |_, _| Origin::Job);
        ledger.see(&[1, 7], |_, _| Origin::Job);
        assert_eq!(all(&ledger), [vec![1], vec![7], vec![], vec![]]);
    }

    #[test]
    fn what_nobody_is_known_to_have_brought_is_of_either() {
        assert_eq!(Ran { job: false, around: false }.origin(), Origin::Either);
    }
}
