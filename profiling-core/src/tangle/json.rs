//! Changes a JSON text only where its meaning changes: every other byte stays, so that numbers beyond
//! `f64`, white space and escapes are kept.

use std::collections::HashSet;
use std::fmt;
use std::ops::Range;

use serde::Deserializer;
use serde::de::{MapAccess, Visitor};
use serde_json::value::RawValue;
use serde_json::{Map, Value};

/// `text` changed to mean `new`.
///
/// Keys that are new at the end of an object are appended in the style of their neighbours.
pub(crate) fn patch(text: &str, new: &Value) -> serde_json::Result<String> {
    let root: &RawValue = serde_json::from_str(text)?;
    let mut patch = Patch { text, unit: indent_unit(root)?, edits: Vec::new() };
    // A document in one line stays in one line.
    let indent = root.get().contains('\n').then_some("");
    patch.value(root, new, indent)?;
    Ok(patch.apply())
}

/// The line and column, from 1, of the value that a JSON pointer such as `/jobs/3` leads to, or of the
/// last value on the way that there is.
#[cfg(feature = "build")]
pub(crate) fn locate(text: &str, pointer: &str) -> Option<(usize, usize)> {
    let root: &RawValue = serde_json::from_str(text).ok()?;
    let found = pointer.split('/').skip(1).try_fold(root, child).unwrap_or_else(|last| last);
    let before = &text[..offset(text, found)];
    let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
    Some((before.matches('\n').count() + 1, before[line_start..].chars().count() + 1))
}

/// The child, or the parent if there is none.
#[cfg(feature = "build")]
fn child<'a>(parent: &'a RawValue, key: &str) -> Result<&'a RawValue, &'a RawValue> {
    let child = if parent.get().starts_with('[') {
        elements(parent).ok().and_then(|elements| elements.get(key.parse::<usize>().ok()?).copied())
    } else {
        members(parent).ok().and_then(|members| members.into_iter().rfind(|member| member.0 == key).map(|m| m.1))
    };
    child.ok_or(parent)
}

struct Patch<'a> {
    text: &'a str,
    unit: String,
    /// In the order of the text, not overlapping.
    edits: Vec<(Range<usize>, String)>,
}

impl<'a> Patch<'a> {
    /// `indent` is that of the line where the value starts; `None` where it shares a line with others.
    fn value(&mut self, old: &'a RawValue, new: &Value, indent: Option<&str>) -> serde_json::Result<()> {
        if serde_json::from_str::<Value>(old.get())? == *new {
            return Ok(());
        }
        match new {
            Value::Object(new) if old.get().starts_with('{') => {
                let members = members(old)?;
                if !members.is_empty() && appends_only(&members, new) {
                    return self.object(old, &members, new);
                }
            }
            Value::Array(new) if old.get().starts_with('[') => {
                let elements = elements(old)?;
                if elements.len() == new.len() {
                    let separator = self.before(old, elements.first());
                    let indent = line_indent(separator);
                    return elements.iter().zip(new).try_for_each(|(old, new)| self.value(old, new, indent));
                }
            }
            _ => {}
        }
        let start = offset(self.text, old);
        let rendered = self.render(new, indent)?;
        self.edits.push((start..start + old.get().len(), rendered));
        Ok(())
    }

