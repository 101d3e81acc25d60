//! What changes in a directory and below, as the kernel tells through inotify.

use std::collections::{BTreeSet, HashMap};
use std::ffi::OsStr;
use std::fs;
use std::io;
use std::mem::MaybeUninit;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use rustix::fs::inotify::{self, CreateFlags, ReadFlags, WatchFlags};
use rustix::fs::{Access, access};
use rustix::io::Errno;

use super::listing::MOST;
use super::{Changes, LeftOut};

/// Whatever leaves something behind. A file that is written through a mapping is told of when that is gone, at
/// the latest as its process ends.
const EVENTS: WatchFlags = WatchFlags::CREATE
    .union(WatchFlags::MOVED_FROM)
    .union(WatchFlags::MOVED_TO)
    .union(WatchFlags::DELETE)
    .union(WatchFlags::ATTRIB)
    .union(WatchFlags::CLOSE_WRITE)
    .union(WatchFlags::ONLYDIR)
    .union(WatchFlags::DONT_FOLLOW)
    .union(WatchFlags::EXCL_UNLINK);

/// Watches a directory and all below it; those that appear, too.
#[derive(Debug)]
pub(super) struct Watcher {
    inotify: OwnedFd,
    root: PathBuf,
    left_out: LeftOut,
    directories: HashMap<i32, PathBuf>,
    /// Why not all directories are watched.
    exhausted: Option<String>,
    buffer: Box<[MaybeUninit<u8>]>,
}

/// What is known of an event.
struct Event {
    directory: i32,
    flags: ReadFlags,
    name: Option<Vec<u8>>,
}

/// Whose events these are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Period {
    /// Nobody's who is asked about.
    Between,
    /// Those of the executions.
    Executions,
    /// Those of a worker that ends. What it makes now no execution has made; what is told only now as written may
    /// have been written by them.
    Exit,
}

impl Watcher {
    pub(super) fn new(root: &Path, left_out: LeftOut) -> io::Result<Self> {
        let inotify = inotify::init(CreateFlags::CLOEXEC | CreateFlags::NONBLOCK)?;
        let buffer = vec![MaybeUninit::uninit(); 64 * 1024].into_boxed_slice();
        let mut watcher =
            Self { inotify, root: root.to_owned(), left_out, directories: HashMap::new(), exhausted: None, buffer };
        watcher.watch(root.to_owned());
        Ok(watcher)
    }

    /// Takes what was told until now, as the events of a period.
    pub(super) fn take(&mut self, period: Period, changes: &mut Changes) {
        let mut made_late = BTreeSet::new();
        loop {
            let (events, last) = self.read();
            for event in events {
                self.hear(&event, period, changes, &mut made_late);
            }
            match last {
                Errno::INTR => {}
                Errno::AGAIN => break,
                error => {
                    changes.untold(format!("what changes can't be read: {error}"));
                    break;
                }
            }
        }
        if period == Period::Executions
            && let Some(why) = &self.exhausted
        {
            changes.untold(why.clone());
        }
    }

    fn read(&mut self) -> (Vec<Event>, Errno) {
        let mut events = Vec::new();
        let mut reader = inotify::Reader::new(&self.inotify, &mut self.buffer);
        loop {
            match reader.next() {
                Ok(event) => events.push(Event {
                    directory: event.wd(),
                    flags: event.events(),
                    name: event.file_name().map(|name| name.to_bytes().to_vec()),
                }),
                Err(error) => return (events, error),
            }
        }
    }

    fn hear(&mut self, event: &Event, period: Period, changes: &mut Changes, made_late: &mut BTreeSet<PathBuf>) {
        let is = |flags: ReadFlags| event.flags.intersects(flags);
        if is(ReadFlags::QUEUE_OVERFLOW) {
            if period != Period::Between {
                changes.untold("more was changed than the kernel keeps to be told (fs.inotify.max_queued_events)");
            }
            // Directories may have come of which nothing was told.
            self.watch(self.root.clone());
            return;
        }
        if is(ReadFlags::IGNORED) {
            self.directories.remove(&event.directory);
            return;
        }
        let Some(directory) = self.directories.get(&event.directory) else { return };
        let path = match &event.name {
            Some(name) => directory.join(OsStr::from_bytes(name)),
            None => directory.clone(),
        };
        if self.left_out.covers(&path) {
            return;
        }
        let is_new = is(ReadFlags::CREATE | ReadFlags::MOVED_TO);
        if is_new && is(ReadFlags::ISDIR) {
            self.watch(path.clone());
        }
        match period {
            Period::Executions if is_new => changes.made(path),
            Period::Executions if is(ReadFlags::DELETE | ReadFlags::MOVED_FROM) => changes.removed(),
            Period::Executions => changes.written(path),
            Period::Exit if is_new => drop(made_late.insert(path)),
            Period::Exit if is(ReadFlags::CLOSE_WRITE) && !made_late.contains(&path) => changes.written(path),
            Period::Between | Period::Exit => {}
        }
    }

