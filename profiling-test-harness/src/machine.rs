//! Who has used the machine's CPUs: its host, which gave them to others, and other programs; from
//! `/proc/stat` (proc(5)), Linux only.

use std::fs;
use std::time::{Duration, Instant};

use profiling_core::measure::cpu::Usage;
use profiling_core::profile::MachineShare;

/// What is shorter than this has too few ticks to tell a share from.
const SHORTEST: Duration = Duration::from_millis(250);
/// How old a reading may be that stands for now: little beside the shortest.
const FRESH: Duration = Duration::from_millis(20);

/// Linux prints times in these units everywhere (`USER_HZ`).
const TICKS_PER_SECOND: f64 = 100.0;

/// Reads the clock ticks no more often than is needed: it takes the kernel some ten microseconds.
#[derive(Debug, Default)]
pub(crate) struct Machine {
    last: Option<Reading>,
}

/// What was used up to a moment.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Reading {
    at: Instant,
    ticks: Ticks,
    /// CPU time of this process, and of all that it has started and waited for.
    own: Duration,
}

impl Machine {
    /// What [`share_since`](Self::share_since) is to count from.
    pub(crate) fn begin(&mut self) -> Option<Reading> {
        if self.last.is_none_or(|last| last.at.elapsed() > FRESH) {
            self.last = Reading::now();
        }
        self.last
    }

    /// The shares of the CPU time since then; `None` where it is too short to tell.
    pub(crate) fn share_since(&mut self, begin: Option<Reading>) -> Option<MachineShare> {
        let begin = begin.filter(|begin| begin.at.elapsed() >= SHORTEST)?;
        self.last = Reading::now();
        let now = self.last?;
        now.ticks.shares_since(begin.ticks, now.own.saturating_sub(begin.own))
    }
}

impl Reading {
    /// `None` where the platform doesn't tell.
    fn now() -> Option<Self> {
        let ticks = Ticks::parse(&fs::read_to_string("/proc/stat").ok()?)?;
        let used = [Usage::now()?, Usage::of_children()?].map(|usage| usage.user_ns + usage.system_ns);
        Some(Self { at: Instant::now(), ticks, own: Duration::from_nanos(used.iter().sum()) })
    }
}

/// The clock ticks of all CPUs so far.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Ticks {
    all: u64,
    idle: u64,
    stolen: u64,
}

impl Ticks {
    fn parse(stat: &str) -> Option<Self> {
        // user, nice, system, idle, iowait, irq, softirq, steal; guest time is in user already.
        let fields = stat.lines().next()?.strip_prefix("cpu ")?.split_whitespace().take(8);
        let ticks = fields.map(|field| field.parse().ok()).collect::<Option<Vec<u64>>>()?;
        Some(Self { all: ticks.iter().sum(), idle: ticks.get(3)? + ticks.get(4)?, stolen: *ticks.get(7)? })
    }

    /// The shares of the CPU time of all CPUs since then, in thousandths, of which we have used `own`.
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a share, cut to 0 to 1000")]
    fn shares_since(self, earlier: Self, own: Duration) -> Option<MachineShare> {
        let all = self.all.checked_sub(earlier.all).filter(|&all| all > 0)?;
        let permille = |ticks: u64, before: u64| ticks.saturating_sub(before) * 1000 / all;
        let (stolen_permille, idle_permille) =
            (permille(self.stolen, earlier.stolen), permille(self.idle, earlier.idle));
        let own_permille = 1000.0 * own.as_secs_f64() * TICKS_PER_SECOND / all as f64;
        let others = 1000.0 - own_permille - (stolen_permille + idle_permille) as f64;
        Some(MachineShare { stolen_permille, idle_permille, others_permille: others.clamp(0.0, 1000.0) as u64 })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_add_up() {
        let before = Ticks::parse("cpu  100 0 50 800 0 0 0 10 7 0\ncpu0 1\n").expect("eight fields");
        let after = Ticks::parse("cpu  150 0 50 830 10 0 0 20 7 0\n").expect("eight fields");
        assert_eq!(before, Ticks { all: 960, idle: 800, stolen: 10 });
        let share = after.shares_since(before, Duration::ZERO).expect("it was long enough");
        let MachineShare { stolen_permille, idle_permille, others_permille } = share;
        assert_eq!((stolen_permille, idle_permille, others_permille), (100, 400, 500));
        let busy = after.shares_since(before, Duration::from_secs(1000));
        assert_eq!(busy.map(|share| share.others_permille), Some(0), "ticks and clocks don't agree to the last");
        assert_eq!(before.shares_since(before, Duration::ZERO), None);
        assert_eq!(Ticks::parse("cpu 1 2\n"), None);
    }
}
