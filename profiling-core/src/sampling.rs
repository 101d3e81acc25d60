//! How many executions of a case are measured: a number, or as many as it takes.

use std::io;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::sample::Column;
use crate::samples::CaseSamples;
use crate::statistics::{Interval, Percentile};

/// How many executions of a case are measured.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Samples {
    /// So many; 1 or more.
    Count(u32),
    /// As many as it takes to know a percentile well.
    Auto(Auto),
}

/// As many samples as it takes to know a percentile of the wall-clock time well.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Auto {
    /// The fewest samples; 1 or more. They are measured however long they take.
    pub min: u32,
    /// The most samples; no fewer than `min`.
    pub max: u32,
    /// How far the ends of the percentile's 95% interval may lie from its middle, as a share of the
    /// percentile: 0.02 for 2%.
    pub precision: f64,
    /// The percentile.
    pub percentile: Percentile,
    /// When not to go on, counted from the first sample.
    pub time: Duration,
}

/// Why there are no more samples, where their number was not given.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Sampling {
    /// What has ended it.
    pub stopped: Stopped,
    /// Of which percentile of the wall-clock time the precision is.
    pub percentile: Percentile,
    /// How far the ends of its 95% interval lie from the middle, as a share of the percentile; absent where
    /// there are too few samples for an interval.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub precision: Option<f64>,
}

/// What has ended the sampling.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Stopped {
    /// The percentile was known well enough.
    Precision,
    /// There were as many samples as were allowed.
    Max,
    /// There was no time for more.
    Time,
    /// The platform has no way to tell a worker when to stop: there are as many samples as `min`.
    Platform,
}

/// What to do next.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Next {
    /// Measure so many more; 1 or more.
    Take(u32),
    /// Stop.
    Stop(Sampling),
}

impl Auto {
    /// What `samples = auto` stands for.
    pub const DEFAULT: Self =
        Self { min: 10, max: 1000, precision: 0.02, percentile: Percentile::P50, time: Duration::from_secs(10) };

    /// What to do after these samples, which took `elapsed` altogether.
    ///
    /// The interval is looked at whenever there are half as many samples again, so a dozen times on the way
    /// from 10 to 1000: looking after each would find one that is narrow by chance sooner.
    ///
    /// # Errors
    ///
    /// Where the samples can't be read.
    pub fn next(&self, samples: &CaseSamples, elapsed: Duration) -> io::Result<Next> {
        let have = u32::try_from(samples.len()).unwrap_or(u32::MAX);
        if have < self.min {
            return Ok(Next::Take(self.min - have));
        }
        Ok(self.after(have, precision(self.percentile, samples)?, elapsed))
    }

    fn after(&self, have: u32, precision: Option<f64>, elapsed: Duration) -> Next {
        let stop = |stopped| Next::Stop(Sampling { stopped, percentile: self.percentile, precision });
        if precision.is_some_and(|precision| precision <= self.precision) {
            stop(Stopped::Precision)
        } else if have >= self.max {
            stop(Stopped::Max)
        } else if elapsed >= self.time {
            stop(Stopped::Time)
        } else {
            let growth = (have / 2).min(self.max - have);
            Next::Take(growth.min(fitting(self.time.saturating_sub(elapsed), elapsed, have)).max(1))
        }
    }

    /// What is known after samples that had to end for lack of a way to stop them.
    ///
    /// # Errors
    ///
    /// Where the samples can't be read.
    pub fn cut_short(&self, samples: &CaseSamples) -> io::Result<Sampling> {
        let precision = precision(self.percentile, samples)?;
        Ok(Sampling { stopped: Stopped::Platform, percentile: self.percentile, precision })
    }
}

/// How many more samples fit into the rest of the time, if they take as long as those before.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "positive; more than fits is the most")]
fn fitting(rest: Duration, elapsed: Duration, have: u32) -> u32 {
    let each = elapsed.as_secs_f64() / f64::from(have.max(1));
    (rest.as_secs_f64() / each) as u32
}

