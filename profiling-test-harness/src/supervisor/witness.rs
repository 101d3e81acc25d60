//! Asks a witness what a case has left behind of files.

use std::io;
use std::path::{Path, PathBuf};
use std::process::Command;

use profiling_core::evidence::{Evidence, Finding, Subject};
use profiling_core::sampling::Samples;
use tempfile::TempDir;

use super::{Followed, Launch, Supervisor};
use crate::attribution::{self, Remnant, Traces, WitnessPlan};
use crate::outcome::{CaseFailure, CaseRun, Phase};
use crate::plan::{CasePlan, Round};
use crate::temporary::Elsewhere;

/// Of a case that has a worker for each sample, so many are looked at.
const MOST: usize = 3;

/// Why a witness has said nothing.
struct Silence {
    reason: String,
    /// It could not have a view of its own.
    unseeing: bool,
}

impl From<io::Error> for Silence {
    fn from(error: io::Error) -> Self {
        Self { reason: format!("its witness could not be started: {error}"), unseeing: false }
    }
}

/// What a witness is to be asked about a worker: what it is to do, and what was left.
pub(super) fn wanted(round: Round, run: &CaseRun, traces: Traces) -> Option<(Round, Traces)> {
    let measured = run.result.as_ref().ok().filter(|_| !round.cold && !traces.is_empty())?;
    let samples = u32::try_from(measured.samples.len()).unwrap_or(u32::MAX);
    Some((Round { samples, by_turns: false, ..round }, traces))
}

impl Supervisor {
    /// What is known of what workers of a case may have left behind. What goes wrong with a witness is no failure
    /// of the case.
    pub(super) fn attribute(&mut self, plan: &CasePlan, left: &[(Round, Traces)]) -> Evidence {
        let mut evidence = Evidence::default();
        for (round, traces) in left.iter().take(MOST) {
            // Once is enough: the other workers have executed the same job.
            if evidence.is_seen(Subject::State) {
                break;
            }
            evidence.extend(self.findings(plan, *round, traces));
        }
        evidence
    }

    fn findings(&mut self, plan: &CasePlan, round: Round, traces: &Traces) -> Vec<Finding> {
        let working_directory = self.files.working_directory().path().to_owned();
        let mut found = Vec::new();
        let alone = !plan.case.job.around.is_any();
        if alone {
            found.extend(traces.temporary_of_job());
        }
        if !traces.changes.is_empty() {
            match self.ask_for_view(plan, round, traces) {
                Ok(remnants) => {
                    found.extend(attribution::of_working_directory(&remnants, &working_directory));
                    if !alone {
                        found.extend(traces.of_temporary(Ok(&remnants)));
                    }
                    return found;
                }
                Err(why) => {
                    found.extend(traces.unwitnessed(&working_directory, &why, attribution::held_open));
                }
            }
        }
        if !alone && !traces.temporary.is_empty() {
            let asked = self.ask(plan, round, &[], None);
            found.extend(traces.of_temporary(asked.as_deref().map_err(|silence| &*silence.reason)));
        }
        found
    }

    /// Asks a witness that has a view of the working directory for itself, or says why none can.
    fn ask_for_view(&mut self, plan: &CasePlan, round: Round, traces: &Traces) -> Result<Vec<Remnant>, String> {
        let way = self.views.way()?;
        let hidden: Vec<PathBuf> = traces.changes.additions().map(Path::to_owned).collect();
        let mut asked = self.ask(plan, round, &hidden, Some(way));
        if asked.as_ref().is_err_and(|silence| !silence.unseeing) && !hidden.is_empty() {
            // What came to be there may have taken the place of what was there before, and what the job needs.
            asked = self.ask(plan, round, &[], Some(way));
        }
        asked.map_err(|silence| {
            if silence.unseeing {
                self.views.refuse(&silence.reason);
            }
            silence.reason
        })
    }

    /// What a witness has found; `hidden`: what it must not see; `way`: how it gets a view for itself.
    fn ask(
        &mut self,
        plan: &CasePlan,
        round: Round,
        hidden: &[PathBuf],
        way: Option<&'static [&'static str]>,
    ) -> Result<Vec<Remnant>, Silence> {
        let base = self.layer()?;
        let left_out = self.files.working_directory().left_out().clone();
        WitnessPlan { view: way.is_some(), hidden: hidden.to_owned(), left_out }.write(base.path())?;
        let asked = self.run_witness(plan, round, base.path(), way);
        attribution::open_up(base.path());
        asked
    }

    fn run_witness(
        &mut self,
        plan: &CasePlan,
        round: Round,
        base: &Path,
        way: Option<&'static [&'static str]>,
    ) -> Result<Vec<Remnant>, Silence> {
        let program = self.binary.for_wrapper(&self.directory)?;
        let command = match way {
            Some(way) => {
                let mut command = Command::new("unshare");
                command.args(way).arg("--").arg(&program.path);
                command
            }
            None => Command::new(&program.path),
        };
        let plan = CasePlan { samples: Samples::Count(round.samples), cold_samples: 0, ..*plan };
        let launch = self.plain(command, program, plan.case.index)?;
        let launch = Launch { capture: true, witness: Some(base.to_owned()), ..launch };
        let worker = self.start_as(plan.case, round, launch)?;
        let Followed { run, witnessed, .. } = self.follow(worker, &plan, round, None, &mut |_| ())?;
        match (run.result, witnessed) {
            (Ok(_), Some(remnants)) => Ok(remnants),
            (Ok(_), None) => Err(Silence { reason: "its witness has said nothing".to_owned(), unseeing: false }),
            (Err(CaseFailure { phase: Phase::Startup, reason }), _) => {
                let words = run.stderr.text();
                let why = words.lines().rev().find_map(|line| line.split_once("this worker can't run: "));
                Err(Silence { reason: why.map_or(reason, |(_, why)| why.to_owned()), unseeing: way.is_some() })
            }
            (Err(CaseFailure { phase, reason }), _) => {
                Err(Silence { reason: format!("its witness failed {phase}: {reason}"), unseeing: false })
            }
        }
    }

    /// A directory for what a witness is told, and for what it writes.
    fn layer(&self) -> io::Result<TempDir> {
        let working_directory = self.files.working_directory().path();
        let Some(elsewhere) = attribution::layer_place(self.directory.path(), working_directory) else {
            return self.directory.subdirectory();
        };
        let name = self.directory.unique_name();
        self.directory.note(&Elsewhere::Directory(elsewhere.join(format!("profiling-{name}"))))?;
        tempfile::Builder::new().prefix(&format!("profiling-{name}")).rand_bytes(0).tempdir_in(elsewhere)
    }
}