    /// Watches a directory and those below it, which may be watched already.
    fn watch(&mut self, directory: PathBuf) {
        let mut directories = vec![directory];
        while let Some(directory) = directories.pop() {
            match inotify::add_watch(&self.inotify, &directory, EVENTS) {
                Ok(descriptor) => drop(self.directories.insert(descriptor, directory.clone())),
                Err(Errno::ACCESS) if access(&directory, Access::WRITE_OK).is_err() => continue,
                // It is gone, or something else by now.
                Err(Errno::NOENT | Errno::NOTDIR | Errno::LOOP) => continue,
                Err(Errno::NOSPC) => {
                    return self.exhaust("the kernel's watches (fs.inotify.max_user_watches) are used up");
                }
                Err(error) => {
                    self.exhaust(&format!("{} can't be watched: {error}", directory.display()));
                    continue;
                }
            }
            if self.directories.len() > MOST {
                return self.exhaust(&format!("there are more than {MOST} directories"));
            }
            let entries = fs::read_dir(&directory).into_iter().flatten().flatten();
            let below = entries.filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir()));
            directories.extend(below.map(|entry| entry.path()).filter(|path| !self.left_out.covers(path)));
        }
    }

    fn exhaust(&mut self, why: &str) {
        self.exhausted.get_or_insert_with(|| why.to_owned());
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    struct Watched {
        directory: tempfile::TempDir,
        watcher: Watcher,
    }

    impl Watched {
        fn new() -> io::Result<Self> {
            let directory = tempfile::tempdir()?;
            fs::create_dir_all(directory.path().join("old/deep"))?;
            fs::create_dir_all(directory.path().join("target"))?;
            fs::write(directory.path().join("old/file"), "1")?;
            let watcher = Watcher::new(directory.path(), LeftOut::of(directory.path(), []))?;
            Ok(Self { directory, watcher })
        }

        fn at(&self, path: &str) -> PathBuf {
            self.directory.path().join(path)
        }

        fn take(&mut self, period: Period) -> Changes {
            let mut changes = Changes::default();
            self.watcher.take(period, &mut changes);
            changes
        }

        fn present(&mut self) -> Vec<String> {
            let changes = self.take(Period::Executions);
            let names = changes.present().into_iter().map(|path| path.strip_prefix(self.directory.path()).ok());
            names.map(|path| path.expect("in there").display().to_string()).collect()
        }
    }

    #[test]
    fn tells_of_everything_that_stays() -> io::Result<()> {
        type Change = fn(&Watched) -> io::Result<()>;
        let mut watched = Watched::new()?;
        fs::read(watched.at("old/file"))?;
        fs::read_dir(watched.at("old"))?.count();
        assert!(watched.take(Period::Executions).is_empty(), "nothing was changed");
        let changes: [(&str, Change); 8] = [
            ("empty", |at| fs::write(at.at("empty"), "")),
            ("old/deep/new", |at| fs::write(at.at("old/deep/new"), "x")),
            ("made", |at| fs::create_dir(at.at("made"))),
            ("made/later", |at| fs::write(at.at("made/later"), "x")),
            ("old/link", |at| std::os::unix::fs::symlink("nowhere", at.at("old/link"))),
            ("old/moved", |at| fs::rename(at.at("empty"), at.at("old/moved"))),
            ("old/file", |at| fs::write(at.at("old/file"), "2")),
            ("old/deep", |at| fs::set_permissions(at.at("old/deep"), fs::Permissions::from_mode(0o700))),
        ];
        for (path, change) in changes {
            change(&watched)?;
            assert_eq!(watched.present(), [path]);
        }
        fs::remove_file(watched.at("old/file"))?;
        let removal = watched.take(Period::Executions);
        assert!(!removal.is_empty() && removal.present().is_empty());
        Ok(())
    }

    #[test]
    fn follows_directories_that_are_moved() -> io::Result<()> {
        let mut watched = Watched::new()?;
        fs::rename(watched.at("old"), watched.at("new"))?;
        assert_eq!(watched.present(), ["new"]);
        fs::write(watched.at("new/deep/x"), "")?;
        assert_eq!(watched.present(), ["new/deep/x"]);
        Ok(())
    }

    #[test]
    fn leaves_out_what_is_not_asked_about() -> io::Result<()> {
        let mut watched = Watched::new()?;
        fs::write(watched.at("target/x"), "")?;
        fs::write(watched.at("x.profraw"), "")?;
        assert!(watched.take(Period::Executions).is_empty());
        fs::write(watched.at("x"), "")?;
        assert!(watched.take(Period::Between).is_empty());
        assert!(watched.take(Period::Executions).is_empty(), "it is told once");
        Ok(())
    }

    #[test]
    fn what_is_closed_at_the_exit_was_written_before() -> io::Result<()> {
        let mut watched = Watched::new()?;
        let held = fs::OpenOptions::new().write(true).open(watched.at("old/file"))?;
        assert!(watched.take(Period::Executions).is_empty());
        drop(held);
        fs::write(watched.at("at-exit"), "x")?;
        let late = watched.take(Period::Exit);
        assert_eq!(late.present(), BTreeSet::from([&*watched.at("old/file")]));
        Ok(())
    }

    #[test]
    fn an_overflow_is_a_change_of_which_nothing_is_known() -> io::Result<()> {
        let most: usize = fs::read_to_string("/proc/sys/fs/inotify/max_queued_events")?.trim().parse().unwrap_or(0);
        assert!((1..1_000_000).contains(&most), "{most}");
        let mut watched = Watched::new()?;
        let [one, other] = ["one", "other"].map(|name| watched.at(name));
        fs::write(&one, "")?;
        watched.take(Period::Between);
        for _ in 0..most / 2 {
            fs::rename(&one, &other)?;
            fs::rename(&other, &one)?;
        }
        assert!(watched.take(Period::Executions).why_untold().is_some());
        fs::create_dir(watched.at("later"))?;
        assert_eq!(watched.present(), ["later"]);
        Ok(())
    }
}
