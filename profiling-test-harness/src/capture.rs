//! What a worker printed: the first and the last 64 KiB of a stream.

use std::collections::VecDeque;

/// How much is kept at either end.
const KEPT: usize = 64 * 1024;

/// The beginning and the end of a stream, in constant memory however much is printed.
#[derive(Debug, Default, Clone)]
pub(crate) struct Capture {
    head: Vec<u8>,
    tail: VecDeque<u8>,
    dropped: u64,
}

impl Capture {
    pub(crate) fn push(&mut self, bytes: &[u8]) {
        let (first, rest) = bytes.split_at(bytes.len().min(KEPT - self.head.len()));
        self.head.extend_from_slice(first);
        self.tail.extend(rest);
        let surplus = self.tail.len().saturating_sub(KEPT);
        self.tail.drain(..surplus);
        self.dropped += surplus as u64;
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.head.is_empty()
    }

    /// Whether the end of what was printed contains a text.
    pub(crate) fn contains(&self, text: &str) -> bool {
        self.text().contains(text)
    }

    /// What was kept, with a note in the place of what was not.
    pub(crate) fn text(&self) -> String {
        let mut bytes = self.head.clone();
        if self.dropped > 0 {
            bytes.extend_from_slice(format!("\n[… {} bytes left out …]\n", self.dropped).as_bytes());
        }
        bytes.extend(&self.tail);
        String::from_utf8_lossy(&bytes).into_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keeps_everything_that_fits() {
        let mut capture = Capture::default();
        assert!(capture.is_empty());
        let text = "x".repeat(2 * KEPT);
        capture.push(text.as_bytes());
        assert_eq!(capture.text(), text);
    }

    #[test]
    fn keeps_both_ends() {
        let mut capture = Capture::default();
        capture.push(b"first");
        for _ in 0..40 {
            capture.push(&[b'x'; 10_000]);
        }
        capture.push(b"last");
        let text = capture.text();
        assert!(text.starts_with("firstx") && text.ends_with("xlast"));
        let left_out = 400_009 - 2 * KEPT;
        assert!(text.contains(&format!("[… {left_out} bytes left out …]")));
    }
}
