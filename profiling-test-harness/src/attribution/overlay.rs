//! A view of the working directory for one worker, in which what is written goes to a layer of its own.

use std::ffi::CString;
use std::fs::{self, Metadata};
use std::io;
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt, chown};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use rustix::fs::{Mode, OFlags, open, statfs};
use rustix::mount::{MountFlags, mount};

use crate::mountinfo;

/// How `unshare` (util-linux) gives a worker mounts of its own, as the user who it is.
pub(super) const WAYS: [&[&str]; 2] = [&["--mount"], &["--user", "--map-current-user", "--keep-caps", "--mount"]];

/// What file systems in memory are called.
const TMPFS: i64 = 0x0102_1994;
/// What can't hold the layer of an overlay, as it is one itself.
const OVERLAY: i64 = 0x794c_7630;

/// The first way that works here, or why none does.
pub(super) fn way() -> Result<&'static [&'static str], String> {
    let mut reason = String::new();
    for way in WAYS {
        let mut unshare = Command::new("unshare");
        unshare.args(way).arg("true").stdin(Stdio::null());
        match unshare.output() {
            Ok(output) if output.status.success() => return Ok(way),
            Ok(output) => {
                let text = String::from_utf8_lossy(&output.stderr);
                reason = format!("`unshare {}` fails: {}", way.join(" "), text.lines().next().unwrap_or_default());
            }
            Err(error) => return Err(format!("`unshare`, of util-linux, can't be started: {error}")),
        }
    }
    Err(reason)
}

/// Where a layer can lie: on a disk, if there is one, and not in the directory that it is a layer over.
pub(super) fn place<'a>(candidates: &[&'a Path], working_directory: &Path) -> Option<&'a Path> {
    let kind = |path: &Path| statfs(path).map_or(OVERLAY, |system| system.f_type);
    let outside = |path: &&&Path| {
        let path = path.canonicalize();
        path.is_ok_and(|path| !path.starts_with(working_directory))
    };
    let usable: Vec<&Path> = candidates
        .iter()
        .filter(outside)
        .copied()
        .filter(|path| fs::metadata(path).is_ok_and(|m| m.is_dir()))
        .collect();
    let disk = usable.iter().find(|path| ![TMPFS, OVERLAY].contains(&kind(path)));
    disk.or(usable.first()).copied()
}

/// The view of a worker that is in it.
#[derive(Debug)]
pub(super) struct View {
    base: OwnedFd,
    lower: OwnedFd,
}

impl View {
    /// Mounts it over the working directory, for this process. `base`: where the layer lies.
    pub(super) fn enter(base: &Path) -> io::Result<Self> {
        let working_directory = std::env::current_dir()?;
        if let Some(mounted) = mounted_below(&working_directory, &fs::read("/proc/self/mountinfo")?) {
            return Err(io::Error::other(format!("another file system is mounted at {}", mounted.display())));
        }
        let lower = directory(&working_directory)?;
        let layer = |base: &Path| layer(base, &working_directory);
        let base = match layer(base).and_then(|layer| cover(&lower, layer, &working_directory)) {
            Ok(layer) => layer,
            // Some file systems can't hold one. This one goes with the worker.
            Err(error) => {
                let data = CString::new("size=25%,mode=0700")?;
                mount("tmpfs", base, "tmpfs", MountFlags::NOSUID | MountFlags::NODEV, &*data)
                    .map_err(|_| failed(&working_directory, &error))?;
                layer(base)
                    .and_then(|layer| cover(&lower, layer, &working_directory))
                    .map_err(|error| failed(&working_directory, &error))?
            }
        };
        std::env::set_current_dir(&working_directory)?;
        Ok(Self { base, lower })
    }

    /// Where what is written goes.
    pub(super) fn upper(&self) -> PathBuf {
        at(&self.base).join("upper")
    }

