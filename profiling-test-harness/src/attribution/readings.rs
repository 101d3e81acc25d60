//! What a witness sees around each call of its job.

use std::collections::BTreeMap;
use std::fs::Metadata;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use profiling_core::job::Around;
use serde::{Deserialize, Serialize};

use super::listing::{Kind, Listing, list};
use super::remains;

/// How long readings may take together, where there is much to read, before there are no more.
const LONGEST: Duration = Duration::from_secs(5);
/// More than these are not told.
const MOST: usize = 2_000;

/// Where something lies.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Root {
    WorkingDirectory,
    TemporaryDirectory,
}

/// What made something, or changed it last.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Cause {
    /// The job.
    Job,
    /// `setup` and the like, which are not the job's.
    Around,
    /// It came during a call, while something that `setup` or a fixture has started was running.
    Shared,
    /// It came between the calls, from something that went on running.
    Between,
}

/// Something that lies there after the last execution and did not before the first.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Remnant {
    pub root: Root,
    /// From the root.
    pub path: String,
    pub kind: Kind,
    pub cause: Cause,
}

/// A part of a worker's life.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Part {
    /// In which fixtures are made.
    Fixture,
    /// From the begin of an execution to the job's call.
    Before,
    /// The call.
    Call,
    /// From there to the execution's end.
    After,
    /// Between two executions, and after the last one.
    Gap,
}

/// Whether an entry isn't looked at.
type LeaveOut = dyn Fn(&Path, &Metadata) -> bool;

/// A directory that is read.
pub(super) struct Place {
    pub root: Root,
    pub path: PathBuf,
    pub left_out: Box<LeaveOut>,
    last: Listing,
}

impl Place {
    pub(super) fn new(root: Root, path: PathBuf, left_out: impl Fn(&Path, &Metadata) -> bool + 'static) -> Self {
        Self { root, path, left_out: Box::new(left_out), last: Listing::new() }
    }
}

/// The readings so far.
pub(super) struct Readings {
    places: Vec<Place>,
    around: Around,
    /// Something of `setup` or of a fixture is running.
    shared: bool,
    /// Something of the job's may be running.
    lingers: bool,
    causes: BTreeMap<(Root, PathBuf), Cause>,
    spent: Duration,
}

impl Readings {
    /// What is there now is nobody's.
    pub(super) fn begin(mut places: Vec<Place>, around: Around) -> Self {
        for place in &mut places {
            place.last = list(&place.path, &*place.left_out).0;
        }
        Self { places, around, shared: false, lingers: false, causes: BTreeMap::new(), spent: Duration::ZERO }
    }

    /// Something that `setup` or a fixture has started is running.
    pub(super) fn share(&mut self) {
        self.shared = true;
    }

    /// Something that the job has started may go on running.
    pub(super) fn linger(&mut self) {
        self.lingers = true;
    }

    /// A part is over: what has changed since the last reading came in it.
    pub(super) fn end_of(&mut self, part: Part) {
        if self.is_in_time() {
            self.note(self.cause(part));
        }
    }

    /// There is not more to read than there is time for.
    fn is_in_time(&self) -> bool {
        self.spent <= LONGEST
    }

    fn note(&mut self, cause: Cause) {
        let begin = Instant::now();
        for place in &mut self.places {
            let (now, _) = list(&place.path, &*place.left_out);
            for (path, state) in &now {
                let before = place.last.get(path);
                if before.is_some_and(|before| !before.differs(state)) {
                    continue;
                }
                let is_same = before.is_some_and(|before| before.is_same(state));
                let known = self.causes.entry((place.root, path.clone())).or_insert(cause);
                // What the job has made stays the job's, whoever changes it.
                if !(is_same && *known == Cause::Job) {
                    *known = cause;
                }
            }
            place.last = now;
        }
        self.spent += begin.elapsed();
    }

    fn cause(&self, part: Part) -> Cause {
        let Around { before, after, .. } = self.around;
        match part {
            Part::Call if self.shared => Cause::Shared,
            Part::Call => Cause::Job,
            Part::Fixture => Cause::Around,
            Part::Before if before && !self.lingers => Cause::Around,
            Part::After if after && !self.lingers => Cause::Around,
            // There is nobody else whose thread or process it could be.
            _ if !self.around.is_any() => Cause::Job,
            _ => Cause::Between,
        }
    }

