//! `params(n = [1, 10], k = 1..=3, size = log(1..=1_000), m <= n)`: the values of each parameter, and the
//! cases that the constraints leave.

use std::collections::HashSet;

use proc_macro2::{Ident, Span, TokenStream};
use syn::ext::IdentExt;
use syn::parse::{Parse, ParseStream};
use syn::{Error, Expr, Lit, LitInt, LitStr, Result, Token, bracketed, parenthesized, token};

use super::constraint::Constraint;
use super::{at_end_of_item, each_item, is_next_equals};
use crate::errors::Errors;

/// The most cases that a job may have.
const MOST_CASES: usize = 4_096;
/// A range of more integers than this is represented by so many of them.
const LEVELS: u8 = 16;
/// The most combinations that are tried against the constraints.
const MOST_COMBINATIONS: usize = 1 << 20;

const VALUES: &str = "write a list such as `[1, 10]` or `[\"a\", \"b\"]`, or a range such as `1..=3`, or \
                      `log(1..=1_000)`";
const LITERALS: &str = "a list has integer literals such as `10`, or string literals such as `\"ten\"`: make other \
                        values of them in `setup`";

/// The parameters of a job, with one row per case: the index into each parameter's values.
pub(crate) struct Params {
    pub(crate) list: Vec<Param>,
    pub(crate) cases: Vec<Vec<usize>>,
}

impl Default for Params {
    /// No parameters: a single case.
    fn default() -> Self {
        Self { list: Vec::new(), cases: vec![Vec::new()] }
    }
}

/// A name and the values it takes; never empty.
pub(crate) struct Param {
    pub(crate) name: Ident,
    pub(crate) values: Values,
}

/// The values of one parameter.
pub(crate) enum Values {
    Integers(Vec<Integer>),
    Texts(Vec<LitStr>),
}

impl Values {
    pub(crate) fn len(&self) -> usize {
        match self {
            Self::Integers(values) => values.len(),
            Self::Texts(values) => values.len(),
        }
    }
}

/// An integer as the user wrote it. A mistake that rustc finds, such as a number out of its type's
/// range, is reported at `span`.
#[derive(Clone)]
pub(crate) struct Integer {
    pub(crate) value: i128,
    pub(crate) suffix: String,
    pub(crate) span: Span,
}

/// Reads what stands between the parentheses of `params(…)`. `None` where it has mistakes.
pub(super) fn parse(input: ParseStream<'_>, keyword: &Ident, errors: &mut Errors) -> Option<Params> {
    let mistakes = errors.count();
    let mut list: Vec<Param> = Vec::new();
    let mut constraints: Vec<Expr> = Vec::new();
    each_item(input, errors, |input, errors| {
        if !defines(input) {
            constraints.push(input.parse()?);
            return Ok(());
        }
        let param = param(input)?;
        if list.iter().any(|other| other.name == param.name) {
            errors.at(param.name.span(), format!("`{}` is given twice: keep one of its lists", param.name));
        }
        list.push(param);
        Ok(())
    });
    if errors.count() > mistakes {
        // A constraint on a parameter whose values have a mistake would be one more, false one.
        return None;
    }
    let constraints = resolve(&constraints, &list, errors)?;
    let cases = errors.keep(cases(&list, &constraints, keyword))?;
    Some(Params { list, cases })
}

fn defines(input: ParseStream<'_>) -> bool {
    let ahead = input.fork();
    ahead.call(Ident::parse_any).is_ok() && is_next_equals(&ahead)
}

fn param(input: ParseStream<'_>) -> Result<Param> {
    let name: Ident = input.parse()?;
    input.parse::<Token![=]>()?;
    let values = match input.fork().call(Ident::parse_any) {
        _ if input.peek(token::Bracket) => values(input)?,
        Ok(word) if word == "log" => Values::Integers(logarithmic(input, &name)?),
        _ => Values::Integers(range(input, &name)?.evenly()),
    };
    Ok(Param { name, values })
}

/// `[1, 10]` or `["a", "b"]`.
fn values(input: ParseStream<'_>) -> Result<Values> {
    let content;
    let bracket = bracketed!(content in input);
    if content.is_empty() {
        return Err(Error::new(bracket.span.join(), "no value, no case: write one or more, such as `[1, 10]`"));
    }
    if matches!(content.fork().parse(), Ok(Lit::Str(_))) {
        let texts = elements(&content, |literal| matches!(literal, Lit::Str(_)))?;
        no_duplicates(&texts, |text: &LitStr| (text.value(), text.span()))?;
        return Ok(Values::Texts(texts));
    }
    let integers = elements(&content, |literal| matches!(literal, Lit::Int(_)))?;
    no_duplicates(&integers, |integer: &Integer| (integer.value, integer.span))?;
    Ok(Values::Integers(integers))
}