    /// Whether an entry of the layer is as it was below: it was opened to be written, or something in it was
    /// changed.
    pub(super) fn is_as_before(&self, path: &Path) -> bool {
        let [above, below] = [self.upper(), at(&self.lower)].map(|root| root.join(path).symlink_metadata());
        let (Ok(above), Ok(below)) = (above, below) else { return false };
        let plain = |metadata: &Metadata| (metadata.mode(), metadata.uid(), metadata.gid());
        let content = |metadata: &Metadata| (metadata.len(), metadata.mtime(), metadata.mtime_nsec());
        plain(&above) == plain(&below) && (above.is_dir() || content(&above) == content(&below))
    }

    /// Whether an entry of the layer says that what lies below is gone.
    pub(super) fn is_removal(metadata: &Metadata) -> bool {
        metadata.file_type().is_char_device() && metadata.rdev() == 0
    }
}

fn failed(working_directory: &Path, error: &io::Error) -> io::Error {
    io::Error::other(format!("no overlay can be mounted over {}: {error}", working_directory.display()))
}

fn directory(path: &Path) -> io::Result<OwnedFd> {
    Ok(open(path, OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())?)
}

fn at(directory: &OwnedFd) -> PathBuf {
    format!("/proc/self/fd/{}", directory.as_raw_fd()).into()
}

/// Where what is written goes. The directory itself looks as the one that it covers.
fn layer(base: &Path, working_directory: &Path) -> io::Result<OwnedFd> {
    for name in ["upper", "work"] {
        fs::create_dir_all(base.join(name))?;
    }
    let metadata = working_directory.metadata()?;
    fs::set_permissions(base.join("upper"), metadata.permissions())?;
    // Who may not do so can't write to a directory of somebody else's either, or may write to any.
    let _ = chown(base.join("upper"), Some(metadata.uid()), Some(metadata.gid()));
    directory(base)
}

fn cover(lower: &OwnedFd, base: OwnedFd, working_directory: &Path) -> io::Result<OwnedFd> {
    let (lower, layer) = (at(lower), at(&base));
    let (lower, layer) = (lower.display(), layer.display());
    let plain = format!("lowerdir={lower},upperdir={layer}/upper,workdir={layer}/work");
    let mut mounted = Ok(());
    for options in [format!("{plain},userxattr"), plain] {
        let data = CString::new(options)?;
        mounted = mount("overlay", working_directory, "overlay", MountFlags::empty(), &*data);
        if mounted.is_ok() {
            break;
        }
    }
    mounted?;
    Ok(base)
}

/// The first mount below a directory.
fn mounted_below(directory: &Path, info: &[u8]) -> Option<PathBuf> {
    let points = mountinfo::parse(info).into_iter().map(|mount| mount.at);
    points.into_iter().find(|point| point != directory && point.starts_with(directory))
}

/// Makes a layer removable: the kernel closes its own directory to everyone.
pub(crate) fn open_up(base: &Path) {
    let _ = fs::set_permissions(base.join("work/work"), fs::Permissions::from_mode(0o700));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_mounts_below() {
        let info = b"\
            31 23 0:28 / / rw,relatime - ext4 /dev/vda rw\n\
            33 31 0:30 / /w\\040x rw - tmpfs tmpfs rw\n\
            34 31 0:30 / /w\\040xy rw - tmpfs tmpfs rw\n\
            32 31 0:29 / /w\\040x/deep rw - tmpfs tmpfs rw\n";
        assert_eq!(mounted_below(Path::new("/w x"), info).as_deref(), Some(Path::new("/w x/deep")));
        assert_eq!(mounted_below(Path::new("/w x/deep"), info), None);
        assert_eq!(mounted_below(Path::new("/elsewhere"), info), None);
    }

    #[test]
    fn a_layer_lies_outside() -> io::Result<()> {
        let [one, other] = [tempfile::tempdir()?, tempfile::tempdir()?];
        let inner = one.path().join("inner");
        fs::create_dir(&inner)?;
        let working_directory = one.path().canonicalize()?;
        assert_eq!(place(&[&inner, other.path()], &working_directory), Some(other.path()));
        assert_eq!(place(&[&inner, Path::new("/no/such/directory")], &working_directory), None);
        Ok(())
    }
}
