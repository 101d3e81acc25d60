//! JSON over lines, as far as that helps to read it: what is deep within stands on one line, as a figure
//! with its percentiles does.
//!
//! It is also less work than serde's own way with lines, which writes every step of the indentation by
//! itself, and in a user's test build nothing of that is optimised.

use std::io::{self, Write};

use serde::Serialize;
use serde_json::Serializer;
use serde_json::ser::Formatter;

/// How deep objects and lists are that have lines of their own for what they hold.
const BROKEN: usize = 3;
const FIRST: &[u8] = b"\n      ";
const NEXT: &[u8] = b",\n      ";
/// The bytes per step of the indentation.
const STEP: usize = 2;
const _: () = assert!(FIRST.len() == 1 + BROKEN * STEP && NEXT.len() == 2 + BROKEN * STEP);

/// Writes a value.
pub(super) fn write(to: &mut impl Write, value: &impl Serialize) -> io::Result<()> {
    value.serialize(&mut Serializer::with_formatter(to, Lines::default()))?;
    Ok(())
}

#[derive(Debug, Default)]
struct Lines {
    depth: usize,
    /// Whether the object or list that was begun last holds anything.
    filled: bool,
}

impl Lines {
    fn open(&mut self, to: &mut (impl Write + ?Sized), bracket: &[u8]) -> io::Result<()> {
        self.depth += 1;
        self.filled = false;
        to.write_all(bracket)
    }

    fn next(&self, to: &mut (impl Write + ?Sized), first: bool) -> io::Result<()> {
        let indentation = self.depth * STEP;
        match (self.depth <= BROKEN, first) {
            (true, true) => to.write_all(&FIRST[..=indentation]),
            (true, false) => to.write_all(&NEXT[..2 + indentation]),
            (false, true) => Ok(()),
            (false, false) => to.write_all(b", "),
        }
    }

    fn close(&mut self, to: &mut (impl Write + ?Sized), bracket: &[u8]) -> io::Result<()> {
        let broken = self.filled && self.depth <= BROKEN;
        self.depth -= 1;
        self.filled = true;
        if broken {
            self.next(to, true)?;
        }
        to.write_all(bracket)
    }
}

impl Formatter for Lines {
    fn begin_array<W: Write + ?Sized>(&mut self, to: &mut W) -> io::Result<()> {
        self.open(to, b"[")
    }

    fn end_array<W: Write + ?Sized>(&mut self, to: &mut W) -> io::Result<()> {
        self.close(to, b"]")
    }

    fn begin_array_value<W: Write + ?Sized>(&mut self, to: &mut W, first: bool) -> io::Result<()> {
        self.next(to, first)
    }

    fn end_array_value<W: Write + ?Sized>(&mut self, _to: &mut W) -> io::Result<()> {
        self.filled = true;
        Ok(())
    }

    fn begin_object<W: Write + ?Sized>(&mut self, to: &mut W) -> io::Result<()> {
        self.open(to, b"{")
    }

    fn end_object<W: Write + ?Sized>(&mut self, to: &mut W) -> io::Result<()> {
        self.close(to, b"}")
    }

    fn begin_object_key<W: Write + ?Sized>(&mut self, to: &mut W, first: bool) -> io::Result<()> {
        self.next(to, first)
    }

    fn begin_object_value<W: Write + ?Sized>(&mut self, to: &mut W) -> io::Result<()> {
        to.write_all(b": ")
    }

    fn end_object_value<W: Write + ?Sized>(&mut self, _to: &mut W) -> io::Result<()> {
        self.filled = true;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::{Value, json};

    use super::*;

    fn text(value: &Value) -> String {
        let mut text = Vec::new();
        write(&mut text, value).expect("a Vec takes everything");
        String::from_utf8(text).expect("JSON is text")
    }

    #[test]
    fn what_is_deep_stands_on_one_line() {
        let value = json!({"a": [], "b": {}, "c": [{"d": 1, "e": {"f": 2, "g": [3, 4], "h": {}}}, 5]});
        let expected = "{\n  \"a\": [],\n  \"b\": {},\n  \"c\": [\n    {\n      \"d\": 1,\n      \
                        \"e\": {\"f\": 2, \"g\": [3, 4], \"h\": {}}\n    },\n    5\n  ]\n}";
        assert_eq!(text(&value), expected);
        assert_eq!(text(&json!([])), "[]");
        assert_eq!(text(&json!("x")), "\"x\"");
    }

    fn any_value() -> impl Strategy<Value = Value> {
        let leaf =
            prop_oneof![Just(Value::Null), any::<i64>().prop_map(Value::from), any::<String>().prop_map(Value::from)];
        leaf.prop_recursive(6, 32, 4, |inner| {
            let list = prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from);
            let entries = prop::collection::hash_map(any::<String>(), inner, 0..4);
            prop_oneof![list, entries.prop_map(|entries| entries.into_iter().collect())]
        })
    }

    proptest! {
        #[test]
        fn every_value_can_be_read_back(value in any_value()) {
            prop_assert_eq!(serde_json::from_str::<Value>(&text(&value)).expect("this is JSON"), value);
        }
    }
}
