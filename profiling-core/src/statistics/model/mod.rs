//! How a job's cost grows with its parameters.
//!
//! A [`Model`] is a sum of a constant and a term such as `n log n`, with coefficients that are zero or
//! more, and an [`Envelope`] that no figure of the measured range exceeds. Where the figures don't say
//! which term it is, there is a reason instead. `docs/models.md` explains the method.

mod candidate;
mod choice;
mod envelope;
mod extrapolation;
mod grouping;
mod least_squares;
mod observations;
mod prediction;
mod ratios;
mod record;
mod source;
mod term;
#[cfg(test)]
mod trials;

use serde::{Deserialize, Serialize};
use thiserror::Error;

use self::candidate::Candidate;
pub use self::envelope::Envelope;
pub use self::extrapolation::HeldOut;
pub use self::grouping::models;
use self::observations::{Centred, Observations};
pub use self::prediction::{Prediction, Refusal};
use self::record::Record;
pub use self::source::rust_source;
use self::term::Term;
use super::growth::student_t;
use crate::profile::Params;

/// The figures that models are made of, by their names in [`Sample`](crate::sample::Sample).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Metric {
    /// Wall-clock time.
    WallNs,
    /// CPU time of all threads.
    CpuNs,
    /// Heap memory requested.
    AllocatedBytes,
    /// The most heap memory that was live.
    PeakHeapBytes,
    /// The most memory that was resident.
    PeakRssBytes,
}

/// The figures of all samples at one combination of levels.
#[derive(Debug, Clone, PartialEq)]
pub struct Level {
    /// Each parameter's value.
    pub at: Vec<u64>,
    /// One figure per sample: at least one, none negative.
    pub figures: Vec<f64>,
}

/// How one figure of a job grows with the job's parameters.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "Record", into = "Record")]
pub struct Model {
    /// The figure.
    pub metric: Metric,
    /// The other parameters, which have the same value at all levels: strings, and numbers that never vary.
    pub fixed: Params,
    /// What the figure grows with, and where that was measured.
    pub params: Vec<Range>,
    /// The growth, or the reason why it can't be said, with what to do.
    pub growth: Result<Curve, String>,
}

/// The levels of a parameter.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Range {
    /// The parameter's name.
    pub name: String,
    /// The smallest level.
    pub low: u64,
    /// The largest level.
    pub high: u64,
}

/// A growth that was identified.
#[derive(Debug, Clone, PartialEq)]
pub struct Curve {
    /// What its value is the sum of.
    pub terms: Vec<FittedTerm>,
    /// The share of the variance of the figures' logarithms between levels that it explains. 0 for a
    /// constant, which explains none, 1 where there is nothing to explain.
    pub r_squared: f64,
    /// By how much of the figure it is off at the level where that is the most.
    pub max_relative_residual: f64,
    /// What no figure of the range exceeds.
    pub envelope: Envelope,
    /// How far off it was beyond its range, when the top level was left out. Absent where too few are left.
    pub held_out: Option<HeldOut>,
}

/// A term with its coefficient, in the metric's unit.
#[derive(Debug, Clone, PartialEq)]
pub struct FittedTerm {
    term: Term,
    /// `1`, `n log n`, `a b`; the logarithm is that to base 2.
    pub name: String,
    /// What the term is multiplied by; 0 or more.
    pub coefficient: f64,
    /// The lower end of the coefficient's 95% interval, 0 or more.
    pub low: f64,
    /// The upper end of it.
    pub high: f64,
}

/// Why a growth can't be said.
#[derive(Debug, Clone, PartialEq, Error)]
enum Unidentifiable {
    #[error("a level has no figures, or a negative one")]
    NoFigures,
    #[error("{levels} levels are too few to tell growth from noise: measure 8 or more")]
    TooFewLevels { levels: usize },
    #[error("{count} parameters vary: models have one or two. Hold the others at one value")]
    TooManyParameters { count: usize },
    #[error("a parameter is below zero, or not a whole number that fits 64 bits, at some levels")]
    NotANumber,
    #[error(
        "every shape is off by a factor of {:.1} or more: there may be several regimes, or the cost falls with a \
         parameter, or the machine was busy. Measure narrower ranges as jobs of their own, or again on a quiet machine",
        off.exp()
    )]
    NothingFits { off: f64 },
    #[error(
        "it is the same up to about {level} and grows above: measure the levels below and those above as jobs of \
         their own"
    )]
    Threshold { level: u64 },
    #[error(
        "`{first}` and `{second}` describe the figures equally well: measure levels over a wider range, more of them, \
         or more samples"
    )]
    EquallyGood { first: String, second: String },
}

