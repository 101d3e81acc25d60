//! Where control groups can be made: what the kernel tells in `/proc/self/cgroup` and
//! `/proc/self/mountinfo` (cgroups(7), proc(5)).

use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};

use super::CgroupError;
use crate::mountinfo::{self, Mount};

/// What a control group can count or limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Controller {
    Memory,
    Cpu,
    /// Processes and their threads.
    Pids,
}

impl Controller {
    fn name(self) -> &'static str {
        match self {
            Self::Memory => "memory",
            Self::Cpu => "cpu",
            Self::Pids => "pids",
        }
    }
}

impl fmt::Display for Controller {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// The two interfaces that Linux has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Version {
    V1,
    V2,
}

/// A tree of control groups, and our place in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Hierarchy {
    pub version: Version,
    pub controllers: Vec<Controller>,
    /// The group of this process.
    pub home: PathBuf,
    /// The group in which ours are made.
    pub parent: PathBuf,
}

/// The trees that have these controllers.
pub(super) fn find(wanted: &[Controller]) -> Result<Vec<Hierarchy>, CgroupError> {
    let read = |path: &'static str| fs::read(path).map_err(|source| CgroupError::Read { path: path.into(), source });
    let places = Places::parse(&read("/proc/self/mountinfo")?, &read("/proc/self/cgroup")?);
    places.with(wanted).map_err(CgroupError::missing)
}

/// The group of this process in every tree that is mounted.
#[derive(Debug, PartialEq, Eq)]
struct Places(Vec<Place>);

#[derive(Debug, PartialEq, Eq)]
struct Place {
    version: Version,
    /// The names of the controllers of a tree of version 1.
    controllers: Vec<String>,
    mounted_at: PathBuf,
    home: PathBuf,
}

impl Places {
    fn parse(mounts: &[u8], groups: &[u8]) -> Self {
        Self(mountinfo::parse(mounts).into_iter().filter_map(|mount| Place::of(mount, groups)).collect())
    }

    /// The trees that have these controllers between them; an error with those that none has.
    fn with(&self, wanted: &[Controller]) -> Result<Vec<Hierarchy>, Vec<Controller>> {
        let mut found: Vec<Hierarchy> = Vec::new();
        let mut rest = Vec::new();
        for &controller in wanted {
            match self.v1(controller) {
                Some(next) => match found.iter_mut().find(|known| known.parent == next.parent) {
                    Some(known) => known.controllers.push(controller),
                    None => found.push(next),
                },
                None => rest.push(controller),
            }
        }
        if !rest.is_empty() {
            found.push(self.v2(&rest).ok_or(rest)?);
        }
        Ok(found)
    }

    /// In version 1, groups may hold processes and further groups at once.
    fn v1(&self, controller: Controller) -> Option<Hierarchy> {
        let has = |place: &&Place| place.controllers.iter().any(|name| name == controller.name());
        let Place { home, .. } = self.0.iter().find(has)?;
        Some(Hierarchy {
            version: Version::V1,
            controllers: vec![controller],
            home: home.clone(),
            parent: home.clone(),
        })
    }

    /// In version 2, a group that hands controllers on holds no processes: ours is made beside our own
    /// or above it, in the nearest one that hands on all the controllers.
    fn v2(&self, controllers: &[Controller]) -> Option<Hierarchy> {
        let Place { mounted_at, home, .. } = self.0.iter().find(|place| place.version == Version::V2)?;
        let ours = home.ancestors().take_while(|directory| directory.starts_with(mounted_at));
        let parent = ours.into_iter().find(|directory| hands_on(directory, controllers))?;
        Some(Hierarchy {
            version: Version::V2,
            controllers: controllers.to_vec(),
            home: home.clone(),
            parent: parent.to_owned(),
        })
    }
}

fn hands_on(directory: &Path, controllers: &[Controller]) -> bool {
    let handed_on = fs::read_to_string(directory.join("cgroup.subtree_control")).unwrap_or_default();
    controllers.iter().all(|controller| handed_on.split_whitespace().any(|name| name == controller.name()))
}

impl Place {
    /// Of a mount, where it is a tree of control groups in which this process has a place.
    fn of(mount: Mount, groups: &[u8]) -> Option<Self> {
        let version = match &*mount.kind {
            "cgroup" => Version::V1,
            "cgroup2" => Version::V2,
            _ => return None,
        };
        let mut groups = groups.split(|&byte| byte == b'\n');
        let (controllers, path) = groups.find_map(|group| own_group(group, version, &mount.super_options))?;
        let home = mount.at.join(path.strip_prefix(&mount.root).ok()?);
        Some(Self { version, controllers, mounted_at: mount.at, home })
    }
}

