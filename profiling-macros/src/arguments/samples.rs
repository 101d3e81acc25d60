//! `samples = auto(min = 10, max = 1000, precision = 2%, percentile = p50, time = "10s")`: as many samples
//! as it takes.

use std::time::Duration;

use proc_macro2::{Ident, Span};
use syn::parse::ParseStream;
use syn::{Error, Lit, LitInt, LitStr, Result, Token};

use super::{each_item, is_next_equals, quantity};
use crate::errors::{Errors, closest, list};

/// How many executions are measured.
pub(crate) enum Samples {
    Count(u32),
    Auto(Auto),
}

/// What `auto` is given.
pub(crate) struct Auto {
    pub(crate) min: u32,
    pub(crate) max: u32,
    /// A share: 0.02 for `2%`.
    pub(crate) precision: f64,
    /// The variant of core's `Percentile`.
    pub(crate) percentile: &'static str,
    pub(crate) time: Duration,
}

impl Default for Auto {
    fn default() -> Self {
        Self { min: 10, max: 1000, precision: 0.02, percentile: "P50", time: Duration::from_secs(10) }
    }
}

#[derive(Clone, Copy)]
enum Argument {
    Min,
    Max,
    Precision,
    Percentile,
    Time,
}

/// Every argument of `auto`: its name, and how it is written.
const ARGUMENTS: [(Argument, &str, &str); 5] = [
    (Argument::Min, "min", "min = 10"),
    (Argument::Max, "max", "max = 1000"),
    (Argument::Precision, "precision", "precision = 2%"),
    (Argument::Percentile, "percentile", "percentile = p95"),
    (Argument::Time, "time", "time = \"10s\""),
];

/// Every percentile, the variant of core's `Percentile`, and the fewest samples that support it.
const PERCENTILES: [(&str, &str, u32); 5] =
    [("p50", "P50", 6), ("p90", "P90", 29), ("p95", "P95", 59), ("p99", "P99", 299), ("p999", "P999", 2995)];

/// Reads what stands in the parentheses after `auto`.
pub(super) fn parse(content: ParseStream<'_>, span: Span, errors: &mut Errors) -> Auto {
    let mut auto = Auto::default();
    let mut seen: Vec<Ident> = Vec::new();
    each_item(content, errors, |input, errors| {
        let (name, argument, usage) = name(input)?;
        if seen.contains(&name) {
            errors.at(name.span(), format!("`{name}` is given twice: keep one"));
        }
        let value = Value { input, usage, span: equals(input, &name, usage)? };
        seen.push(name);
        match argument {
            Argument::Min => auto.min = value.number()?,
            Argument::Max => auto.max = value.number()?,
            Argument::Precision => auto.precision = value.percent()?,
            Argument::Percentile => auto.percentile = value.percentile()?,
            Argument::Time => auto.time = value.time()?,
        }
        Ok(())
    });
    auto.check(span, errors);
    auto
}

impl Auto {
    fn check(&self, span: Span, errors: &mut Errors) {
        if self.min > self.max {
            errors.at(span, format!("`min` is {} and `max` is {}: `max` is no less than `min`", self.min, self.max));
        }
        let needed = PERCENTILES.iter().find(|(_, variant, fewest)| *variant == self.percentile && *fewest > self.max);
        if let Some((name, _, fewest)) = needed {
            let message = format!("`max` is {}, and no fewer than {fewest} samples say how sure `{name}` is", self.max);
            errors.at(span, message);
        }
    }
}

fn name(input: ParseStream<'_>) -> Result<(Ident, Argument, &'static str)> {
    let names = || ARGUMENTS.iter().map(|(_, name, _)| *name);
    let span = input.span();
    let name: Ident =
        input.parse().map_err(|_| Error::new(span, "`auto` has names with their values, such as `max = 1000`"))?;
    let word = name.to_string();
    if let Some((argument, _, usage)) = ARGUMENTS.iter().find(|(_, known, _)| *known == word) {
        return Ok((name, *argument, usage));
    }
    let guess = closest(&word, names()).map(|close| format!("; did you mean `{close}`?")).unwrap_or_default();
    Err(Error::new(name.span(), format!("`auto` has no `{word}`{guess}\nit has {}", list(names()))))
}

/// Reads `=`; the span is that of the value after it, or of the name where nothing comes.
fn equals(input: ParseStream<'_>, name: &Ident, usage: &str) -> Result<Span> {
    if !is_next_equals(input) {
        return Err(Error::new(name.span(), format!("`{name}` takes a value after `=`: write `{usage}`")));
    }
    input.parse::<Token![=]>()?;
    Ok(if input.is_empty() { name.span() } else { input.span() })
}

/// What follows a name, not read yet.
struct Value<'a> {
    input: ParseStream<'a>,
    usage: &'static str,
    span: Span,
}

impl Value<'_> {
    fn mistake(&self, reason: &str) -> Error {
        Error::new(self.span, format!("{reason}: write `{}`", self.usage))
    }

    fn number(&self) -> Result<u32> {
        let mistake = || self.mistake("expected a whole number from 1 to 4294967295");
        let literal: LitInt = self.input.parse().map_err(|_| mistake())?;
        let number = literal.base10_parse().ok().filter(|&number| number > 0 && literal.suffix().is_empty());
        number.ok_or_else(mistake)
    }

    /// `2%` is a literal and a punctuation mark.
    fn percent(&self) -> Result<f64> {
        let mistake = || self.mistake("`precision` is a share from above 0% to 100%");
        let number: f64 = match self.input.parse().map_err(|_| mistake())? {
            Lit::Int(number) if number.suffix().is_empty() => number.base10_parse()?,
            Lit::Float(number) if number.suffix().is_empty() => number.base10_parse()?,
            _ => return Err(mistake()),
        };
        self.input.parse::<Token![%]>().map_err(|_| mistake())?;
        if number > 0.0 && number <= 100.0 { Ok(number / 100.0) } else { Err(mistake()) }
    }

    fn percentile(&self) -> Result<&'static str> {
        let names = PERCENTILES.iter().map(|(name, _, _)| *name);
        let mistake = || self.mistake(&format!("`percentile` is one of {}", list(names.clone())));
        let name: Ident = self.input.parse().map_err(|_| mistake())?;
        let found = PERCENTILES.iter().find(|(known, _, _)| name == known);
        found.map(|(_, variant, _)| *variant).ok_or_else(mistake)
    }

    fn time(&self) -> Result<Duration> {
        let text: LitStr = self.input.parse().map_err(|_| self.mistake("`time` is a duration in quotes"))?;
        quantity::duration(&text.value()).map_err(|reason| self.mistake(reason))
    }
}