    /// What is left after the last execution. `is_as_before`: whether an entry is what it always was.
    pub(super) fn remnants(mut self, is_as_before: &dyn Fn(Root, &Path) -> bool) -> Vec<Remnant> {
        // What nobody had time to look at came at some time or other.
        let cause = if self.is_in_time() { self.cause(Part::Gap) } else { Cause::Between };
        self.note(cause);
        let mut remnants = Vec::new();
        for place in &self.places {
            let (now, _) = list(&place.path, &*place.left_out);
            let new = now.keys().filter(|path| {
                self.causes.contains_key(&(place.root, (*path).clone())) && !is_as_before(place.root, path)
            });
            for path in remains(new.map(PathBuf::as_path)) {
                remnants.push(Remnant {
                    root: place.root,
                    path: path.display().to_string(),
                    kind: now[path].kind,
                    cause: self.causes[&(place.root, path.to_owned())],
                });
            }
        }
        // Where there are too many, those that say most.
        remnants.sort_by_key(|remnant| remnant.cause != Cause::Job);
        remnants.truncate(MOST);
        remnants
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::io;

    use super::*;

    const NOTHING: Around = Around { fixture: false, before: false, after: false };
    const SETUP: Around = Around { before: true, ..NOTHING };

    struct Case {
        directory: tempfile::TempDir,
        readings: Readings,
    }

    impl Case {
        fn new(around: Around) -> io::Result<Self> {
            let directory = tempfile::tempdir()?;
            fs::write(directory.path().join("old"), "")?;
            let place = Place::new(Root::TemporaryDirectory, directory.path().to_owned(), |_, _| false);
            Ok(Self { readings: Readings::begin(vec![place], around), directory })
        }

        fn write(&mut self, name: &str, part: Part) -> io::Result<()> {
            fs::write(self.directory.path().join(name), name)?;
            self.readings.end_of(part);
            Ok(())
        }

        fn remnants(self) -> Vec<(String, Cause)> {
            let remnants = self.readings.remnants(&|_, path| path == Path::new("ignored"));
            let mut remnants: Vec<_> = remnants.into_iter().map(|remnant| (remnant.path, remnant.cause)).collect();
            remnants.sort_by(|a, b| a.0.cmp(&b.0));
            remnants
        }
    }

    fn expect<const N: usize>(case: Case, expected: [(&str, Cause); N]) {
        let remnants = case.remnants();
        assert_eq!(remnants, expected.map(|(path, cause)| (path.to_owned(), cause)));
    }

    #[test]
    fn what_comes_during_the_call_is_the_jobs() -> io::Result<()> {
        let mut case = Case::new(SETUP)?;
        case.write("setup", Part::Before)?;
        case.write("job", Part::Call)?;
        case.write("ignored", Part::Call)?;
        case.write("gone", Part::Call)?;
        fs::remove_file(case.directory.path().join("gone"))?;
        case.write("late", Part::Gap)?;
        expect(case, [("job", Cause::Job), ("late", Cause::Between), ("setup", Cause::Around)]);
        Ok(())
    }

    #[test]
    fn where_there_is_nothing_but_the_job_everything_is_its_own() -> io::Result<()> {
        let mut case = Case::new(NOTHING)?;
        case.write("of-a-thread", Part::After)?;
        case.write("later", Part::Before)?;
        case.write("last", Part::Gap)?;
        expect(case, [("last", Cause::Job), ("later", Cause::Job), ("of-a-thread", Cause::Job)]);
        Ok(())
    }

    #[test]
    fn who_changes_it_last_counts_unless_the_job_has_made_it() -> io::Result<()> {
        let mut case = Case::new(Around { after: true, ..SETUP })?;
        case.write("both", Part::Before)?;
        fs::write(case.directory.path().join("both"), "changed")?;
        case.readings.end_of(Part::Call);
        case.write("own", Part::Call)?;
        fs::write(case.directory.path().join("own"), "changed")?;
        case.readings.end_of(Part::After);
        case.write("made anew", Part::Call)?;
        fs::remove_file(case.directory.path().join("made anew"))?;
        case.readings.end_of(Part::After);
        case.write("made anew", Part::Before)?;
        expect(case, [("both", Cause::Job), ("made anew", Cause::Around), ("own", Cause::Job)]);
        Ok(())
    }

    #[test]
    fn what_something_else_may_have_written_is_shared() -> io::Result<()> {
        let mut case = Case::new(Around { fixture: true, ..NOTHING })?;
        case.readings.share();
        case.write("x", Part::Call)?;
        expect(case, [("x", Cause::Shared)]);
        Ok(())
    }

    #[test]
    fn what_a_fixture_leaves_is_its_own() -> io::Result<()> {
        let mut case = Case::new(Around { fixture: true, ..NOTHING })?;
        case.write("input", Part::Fixture)?;
        case.write("job", Part::Call)?;
        expect(case, [("input", Cause::Around), ("job", Cause::Job)]);
        Ok(())
    }

    #[test]
    fn what_the_job_goes_on_doing_is_not_acquitted() -> io::Result<()> {
        let mut case = Case::new(Around { after: true, ..SETUP })?;
        case.write("setup", Part::Before)?;
        case.readings.linger();
        case.write("verify", Part::After)?;
        expect(case, [("setup", Cause::Around), ("verify", Cause::Between)]);
        Ok(())
    }

    #[test]
    fn what_there_was_no_time_to_look_at_is_not_acquitted() -> io::Result<()> {
        let mut case = Case::new(SETUP)?;
        case.readings.spent = LONGEST + Duration::from_secs(1);
        case.write("late", Part::Call)?;
        expect(case, [("late", Cause::Between)]);
        Ok(())
    }
}
