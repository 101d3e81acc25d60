//! Whose a process is: that of whoever has started the process that has started it. Pure.

use super::family::Descendant;
use super::inventory::Process;
use super::ledger::{Ledger, Origin, Ran};

/// The process that all others descend from.
#[derive(Debug, Clone, Copy)]
pub(super) struct Ancestor {
    pub id: u32,
    pub session: Option<u32>,
}

impl Ancestor {
    /// The origin of a process that has come since the last look, when `ran` did.
    pub(super) fn origin(self, new: Process, family: &[Descendant], known: &Ledger<Process>, ran: Ran) -> Origin {
        let of = |id: u32| family.iter().find(|one| one.id == id);
        let Some(mut one) = of(new.id) else { return ran.origin() };
        // No line of ancestors is longer than all of them.
        for _ in family {
            if one.parent == self.id {
                break;
            }
            if let Some(origin) = known.origin_of(|known| known.id == one.parent) {
                return origin;
            }
            match of(one.parent) {
                Some(parent) => one = parent,
                None => return Origin::Either,
            }
        }
        let around = ran.around || (ran.job && self.may_be_adopted(one, family, known));
        Ran { around, ..ran }.origin()
    }

    /// Whether a child may be one that a process of the code around the job has started and left behind: as daemons
    /// do, which have a session of their own, or because that process has ended.
    fn may_be_adopted(self, child: &Descendant, family: &[Descendant], known: &Ledger<Process>) -> bool {
        let is_alive = |process: Process| {
            family.iter().any(|one| !one.ended && (one.id, one.started) == (process.id, process.started))
        };
        let mut others = known.of(Origin::Around).chain(known.of(Origin::Either)).peekable();
        others.peek().is_some() && (Some(child.session) != self.session || !others.all(is_alive))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const WORKER: Ancestor = Ancestor { id: 1, session: Some(1) };
    const JOB: Ran = Ran { job: true, around: false };

    fn process(id: u32) -> Process {
        Process { id, started: 7 }
    }

    fn child(id: u32, parent: u32) -> Descendant {
        Descendant { id, started: 7, parent, session: 1, name: "x".to_owned(), ended: false }
    }

    /// With a process 10 of the code around the job.
    fn known() -> Ledger<Process> {
        let mut known = Ledger::new(&[]);
        known.see(&[process(10)], |_, _| Origin::Around);
        known
    }

    #[test]
    fn a_process_is_that_of_its_ancestors() {
        let family = [child(10, 1), child(11, 10), child(12, 11), child(20, 1), child(21, 20)];
        let origin = |id, ran| WORKER.origin(process(id), &family, &known(), ran);
        assert_eq!([11, 12].map(|id| origin(id, JOB)), [Origin::Around; 2]);
        assert_eq!([20, 21].map(|id| origin(id, JOB)), [Origin::Job; 2]);
        assert_eq!(origin(20, Ran { around: true, ..JOB }), Origin::Either);
        assert_eq!(origin(11, Ran { around: true, ..JOB }), Origin::Around);
    }

    #[test]
    fn what_may_have_been_adopted_is_of_either() {
        let daemon = Descendant { session: 30, ..child(30, 1) };
        let origin = |family: &[Descendant], known: &Ledger<Process>| WORKER.origin(process(30), family, known, JOB);
        assert_eq!(origin(&[child(10, 1), daemon.clone()], &known()), Origin::Either);
        assert_eq!(origin(&[daemon], &Ledger::new(&[])), Origin::Job, "there is nobody else");
        assert_eq!(origin(&[child(30, 1)], &known()), Origin::Either, "10 has ended");
        assert_eq!(origin(&[child(30, 29)], &known()), Origin::Either, "29 ended as it was looked at");
    }
}