/// A line of `/proc/self/cgroup`, where it is of the tree that is mounted with these options.
fn own_group(line: &[u8], version: Version, options: &[String]) -> Option<(Vec<String>, PathBuf)> {
    let mut fields = line.splitn(3, |&byte| byte == b':').skip(1);
    let (controllers, path) = (str::from_utf8(fields.next()?).ok()?, mountinfo::path(fields.next()?));
    let controllers: Vec<String> = controllers.split(',').filter(|name| !name.is_empty()).map(str::to_owned).collect();
    let is_it = match version {
        Version::V1 => !controllers.is_empty() && controllers.iter().all(|name| options.contains(name)),
        Version::V2 => controllers.is_empty(),
    };
    is_it.then_some((controllers, path))
}

#[cfg(test)]
mod tests {
    use super::*;

    const MOUNTS: &[u8] = b"\
        31 23 0:28 / /sys/fs/cgroup rw,relatime - tmpfs tmpfs rw,mode=755\n\
        32 31 0:29 / /sys/fs/cgroup/cpu,cpuacct rw,relatime shared:9 - cgroup cgroup rw,cpu,cpuacct\n\
        35 31 0:32 /docker/abc /sys/fs/cgroup/memory rw,relatime - cgroup cgroup rw,memory\n\
        40 31 0:37 / /sys/fs/cgroup/systemd rw,relatime - cgroup cgroup rw,xattr,name=systemd\n\
        41 31 0:38 / /sys/fs/cgroup/unified rw,relatime - cgroup2 cgroup2 rw,nsdelegate\n";
    const GROUPS: &[u8] = b"9:name=systemd:/s\n4:memory:/docker/abc/deep\n2:cpu,cpuacct:/\n0::/user.slice/x\n";

    #[test]
    fn finds_our_own_place_in_each_tree() {
        let places = Places::parse(MOUNTS, GROUPS);
        let homes: Vec<_> = places.0.iter().filter_map(|place| place.home.to_str()).collect();
        let expected = [
            "/sys/fs/cgroup/cpu,cpuacct/",
            "/sys/fs/cgroup/memory/deep",
            "/sys/fs/cgroup/systemd/s",
            "/sys/fs/cgroup/unified/user.slice/x",
        ];
        assert_eq!(homes, expected);
        assert_eq!(places.v1(Controller::Memory).map(|found| found.parent), Some(expected[1].into()));
    }

    #[test]
    fn a_place_outside_of_what_is_mounted_is_none() {
        assert_eq!(Places::parse(MOUNTS, b"4:memory:/other\n"), Places(Vec::new()));
        assert_eq!(Places::parse(MOUNTS, b"4:memory:/../x\n"), Places(Vec::new()));
        assert_eq!(Places::parse(b"gibberish\n1 2 - x", GROUPS), Places(Vec::new()));
    }

    #[cfg(unix)]
    #[test]
    fn a_group_may_have_any_name() {
        let mounts = b"41 31 0:38 /odd\xff /sys/fs/a\\040\xff rw - cgroup2 cgroup2 rw\n";
        let places = Places::parse(mounts, b"9:name=\xff:/s\n0::/odd\xff/x\xfe:y\n");
        let homes: Vec<_> = places.0.iter().map(|place| &*place.home).collect();
        assert_eq!(homes, [mountinfo::path(b"/sys/fs/a \xff/x\xfe:y")]);
    }

    #[test]
    fn version_2_takes_the_nearest_group_that_hands_on_the_controller() {
        let root = tempfile::tempdir().expect("writable");
        let home = root.path().join("user/app/own");
        fs::create_dir_all(&home).expect("writable");
        for (group, controllers) in [("", "cpu memory pids\n"), ("user", "memory\n"), ("user/app", "pids\n")] {
            fs::write(root.path().join(group).join("cgroup.subtree_control"), controllers).expect("writable");
        }
        let mounts = format!("41 31 0:38 / {} rw - cgroup2 cgroup2 rw\n", root.path().display());
        let places = Places::parse(mounts.as_bytes(), b"0::/user/app/own\n");
        let found = places.v2(&[Controller::Memory]).expect("there is one");
        assert_eq!((found.version, found.home, found.parent), (Version::V2, home, root.path().join("user")));
        let both = places.with(&[Controller::Memory, Controller::Pids]).expect("the root hands on both");
        assert_eq!(both.iter().map(|found| &*found.parent).collect::<Vec<_>>(), [root.path()]);
        fs::write(root.path().join("cgroup.subtree_control"), "").expect("writable");
        fs::write(root.path().join("user/cgroup.subtree_control"), "").expect("writable");
        assert_eq!(places.with(&[Controller::Memory]), Err(vec![Controller::Memory]));
    }
}
