//! What the kernel tells in `/proc/self/mountinfo` (proc(5)), in which paths are any bytes.

use std::path::PathBuf;

/// A line of it: something that is mounted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Mount {
    pub id: u64,
    /// The one that it is mounted on.
    pub parent: u64,
    /// What of its file system is mounted.
    pub root: PathBuf,
    pub at: PathBuf,
    /// How it is mounted here.
    pub options: Vec<String>,
    pub kind: String,
    /// How its file system is set up, wherever it is mounted.
    pub super_options: Vec<String>,
}

/// Everything that is mounted, in the order of the text.
pub(crate) fn parse(info: &[u8]) -> Vec<Mount> {
    info.split(|&byte| byte == b'\n').filter_map(Mount::parse).collect()
}

impl Mount {
    fn parse(line: &[u8]) -> Option<Self> {
        let mut fields = line.split(|&byte| byte == b' ');
        let (id, parent) = (text(fields.next()?).parse().ok()?, text(fields.next()?).parse().ok()?);
        let (root, at) = (path(&unescaped(fields.nth(1)?)), path(&unescaped(fields.next()?)));
        let options = list(fields.next()?);
        // Optional fields stand before this.
        let mut file_system = fields.skip_while(|&field| field != b"-").skip(1);
        let kind = text(file_system.next()?);
        let super_options = list(file_system.nth(1)?);
        Some(Self { id, parent, root, at, options, kind, super_options })
    }
}

fn text(field: &[u8]) -> String {
    String::from_utf8_lossy(field).into_owned()
}

fn list(field: &[u8]) -> Vec<String> {
    text(field).split(',').map(str::to_owned).collect()
}

/// The kernel writes blanks, line ends and backslashes as `\040` and the like.
fn unescaped(mut field: &[u8]) -> Vec<u8> {
    let mut plain = Vec::with_capacity(field.len());
    while let Some((&first, rest)) = field.split_first() {
        let escaped = match rest {
            [a @ b'0'..=b'3', b @ b'0'..=b'7', c @ b'0'..=b'7', ..] if first == b'\\' => {
                Some((a - b'0') << 6 | (b - b'0') << 3 | (c - b'0'))
            }
            _ => None,
        };
        plain.push(escaped.unwrap_or(first));
        field = if escaped.is_some() { &rest[3..] } else { rest };
    }
    plain
}

#[cfg(unix)]
pub(crate) fn path(bytes: &[u8]) -> PathBuf {
    use std::os::unix::ffi::OsStrExt;
    std::ffi::OsStr::from_bytes(bytes).into()
}

/// Elsewhere there are no such files.
#[cfg(not(unix))]
pub(crate) fn path(bytes: &[u8]) -> PathBuf {
    text(bytes).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_is_mounted() {
        let info = b"31 23 0:28 / / rw,relatime - ext4 /dev/vda rw\n\
                     35 31 0:32 /d\\134040 /a\\040b\\011 ro,nodev shared:9 master:1 - tmpfs /a\\040- rw,mode=755\n\
                     gibberish\n1 2 - x\n36 35 0:1 / /cut - \n";
        let [root, other] = &parse(info)[..] else { panic!("two are whole") };
        assert_eq!((root.id, root.parent, &*root.kind), (31, 23, "ext4"));
        assert_eq!((&root.root, &root.at), (&"/".into(), &"/".into()));
        let expected = Mount {
            id: 35,
            parent: 31,
            root: "/d\\040".into(),
            at: "/a b\t".into(),
            options: vec!["ro".to_owned(), "nodev".to_owned()],
            kind: "tmpfs".to_owned(),
            super_options: vec!["rw".to_owned(), "mode=755".to_owned()],
        };
        assert_eq!(other, &expected);
    }

    #[cfg(unix)]
    #[test]
    fn a_path_is_any_bytes() {
        let mounts = parse(b"1 0 0:1 / /a\xff\\040\xfe rw - tmpfs tm\xffpfs rw\n");
        assert_eq!(mounts.first().map(|mount| &mount.at), Some(&path(b"/a\xff \xfe")));
    }
}
