//! What is to be done: how a case is to be run, and what each of its workers does.

use std::time::Duration;

use profiling_core::job::{Case, Isolation, ParamValue};
use profiling_core::profile::Params;
use profiling_core::sampling::{Auto, Samples};

use crate::channel::Upper;

/// How a case is to be run.
#[derive(Debug, Clone, Copy)]
pub(crate) struct CasePlan {
    pub case: Case,
    pub warmup: u32,
    pub samples: Samples,
    pub timeout: Duration,
    /// Fresh workers whose start is measured.
    pub cold_samples: u32,
    pub isolation: Isolation,
    /// The case was measured before, and only its times are asked for again.
    pub again: bool,
}

/// What one worker is to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Round {
    /// The number of its first execution.
    pub first: u64,
    pub warmup: u32,
    pub samples: u32,
    /// The number of its first sample.
    pub first_sample: u64,
    /// It is told when there are enough samples; `samples` is the most.
    pub by_turns: bool,
    /// It is started for its start alone.
    pub cold: bool,
}

impl CasePlan {
    /// How many executions there are at most in all workers that measure samples.
    pub(crate) fn executions(&self) -> u64 {
        let (warmup, samples) = (u64::from(self.warmup), u64::from(self.most_samples()));
        match self.isolation {
            Isolation::Case => warmup + samples,
            Isolation::Sample => (warmup + 1) * samples,
        }
    }

    pub(crate) fn most_samples(&self) -> u32 {
        match self.samples {
            Samples::Count(count) => count,
            Samples::Auto(auto) if Upper::HOLDS || self.isolation == Isolation::Sample => auto.max,
            Samples::Auto(auto) => auto.min,
        }
    }

    /// How sampling ends, where that isn't known before.
    pub(crate) fn auto(&self) -> Option<Auto> {
        match self.samples {
            Samples::Count(_) => None,
            Samples::Auto(auto) => Some(auto),
        }
    }

    pub(crate) fn first_round(&self) -> Round {
        let samples = if self.isolation == Isolation::Case { self.most_samples() } else { 1 };
        let by_turns = Upper::HOLDS && self.isolation == Isolation::Case && self.auto().is_some();
        Round { first: 0, warmup: self.warmup, samples, first_sample: 0, by_turns, cold: false }
    }

    /// What the workers do, one after the other, where the number of samples is given.
    pub(crate) fn rounds(self) -> impl Iterator<Item = Round> {
        (0..).map_while(move |number| self.round(number, true))
    }

    /// What the worker of this number does; one that measures samples only while these are `wanted`. `None`
    /// where the case needs no more.
    pub(crate) fn round(&self, number: u32, wanted: bool) -> Option<Round> {
        let first = self.first_round();
        let workers = self.most_samples() / first.samples;
        if wanted && number < workers {
            let each = u64::from(first.warmup) + u64::from(first.samples);
            let number = u64::from(number);
            return Some(Round { first: number * each, first_sample: number, ..first });
        }
        let cold = Round { warmup: 0, samples: 1, by_turns: false, cold: true, ..first };
        (number < self.cold_samples).then_some(cold)
    }
}

/// A case's parameters, as they stand in profiles.
pub(crate) fn params(case: Case) -> Params {
    case.params().map(|(name, value)| (name.to_owned(), json(value))).collect()
}

fn json(value: ParamValue) -> serde_json::Value {
    match value {
        ParamValue::Text(text) => text.into(),
        ParamValue::Integer(integer) => match (u64::try_from(integer), i64::try_from(integer)) {
            (Ok(integer), _) => integer.into(),
            (_, Ok(integer)) => integer.into(),
            // The macro refuses larger ones.
            _ => integer.to_string().into(),
        },
    }
}
