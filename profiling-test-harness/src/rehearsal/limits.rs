//! The size that a job is rehearsed in, as the user writes it.

use std::str::FromStr;
use std::time::Duration;

/// What a platform grants a job at one of its sizes.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Limits {
    /// CPU time per wall-clock time.
    pub cpus: f64,
    pub memory_bytes: u64,
    /// All files in the temporary directory together.
    pub temporary_bytes: Option<u64>,
    pub file_descriptors: Option<u64>,
    /// Threads of all processes together.
    pub threads: Option<u64>,
    /// For one execution.
    pub timeout: Option<Duration>,
}

/// Limits, and what to call them.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Size {
    pub name: String,
    pub limits: Limits,
}

/// How limits are written.
pub(crate) const GRAMMAR: &str =
    "cpus=0.25,memory=512MiB, and where wanted temporary=64MiB, files=1024, threads=1024, timeout=15s";

impl FromStr for Size {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let parts = text.split(',').map(|part| part.split_once('=').ok_or_else(|| wrong(part, "is not `name=value`")));
        let parts = parts.collect::<Result<Vec<_>, _>>()?;
        for (index, (name, _)) in parts.iter().enumerate() {
            if !["cpus", "memory", "temporary", "files", "threads", "timeout"].contains(name) {
                return Err(wrong(name, "is no limit"));
            }
            if parts[..index].iter().any(|(earlier, _)| earlier == name) {
                return Err(wrong(name, "is there twice"));
            }
        }
        let value = |wanted: &str| parts.iter().find(|(name, _)| *name == wanted).map(|(_, value)| *value);
        let needed = |name: &str| value(name).ok_or_else(|| wrong(name, "is missing"));
        let limits = Limits {
            cpus: cpus(needed("cpus")?)?,
            memory_bytes: bytes(needed("memory")?)?,
            temporary_bytes: value("temporary").map(bytes).transpose()?,
            file_descriptors: value("files").map(count).transpose()?,
            threads: value("threads").map(count).transpose()?,
            timeout: value("timeout").map(timeout).transpose()?,
        };
        Ok(Self { name: text.to_owned(), limits })
    }
}

fn wrong(token: &str, what: &str) -> String {
    format!("`{token}` {what}; write {GRAMMAR}")
}

fn cpus(text: &str) -> Result<f64, String> {
    let cpus = text.parse().ok().filter(|cpus: &f64| cpus.is_finite() && *cpus >= 0.001);
    cpus.ok_or_else(|| wrong(text, "is no number of CPUs from 0.001"))
}

fn count(text: &str) -> Result<u64, String> {
    text.parse().ok().filter(|&count| count > 0).ok_or_else(|| wrong(text, "is no whole number from 1"))
}

fn timeout(text: &str) -> Result<Duration, String> {
    let timeout = humantime::parse_duration(text).ok().filter(|timeout| !timeout.is_zero());
    timeout.ok_or_else(|| wrong(text, "is no duration with a unit, such as `15s`"))
}

fn bytes(text: &str) -> Result<u64, String> {
    const UNITS: [(&str, u64); 4] = [("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10), ("B", 1)];
    let parsed = UNITS.iter().find_map(|(unit, bytes)| {
        let number: u64 = text.strip_suffix(unit)?.trim_end().parse().ok()?;
        number.checked_mul(*bytes).filter(|&bytes| bytes > 0)
    });
    parsed.ok_or_else(|| wrong(text, "is no size with a unit, such as `512MiB`"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_is_written() {
        let text = "cpus=0.25,memory=512MiB,temporary=1GiB,files=1024,threads=10,timeout=1m30s";
        let limits = Limits {
            cpus: 0.25,
            memory_bytes: 512 << 20,
            temporary_bytes: Some(1 << 30),
            file_descriptors: Some(1024),
            threads: Some(10),
            timeout: Some(Duration::from_secs(90)),
        };
        assert_eq!(text.parse(), Ok(Size { name: text.to_owned(), limits }));
        let least: Size = "memory=1000 B,cpus=2".parse().expect("the rest can be left out");
        assert_eq!((least.limits.memory_bytes, least.limits.timeout), (1000, None));
    }

    #[test]
    fn refuses_with_advice() {
        for (text, says) in [
            ("", "`` is not `name=value`"),
            ("aws-lambda", "`aws-lambda` is not `name=value`"),
            ("cpus=1", "`memory` is missing"),
            ("memory=1MiB", "`cpus` is missing"),
            ("cpus=1,memory=512", "`512` is no size with a unit"),
            ("cpus=0,memory=1MiB", "`0` is no number of CPUs"),
            ("cpus=nan,memory=1MiB", "`nan` is no number of CPUs"),
            ("cpus=1,memory=1MiB,memory=2MiB", "`memory` is there twice"),
            ("cpus=1,memory=1MiB,disk=2MiB", "`disk` is no limit"),
            ("cpus=1,memory=99999999999GiB", "is no size"),
            ("cpus=1,memory=1MiB,files=0", "`0` is no whole number"),
            ("cpus=1,memory=1MiB,timeout=5", "`5` is no duration"),
        ] {
            let message = text.parse::<Size>().expect_err("invalid");
            assert!(message.contains(says) && message.contains(GRAMMAR), "{text}: {message}");
        }
    }
}
