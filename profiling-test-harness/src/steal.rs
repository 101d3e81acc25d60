//! CPU time that the machine was denied by its host, from `/proc/stat` (proc(5)); Linux only.

use std::fs;
use std::time::{Duration, Instant};

/// What is shorter than this has too few ticks to tell a share from.
const SHORTEST: Duration = Duration::from_millis(250);
/// How old a reading may be that stands for now: less than a tick's share of what it is for.
const FRESH: Duration = Duration::from_millis(20);

/// Reads the clock ticks no more often than is needed: it takes the kernel some ten microseconds.
#[derive(Debug, Default)]
pub(crate) struct Steal {
    last: Option<(Instant, Ticks)>,
}

impl Steal {
    /// What [`permille_since`](Self::permille_since) is to count from.
    pub(crate) fn begin(&mut self) -> Option<(Instant, Ticks)> {
        if self.last.is_none_or(|(at, _)| at.elapsed() > FRESH) {
            self.last = Ticks::now().map(|ticks| (Instant::now(), ticks));
        }
        self.last
    }

    /// The share of the CPU time since then that the machine was denied, in thousandths; `None` where it
    /// is too short to tell.
    pub(crate) fn permille_since(&mut self, begin: Option<(Instant, Ticks)>) -> Option<u64> {
        let (_, earlier) = begin.filter(|(at, _)| at.elapsed() >= SHORTEST)?;
        let now = Ticks::now()?;
        self.last = Some((Instant::now(), now));
        now.stolen_permille_since(earlier)
    }
}

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
    fn now() -> Option<Self> {
        Self::parse(&fs::read_to_string("/proc/stat").ok()?)
    }

    fn parse(stat: &str) -> Option<Self> {
        // user, nice, system, idle, iowait, irq, softirq, steal; guest time is in user already.
        let fields = stat.lines().next()?.strip_prefix("cpu ")?.split_whitespace().take(8);
        let ticks = fields.map(|field| field.parse().ok()).collect::<Option<Vec<u64>>>()?;
        Some(Self { all: ticks.iter().sum(), stolen: *ticks.get(7)? })
    }

    /// The share of the CPU time since then that was stolen, in thousandths.
    fn stolen_permille_since(self, earlier: Self) -> Option<u64> {
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
