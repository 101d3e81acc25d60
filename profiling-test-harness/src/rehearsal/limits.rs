//! The sizes that jobs are rehearsed in, as the user writes them.

use std::str::FromStr;
use std::time::Duration;

use profiling_core::advise::Catalogue;
use profiling_core::advise::catalogue::SizeLimits;
use profiling_core::profile::OfferedSize;

use super::RehearsalError;

/// Limits, and what to call them.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Size {
    pub name: String,
    pub limits: SizeLimits,
    /// Which one it is, where it is a platform's.
    pub offered: Option<OfferedSize>,
}

/// What is to be rehearsed.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Wanted {
    /// These limits, whoever has them.
    Limits(Size),
    /// A platform's size.
    Offered {
        platform: String,
        memory_mb: u32,
        /// The fewest that come with the memory where they aren't given.
        vcpu: Option<f64>,
    },
    /// The sizes that each job's advice has chosen.
    AllChosen,
}

impl Size {
    /// The size of a platform with this memory, and so many CPUs where there are several such.
    pub(crate) fn offered(
        catalogue: &Catalogue,
        platform: &str,
        memory_mb: u32,
        vcpu: Option<f64>,
    ) -> Result<Self, RehearsalError> {
        let known = || catalogue.platforms.iter().map(|platform| &*platform.id).collect::<Vec<_>>().join(", ");
        let found = catalogue
            .platform(platform)
            .ok_or_else(|| RehearsalError::UnknownPlatform { platform: platform.to_owned(), known: known() })?;
        let size = found.size(memory_mb, vcpu)?;
        let cpus = if found.has_several(memory_mb) { format!(",cpus={}", size.vcpu) } else { String::new() };
        Ok(Self {
            name: format!("{platform}@{memory_mb}{cpus}"),
            limits: found.limits_of(&size),
            offered: Some(OfferedSize { platform: platform.to_owned(), memory_mb, vcpu: size.vcpu }),
        })
    }
}

/// How limits are written.
pub(crate) const GRAMMAR: &str = "aws-lambda@512 (a platform and its memory in MiB), all-chosen (what the advice \
    recommends), or cpus=0.25,memory=512MiB, and where wanted temporary=64MiB, files=1024, threads=1024, timeout=15s";

impl FromStr for Wanted {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text == "all-chosen" {
            return Ok(Self::AllChosen);
        }
        let Some((platform, size)) = text.split_once('@') else { return text.parse().map(Self::Limits) };
        let (memory, vcpu) = match size.split_once(",cpus=") {
            Some((memory, vcpu)) => (memory, Some(cpus(vcpu)?)),
            None => (size, None),
        };
        let memory_mb = memory.parse().map_err(|_| wrong(memory, "is no memory in MiB, such as 512"))?;
        Ok(Self::Offered { platform: platform.to_owned(), memory_mb, vcpu })
    }
}

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
        let limits = SizeLimits {
            cpus: cpus(needed("cpus")?)?,
            memory_bytes: bytes(needed("memory")?)?,
            temporary_bytes: value("temporary").map(bytes).transpose()?,
            file_descriptors: value("files").map(count).transpose()?,
            threads: value("threads").map(count).transpose()?,
            timeout: value("timeout").map(timeout).transpose()?,
        };
        Ok(Self { name: text.to_owned(), limits, offered: None })
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
        let limits = SizeLimits {
            cpus: 0.25,
            memory_bytes: 512 << 20,
            temporary_bytes: Some(1 << 30),
            file_descriptors: Some(1024),
            threads: Some(10),
            timeout: Some(Duration::from_secs(90)),
        };
        assert_eq!(text.parse(), Ok(Size { name: text.to_owned(), limits, offered: None }));
        let least: Size = "memory=1000 B,cpus=2".parse().expect("the rest can be left out");
        assert_eq!((least.limits.memory_bytes, least.limits.timeout), (1000, None));
    }

    #[test]
    fn finds_the_sizes_of_platforms() {
        let offered =
            |platform: &str, memory_mb, vcpu| Wanted::Offered { platform: platform.to_owned(), memory_mb, vcpu };
        assert_eq!("aws-lambda@512".parse(), Ok(offered("aws-lambda", 512, None)));
        assert_eq!("gcp-cloud-run@2048,cpus=2".parse(), Ok(offered("gcp-cloud-run", 2048, Some(2.0))));
        assert_eq!("all-chosen".parse(), Ok(Wanted::AllChosen));
        assert!(matches!("cpus=1,memory=1MiB".parse(), Ok(Wanted::Limits(_))));

        let find = |platform, memory_mb, vcpu| Size::offered(Catalogue::builtin(), platform, memory_mb, vcpu);
        let lambda = find("aws-lambda", 512, None).expect("offered");
        assert_eq!((&*lambda.name, lambda.limits.memory_bytes), ("aws-lambda@512", 512 << 20));
        assert!((lambda.limits.cpus - 512.0 / 1769.0).abs() < 1e-12);
        let run = find("gcp-cloud-run", 2048, Some(2.0)).expect("offered");
        assert_eq!(run.name, "gcp-cloud-run@2048,cpus=2");
        assert!(matches!(run.name.parse(), Ok(Wanted::Offered { vcpu: Some(_), .. })), "it can be asked for again");
    }

    #[test]
    fn says_what_is_offered() {
        let refused = |platform, memory_mb, vcpu| {
            Size::offered(Catalogue::builtin(), platform, memory_mb, vcpu).expect_err("not offered").to_string()
        };
        assert_eq!(refused("aws-lambda", 64, None), "--rehearse: `aws-lambda` offers 128 to 10240 MB, not 64 MB");
        let unknown = refused("lambda", 512, None);
        assert!(unknown.contains("no platform `lambda`") && unknown.contains("aws-lambda, gcp-cloud-run"), "{unknown}");
        let cpus = refused("aws-lambda", 1769, Some(2.0));
        assert!(cpus.contains("1769 MB with 1.0000 CPUs, not 2"), "{cpus}");
    }

    #[test]
    fn refuses_with_advice() {
        for (text, says) in [("aws-lambda@", "`` is no memory"), ("aws-lambda@512,cpus=x", "`x` is no number of CPUs")]
        {
            let message = text.parse::<Wanted>().expect_err("invalid");
            assert!(message.contains(says) && message.contains(GRAMMAR), "{text}: {message}");
        }
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
