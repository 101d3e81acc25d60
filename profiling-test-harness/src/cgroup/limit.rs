//! What a control group may use, and what came of it.

use std::fs;
use std::time::Duration;

use super::{Cgroup, CgroupError, Controller, Version, write};

/// CPU time per period.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Quota {
    quota: Duration,
    period: Duration,
}

impl Quota {
    /// So many CPUs. The period is 20 ms, or longer where the quota would be below the 1 ms that the kernel
    /// demands; a process that has used its quota stands still until the next period.
    pub(crate) fn of_cpus(cpus: f64) -> Self {
        const PERIOD: Duration = Duration::from_millis(20);
        const LONGEST: Duration = Duration::from_secs(1);
        const LEAST: Duration = Duration::from_millis(1);
        let period = PERIOD.max(LEAST.div_f64(cpus.max(0.001))).min(LONGEST);
        Self { quota: period.mul_f64(cpus).max(LEAST), period }
    }

    pub(crate) fn period(self) -> Duration {
        self.period
    }
}

impl Cgroup {
    /// Limits the CPU time of the group.
    pub(crate) fn limit_cpu(&self, Quota { quota, period }: Quota) -> Result<(), CgroupError> {
        let Some((version, directory)) = self.branch(Controller::Cpu) else {
            return Err(CgroupError::missing(vec![Controller::Cpu]));
        };
        let (quota, period) = (quota.as_micros(), period.as_micros());
        match version {
            Version::V1 => {
                write(&directory.join("cpu.cfs_period_us"), &period.to_string())?;
                write(&directory.join("cpu.cfs_quota_us"), &quota.to_string())
            }
            Version::V2 => write(&directory.join("cpu.max"), &format!("{quota} {period}")),
        }
    }

    /// Limits the memory of the group, without any swap.
    pub(crate) fn limit_memory(&self, bytes: u64) -> Result<(), CgroupError> {
        let Some((version, directory)) = self.branch(Controller::Memory) else {
            return Err(CgroupError::missing(vec![Controller::Memory]));
        };
        let bytes = bytes.to_string();
        // Memory and swap together in version 1, swap alone in version 2; neither where the kernel counts no swap.
        let (limit, swap, swap_limit) = match version {
            Version::V1 => ("memory.limit_in_bytes", "memory.memsw.limit_in_bytes", &*bytes),
            Version::V2 => ("memory.max", "memory.swap.max", "0"),
        };
        write(&directory.join(limit), &bytes)?;
        let swap = directory.join(swap);
        if swap.exists() { write(&swap, swap_limit) } else { Ok(()) }
    }

    /// Limits the processes and threads of the group together.
    pub(crate) fn limit_threads(&self, threads: u64) -> Result<(), CgroupError> {
        let Some((_, directory)) = self.branch(Controller::Pids) else {
            return Err(CgroupError::missing(vec![Controller::Pids]));
        };
        write(&directory.join("pids.max"), &threads.to_string())
    }

    /// How many processes the kernel has killed because the group's memory was used up.
    pub(crate) fn out_of_memory_kills(&self) -> u64 {
        let Some((version, directory)) = self.branch(Controller::Memory) else { return 0 };
        let file = match version {
            Version::V1 => "memory.oom_control",
            Version::V2 => "memory.events",
        };
        let events = fs::read_to_string(directory.join(file)).unwrap_or_default();
        let kills = events.lines().find_map(|line| line.strip_prefix("oom_kill ")?.trim().parse().ok());
        kills.unwrap_or(0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_quota_is_a_share_of_the_period() {
        let quota = |cpus| {
            let Quota { quota, period } = Quota::of_cpus(cpus);
            (quota.as_micros(), period.as_micros())
        };
        assert_eq!(quota(2.0), (40_000, 20_000));
        assert_eq!(quota(0.25), (5_000, 20_000));
        assert_eq!(quota(0.05), (1_000, 20_000));
        assert_eq!(quota(0.01), (1_000, 100_000));
        assert_eq!(quota(0.0001), (1_000, 1_000_000), "the least that the kernel takes");
    }
}
