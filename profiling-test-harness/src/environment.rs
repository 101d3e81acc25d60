//! Where the measurements are made.

use std::path::Path;
use std::process::Command;
use std::time::SystemTime;

use profiling_core::measure::Meter;
use profiling_core::profile::Environment;

use crate::Host;

/// Describes this machine, this build and the checked-out commit.
pub(crate) fn describe(host: &Host) -> Environment {
    Environment {
        profiled_at: humantime::format_rfc3339_seconds(SystemTime::now()).to_string(),
        os: std::env::consts::OS.to_owned(),
        arch: std::env::consts::ARCH.to_owned(),
        target: env!("PROFILING_TARGET").to_owned(),
        cpu_model: machine::cpu_model(),
        logical_cpus: std::thread::available_parallelism().ok().and_then(|count| u32::try_from(count.get()).ok()),
        memory_bytes: machine::memory_bytes(),
        rustc: env!("PROFILING_RUSTC").to_owned(),
        // Without a build script, the package's own level is not known, and the harness's stands in.
        opt_level: host.opt_level.unwrap_or(env!("PROFILING_OPT_LEVEL")).to_owned(),
        debug_assertions: host.debug_assertions,
        git_commit: git_commit(Path::new(host.manifest_dir)),
        measurement_overhead_ns: Meter::new().overhead_ns(),
    }
}

fn git_commit(directory: &Path) -> Option<String> {
    output_of(Command::new("git").args(["rev-parse", "HEAD"]).current_dir(directory))
}

fn output_of(command: &mut Command) -> Option<String> {
    let output = command.output().ok().filter(|output| output.status.success())?;
    let text = String::from_utf8(output.stdout).ok()?;
    Some(text.trim().to_owned()).filter(|text| !text.is_empty())
}

#[cfg(target_os = "linux")]
mod machine {
    use std::fs;

    pub(super) fn cpu_model() -> Option<String> {
        let text = fs::read_to_string("/proc/cpuinfo").ok()?;
        let line = text.lines().find(|line| line.starts_with("model name"))?;
        Some(line.split_once(':')?.1.trim().to_owned())
    }

    pub(super) fn memory_bytes() -> Option<u64> {
        let text = fs::read_to_string("/proc/meminfo").ok()?;
        let kibibytes = text.lines().find_map(|line| line.strip_prefix("MemTotal:"))?.trim().strip_suffix("kB")?;
        Some(kibibytes.trim().parse::<u64>().ok()? * 1024)
    }
}

#[cfg(target_os = "macos")]
mod machine {
    use std::process::Command;

    pub(super) fn cpu_model() -> Option<String> {
        super::output_of(Command::new("sysctl").args(["-n", "machdep.cpu.brand_string"]))
    }

    pub(super) fn memory_bytes() -> Option<u64> {
        super::output_of(Command::new("sysctl").args(["-n", "hw.memsize"]))?.parse().ok()
    }
}

#[cfg(not(any(target_os = "linux", target_os = "macos")))]
mod machine {
    pub(super) fn cpu_model() -> Option<String> {
        std::env::var("PROCESSOR_IDENTIFIER").ok()
    }

    pub(super) fn memory_bytes() -> Option<u64> {
        None
    }
}
