//! Whether the cases of a profile can be put side by side: of one build, on one machine.

use std::collections::BTreeSet;
use std::fmt;

use crate::environment::Environment;
use crate::fingerprint::{Change, Fingerprint};
use crate::origin::{HarnessTarget, Origin};
use crate::profile::{CaseProfile, Profile};

/// An [`Origin`] that lies elsewhere.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OriginRef<'a> {
    /// See [`Origin::environment`].
    pub environment: &'a Environment,
    /// See [`Origin::fingerprint`].
    pub fingerprint: Option<&'a Fingerprint>,
    /// See [`Origin::harness`].
    pub harness: Option<&'a HarnessTarget>,
    /// See [`Origin::executable`].
    pub executable: Option<&'a str>,
}

/// In what the cases of a profile differ beside their params: with anything, the profile is no basis for advice.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mixture {
    /// What differs, with the values that it has.
    differences: Vec<(Difference, BTreeSet<String>)>,
}

/// What keeps figures from being put side by side.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Difference {
    /// The opt-level.
    OptLevel,
    /// Debug assertions.
    DebugAssertions,
    /// The compiler or its flags.
    Toolchain,
    /// The target triple.
    Target,
    /// The sources, dependencies or features.
    Sources,
    /// The harness, and with it the allocator.
    Harness,
    /// The executables are different ones, and nobody took a fingerprint that tells whether that matters.
    Executable,
    /// The machine.
    Machine,
}

impl Difference {
    fn name(self) -> &'static str {
        match self {
            Self::OptLevel => "opt-level",
            Self::DebugAssertions => "debug assertions",
            Self::Toolchain => "compiler",
            Self::Target => "target",
            Self::Sources => "sources, dependencies or features",
            Self::Harness => "harness",
            Self::Executable => "executable, and no fingerprint tells whether its sources are others",
            Self::Machine => "machine",
        }
    }

    /// The value of an origin, where that says something to a reader.
    fn value(self, origin: &OriginRef<'_>) -> Option<String> {
        let environment = origin.environment;
        match self {
            Self::OptLevel => Some(environment.opt_level.clone()),
            Self::DebugAssertions => Some(if environment.debug_assertions { "on" } else { "off" }.to_owned()),
            Self::Toolchain => {
                Some(origin.fingerprint.map_or_else(|| environment.rustc.clone(), |taken| taken.toolchain.clone()))
            }
            Self::Target => Some(environment.target.clone()),
            Self::Harness => origin.harness.map(ToString::to_string),
            Self::Machine => Some(environment.describe_machine()),
            Self::Sources | Self::Executable => None,
        }
    }
}

impl fmt::Display for Mixture {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("its cases were measured in different builds or on different machines: ")?;
        for (index, (difference, values)) in self.differences.iter().enumerate() {
            f.write_str(if index == 0 { "" } else { "; " })?;
            f.write_str(difference.name())?;
            for (position, value) in values.iter().enumerate() {
                f.write_str(if position == 0 { " " } else { " and " })?;
                f.write_str(value)?;
            }
        }
        Ok(())
    }
}

impl Mixture {
    /// What differs.
    pub fn differences(&self) -> impl Iterator<Item = Difference> {
        self.differences.iter().map(|(difference, _)| *difference)
    }
}

impl Origin {
    fn as_ref(&self) -> OriginRef<'_> {
        OriginRef {
            environment: &self.environment,
            fingerprint: self.fingerprint.as_ref(),
            harness: self.harness.as_ref(),
            executable: self.executable.as_deref(),
        }
    }
}

impl OriginRef<'_> {
    /// The same, kept.
    #[must_use]
    pub fn to_owned(self) -> Origin {
        Origin {
            environment: self.environment.clone(),
            fingerprint: self.fingerprint.cloned(),
            harness: self.harness.cloned(),
            executable: self.executable.map(ToOwned::to_owned),
        }
    }

    /// What keeps figures of one from being put beside figures of the other.
    fn differences(&self, other: &Self) -> BTreeSet<Difference> {
        let (a, b) = (self.environment, other.environment);
        let mut found: BTreeSet<Difference> = [
            (Difference::OptLevel, a.opt_level == b.opt_level),
            (Difference::DebugAssertions, a.debug_assertions == b.debug_assertions),
            (Difference::Toolchain, a.rustc == b.rustc),
            (Difference::Target, a.target == b.target),
            (Difference::Machine, a.is_same_machine(b)),
            // One that an older release has not recorded may be the same.
            (Difference::Harness, self.harness == other.harness || self.harness.is_none() || other.harness.is_none()),
        ]
        .into_iter()
        .filter_map(|(difference, same)| (!same).then_some(difference))
        .collect();
        match (self.fingerprint, other.fingerprint) {
            (Some(a), Some(b)) => found.extend(a.changes_since(Some(b)).into_iter().map(difference)),
            // Another harness is another executable in any case.
            _ if self.executable != other.executable && !found.contains(&Difference::Harness) => {
                found.insert(Difference::Executable);
            }
            _ => {}
        }
        found
    }
}

