//! `budget(p95 = "50ms", peak_memory = "64MiB", allocations = 1000)`: what an execution may cost.

use std::time::Duration;

use proc_macro2::{Ident, Span};
use syn::parse::ParseStream;
use syn::{Error, LitInt, LitStr, Result, Token};

use super::{each_item, is_next_equals, quantity};
use crate::errors::{Errors, closest, list};

/// One limit, in nanoseconds, bytes or a number.
pub(crate) struct Budget {
    /// The variant of core's `Subject`.
    pub(crate) subject: &'static str,
    pub(crate) limit: u64,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Unit {
    Time,
    Size,
    Number,
}

/// Every budget: its name, the variant of core's `Subject`, and what it is given in.
const SUBJECTS: [(&str, &str, Unit); 11] = [
    ("p50", "P50", Unit::Time),
    ("p90", "P90", Unit::Time),
    ("p95", "P95", Unit::Time),
    ("p99", "P99", Unit::Time),
    ("max", "Max", Unit::Time),
    ("cpu", "Cpu", Unit::Time),
    ("peak_memory", "PeakMemory", Unit::Size),
    ("peak_heap", "PeakHeap", Unit::Size),
    ("allocations", "Allocations", Unit::Number),
    ("allocated", "Allocated", Unit::Size),
    ("instructions", "Instructions", Unit::Number),
];

/// Reads what stands in the parentheses after `keyword`.
pub(super) fn parse(content: ParseStream<'_>, keyword: &Ident, errors: &mut Errors) -> Vec<Budget> {
    if content.is_empty() {
        errors.at(keyword.span(), "`budget` has at least one limit: write `budget(p95 = \"50ms\")`");
    }
    let mut budgets: Vec<Budget> = Vec::new();
    each_item(content, errors, |input, errors| {
        let (name, subject, unit) = subject(input)?;
        if budgets.iter().any(|budget| budget.subject == subject) {
            errors.at(name.span(), format!("`{name}` is given twice: keep one"));
        }
        budgets.push(Budget { subject, limit: limit(input, &name, unit)? });
        Ok(())
    });
    budgets
}

fn subject(input: ParseStream<'_>) -> Result<(Ident, &'static str, Unit)> {
    let names = || SUBJECTS.iter().map(|(name, _, _)| *name);
    let span = input.span();
    let name: Ident = input
        .parse()
        .map_err(|_| Error::new(span, "a budget starts with what is limited, such as `p95 = \"50ms\"`"))?;
    let word = name.to_string();
    if let Some((_, subject, unit)) = SUBJECTS.iter().find(|(known, _, _)| *known == word) {
        return Ok((name, subject, *unit));
    }
    let guess = closest(&word, names()).map(|close| format!("; did you mean `{close}`?")).unwrap_or_default();
    Err(Error::new(name.span(), format!("there is no budget `{word}`{guess}\nthe budgets are {}", list(names()))))
}

fn limit(input: ParseStream<'_>, name: &Ident, unit: Unit) -> Result<u64> {
    let (what, example) = match unit {
        Unit::Time => ("a duration in quotes", "\"50ms\""),
        Unit::Size => ("a size in quotes", "\"64MiB\""),
        Unit::Number => ("a whole number", "1000"),
    };
    let mistake = |span: Span, reason: &str| Error::new(span, format!("{reason}: write `{name} = {example}`"));
    if !is_next_equals(input) {
        return Err(mistake(name.span(), &format!("the budget `{name}` takes a value after `=`")));
    }
    input.parse::<Token![=]>()?;
    let span = if input.is_empty() { name.span() } else { input.span() };
    let other = || mistake(span, &format!("the budget `{name}` is {what}"));
    if unit == Unit::Number {
        let literal: LitInt = input.parse().map_err(|_| other())?;
        let number = literal.base10_parse().ok().filter(|_| literal.suffix().is_empty());
        return number.ok_or_else(other);
    }
    let text: LitStr = input.parse().map_err(|_| other())?;
    let read = if unit == Unit::Time {
        quantity::duration(&text.value()).and_then(nanoseconds)
    } else {
        quantity::size(&text.value())
    };
    read.map_err(|reason| mistake(text.span(), reason))
}

fn nanoseconds(duration: Duration) -> std::result::Result<u64, &'static str> {
    match u64::try_from(duration.as_nanos()) {
        Ok(0) => Err("nothing takes no time"),
        Ok(nanoseconds) => Ok(nanoseconds),
        Err(_) => Err("the number is too large"),
    }
}
