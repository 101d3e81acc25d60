//! A model as it stands in JSON.

use serde::{Deserialize, Serialize};

use super::term::Term;
use super::{Curve, Envelope, FittedTerm, HeldOut, Metric, Model, NOT_IDENTIFIABLE, Range};
use crate::profile::Params;

#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Record {
    metric: Metric,
    #[serde(default, skip_serializing_if = "Params::is_empty")]
    fixed: Params,
    params: Vec<Range>,
    shape: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
    terms: Vec<TermRecord>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    r_squared: Option<f64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    max_relative_residual: Option<f64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    envelope: Option<Envelope>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    held_out: Option<HeldOut>,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
struct TermRecord {
    term: String,
    coefficient: f64,
    low: f64,
    high: f64,
}

impl From<Model> for Record {
    fn from(model: Model) -> Self {
        let shape = model.shape();
        let Model { metric, fixed, params, growth } = model;
        let (curve, reason) = match growth {
            Ok(curve) => (Some(curve), None),
            Err(reason) => (None, Some(reason)),
        };
        let terms = curve.iter().flat_map(|curve| &curve.terms).map(|fitted| TermRecord {
            term: fitted.name.clone(),
            coefficient: fitted.coefficient,
            low: fitted.low,
            high: fitted.high,
        });
        Self {
            metric,
            fixed,
            params,
            shape,
            reason,
            terms: terms.collect(),
            r_squared: curve.as_ref().map(|curve| curve.r_squared),
            max_relative_residual: curve.as_ref().map(|curve| curve.max_relative_residual),
            envelope: curve.as_ref().map(|curve| curve.envelope),
            held_out: curve.and_then(|curve| curve.held_out),
        }
    }
}

impl TryFrom<Record> for Model {
    type Error = String;

    fn try_from(record: Record) -> Result<Self, String> {
        let Record { metric, fixed, params, shape, reason, .. } = record;
        let mut model = Self { metric, fixed, params, growth: Err(reason.unwrap_or_default()) };
        if shape == NOT_IDENTIFIABLE {
            return Ok(model);
        }
        let names = model.names();
        let terms = record.terms.into_iter().map(|term| term.parse(&names)).collect::<Result<Vec<_>, _>>()?;
        let needed = "a model that was identified has `terms`, `r_squared`, `max_relative_residual` and `envelope`";
        let (Some(r_squared), Some(max_relative_residual), Some(envelope), false) =
            (record.r_squared, record.max_relative_residual, record.envelope, terms.is_empty())
        else {
            return Err(needed.to_owned());
        };
        model.growth = Ok(Curve { terms, r_squared, max_relative_residual, envelope, held_out: record.held_out });
        if model.shape() == shape { Ok(model) } else { Err(format!("`{shape}` is not the shape of the model's terms")) }
    }
}

impl TermRecord {
    fn parse(self, names: &[&str]) -> Result<FittedTerm, String> {
        let Self { term: name, coefficient, low, high } = self;
        let term =
            Term::named(&name, names).ok_or_else(|| format!("`{name}` is no term of {}", names.join(" and ")))?;
        Ok(FittedTerm { term, name, coefficient, low, high })
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::Level;
    use super::*;

    #[test]
    fn reads_what_it_writes() {
        let level = |a: u64, b: u64| Level { at: vec![a, b], figures: vec![1_000.0 + 5.0 * (a * b) as f64] };
        let levels: Vec<Level> = [1, 10, 50, 100].iter().flat_map(|&a| [1, 10, 50, 100].map(|b| level(a, b))).collect();
        let model = Model::fit(Metric::CpuNs, &["rows", "width"], &levels);
        let json = serde_json::to_value(&model).expect("serialises");
        assert_eq!(json["shape"], "rows width");
        assert_eq!(json["metric"], "cpu_ns");
        assert_eq!(json["terms"][0]["term"], "1");
        assert_eq!(json["params"][1], json!({"name": "width", "low": 1, "high": 100}));
        assert_eq!(serde_json::from_value::<Model>(json).expect("reads"), model);
    }

    #[test]
    fn says_why_there_is_none() {
        let model = Model::fit(Metric::WallNs, &["n"], &[Level { at: vec![3], figures: vec![1.0] }]);
        let json = serde_json::to_value(&model).expect("serialises");
        assert_eq!(json["shape"], "not identifiable");
        assert!(json["reason"].as_str().expect("a string").starts_with("1 levels are too few"), "{json}");
        assert_eq!((&json["terms"], json.get("envelope")), (&json!([]), None));
        assert_eq!(serde_json::from_value::<Model>(json).expect("reads"), model);
    }

    #[test]
    fn refuses_what_is_no_model() {
        let model = |shape: &str, term: &str| {
            json!({
                "metric": "wall_ns", "params": [{"name": "n", "low": 1, "high": 2}], "shape": shape,
                "terms": [{"term": term, "coefficient": 1.0, "low": 1.0, "high": 1.0}], "r_squared": 1.0,
                "max_relative_residual": 0.0, "envelope": {"factor": 1.0, "offset": 0.0}
            })
        };
        let read = |json| serde_json::from_value::<Model>(json);
        assert!(read(model("n", "n")).is_ok());
        for (json, says) in [
            (model("n^2", "n"), "`n^2` is not the shape"),
            (model("m", "m"), "`m` is no term of n"),
            (json!({"metric": "wall_ns", "params": [], "shape": "n", "terms": []}), "has `terms`"),
        ] {
            let error = read(json).expect_err("no model").to_string();
            assert!(error.contains(says), "{error}");
        }
    }
}