fn difference(change: Change) -> Difference {
    match change {
        Change::Toolchain => Difference::Toolchain,
        Change::OptLevel => Difference::OptLevel,
        Change::Sources | Change::Dependencies | Change::Features | Change::Unknown => Difference::Sources,
    }
}

impl Profile {
    /// What the cases without an origin of their own come from.
    #[must_use]
    pub fn origin(&self) -> OriginRef<'_> {
        OriginRef {
            environment: &self.environment,
            fingerprint: self.fingerprint.as_ref(),
            harness: self.harness.as_ref(),
            executable: self.executable.as_deref(),
        }
    }

    /// What the figures of one of its cases are true of.
    #[must_use]
    pub fn origin_of<'a>(&'a self, case: &'a CaseProfile) -> OriginRef<'a> {
        case.origin.as_ref().map_or_else(|| self.origin(), Origin::as_ref)
    }

    /// What its cases come from, each but once.
    #[must_use]
    pub fn origins(&self) -> Vec<OriginRef<'_>> {
        let mut origins: Vec<OriginRef<'_>> = Vec::new();
        for case in &self.cases {
            let origin = self.origin_of(case);
            if !origins.contains(&origin) {
                origins.push(origin);
            }
        }
        origins
    }

    /// In what its cases differ beside their params; `None` where they are of one build on one machine.
    #[must_use]
    pub fn mixture(&self) -> Option<Mixture> {
        let origins = self.origins();
        let pairs = origins.iter().enumerate().flat_map(|(index, a)| origins[..index].iter().map(move |b| (a, b)));
        let found: BTreeSet<Difference> = pairs.flat_map(|(a, b)| a.differences(b)).collect();
        let of = |difference: Difference| {
            (difference, origins.iter().filter_map(|origin| difference.value(origin)).collect())
        };
        (!found.is_empty()).then(|| Mixture { differences: found.into_iter().map(of).collect() })
    }

    /// Whether all of its cases were measured in builds that say something about production.
    #[must_use]
    pub fn is_optimised(&self) -> bool {
        let own = self.cases.iter().map(|case| self.origin_of(case).environment);
        if self.cases.is_empty() {
            self.environment.is_optimised()
        } else {
            own.into_iter().all(Environment::is_optimised)
        }
    }

    /// Says of all cases that have no origin of their own that they come from `run`, and of the profile that its
    /// newest cases do. What was measured is said of the profile only where it is the same in every case.
    pub fn set_origin(&mut self, run: &Origin) {
        let differs = |case: &CaseProfile| case.origin.as_ref().is_some_and(|own| own.fingerprint != run.fingerprint);
        let common = !self.cases.iter().any(differs);
        self.environment = run.environment.clone();
        self.fingerprint = run.fingerprint.clone().filter(|_| common);
        self.harness.clone_from(&run.harness);
        self.executable.clone_from(&run.executable);
        // A case without the mark takes the profile's: here that would not be what it was measured of.
        let explicit = run.fingerprint.is_some() && !common;
        for case in &mut self.cases {
            match &case.origin {
                None if explicit => case.origin = Some(run.clone()),
                Some(own) if own == run && !explicit => case.origin = None,
                _ => {}
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::tests::profile;

    fn run(change: impl FnOnce(&mut Origin)) -> Origin {
        let mut origin = profile("a", None).origin().to_owned();
        origin.executable = Some("1".to_owned());
        change(&mut origin);
        origin
    }

    fn taken(hash: &str) -> Fingerprint {
        Fingerprint {
            sources: [("p".to_owned(), hash.to_owned())].into(),
            dependencies: String::new(),
            features: Vec::new(),
            toolchain: "rustc 1.95.0".to_owned(),
            opt_level: "3".to_owned(),
        }
    }

    /// A profile with one case of each.
    fn of(old: &Origin, new: &Origin) -> Profile {
        let mut mixed = profile("a", None);
        mixed.cases.push(mixed.cases[0].clone());
        mixed.cases[1].params.insert("n".to_owned(), 20.into());
        mixed.cases[1].origin = Some(old.clone());
        mixed.set_origin(new);
        let json = serde_json::to_string(&mixed).expect("it can be written");
        let read: Profile = serde_json::from_str(&json).expect("it was just written");
        assert_eq!(read, mixed);
        assert_eq!(
            (mixed.origin_of(&mixed.cases[0]).to_owned(), mixed.origin_of(&mixed.cases[1]).to_owned()),
            (new.clone(), old.clone())
        );
        mixed
    }

    #[test]
    fn cases_of_one_build_and_machine_are_no_mixture() {
        let old = run(|origin| origin.environment.profiled_at = "2025-01-01T00:00:00Z".to_owned());
        let later = of(&old, &run(|origin| origin.environment.git_commit = Some("c".to_owned())));
        assert_eq!(later.mixture(), None);
        assert!(later.cases[1].origin.is_some() && later.cases[0].origin.is_none());
        let same = of(&run(|_| ()), &run(|_| ()));
        assert_eq!((same.mixture(), &same.cases[1].origin), (None, &None), "what is the same is said once");
        let memory = |bytes| run(move |origin| origin.environment.memory_bytes = Some(bytes));
        assert_eq!(of(&memory(8_589_934_592), &memory(8_589_000_000)).mixture(), None, "another kernel");
    }

    #[test]
    fn a_fingerprint_says_what_the_executable_need_not() {
        let fresh = |hash: &'static str, executable: &'static str| {
            run(move |origin| {
                origin.fingerprint = Some(taken(hash));
                origin.executable = Some(executable.to_owned());
            })
        };
        let same = of(&fresh("a", "1"), &fresh("a", "2"));
        assert_eq!((same.mixture(), same.fingerprint), (None, Some(taken("a"))));
        let other = of(&fresh("a", "1"), &fresh("b", "1"));
        let found: Vec<_> = other.mixture().expect("mixed").differences().collect();
        assert_eq!((found, other.fingerprint.clone()), (vec![Difference::Sources], None));
        assert_eq!(other.origin_of(&other.cases[0]).fingerprint, Some(&taken("b")));
    }

    #[test]
    fn every_difference_is_told_with_its_values() {
        let mixture = |change: fn(&mut Origin)| of(&run(|_| ()), &run(change)).mixture().expect("mixed").to_string();
        let start = "its cases were measured in different builds or on different machines: ";
        for (said, expected) in [
            (mixture(|origin| origin.environment.opt_level = "2".to_owned()), "opt-level 2 and 3"),
            (mixture(|origin| origin.environment.debug_assertions = true), "debug assertions off and on"),
            (mixture(|origin| origin.environment.rustc = "rustc 2".to_owned()), "compiler rustc 1.95.0 and rustc 2"),
            (
                mixture(|origin| origin.environment.logical_cpus = Some(64)),
                "machine an unnamed x86_64 CPU, 2 CPUs, 8192 MiB, linux and an unnamed x86_64 CPU, 64 CPUs, 8192 MiB, linux",
            ),
            (
                mixture(|origin| origin.executable = Some("2".to_owned())),
                "executable, and no fingerprint tells whether its sources are others",
            ),
        ] {
            assert_eq!(said, format!("{start}{expected}"));
        }
    }

    #[test]
    fn the_worst_case_says_whether_a_profile_is_optimised() {
        let debug = run(|origin| origin.environment.opt_level = "0".to_owned());
        assert!(!of(&debug, &run(|_| ())).is_optimised());
        assert!(of(&run(|_| ()), &run(|_| ())).is_optimised());
    }

    #[test]
    fn harnesses_are_told_apart_where_both_are_known() {
        let named = |file: &str| Some(HarnessTarget { name: "profiling".to_owned(), file: file.to_owned() });
        let tests = run(|origin| origin.harness = named("tests/profiling.rs"));
        let benches = run(|origin| origin.harness = named("benches/profiling.rs"));
        let said = of(&tests, &benches).mixture().expect("mixed").to_string();
        assert!(said.ends_with("harness benches/profiling.rs and tests/profiling.rs"), "{said}");
        assert_eq!(of(&run(|_| ()), &benches).mixture(), None);
    }
}
