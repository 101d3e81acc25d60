//! The text of the kernel's files, and numbers in it, found with next to no work: they are read around every
//! execution, and a user's test build optimises neither this crate nor what it uses of `core`.

use std::fs::{self, File};
use std::io;
use std::os::unix::fs::FileExt;
use std::path::Path;

/// The text of a file. Names of programs and threads in it may be any bytes: what is no UTF-8 is replaced.
pub(super) fn text(path: impl AsRef<Path>) -> io::Result<String> {
    let bytes = fs::read(path)?;
    Ok(String::from_utf8(bytes).unwrap_or_else(|error| String::from_utf8_lossy(error.as_bytes()).into_owned()))
}

/// Passes on the whole text of a file, which stays open and is read from its start each time. Most texts need no
/// memory for that.
pub(super) fn read_whole<T>(file: &File, parse: impl FnOnce(&[u8]) -> T) -> io::Result<T> {
    let mut buffer = [0; 4096];
    let length = file.read_at(&mut buffer, 0)?;
    if length < buffer.len() {
        return Ok(parse(&buffer[..length]));
    }
    // In one reading again: what is read in two is of two moments.
    let mut longer = vec![0; 4 * buffer.len()];
    loop {
        let length = file.read_at(&mut longer, 0)?;
        if length < longer.len() {
            return Ok(parse(&longer[..length]));
        }
        longer.resize(4 * length, 0);
    }
}

/// What follows the first occurrence of a name.
pub(super) fn after<'a>(text: &'a [u8], name: &str) -> Option<&'a [u8]> {
    // SAFETY: the call reads both up to their lengths, and writes nothing.
    let found = unsafe { libc::memmem(text.as_ptr().cast(), text.len(), name.as_ptr().cast(), name.len()) };
    if found.is_null() {
        return None;
    }
    text.get(found.addr() - text.as_ptr().addr() + name.len()..)
}

/// The number that a text begins with, but for blanks, and what follows it.
pub(super) fn number(text: &[u8]) -> Option<(u64, &[u8])> {
    let mut at = 0;
    while matches!(text.get(at), Some(b' ' | b'\t')) {
        at += 1;
    }
    let (begin, mut number) = (at, 0_u64);
    while let Some(&digit @ b'0'..=b'9') = text.get(at) {
        number = number.checked_mul(10)?.checked_add(u64::from(digit - b'0'))?;
        at += 1;
    }
    (at > begin).then(|| (number, &text[at..]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_found() {
        assert_eq!(after(b"one: 1\ntwo: 2\n", "\ntwo:"), Some(&b" 2\n"[..]));
        assert_eq!(after(b"one", "one"), Some(&b""[..]));
        assert_eq!(after(b"one", "two"), None);
        assert_eq!(after(b"", "two"), None);
    }

    #[test]
    fn numbers_are_parsed() {
        assert_eq!(number(b"\t  102400 kB"), Some((102_400, &b" kB"[..])));
        assert_eq!(number(b"18446744073709551615"), Some((u64::MAX, &b""[..])));
        for no_number in [&b"18446744073709551616"[..], b"", b"  ", b"-1", b"x1"] {
            assert_eq!(number(no_number), None);
        }
    }
}
