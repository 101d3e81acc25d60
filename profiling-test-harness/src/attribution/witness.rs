//! A witness: one more worker of a case, never a measured one, that looks around each call at what was written.

use std::cell::RefCell;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::rc::Rc;

use profiling_core::job::{JobDescriptor, Moment};
use profiling_core::measure::{family, threads};
use profiling_core::runner::CaseRunner;
use serde::{Deserialize, Serialize};

use super::readings::{Part, Place, Readings};
use super::{LeftOut, Remnant, Root};

/// The file that tells a witness what to do.
const PLAN: &str = "witness.json";

/// What a witness is to do beside what every worker does.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct WitnessPlan {
    /// Whether it gets a view of the working directory for itself.
    pub view: bool,
    /// What the measured worker, or somebody else meanwhile, has made in the working directory. The witness
    /// doesn't see it: what its job has not made itself, it would not make again.
    pub hidden: Vec<PathBuf>,
    pub left_out: LeftOut,
}

impl WitnessPlan {
    /// Puts it into the directory that the witness is told of, where its layer will lie, too.
    pub(crate) fn write(&self, base: &Path) -> io::Result<()> {
        fs::write(base.join(PLAN), serde_json::to_vec(self)?)
    }

    fn read(base: &Path) -> io::Result<Self> {
        Ok(serde_json::from_slice(&fs::read(base.join(PLAN))?)?)
    }
}

/// A witness that is about to execute its case.
#[derive(Debug)]
pub(crate) struct Testifying {
    plan: WitnessPlan,
    view: platform::View,
    working_directory: PathBuf,
}

/// A witness whose case may make its fixtures.
pub(crate) struct Attentive {
    view: platform::View,
    working_directory: PathBuf,
    hidden: Vec<PathBuf>,
    readings: Readings,
    /// What ran before anything of the user's.
    before: Helpers,
}

/// A witness that executes its case.
pub(crate) struct Testimony {
    view: platform::View,
    working_directory: PathBuf,
    hidden: Vec<PathBuf>,
    readings: Rc<RefCell<Option<Readings>>>,
}

impl Testifying {
    /// Takes its own view of the file system.
    pub(crate) fn prepare(base: &Path) -> io::Result<Self> {
        let plan = WitnessPlan::read(base)?;
        let view = platform::View::enter(base, plan.view)?;
        let working_directory = std::env::current_dir()?;
        // Through a link it would lie outside of the view, and be removed for everybody.
        let is_within = |path: &Path| {
            let parent = path.parent().and_then(|parent| parent.canonicalize().ok());
            parent.is_some_and(|parent| parent.starts_with(&working_directory))
        };
        for hidden in plan.hidden.iter().filter(|path| is_within(path)) {
            // What can't be hidden stays as it is.
            let _ = if hidden.symlink_metadata().is_ok_and(|metadata| metadata.is_dir()) {
                fs::remove_dir_all(hidden)
            } else {
                fs::remove_file(hidden)
            };
        }
        Ok(Self { plan, view, working_directory })
    }

    /// Looks for the first time, before there is a fixture, or anything else of the job's.
    pub(crate) fn meet(self, job: &'static JobDescriptor, runner: &CaseRunner) -> Attentive {
        let Self { plan, view, working_directory } = self;
        let temporary = Place::new(Root::TemporaryDirectory, std::env::temp_dir(), |_, _| false);
        let WitnessPlan { hidden, left_out, .. } = plan;
        let layer = view.layer().map(|layer| {
            let working_directory = working_directory.clone();
            let is_left_out = move |path: &Path, metadata: &fs::Metadata| {
                platform::View::is_removal(metadata) || left_out.covers(&working_directory.join(path))
            };
            Place::new(Root::WorkingDirectory, layer, is_left_out)
        });
        let places = [temporary].into_iter().chain(layer).collect();
        let readings = Readings::begin(places, job.around);
        let before = Helpers::now(runner.alive_tasks()());
        Attentive { view, working_directory, hidden, readings, before }
    }
}

