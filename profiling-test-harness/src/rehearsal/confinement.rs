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
    use crate::mountinfo::{self, Mount};

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
        for mount in mounts(&fs::read("/proc/self/mountinfo")?) {
            let flags = flags(&mount);
            let stays = mount.kind == "proc" || mount.at == but || flags.contains(MountFlags::RDONLY);
            if stays {
                continue;
            }
            let remounted = mount_remount(&*mount.at, flags | MountFlags::BIND | MountFlags::RDONLY, "");
            // What can't be reached can't be written to.
            if let Err(error) = remounted
                && !matches!(error, Errno::NOENT | Errno::ACCESS)
            {
                return Err(io::Error::other(format!("can't make {} unwritable: {error}", mount.at.display())));
            }
        }
        Ok(())
    }

    /// What can be seen of what is mounted.
    fn mounts(info: &[u8]) -> Vec<Mount> {
        let all = mountinfo::parse(info);
        // One that is mounted at or above its place, and that it isn't mounted on, hides it.
        let below = |mount: &Mount| {
            let next = |id: &u64| all.iter().find(|other| other.id == *id).map(|other| other.parent);
            std::iter::successors(Some(mount.id), next).take(all.len() + 1).collect::<Vec<u64>>()
        };
        let is_seen = |mount: &&Mount| {
            let below = below(mount);
            all.iter().all(|other| below.contains(&other.id) || !mount.at.starts_with(&other.at))
        };
        all.iter().filter(is_seen).cloned().collect()
    }

    /// What has to stay, as another user has set it.
    fn flags(mount: &Mount) -> MountFlags {
        const FLAGS: [(&str, MountFlags); 7] = [
            ("ro", MountFlags::RDONLY),
            ("nosuid", MountFlags::NOSUID),
            ("nodev", MountFlags::NODEV),
            ("noexec", MountFlags::NOEXEC),
            ("noatime", MountFlags::NOATIME),
            ("nodiratime", MountFlags::NODIRATIME),
            ("relatime", MountFlags::RELATIME),
        ];
        let is_set = |name: &str| mount.options.iter().any(|option| option == name);
        FLAGS.iter().filter(|(name, _)| is_set(name)).fold(MountFlags::empty(), |all, (_, flag)| all | *flag)
    }

    #[cfg(test)]
    mod tests {
        use super::*;

        #[test]
        fn one_that_another_hides_is_left_out() {
            // The order says nothing: the root comes last here.
            let info = b"\
                32 31 0:29 / /a\\040b/deep rw - tmpfs tmpfs rw\n\
                33 31 0:30 / /a\\040b ro,nosuid,nodev shared:1 - tmpfs tmpfs rw,mode=755\n\
                31 23 0:28 / / rw,relatime - ext4 /dev/vda rw\n";
            let found: Vec<_> = mounts(info).into_iter().map(|mount| (flags(&mount), mount.at)).collect();
            let unwritable = MountFlags::RDONLY | MountFlags::NOSUID | MountFlags::NODEV;
            assert_eq!(found, [(unwritable, "/a b".into()), (MountFlags::RELATIME, "/".into())]);
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