    fn object(
        &mut self,
        old: &'a RawValue,
        members: &[(String, &'a RawValue)],
        new: &Map<String, Value>,
    ) -> serde_json::Result<()> {
        // `{`, white space, the first key, `:`, white space, the first value.
        let head = self.before(old, members.first().map(|(_, value)| value));
        let separator = &head[..head.len() - head.trim_start().len()];
        let gap = &head[head.trim_end().len()..];
        let indent = line_indent(separator);
        for (position, (key, value)) in members.iter().enumerate() {
            // Of a key that is there twice, readers take the last.
            if !members[position + 1..].iter().any(|(later, _)| later == key) {
                self.value(value, &new[key], indent)?;
            }
        }
        let separator = if separator.is_empty() { gap } else { separator };
        let mut appended = String::new();
        for (key, value) in new.iter().filter(|(key, _)| !members.iter().any(|(old, _)| old == *key)) {
            let (key, value) = (serde_json::to_string(key)?, self.render(value, indent)?);
            appended.extend([",", separator, &key, ":", gap, &value]);
        }
        if let (Some((_, last)), false) = (members.last(), appended.is_empty()) {
            let end = offset(self.text, last) + last.get().len();
            self.edits.push((end..end, appended));
        }
        Ok(())
    }

    /// The text between the start of a container and its first value.
    fn before(&self, container: &RawValue, first: Option<&&'a RawValue>) -> &'a str {
        let start = offset(self.text, container) + 1;
        first.map_or("", |first| &self.text[start..offset(self.text, first)])
    }

    fn render(&self, value: &Value, indent: Option<&str>) -> serde_json::Result<String> {
        let Some(indent) = indent else { return serde_json::to_string(value) };
        let newline = if self.text.contains("\r\n") { "\r\n" } else { "\n" };
        // A line break within a string is escaped: those that are left are the formatter's.
        Ok(pretty(value, &self.unit)?.replace('\n', &format!("{newline}{indent}")))
    }

    fn apply(self) -> String {
        let mut patched = String::with_capacity(self.text.len());
        let mut done = 0;
        for (range, replacement) in self.edits {
            patched += &self.text[done..range.start];
            patched += &replacement;
            done = range.end;
        }
        patched + &self.text[done..]
    }
}

/// Whether `new` has the same keys first, in the same order.
fn appends_only(old: &[(String, &RawValue)], new: &Map<String, Value>) -> bool {
    let mut seen = HashSet::new();
    let mut old = old.iter().map(|(key, _)| key).filter(|key| seen.insert(*key));
    new.keys().zip(&mut old).all(|(new, old)| new == old) && old.next().is_none()
}

/// JSON over several lines, without a line break at the end.
pub(crate) fn pretty(value: &Value, unit: &str) -> serde_json::Result<String> {
    use serde::Serialize as _;
    let mut json = Vec::new();
    let formatter = serde_json::ser::PrettyFormatter::with_indent(unit.as_bytes());
    value.serialize(&mut serde_json::Serializer::with_formatter(&mut json, formatter))?;
    Ok(String::from_utf8_lossy(&json).into_owned())
}

/// What one level is indented by: the indentation of the outermost members.
fn indent_unit(root: &RawValue) -> serde_json::Result<String> {
    let first = if root.get().starts_with('{') { members(root)?.first().map(|(_, value)| *value) } else { None };
    let head = first.map_or("", |first| &root.get()[1..offset(root.get(), first)]);
    let separator = &head[..head.len() - head.trim_start().len()];
    Ok(line_indent(separator).filter(|indent| !indent.is_empty()).unwrap_or("  ").to_owned())
}

/// The indentation that the white space ends in; `None` if it doesn't break the line.
fn line_indent(whitespace: &str) -> Option<&str> {
    whitespace.rfind('\n').map(|newline| &whitespace[newline + 1..])
}

/// Where `part`, which was parsed from `text`, starts in it.
fn offset(text: &str, part: &RawValue) -> usize {
    part.get().as_ptr().addr() - text.as_ptr().addr()
}

fn elements(array: &RawValue) -> serde_json::Result<Vec<&RawValue>> {
    serde_json::from_str(array.get())
}

fn members(object: &RawValue) -> serde_json::Result<Vec<(String, &RawValue)>> {
    struct Members;

    impl<'de> Visitor<'de> for Members {
        type Value = Vec<(String, &'de RawValue)>;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("an object")
        }

        fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
            let mut members = Vec::new();
            while let Some(member) = map.next_entry()? {
                members.push(member);
            }
            Ok(members)
        }
    }

    serde_json::Deserializer::from_str(object.get()).deserialize_map(Members)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn any_json() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            any::<u64>().prop_map(Value::from),
            proptest::num::f64::NORMAL.prop_map(Value::from),
            any::<String>().prop_map(Value::from),
        ];
        leaf.prop_recursive(4, 32, 6, |inner| {
            prop_oneof![
                proptest::collection::vec(inner.clone(), 0..6).prop_map(Value::from),
                proptest::collection::vec(("[a-d]|\\PC{0,3}", inner), 0..6)
                    .prop_map(|members| Value::Object(members.into_iter().collect())),
            ]
        })
    }