impl Attentive {
    /// Fixtures are made; from now on looks around each call.
    pub(crate) fn begin(self, runner: &mut CaseRunner) -> Testimony {
        let Self { view, working_directory, hidden, mut readings, before } = self;
        readings.end_of(Part::Fixture);
        let readings = Rc::new(RefCell::new(Some(readings)));
        let observed = Rc::clone(&readings);
        let alive_tasks = runner.alive_tasks();
        // Later on, what runs may be what the job itself has left.
        let mut at_first_call = None;
        runner.observe(move |moment| {
            let mut readings = observed.borrow_mut();
            let Some(readings) = &mut *readings else { return };
            match moment {
                Moment::Call => {
                    readings.end_of(Part::Before);
                    let first = *at_first_call.get_or_insert_with(|| Helpers::now(alive_tasks()));
                    if first.are_more_than(before) {
                        readings.share();
                    }
                }
                Moment::Return => {
                    readings.end_of(Part::Call);
                    if at_first_call.is_some_and(|first| Helpers::now(alive_tasks()).are_more_than(first)) {
                        readings.linger();
                    }
                }
            }
        });
        Testimony { view, working_directory, hidden, readings }
    }
}

impl Testimony {
    /// Before an execution.
    pub(crate) fn before(&self) {
        self.end_of(Part::Gap);
    }

    /// After it.
    pub(crate) fn after(&self) {
        self.end_of(Part::After);
    }

    fn end_of(&self, part: Part) {
        if let Some(readings) = &mut *self.readings.borrow_mut() {
            readings.end_of(part);
        }
    }

    /// What is left in the end.
    pub(crate) fn end(self) -> Vec<Remnant> {
        // What was hidden lies below all the same, and has to be made anew to be seen.
        let is_hidden = |path: &Path| {
            let path = self.working_directory.join(path);
            self.hidden.iter().any(|hidden| path.starts_with(hidden))
        };
        let is_as_before =
            |root, path: &Path| root == Root::WorkingDirectory && !is_hidden(path) && self.view.is_as_before(path);
        self.readings.take().map(|readings| readings.remnants(&is_as_before)).unwrap_or_default()
    }
}

/// What there is that can do something beside a call.
#[derive(Debug, Clone, Copy)]
struct Helpers {
    threads: usize,
    processes: usize,
    tasks: usize,
}

impl Helpers {
    /// With so many tasks.
    fn now(tasks: usize) -> Self {
        let alive = family::descendants().into_iter().filter(|one| !one.ended);
        Self { threads: threads::ids().len(), processes: alive.count(), tasks }
    }

    fn are_more_than(self, before: Self) -> bool {
        self.threads > before.threads || self.processes > before.processes || self.tasks > before.tasks
    }
}

#[cfg(target_os = "linux")]
mod platform {
    use std::fs::Metadata;
    use std::io;
    use std::path::{Path, PathBuf};

    use super::super::overlay;

    /// A view of the working directory; `None` where it is everybody's.
    #[derive(Debug)]
    pub(super) struct View(Option<overlay::View>);

    impl View {
        pub(super) fn enter(base: &Path, own: bool) -> io::Result<Self> {
            Ok(Self(own.then(|| overlay::View::enter(base)).transpose()?))
        }

        pub(super) fn layer(&self) -> Option<PathBuf> {
            self.0.as_ref().map(overlay::View::upper)
        }

        pub(super) fn is_as_before(&self, path: &Path) -> bool {
            self.0.as_ref().is_some_and(|view| view.is_as_before(path))
        }

        pub(super) fn is_removal(metadata: &Metadata) -> bool {
            overlay::View::is_removal(metadata)
        }
    }
}

/// Elsewhere the working directory is everybody's.
#[cfg(not(target_os = "linux"))]
mod platform {
    use std::fs::Metadata;
    use std::io;
    use std::path::{Path, PathBuf};

    #[derive(Debug)]
    pub(super) struct View;

    impl View {
        #[expect(clippy::unnecessary_wraps, reason = "the same interface on every platform")]
        pub(super) fn enter(_base: &Path, _own: bool) -> io::Result<Self> {
            Ok(Self)
        }

        #[expect(clippy::unused_self, reason = "the same interface on every platform")]
        pub(super) fn layer(&self) -> Option<PathBuf> {
            None
        }

        #[expect(clippy::unused_self, reason = "the same interface on every platform")]
        pub(super) fn is_as_before(&self, _path: &Path) -> bool {
            false
        }

        pub(super) fn is_removal(_metadata: &Metadata) -> bool {
            false
        }
    }
}
