//! CPU time that the machine was denied by its host, from `/proc/stat` (proc(5)); Linux only.

use std::fs;

/// The clock ticks of all CPUs so far.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Ticks {
    all: u64,
    stolen: u64,
}

/// Fewer ticks than this, in all CPUs together, are too few to tell a share from.
const LEAST: u64 = 50;

impl Ticks {
    /// `None` where the platform doesn't tell.
    pub(crate) fn now() -> Option<Self> {
        Self::parse(&fs::read_to_string("/proc/stat").ok()?)
    }

    fn parse(stat: &str) -> Option<Self> {
        // user, nice, system, idle, iowait, irq, softirq, steal; guest time is in user already.
        let fields = stat.lines().next()?.strip_prefix("cpu ")?.split_whitespace().take(8);
        let ticks = fields.map(|field| field.parse().ok()).collect::<Option<Vec<u64>>>()?;
        Some(Self { all: ticks.iter().sum(), stolen: *ticks.get(7)? })
    }

    /// The share of the CPU time since then that was stolen, in thousandths.
    pub(crate) fn stolen_permille_since(self, earlier: Self) -> Option<u64> {
        let all = self.all.checked_sub(earlier.all).filter(|&all| all >= LEAST)?;
        Some(self.stolen.saturating_sub(earlier.stolen) * 1000 / all)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parses_what_the_kernel_prints() {
        let before = Ticks::parse("cpu  100 0 50 800 0 0 0 10 7 0\ncpu0 1\n").expect("eight fields");
        let after = Ticks::parse("cpu  150 0 50 840 0 0 0 20 7 0\n").expect("eight fields");
        assert_eq!(before, Ticks { all: 960, stolen: 10 });
        assert_eq!(after.stolen_permille_since(before), Some(100));
        assert_eq!(before.stolen_permille_since(before), None, "too short to tell");
        assert_eq!(Ticks::parse("cpu 1 2\n"), None);
    }
}
