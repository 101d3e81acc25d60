//! What a profile was measured of, so that it can be told when that has changed.
//!
//! `Embed` takes the fingerprint in the package's build script, from what cargo tells it. A build of the
//! tests hands it to the harness, which keeps it in each [`Profile`](crate::profile::Profile); a release
//! build takes it again and compares.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// Stands in the second line of a file of models, which follow from measurements and are no part of what was
/// measured.
pub(crate) const EMITTED: &str = "Made by `--emit-models`, which replaces it.";

/// What was measured: one part for each thing that can change it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fingerprint {
    /// A hash of the sources of the package and of each path dependency, by the package's name.
    pub sources: BTreeMap<String, String>,
    /// A hash of what these packages' manifests ask for, and of the versions that `Cargo.lock` has for it.
    pub dependencies: String,
    /// The package's features, sorted, but for `profiling`, those that it turns on and those that turn it on.
    pub features: Vec<String>,
    /// The compiler, as `rustc --version` prints it, and the flags that it got for the code it makes.
    pub toolchain: String,
    /// Cargo's `OPT_LEVEL` for the package.
    pub opt_level: String,
}

/// What makes a profile stale.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Change {
    /// See [`Fingerprint::sources`].
    Sources,
    /// See [`Fingerprint::dependencies`].
    Dependencies,
    /// See [`Fingerprint::features`].
    Features,
    /// See [`Fingerprint::toolchain`].
    Toolchain,
    /// See [`Fingerprint::opt_level`].
    OptLevel,
    /// The profile has no fingerprint: nobody took it, or its cases were measured of different things.
    Unknown,
}

impl Fingerprint {
    /// What has changed from `measured`, a profile's fingerprint, to this one.
    #[must_use]
    pub fn changes_since(&self, measured: Option<&Self>) -> Vec<Change> {
        let Some(measured) = measured else { return vec![Change::Unknown] };
        let parts = [
            (Change::Sources, self.sources == measured.sources),
            (Change::Dependencies, self.dependencies == measured.dependencies),
            (Change::Features, self.features == measured.features),
            (Change::Toolchain, self.toolchain == measured.toolchain),
            (Change::OptLevel, self.opt_level == measured.opt_level),
        ];
        parts.into_iter().filter(|(_, same)| !same).map(|(change, _)| change).collect()
    }

    /// A sentence's part for each of [`changes_since`](Self::changes_since), with what was and what is.
    #[must_use]
    pub fn describe_changes_since(&self, measured: Option<&Self>) -> Vec<String> {
        let describe = |change| {
            let Some(measured) = measured else { return "it is not known what was measured".to_owned() };
            match change {
                Change::Sources => format!("the sources of {}", self.changed_packages(measured)),
                Change::Dependencies => "the versions or features of dependencies".to_owned(),
                Change::Features => {
                    format!(
                        "the features (now {}; measured with {})",
                        listed(&self.features),
                        listed(&measured.features)
                    )
                }
                Change::Toolchain => {
                    format!("the toolchain (now {}; measured with {})", self.toolchain, measured.toolchain)
                }
                Change::OptLevel => {
                    format!("the opt-level (now {}; measured with {})", self.opt_level, measured.opt_level)
                }
                Change::Unknown => "something".to_owned(),
            }
        };
        self.changes_since(measured).into_iter().map(describe).collect()
    }

    /// The packages whose sources are not as they were, or were not, or no longer are, among them.
    fn changed_packages(&self, measured: &Self) -> String {
        let differs = |name: &&String| self.sources.get(*name) != measured.sources.get(*name);
        let gone = measured.sources.keys().filter(|name| !self.sources.contains_key(*name));
        let changed: Vec<String> =
            self.sources.keys().chain(gone).filter(differs).map(|name| format!("`{name}`")).collect();
        changed.join(", ")
    }
}

fn listed(features: &[String]) -> String {
    if features.is_empty() { "none".to_owned() } else { features.join(", ") }
}

/// Hashes with FNV-1a, 64 bits: the same in every release of the compiler, unlike the standard library's.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Fnv(u64);

impl Fnv {
    pub(crate) const fn new() -> Self {
        Self(0xcbf2_9ce4_8422_2325)
    }

    pub(crate) const fn of(bytes: &[u8]) -> u64 {
        Self::new().with(bytes).0
    }

    pub(crate) const fn with(mut self, bytes: &[u8]) -> Self {
        let mut index = 0;
        // Build scripts are not optimised, and there an index is several times faster than an iterator.
        while index < bytes.len() {
            self.0 = (self.0 ^ bytes[index] as u64).wrapping_mul(0x0100_0000_01b3);
            index += 1;
        }
        self
    }

    #[cfg(feature = "build")]
    pub(crate) const fn finish(self) -> u64 {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    pub(crate) fn fingerprint() -> Fingerprint {
        Fingerprint {
            sources: [("p".to_owned(), "1".to_owned()), ("helper".to_owned(), "2".to_owned())].into(),
            dependencies: "3".to_owned(),
            features: vec!["default".to_owned(), "fast".to_owned()],
            toolchain: "rustc 1.95.0".to_owned(),
            opt_level: "3".to_owned(),
        }
    }

    #[test]
    fn each_part_is_told_apart() {
        let measured = fingerprint();
        assert_eq!(fingerprint().changes_since(Some(&measured)), []);
        let after = |change: fn(&mut Fingerprint)| {
            let mut now = fingerprint();
            change(&mut now);
            (now.changes_since(Some(&measured)), now.describe_changes_since(Some(&measured)).join("; "))
        };
        let (changes, text) = after(|now| {
            now.sources.insert("helper".to_owned(), "9".to_owned());
        });
        assert_eq!((changes, &*text), (vec![Change::Sources], "the sources of `helper`"));
        let (changes, text) = after(|now| {
            now.sources.remove("helper");
        });
        assert_eq!((changes, &*text), (vec![Change::Sources], "the sources of `helper`"));
        let (changes, _) = after(|now| now.dependencies.push('x'));
        assert_eq!(changes, [Change::Dependencies]);
        let (changes, text) = after(|now| now.features.clear());
        assert_eq!((changes, &*text), (vec![Change::Features], "the features (now none; measured with default, fast)"));
        let (changes, text) = after(|now| {
            now.toolchain = "rustc 1.96.0".to_owned();
            now.opt_level = "s".to_owned();
        });
        assert_eq!(changes, [Change::Toolchain, Change::OptLevel]);
        assert!(text.contains("now rustc 1.96.0; measured with rustc 1.95.0") && text.contains("now s"), "{text}");
    }

    #[test]
    fn what_was_never_taken_does_not_match() {
        assert_eq!(fingerprint().changes_since(None), [Change::Unknown]);
        assert_eq!(fingerprint().describe_changes_since(None), ["it is not known what was measured"]);
    }

    #[test]
    fn the_hash_is_fnv_1a() {
        // From the reference's own list of test vectors.
        assert_eq!(
            [Fnv::of(b""), Fnv::of(b"a"), Fnv::of(b"foobar")],
            [0xcbf2_9ce4_8422_2325, 0xaf63_dc4c_8601_ec8c, 0x8594_4171_f739_67e8]
        );
    }
}
