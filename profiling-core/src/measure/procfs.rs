//! Numbers in the text of the kernel's files, found with next to no work: they are read around every
//! execution, and a user's test build optimises neither this crate nor what it uses of `core`.

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