    proptest! {
        #[test]
        fn means_what_it_was_changed_to(old in any_json(), new in any_json(), unit in " {0,4}|\t") {
            for text in [old.to_string(), pretty(&old, &unit)?, pretty(&old, &unit)?.replace('\n', "\r\n")] {
                let patched = patch(&text, &new)?;
                prop_assert_eq!(serde_json::from_str::<Value>(&patched)?, new.clone());
                prop_assert_eq!(patch(&patched, &new)?, patched);
                prop_assert_eq!(patch(&text, &old)?, text);
            }
        }
    }

    /// Four spaces, an inline array, numbers beyond `f64` and `u64`, an escape, a key that is there twice.
    const DOCUMENT: &str = r#"{
    "name" : "caf\u00e9",
    "n": 123456789012345678901234567890.10, "twice": 1, "twice": 2,
    "jobs": [
        { "name": "a", "inputs": ["u64", "u8"] },
        {"name": "b"},
        {
            "name": "c", "old": {"x": 1.50}
        }
    ]
}
"#;

    #[test]
    fn keeps_every_other_byte() -> serde_json::Result<()> {
        let mut new: Value = serde_json::from_str(DOCUMENT)?;
        assert_eq!(patch(DOCUMENT, &new)?, DOCUMENT);
        for job in new["jobs"].as_array_mut().into_iter().flatten() {
            job["profile"] = json!({"p": 1, "s": "x"});
        }
        new["twice"] = json!(3);
        new["top"] = json!({"empty": {}, "list": [1]});
        let expected = r#"{
    "name" : "caf\u00e9",
    "n": 123456789012345678901234567890.10, "twice": 1, "twice": 3,
    "jobs": [
        { "name": "a", "inputs": ["u64", "u8"], "profile": {"p":1,"s":"x"} },
        {"name": "b", "profile": {"p":1,"s":"x"}},
        {
            "name": "c", "old": {"x": 1.50},
            "profile": {
                "p": 1,
                "s": "x"
            }
        }
    ],
    "top": {
        "empty": {},
        "list": [
            1
        ]
    }
}
"#;
        assert_eq!(patch(DOCUMENT, &new)?, expected);
        Ok(())
    }

    #[test]
    fn one_line_stays_one_line() -> serde_json::Result<()> {
        assert_eq!(patch(r#"{"a":1}"#, &json!({"a": 1, "b": {"c": 2}}))?, r#"{"a":1,"b":{"c":2}}"#);
        assert_eq!(patch("{}", &json!({"b": 1}))?, r#"{"b":1}"#);
        Ok(())
    }

    #[test]
    fn keeps_the_line_ends() -> serde_json::Result<()> {
        let patched = patch("{\r\n\t\"a\": 1\r\n}\r\n", &json!({"a": 1, "b": {"c": 2}}))?;
        assert_eq!(patched, "{\r\n\t\"a\": 1,\r\n\t\"b\": {\r\n\t\t\"c\": 2\r\n\t}\r\n}\r\n");
        Ok(())
    }

    #[cfg(feature = "build")]
    #[test]
    fn finds_the_place_in_the_text() {
        assert_eq!(locate(DOCUMENT, ""), Some((1, 1)));
        assert_eq!(locate(DOCUMENT, "/jobs/1/name"), Some((6, 18)));
        assert_eq!(locate(DOCUMENT, "/jobs/1/absent"), Some((6, 9)));
        assert_eq!(locate("[", "/jobs"), None);
    }
}