/// The elements of a list, all of one kind of literal.
fn elements<T: Parse>(content: ParseStream<'_>, is_kind: fn(&Lit) -> bool) -> Result<Vec<T>> {
    let mut elements = Vec::new();
    let mut element = || {
        let (found, span) = (content.fork().parse(), content.span());
        match found {
            Ok(literal) if is_kind(&literal) => elements.push(content.parse()?),
            Ok(Lit::Int(_) | Lit::Str(_)) => return Err(Error::new(span, "a list has integers or strings, not both")),
            _ => return Err(Error::new(span, LITERALS)),
        }
        if content.is_empty() { Ok(()) } else { content.parse::<Token![,]>().map(drop) }
    };
    while !content.is_empty() {
        if let Err(error) = element() {
            content.parse::<TokenStream>()?;
            return Err(error);
        }
    }
    Ok(elements)
}

fn no_duplicates<T, K: Eq + std::hash::Hash>(values: &[T], key: impl Fn(&T) -> (K, Span)) -> Result<()> {
    let mut seen = HashSet::new();
    match values.iter().map(key).find_map(|(key, span)| (!seen.insert(key)).then_some(span)) {
        Some(span) => Err(Error::new(span, "this value is in the list already: its case would run twice")),
        None => Ok(()),
    }
}

/// `log(1..=1_000_000)`.
fn logarithmic(input: ParseStream<'_>, name: &Ident) -> Result<Vec<Integer>> {
    let word = input.call(Ident::parse_any)?;
    let usage = format!("`log` takes a range: write `{name} = log(1..=1_000)`");
    if !input.peek(token::Paren) {
        return Err(Error::new(word.span(), usage));
    }
    let content;
    parenthesized!(content in input);
    let range = if has_dots(&content) { range(&content, name) } else { Err(Error::new(content.span(), &usage)) };
    // What is left of it would be one more mistake.
    let rest: TokenStream = content.parse()?;
    let range = range?;
    if !rest.is_empty() {
        return Err(Error::new_spanned(rest, usage));
    }
    if range.start.value < 1 {
        let message = format!("logarithms start above zero: write `{name} = log(1..={})`", range.last.max(1));
        return Err(Error::new(range.start.span, message));
    }
    Ok(range.geometrically())
}

/// Whether this is an integer, or something else, and a range's dots.
fn has_dots(input: ParseStream<'_>) -> bool {
    let ahead = input.fork();
    ahead.parse::<Lit>().is_err() || ahead.peek(Token![..])
}

/// The integers from `start` to `last`.
struct Range {
    start: Integer,
    last: i128,
    /// The end as it was written.
    end: Integer,
}

/// `1..=3` or `0..4`.
fn range(input: ParseStream<'_>, name: &Ident) -> Result<Range> {
    let start = range_start(input, name)?;
    let dots = input.span();
    let inclusive = input.parse::<Option<Token![..=]>>()?.is_some();
    if !inclusive && input.parse::<Option<Token![..]>>()?.is_none() {
        return Err(Error::new(start.span, format!("write a list: `{name} = [{}]`", start.value)));
    }
    if !matches!(input.fork().parse(), Ok(Lit::Int(_))) {
        let span = if at_end_of_item(input) { dots } else { input.span() };
        return Err(Error::new(span, "a range ends with an integer literal, such as `1..=3`"));
    }
    let end: Integer = input.parse()?;
    let last = end.value - i128::from(!inclusive);
    if last < start.value {
        return Err(Error::new(dots, "this range is empty: its end comes before its start"));
    }
    Ok(Range { start, last, end })
}

impl Range {
    /// All of up to 16 integers; of more, 16 at even distances.
    fn evenly(&self) -> Vec<Integer> {
        let (length, steps) = (self.last - self.start.value, i128::from(LEVELS - 1));
        if length <= steps {
            return self.integers(self.start.value..=self.last);
        }
        // Rounded to the nearest.
        self.integers((0..=steps).map(|step| self.start.value + (step * length + steps / 2) / steps))
    }