/// Half the width of the percentile's interval as a share of the percentile.
fn precision(percentile: Percentile, samples: &CaseSamples) -> io::Result<Option<f64>> {
    let Some(wall_ns) = samples.column::<u64>(Column::WallNs) else { return Ok(None) };
    let Some((Interval { low, high }, middle)) = percentile.with_interval(&wall_ns)? else { return Ok(None) };
    Ok(Some(if low == high { 0.0 } else { (high - low) as f64 / 2.0 / middle.max(1) as f64 }))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::sample::Sample;

    fn next(auto: Auto, wall_ns: &[u64], elapsed: Duration) -> Next {
        let samples: Vec<Sample> = wall_ns.iter().map(|&wall_ns| Sample { wall_ns, ..Sample::default() }).collect();
        auto.next(&samples.into(), elapsed).expect("they are in memory")
    }

    const SHORT: Duration = Duration::from_millis(1);

    fn stopped(next: Next) -> Option<Sampling> {
        match next {
            Next::Take(_) => None,
            Next::Stop(sampling) => Some(sampling),
        }
    }

    #[test]
    fn the_fewest_come_first_whatever_they_take() {
        let auto = Auto::DEFAULT;
        assert_eq!(next(auto, &[], Duration::ZERO), Next::Take(10));
        assert_eq!(next(auto, &[5; 7], Duration::from_secs(60)), Next::Take(3));
    }

    #[test]
    fn equal_samples_are_known_at_once() {
        let sampling = stopped(next(Auto::DEFAULT, &[5; 10], SHORT)).expect("it stops");
        assert_eq!((sampling.stopped, sampling.precision), (Stopped::Precision, Some(0.0)));
        assert_eq!(stopped(next(Auto::DEFAULT, &[0; 10], SHORT)).and_then(|sampling| sampling.precision), Some(0.0));
    }

    #[test]
    fn the_interval_decides() {
        // Of 10 samples, the interval of the median is the second to the ninth: 100 ± 3.5.
        let samples: Vec<u64> = (96..=105).collect();
        let with = |precision| stopped(next(Auto { precision, ..Auto::DEFAULT }, &samples, SHORT));
        assert_eq!(with(0.034), None);
        assert_eq!(with(0.036).map(|sampling| sampling.stopped), Some(Stopped::Precision));
        assert_eq!(with(0.036).and_then(|sampling| sampling.precision), Some(3.5 / 100.0));
    }

    #[test]
    fn every_limit_is_named() {
        let wide: Vec<u64> = (1..=1000).collect();
        let sampling = stopped(next(Auto::DEFAULT, &wide, SHORT)).expect("it stops");
        assert_eq!(sampling.stopped, Stopped::Max);
        assert!(sampling.precision.is_some_and(|precision| precision > 0.05));
        let late = stopped(next(Auto::DEFAULT, &wide[..20], Duration::from_secs(10))).expect("it stops");
        assert_eq!(late.stopped, Stopped::Time);
        let few = next(Auto { min: 3, max: 5, ..Auto::DEFAULT }, &wide[..5], SHORT);
        assert_eq!(stopped(few).map(|sampling| (sampling.stopped, sampling.precision)), Some((Stopped::Max, None)));
    }

    #[test]
    fn more_are_taken_by_halves_as_far_as_they_fit() {
        let wide: Vec<u64> = (1..=900).collect();
        assert_eq!(next(Auto::DEFAULT, &wide[..10], SHORT), Next::Take(5));
        assert_eq!(next(Auto::DEFAULT, &wide, SHORT), Next::Take(100));
        // 100 in 8 s leave time for 25.
        assert_eq!(next(Auto::DEFAULT, &wide[..100], Duration::from_secs(8)), Next::Take(25));
        assert_eq!(next(Auto::DEFAULT, &wide[..10], Duration::from_millis(9_999)), Next::Take(1));
    }

    #[test]
    fn another_percentile_needs_the_samples_that_support_it() {
        let auto = Auto { percentile: Percentile::P95, ..Auto::DEFAULT };
        assert_eq!(stopped(next(auto, &[7; 58], SHORT)), None);
        assert_eq!(stopped(next(auto, &[7; 59], SHORT)).map(|sampling| sampling.stopped), Some(Stopped::Precision));
    }

    proptest! {
        #[test]
        fn it_always_ends_within_its_limits(
            samples in prop::collection::vec(1..1_000_000_u64, 300),
            min in 1..20_u32,
            more in 0..200_u32,
            percent in 0..10_u32,
        ) {
            let auto = Auto { min, max: min + more, precision: f64::from(percent) / 100.0, ..Auto::DEFAULT };
            let mut have = 0;
            let sampling = loop {
                match next(auto, &samples[..have], SHORT) {
                    Next::Take(count) => have += count as usize,
                    Next::Stop(sampling) => break sampling,
                }
                prop_assert!(have <= auto.max as usize);
            };
            prop_assert!(have >= auto.min as usize);
            match sampling.stopped {
                Stopped::Precision => prop_assert!(sampling.precision.is_some_and(|found| found <= auto.precision)),
                Stopped::Max => prop_assert_eq!(have, auto.max as usize),
                other => prop_assert!(false, "{:?}", other),
            }
        }
    }
}
