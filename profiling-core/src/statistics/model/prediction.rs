//! What a model says of levels that were not measured.

use thiserror::Error;

use super::{Curve, HeldOut, Model, Range};

/// A model says nothing of levels that are so many times beyond its range.
const FARTHEST: f64 = 10.0;

/// What a model says of a figure, in its unit.
#[derive(Debug, Clone, PartialEq)]
pub enum Prediction {
    /// Every level is within the range that was measured.
    InRange {
        /// The model's value: about the median.
        expected: f64,
        /// The model's [envelope](super::Envelope), which nothing that was measured exceeded.
        upper: f64,
    },
    /// A level is outside of the range.
    Extrapolated {
        /// The model's value.
        expected: f64,
        /// The envelope, widened by `error`.
        upper: f64,
        /// How many times beyond the range's end the level is that is farthest out.
        ratio: f64,
        /// By how much of the figure the model may be off: the error with which the levels below the top one
        /// predicted that, compounded for every time that `ratio` is as far.
        error: f64,
    },
    /// Nothing can be said.
    Refused(Refusal),
}

/// Why a model says nothing.
#[derive(Debug, Clone, PartialEq, Error)]
pub enum Refusal {
    /// There is no model.
    #[error("not identifiable: {0}")]
    NotIdentifiable(String),
    /// A level is missing.
    #[error("no level is given for the parameter `{0}`")]
    Missing(String),
    /// The model doesn't know a parameter, or knows it with another value.
    #[error("the model does not hold for this value of `{0}`: it was not measured")]
    Unknown(String),
    /// A level is too far out.
    #[error("{ratio:.1} times beyond the measured range, more than {FARTHEST}: measure larger levels")]
    TooFar {
        /// How many times beyond the range's end it is.
        ratio: f64,
    },
    /// It isn't known how good the model is beyond its range.
    #[error("beyond the measured range, and too few levels to tell the error there: measure more levels")]
    Unchecked,
}

impl Model {
    /// What the figure is at the given levels, each with its parameter's name.
    ///
    /// [In range](Prediction::InRange) is what lies between the smallest and the largest level of every
    /// parameter. Up to ten times beyond, the prediction is [extrapolated](Prediction::Extrapolated).
    #[must_use]
    pub fn predict(&self, levels: &[(&str, u64)]) -> Prediction {
        self.try_predict(levels).unwrap_or_else(Prediction::Refused)
    }

    fn try_predict(&self, levels: &[(&str, u64)]) -> Result<Prediction, Refusal> {
        let curve = self.growth.as_ref().map_err(|reason| Refusal::NotIdentifiable(reason.clone()))?;
        for (name, level) in levels {
            let is_param = self.params.iter().any(|range| range.name == *name);
            let is_fixed = self.fixed.get(*name).is_some_and(|value| value.as_u64() == Some(*level));
            if !is_param && !is_fixed {
                return Err(Refusal::Unknown((*name).to_owned()));
            }
        }
        let level_of = |range: &Range| levels.iter().find(|(name, _)| range.name == *name).map(|&(_, level)| level);
        let known = self.params.iter().map(|range| level_of(range).ok_or_else(|| Refusal::Missing(range.name.clone())));
        let at: Vec<u64> = known.collect::<Result<_, _>>()?;
        let ratio = self.params.iter().zip(&at).map(|(range, &level)| range.beyond(level)).fold(1.0, f64::max);
        curve.predict(&at, ratio)
    }
}

impl Range {
    /// How many times beyond its ends a level is; 1 within them.
    fn beyond(&self, level: u64) -> f64 {
        if level > self.high {
            level as f64 / self.high as f64
        } else if level < self.low {
            self.low as f64 / level as f64
        } else {
            1.0
        }
    }
}

impl Curve {
    fn predict(&self, at: &[u64], ratio: f64) -> Result<Prediction, Refusal> {
        let expected = self.at(at);
        let upper = self.envelope.above(expected);
        if ratio <= 1.0 {
            return Ok(Prediction::InRange { expected, upper });
        }
        if ratio > FARTHEST {
            return Err(Refusal::TooFar { ratio });
        }
        let error = self.held_out.ok_or(Refusal::Unchecked)?.compounded(ratio);
        Ok(Prediction::Extrapolated { expected, upper: upper * (1.0 + error), ratio, error })
    }
}

impl HeldOut {
    /// The error that far out.
    fn compounded(&self, ratio: f64) -> f64 {
        let times = (ratio.ln() / self.ratio.ln()).max(1.0);
        (1.0 + self.error).powf(times) - 1.0
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Level, Metric};
    use super::*;

    fn model(levels: &[u64], figure: fn(f64) -> f64) -> Model {
        let level = |&n: &u64| Level { at: vec![n], figures: vec![figure(n as f64); 3] };
        Model::fit(Metric::WallNs, &["n"], &levels.iter().map(level).collect::<Vec<_>>())
    }

    #[test]
    fn within_beyond_and_too_far() {
        let model = model(&[10, 20, 40, 80, 160], |n| 1_000.0 + 7.0 * n * n);
        match model.predict(&[("n", 100)]) {
            Prediction::InRange { expected, upper } => {
                assert!((expected - 71_000.0).abs() < 1.0);
                assert!((expected..expected * 1.01).contains(&upper));
            }
            other => panic!("{other:?}"),
        }
        match model.predict(&[("n", 640)]) {
            Prediction::Extrapolated { expected, upper, ratio, error } => {
                assert!((expected / (1_000.0 + 7.0 * 640.0 * 640.0) - 1.0).abs() < 1e-6);
                assert!(upper >= expected && (ratio - 4.0).abs() < 1e-9 && error < 1e-6);
            }
            other => panic!("{other:?}"),
        }
        assert_eq!(model.predict(&[("n", 1601)]), Prediction::Refused(Refusal::TooFar { ratio: 1601.0 / 160.0 }));
        assert!(matches!(model.predict(&[("n", 5)]), Prediction::Extrapolated { .. }));
        assert!(matches!(model.predict(&[("n", 0)]), Prediction::Refused(Refusal::TooFar { .. })));
    }

    #[test]
    fn refuses_what_it_does_not_know() {
        let model = model(&[10, 20, 40, 80, 160], |n| 5.0 * n);
        assert_eq!(model.predict(&[]), Prediction::Refused(Refusal::Missing("n".to_owned())));
        assert_eq!(model.predict(&[("n", 1), ("m", 1)]), Prediction::Refused(Refusal::Unknown("m".to_owned())));
        let unknown = Model { growth: Err("why".to_owned()), ..model };
        assert_eq!(unknown.predict(&[("n", 20)]), Prediction::Refused(Refusal::NotIdentifiable("why".to_owned())));
    }

    #[test]
    fn an_error_compounds_with_the_distance() {
        let held_out = HeldOut { ratio: 2.0, error: 0.1 };
        assert!((held_out.compounded(1.5) - 0.1).abs() < 1e-12, "never less than was seen");
        assert!((held_out.compounded(4.0) - 0.21).abs() < 1e-12);
    }
}