impl Model {
    /// Fits every shape and chooses one, or says why none can be chosen.
    ///
    /// `params` are the names of the parameters, one or two, in the order of [`Level::at`].
    ///
    /// ```
    /// use profiling_core::statistics::{Level, Metric, Model, Prediction};
    ///
    /// let level = |x: u64| Level { at: vec![x], figures: vec![1000.0 + 3.0 * (x * x) as f64; 3] };
    /// let levels: Vec<Level> = [1, 5, 10, 25, 50, 75, 100].map(level).to_vec();
    /// let model = Model::fit(Metric::WallNs, &["x"], &levels);
    /// assert_eq!(model.shape(), "n^2");
    /// match model.predict(&[("x", 200)]) {
    ///     Prediction::Extrapolated { expected, ratio, .. } => {
    ///         assert!((expected - 121_000.0).abs() < 1.0);
    ///         assert_eq!(ratio, 2.0);
    ///     }
    ///     other => panic!("{other:?}"),
    /// }
    /// ```
    #[must_use]
    pub fn fit(metric: Metric, params: &[&str], levels: &[Level]) -> Self {
        let at: Vec<&[u64]> = levels.iter().map(|level| &*level.at).collect();
        Self::seen(metric, params, &at, || Observations::new(levels))
    }

    /// The same of what is known of the figures at each level.
    fn fit_centred(metric: Metric, params: &[&str], levels: &[Centred]) -> Self {
        let at: Vec<&[u64]> = levels.iter().map(|level| &*level.at).collect();
        Self::seen(metric, params, &at, || Observations::of(levels))
    }

    fn seen(
        metric: Metric,
        params: &[&str],
        levels: &[&[u64]],
        observe: impl FnOnce() -> Result<Observations, Unidentifiable>,
    ) -> Self {
        let growth = Curve::fit(params, levels, observe).map_err(|reason| reason.to_string());
        let ranges = ranges(levels).into_iter().zip(params);
        let params = ranges.map(|((low, high), name)| Range { name: (*name).to_owned(), low, high }).collect();
        Self { metric, fixed: Params::new(), params, growth }
    }

    /// `1`, `log n`, `n`, `n log n`, `n^2` or `n^3`, whatever the name of the one parameter that varies; with
    /// two, their names, as in `a b` or `a + b`; `not identifiable` where it can't be said. It is the term that
    /// grows fastest; of two parameters, those of which none outgrows the other.
    #[must_use]
    pub fn shape(&self) -> String {
        match &self.growth {
            Ok(curve) => {
                shape(&curve.terms.iter().map(|fitted| fitted.term.clone()).collect::<Vec<_>>(), &self.names())
            }
            Err(_) => NOT_IDENTIFIABLE.to_owned(),
        }
    }

    /// How the terms' names call the parameters.
    fn names(&self) -> Vec<&str> {
        written_names(&self.params.iter().map(|range| range.name.as_str()).collect::<Vec<_>>())
    }
}

const NOT_IDENTIFIABLE: &str = "not identifiable";

/// A single parameter is always `n` in a term, as one writes `n log n`.
fn written_names<'a>(params: &[&'a str]) -> Vec<&'a str> {
    if params.len() == 1 { vec!["n"] } else { params.to_vec() }
}

/// The names of the leading terms.
fn shape(terms: &[Term], names: &[&str]) -> String {
    let leading: Vec<String> = candidate::leading(terms).into_iter().map(|term| term.name(names)).collect();
    leading.join(" + ")
}

fn ranges(levels: &[&[u64]]) -> Vec<(u64, u64)> {
    let parameters = levels.iter().map(|level| level.len()).min().unwrap_or(0);
    let range = |position: usize| {
        let values = levels.iter().map(|level| level[position]);
        values.fold((u64::MAX, 0), |(low, high), value| (low.min(value), high.max(value)))
    };
    (0..parameters).map(range).collect()
}

impl Curve {
    fn fit(
        params: &[&str],
        levels: &[&[u64]],
        observe: impl FnOnce() -> Result<Observations, Unidentifiable>,
    ) -> Result<Self, Unidentifiable> {
        if params.is_empty() || params.len() > 2 || levels.iter().any(|level| level.len() != params.len()) {
            return Err(Unidentifiable::TooManyParameters { count: params.len() });
        }
        let seen = observe()?;
        let names = written_names(params);
        let chosen = choice::choose(&seen, &names)?;
        Ok(Self {
            terms: FittedTerm::of(&chosen, &names),
            r_squared: chosen.r_squared(),
            max_relative_residual: chosen.max_relative_residual(),
            envelope: Envelope::of(&chosen),
            held_out: HeldOut::measure(&chosen.terms, &seen),
        })
    }

    /// Its value at levels, one per parameter.
    fn at(&self, levels: &[u64]) -> f64 {
        self.terms.iter().map(|fitted| fitted.coefficient * fitted.term.at(levels)).sum()
    }
}

impl FittedTerm {
    /// Student's interval, from what the fit leaves between levels.
    fn of(chosen: &Candidate<'_>, names: &[&str]) -> Vec<Self> {
        let (_, degrees) = chosen.variance();
        let variances = chosen.variances();
        let coefficients = chosen.terms.iter().zip(chosen.coefficients().iter().copied()).enumerate();
        coefficients
            .map(|(at, (term, coefficient))| {
                let half = variances.as_ref().map_or(0.0, |variances| student_t(degrees) * variances[at].sqrt());
                Self {
                    term: term.clone(),
                    name: term.name(names),
                    coefficient,
                    low: (coefficient - half).max(0.0),
                    high: coefficient + half,
                }
            })
            .collect()
    }
}
