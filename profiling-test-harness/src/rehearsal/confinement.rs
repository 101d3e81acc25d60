//! The limits that no control group knows: a worker takes them upon itself before the job does anything.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

#[cfg(target_os = "linux")]
pub(crate) use self::linux::{confine, namespace};

/// What a worker has to do without.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Confinement {
    pub file_descriptors: Option<u64>,
    /// The one directory that can be written to, where the worker has mounts of its own.
    pub writable: Option<PathBuf>,
}

/// A worker's own view of the file system, made by `unshare` (util-linux), which runs in its place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Namespace {
    pub arguments: &'static [&'static str],
}

#[cfg(target_os = "linux")]
mod linux {
    use std::fs;
    use std::io;
    use std::path::Path;
    use std::process::{Command, Stdio};

    use rustix::io::Errno;
    use rustix::mount::{MountFlags, mount_bind, mount_remount};
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

    use super::{Confinement, Namespace};

    /// How mounts of its own can be given to a worker here; `None` where they can't.
    pub(crate) fn namespace() -> Option<Namespace> {
        const WAYS: [&[&str]; 2] = [&["--mount"], &["--user", "--map-root-user", "--mount"]];
        let works = |arguments: &&&'static [&'static str]| {
            let mut unshare = Command::new("unshare");
            unshare.args(**arguments).arg("true").stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
            unshare.status().is_ok_and(|status| status.success())
        };
        WAYS.iter().find(works).map(|arguments| Namespace { arguments })
    }

    /// Takes the limits upon this process and all that it starts.
    pub(crate) fn confine(confinement: &Confinement) -> io::Result<()> {
        if let Some(writable) = &confinement.writable {
            make_unwritable(writable)?;
        }
        if let Some(most) = confinement.file_descriptors {
            // More than are permitted now can't be had, and aren't needed: what is there is used up sooner.
            let most = getrlimit(Resource::Nofile).maximum.map_or(most, |maximum| maximum.min(most));
            setrlimit(Resource::Nofile, Rlimit { current: Some(most), maximum: Some(most) })?;
        }
        Ok(())
    }

    /// Makes everything that is mounted unwritable for this process, but one directory. Devices can still be
    /// written to, and the kernel's own files about processes, which measurements need.
    fn make_unwritable(but: &Path) -> io::Result<()> {
        // As the kernel names it.
        let but = &*but.canonicalize()?;
        mount_bind(but, but)?;
        for mount in mounts(&fs::read_to_string("/proc/self/mountinfo")?) {
            let stays = mount.kind == "proc" || Path::new(&mount.at) == but || mount.flags.contains(MountFlags::RDONLY);
            if stays {
                continue;
            }
            let remounted = mount_remount(&*mount.at, mount.flags | MountFlags::BIND | MountFlags::RDONLY, "");
            // What can't be reached can't be written to.
            if let Err(error) = remounted
                && !matches!(error, Errno::NOENT | Errno::ACCESS)
            {
                return Err(io::Error::other(format!("can't make {} unwritable: {error}", mount.at)));
            }
        }
        Ok(())
    }

    #[derive(Debug, Clone, PartialEq, Eq)]
    struct Mount {
        id: u64,
        /// The one that it is mounted on.
        parent: u64,
        at: String,
        /// Those that have to stay, as another user has set them.
        flags: MountFlags,
        kind: String,
    }

    fn mounts(info: &str) -> Vec<Mount> {
        const FLAGS: [(&str, MountFlags); 7] = [
            ("ro", MountFlags::RDONLY),
            ("nosuid", MountFlags::NOSUID),
            ("nodev", MountFlags::NODEV),
            ("noexec", MountFlags::NOEXEC),
            ("noatime", MountFlags::NOATIME),
            ("nodiratime", MountFlags::NODIRATIME),
            ("relatime", MountFlags::RELATIME),
        ];
        let parse = |line: &str| {
            let (mount, kind) = line.split_once(" - ")?;
            let mut fields = mount.split(' ');
            let (id, parent) = (fields.next()?.parse().ok()?, fields.next()?.parse().ok()?);
            let (at, options) = (unescape(fields.nth(2)?), fields.next()?);
            let is_set = |name: &&str| options.split(',').any(|option| option == *name);
            let flags =
                FLAGS.iter().filter(|(name, _)| is_set(name)).fold(MountFlags::empty(), |all, (_, flag)| all | *flag);
            Some(Mount { id, parent, at, flags, kind: kind.split(' ').next()?.to_owned() })
        };
        let all: Vec<Mount> = info.lines().filter_map(parse).collect();
        // One that is mounted at or above its place, and that it isn't mounted on, hides it.
        let below = |mount: &Mount| {
            let next = |id: &u64| all.iter().find(|other| other.id == *id).map(|other| other.parent);
            std::iter::successors(Some(mount.id), next).take(all.len() + 1).collect::<Vec<u64>>()
        };
        let is_seen = |mount: &&Mount| {
            let below = below(mount);
            all.iter().all(|other| below.contains(&other.id) || !Path::new(&mount.at).starts_with(&other.at))
        };
        all.iter().filter(is_seen).cloned().collect()
    }

    /// The kernel writes blanks and backslashes as `\040` and the like.
    fn unescape(text: &str) -> String {
        let escapes = [("\\040", " "), ("\\011", "\t"), ("\\012", "\n"), ("\\134", "\\")];
        escapes.iter().fold(text.to_owned(), |text, (escaped, plain)| text.replace(escaped, plain))
    }

    #[cfg(test)]
    mod tests {
        use super::*;

        #[test]
        fn reads_what_is_mounted() {
            // The order says nothing: the root comes last here.
            let info = "\
                32 31 0:29 / /a\\040b/deep rw - tmpfs tmpfs rw\n\
                33 31 0:30 / /a\\040b ro,nosuid,nodev shared:1 - tmpfs tmpfs rw,mode=755\n\
                31 23 0:28 / / rw,relatime - ext4 /dev/vda rw\n";
            let expected = [
                Mount {
                    id: 33,
                    parent: 31,
                    at: "/a b".to_owned(),
                    flags: MountFlags::RDONLY | MountFlags::NOSUID | MountFlags::NODEV,
                    kind: "tmpfs".to_owned(),
                },
                Mount { id: 31, parent: 23, at: "/".to_owned(), flags: MountFlags::RELATIME, kind: "ext4".to_owned() },
            ];
            assert_eq!(mounts(info), expected);
        }
    }
}

/// Elsewhere nothing is rehearsed.
#[cfg(not(target_os = "linux"))]
pub(crate) fn namespace() -> Option<Namespace> {
    None
}

/// Elsewhere nothing is rehearsed.
#[cfg(not(target_os = "linux"))]
#[expect(clippy::unnecessary_wraps, reason = "the same interface on every platform")]
pub(crate) fn confine(_confinement: &Confinement) -> std::io::Result<()> {
    Ok(())
}
