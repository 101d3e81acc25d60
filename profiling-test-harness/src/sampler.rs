//! Lets sampling go on until a case is known well enough.

use std::io;
use std::time::Instant;

use profiling_core::samples::CaseSamples;
use profiling_core::sampling::{Auto, Next, Sampling};

/// Looks at the samples of a case whenever there are enough to look again.
#[derive(Debug)]
pub(crate) struct Sampler {
    auto: Auto,
    begin: Instant,
    /// When to look next.
    look_at: usize,
    ended: Option<Sampling>,
}

impl Sampler {
    /// Begins now, after the warm-ups.
    pub(crate) fn new(auto: Auto) -> Self {
        Self { auto, begin: Instant::now(), look_at: 0, ended: None }
    }

    /// How many more samples to measure before looking again; `None` where there are enough.
    pub(crate) fn wants(&mut self, samples: &CaseSamples) -> io::Result<Option<usize>> {
        if self.ended.is_some() {
            return Ok(None);
        }
        if samples.len() >= self.look_at {
            match self.auto.next(samples, self.begin.elapsed())? {
                Next::Take(more) => self.look_at = samples.len() + more as usize,
                Next::Stop(sampling) => {
                    self.ended = Some(sampling);
                    return Ok(None);
                }
            }
        }
        Ok(Some(self.look_at - samples.len()))
    }

    /// Why there are no more samples.
    pub(crate) fn ended(&self) -> Option<Sampling> {
        self.ended
    }
}

#[cfg(test)]
mod tests {
    use profiling_core::sample::Sample;
    use profiling_core::sampling::Stopped;

    use super::*;

    fn wants(sampler: &mut Sampler, wall_ns: impl IntoIterator<Item = u64>) -> Option<usize> {
        let taken: Vec<Sample> = wall_ns.into_iter().map(|wall_ns| Sample { wall_ns, ..Sample::default() }).collect();
        sampler.wants(&taken.into()).expect("they are in memory")
    }

    #[test]
    fn it_is_asked_at_any_time_and_looks_when_it_said() {
        let mut sampler = Sampler::new(Auto::DEFAULT);
        assert_eq!(wants(&mut sampler, []), Some(10));
        assert_eq!(wants(&mut sampler, [5; 9]), Some(1));
        assert_eq!(wants(&mut sampler, 1..=10), Some(5));
        assert_eq!(wants(&mut sampler, [5; 14]), Some(1), "it looks again at 15");
        assert_eq!(wants(&mut sampler, [5; 15]), None);
        assert_eq!(sampler.ended().map(|ended| ended.stopped), Some(Stopped::Precision));
        assert_eq!(wants(&mut sampler, 1..=100), None, "what has ended has ended");
    }
}