    /// Up to 16 integers, of which each is as many times the one before, to the nearest; of a range above zero.
    fn geometrically(&self) -> Vec<Integer> {
        let (start, last) = (self.start.value, self.last);
        // The ratio is exact enough for that; the ends are not left to it.
        #[expect(clippy::cast_precision_loss, clippy::cast_possible_truncation, reason = "rounded, and kept in range")]
        let level = |step: u8| {
            let part = f64::from(step) / f64::from(LEVELS - 1);
            (start as f64 * (last as f64 / start as f64).powf(part)).round() as i128
        };
        let mut levels: Vec<i128> = (0..LEVELS).map(|step| level(step).clamp(start, last)).collect();
        (levels[0], levels[usize::from(LEVELS) - 1]) = (start, last);
        levels.dedup();
        self.integers(levels)
    }

    /// Integers of the range. Only its ends are the user's own tokens, so that a number that doesn't fit its
    /// type is reported there, and once.
    fn integers(&self, values: impl IntoIterator<Item = i128>) -> Vec<Integer> {
        let suffix = if self.start.suffix.is_empty() { &self.end.suffix } else { &self.start.suffix };
        let span = |value| match value {
            _ if value == self.start.value => self.start.span,
            _ if value == self.last => self.end.span,
            _ => Span::mixed_site(),
        };
        values.into_iter().map(|value| Integer { value, suffix: suffix.clone(), span: span(value) }).collect()
    }
}

fn range_start(input: ParseStream<'_>, name: &Ident) -> Result<Integer> {
    match input.fork().parse() {
        Ok(Lit::Int(_)) => input.parse(),
        Ok(Lit::Str(text)) => Err(Error::new(text.span(), format!("write a list: `{name} = [{:?}]`", text.value()))),
        _ => Err(Error::new(input.span(), VALUES)),
    }
}

impl Parse for Integer {
    fn parse(input: ParseStream<'_>) -> Result<Self> {
        let literal: LitInt = input.parse()?;
        let span = literal.span();
        let value: i128 = literal.base10_parse()?;
        if value < i128::from(i64::MIN) || value > i128::from(u64::MAX) {
            return Err(Error::new(span, "a parameter's value lies between i64::MIN and u64::MAX"));
        }
        Ok(Self { value, suffix: literal.suffix().to_owned(), span })
    }
}

fn resolve(expressions: &[Expr], list: &[Param], errors: &mut Errors) -> Option<Vec<Constraint>> {
    let constraints: Vec<Constraint> =
        expressions.iter().filter_map(|expression| errors.keep(Constraint::new(expression, list))).collect();
    (constraints.len() == expressions.len()).then_some(constraints)
}

/// Every combination that meets the constraints; the last parameter changes fastest.
fn cases(list: &[Param], constraints: &[Constraint], keyword: &Ident) -> Result<Vec<Vec<usize>>> {
    let combinations = list.iter().try_fold(1_usize, |product, param| product.checked_mul(param.values.len()));
    let Some(combinations) = combinations.filter(|&combinations| combinations <= MOST_COMBINATIONS) else {
        return Err(Error::new(keyword.span(), "more than 1048576 combinations: write fewer values"));
    };
    let mut cases = Vec::new();
    for combination in 0..combinations {
        let levels = levels(list, combination);
        if meets_all(constraints, list, &levels)? {
            cases.push(levels);
        }
        if cases.len() > MOST_CASES {
            let message = "more than 4096 cases: write fewer values, or constraints such as `m <= n`";
            return Err(Error::new(keyword.span(), message));
        }
    }
    match (cases.is_empty(), constraints.last()) {
        (true, Some(constraint)) => Err(constraint.error("no combination of the parameters meets the constraints")),
        _ => Ok(cases),
    }
}

/// Whether the combination meets every constraint; one that fails spares those after it, as `&&` does.
fn meets_all(constraints: &[Constraint], list: &[Param], levels: &[usize]) -> Result<bool> {
    for constraint in constraints {
        if !constraint.holds(list, levels)? {
            return Ok(false);
        }
    }
    Ok(true)
}

/// The indices that make the combination with this number.
fn levels(list: &[Param], mut combination: usize) -> Vec<usize> {
    let mut levels = vec![0; list.len()];
    for (level, param) in levels.iter_mut().zip(list).rev() {
        *level = combination % param.values.len();
        combination /= param.values.len();
    }
    levels
}
