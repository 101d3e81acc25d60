//! The grammar of the attribute: what may stand in `#[profile_job(…)]`, and what a user reads who
//! wrote something else there.

mod bindings;
mod budget;
mod constraint;
mod params;
mod quantity;
mod samples;

use std::time::Duration;

use proc_macro2::{Ident, Span, TokenStream, TokenTree};
use syn::ext::IdentExt;
use syn::parse::{ParseStream, Parser};
use syn::{Error, Expr, ExprClosure, ExprPath, LitBool, LitInt, LitStr, Path, Result, Token, parenthesized, token};

pub(crate) use self::bindings::Binding;
use self::bindings::RUN;
pub(crate) use self::budget::Budget;
pub(crate) use self::params::{Integer, Param, Params, Values};
pub(crate) use self::samples::{Auto, Samples};
use crate::errors::{Errors, closest, list};

/// What the attribute says. Where it had a mistake, the default stands in.
pub(crate) struct Arguments {
    pub(crate) id: Option<u32>,
    pub(crate) name: Option<LitStr>,
    pub(crate) samples: Option<Samples>,
    pub(crate) warmup: Option<u32>,
    pub(crate) timeout: Option<Duration>,
    pub(crate) params: Params,
    pub(crate) fixture: Vec<Binding>,
    pub(crate) setup: Vec<Binding>,
    pub(crate) args: Args,
    pub(crate) verify: Option<Check>,
    pub(crate) teardown: Option<Expr>,
    pub(crate) runtime: Option<Placed<Flavor>>,
    pub(crate) worker_threads: Option<Placed<usize>>,
    pub(crate) cold_samples: Option<u32>,
    pub(crate) isolation: Isolation,
    pub(crate) budgets: Vec<Budget>,
    pub(crate) targets: Vec<LitStr>,
    pub(crate) flags: Flags,
    pub(crate) krate: Option<Path>,
    /// Where the execution's number is mentioned, it has to be bound.
    pub(crate) mentions_run: bool,
    seen: Vec<Keyword>,
}

/// What has a process of its own.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Isolation {
    Case,
    Sample,
}

/// The arguments that stand alone.
#[derive(Default)]
pub(crate) struct Flags {
    pub(crate) stateful: bool,
    pub(crate) persistent_connections: bool,
    pub(crate) ignore: bool,
}

/// The expressions of `args`.
pub(crate) enum Args {
    /// The attribute has no `args`.
    Absent,
    /// It has, with a mistake: how many there should have been can't be said.
    Mistaken,
    Given(Vec<Expr>),
}

/// What `verify` calls with a reference to the output.
pub(crate) enum Check {
    Closure(Box<ExprClosure>),
    Function(ExprPath),
}

/// A value, and the name of the argument that it was given to.
pub(crate) struct Placed<T> {
    pub(crate) keyword: Span,
    pub(crate) value: T,
}

/// `runtime = "…"`.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Flavor {
    CurrentThread,
    MultiThread,
}

/// The name of an argument.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Keyword {
    Id,
    Name,
    Samples,
    Warmup,
    Timeout,
    Params,
    Fixture,
    Setup,
    Args,
    Verify,
    Teardown,
    Runtime,
    WorkerThreads,
    ColdSamples,
    Isolation,
    Budget,
    Targets,
    Stateful,
    PersistentConnections,
    Ignore,
    Crate,
}

/// Every argument: its name, and how it is written.
const ARGUMENTS: [(Keyword, &str, &str); 21] = [
    (Keyword::Id, "id", "id = 0"),
    (Keyword::Name, "name", "name = \"square\""),
    (Keyword::Samples, "samples", "samples = 10` or `samples = auto"),
    (Keyword::Warmup, "warmup", "warmup = 2"),
    (Keyword::Timeout, "timeout", "timeout = \"30s\""),
    (Keyword::Params, "params", "params(n = [1, 10], k = 1..=3)"),
    (Keyword::Fixture, "fixture", "fixture(table = make_table())"),
    (Keyword::Setup, "setup", "setup(input = vec![0; 10])"),
    (Keyword::Args, "args", "args(1, \"two\")"),
    (Keyword::Verify, "verify", "verify(|output| *output > 0)"),
    (Keyword::Teardown, "teardown", "teardown(clean_up())"),
    (Keyword::Runtime, "runtime", "runtime = \"current_thread\""),
    (Keyword::WorkerThreads, "worker_threads", "worker_threads = 2"),
    (Keyword::ColdSamples, "cold_samples", "cold_samples = 1"),
    (Keyword::Isolation, "isolation", "isolation = \"sample\""),
    (Keyword::Budget, "budget", "budget(p95 = \"50ms\", peak_memory = \"64MiB\", allocations = 1000)"),
    (Keyword::Targets, "targets", "targets(\"aws-lambda\")"),
    (Keyword::Stateful, "stateful", "stateful"),
    (Keyword::PersistentConnections, "persistent_connections", "persistent_connections"),
    (Keyword::Ignore, "ignore", "ignore"),
    (Keyword::Crate, "crate", "crate = path::to::profiling_core"),
];

impl Default for Arguments {
    fn default() -> Self {
        Self {
            id: None,
            name: None,
            samples: None,
            warmup: None,
            timeout: None,
            params: Params::default(),
            fixture: Vec::new(),
            setup: Vec::new(),
            args: Args::Absent,
            verify: None,
            teardown: None,
            runtime: None,
            worker_threads: None,
            cold_samples: None,
            isolation: Isolation::Case,
            budgets: Vec::new(),
            targets: Vec::new(),
            flags: Flags::default(),
            krate: None,
            mentions_run: false,
            seen: Vec::new(),
        }
    }
}

impl Arguments {
    /// Reads what stands between the parentheses of the attribute.
    pub(crate) fn parse(tokens: TokenStream, errors: &mut Errors) -> Self {
        // Only the registration asks.
        let mentions_run = cfg!(feature = "profiling") && mentions(tokens.clone(), RUN);
        let mut arguments = Self { mentions_run, ..Self::default() };
        let read = |input: ParseStream<'_>| {
            each_item(input, errors, |input, errors| arguments.argument(input, errors));
            Ok(())
        };
        let read = read.parse2(tokens);
        errors.keep(read);
        arguments.check_names(errors);
        arguments
    }

    fn argument(&mut self, input: ParseStream<'_>, errors: &mut Errors) -> Result<()> {
        let (keyword, name) = keyword(input)?;
        if self.seen.contains(&keyword) {
            errors.at(name.span(), format!("`{name}` is given twice: keep one"));
        }
        self.seen.push(keyword);
        let value = Value { input, keyword, name: &name };
        match keyword {
            Keyword::Id => self.id = Some(value.number(0)?),
            Keyword::Name => self.name = Some(value.job_name()?),
            Keyword::Samples => self.samples = Some(value.samples(errors)?),
            Keyword::Warmup => self.warmup = Some(value.number(0)?),
            Keyword::Timeout => self.timeout = Some(value.duration()?),
            Keyword::Params => value.params(errors)?.into_iter().for_each(|params| self.params = params),
            Keyword::Fixture => self.fixture = value.fixture(errors)?,
            Keyword::Setup => self.setup = value.setup(errors)?,
            Keyword::Args => {
                self.args = Args::Mistaken;
                self.args = value.args(errors)?;
            }
            Keyword::Verify => self.verify = Some(value.check()?),
            Keyword::Teardown => self.teardown = Some(value.expression()?),
            Keyword::Runtime => self.runtime = Some(value.placed(value.flavor()?)),
            Keyword::WorkerThreads => {
                let threads: u32 = value.number(1)?;
                self.worker_threads = Some(value.placed(threads as usize));
            }
            Keyword::ColdSamples => self.cold_samples = Some(value.number(1)?),
            Keyword::Isolation => self.isolation = value.isolation()?,
            Keyword::Budget => self.budgets = budget::parse(&value.parenthesized()?, value.name, errors),
            Keyword::Targets => self.targets = value.targets(errors)?,
            Keyword::Stateful => self.flags.stateful = value.flag()?,
            Keyword::PersistentConnections => self.flags.persistent_connections = value.flag()?,
            Keyword::Ignore => self.flags.ignore = value.flag()?,
            Keyword::Crate => self.krate = Some(value.path()?),
        }
        Ok(())
    }
}

fn keyword(input: ParseStream<'_>) -> Result<(Keyword, Ident)> {
    let names = || ARGUMENTS.iter().map(|(_, name, _)| *name);
    let Ok(name) = input.call(Ident::parse_any) else {
        return Err(input.error("an argument starts with its name, such as `samples = 10`"));
    };
    let word = name.to_string();
    if let Some((keyword, _, _)) = ARGUMENTS.iter().find(|(_, name, _)| *name == word) {
        return Ok((*keyword, name));
    }
    let guess = closest(&word, names()).map(|close| format!("; did you mean `{close}`?")).unwrap_or_default();
    let message = format!("unknown argument `{word}`{guess}\nthe arguments are {}", list(names()));
    Err(Error::new(name.span(), message))
}

/// What follows the name of an argument, not read yet.
struct Value<'a> {
    input: ParseStream<'a>,
    keyword: Keyword,
    name: &'a Ident,
}

impl Value<'_> {
    /// How the argument is written.
    fn usage(&self) -> &'static str {
        ARGUMENTS.iter().find(|(keyword, _, _)| *keyword == self.keyword).map_or("", |(_, _, usage)| usage)
    }

    fn mistake(&self, span: Span, reason: &str) -> Error {
        Error::new(span, format!("{reason}: write `{}`", self.usage()))
    }

    fn placed<T>(&self, value: T) -> Placed<T> {
        Placed { keyword: self.name.span(), value }
    }

    /// Reads `=`; the span is that of the value after it, or of the name where nothing comes.
    fn equals(&self) -> Result<Span> {
        if !is_next_equals(self.input) {
            return Err(self.mistake(self.name.span(), &format!("`{}` takes a value after `=`", self.name)));
        }
        self.input.parse::<Token![=]>()?;
        Ok(if at_end_of_item(self.input) { self.name.span() } else { self.input.span() })
    }

    /// Reads what stands in the parentheses.
    fn parenthesized(&self) -> Result<syn::parse::ParseBuffer<'_>> {
        if !self.input.peek(token::Paren) {
            return Err(self.mistake(self.name.span(), &format!("`{}` takes parentheses", self.name)));
        }
        let content;
        parenthesized!(content in self.input);
        Ok(content)
    }

    fn number(&self, least: u32) -> Result<u32> {
        let span = self.equals()?;
        let reason = format!("`{}` is a whole number from {least} to {}", self.name, u32::MAX);
        let literal: LitInt = self.input.parse().map_err(|_| self.mistake(span, &reason))?;
        let number = literal.base10_digits().parse().ok().filter(|&number| number >= least);
        number.filter(|_| literal.suffix().is_empty()).ok_or_else(|| self.mistake(literal.span(), &reason))
    }

    fn text(&self) -> Result<LitStr> {
        let span = self.equals()?;
        self.input.parse().map_err(|_| self.mistake(span, &format!("`{}` is a string literal", self.name)))
    }

    fn job_name(&self) -> Result<LitStr> {
        let text = self.text()?;
        let name = text.value();
        if name.is_empty() {
            return Err(self.mistake(text.span(), "a job's name is not empty"));
        }
        if name.contains(char::is_control) {
            return Err(self.mistake(text.span(), "a job's name has no control characters, such as line ends and tabs"));
        }
        Ok(text)
    }

    fn duration(&self) -> Result<Duration> {
        let text = self.text()?;
        match quantity::duration(&text.value()) {
            Ok(Duration::ZERO) => Err(self.mistake(text.span(), "a timeout of zero would fail every execution")),
            Ok(duration) => Ok(duration),
            Err(reason) => Err(self.mistake(text.span(), reason)),
        }
    }

    /// A number, or `auto` with what it takes.
    fn samples(&self, errors: &mut Errors) -> Result<Samples> {
        if !self.is_auto() {
            return self.number(1).map(Samples::Count);
        }
        self.equals()?;
        let auto: Ident = self.input.parse()?;
        if !self.input.peek(token::Paren) {
            return Ok(Samples::Auto(Auto::default()));
        }
        Ok(Samples::Auto(samples::parse(&self.parenthesized()?, auto.span(), errors)))
    }

    fn is_auto(&self) -> bool {
        let ahead = self.input.fork();
        ahead.parse::<Token![=]>().is_ok() && ahead.parse::<Ident>().is_ok_and(|word| word == "auto")
    }

    fn targets(&self, errors: &mut Errors) -> Result<Vec<LitStr>> {
        let content = self.parenthesized()?;
        if content.is_empty() {
            return Err(self.mistake(self.name.span(), "`targets` names at least one platform"));
        }
        let mut targets: Vec<LitStr> = Vec::new();
        each_item(&content, errors, |input, _| {
            let span = input.span();
            let target: LitStr =
                input.parse().map_err(|_| self.mistake(span, "`targets` has platforms in quotes, by their ids"))?;
            let id = target.value();
            if id.is_empty() || !id.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-') {
                let reason = "a platform's id has lower-case letters, digits and `-`";
                return Err(self.mistake(target.span(), reason));
            }
            if targets.iter().any(|known| known.value() == id) {
                return Err(Error::new(target.span(), format!("`{id}` is given twice: keep one")));
            }
            targets.push(target);
            Ok(())
        });
        Ok(targets)
    }

    fn flavor(&self) -> Result<Flavor> {
        let text = self.text()?;
        match text.value().as_str() {
            "current_thread" => Ok(Flavor::CurrentThread),
            "multi_thread" => Ok(Flavor::MultiThread),
            _ => Err(Error::new(text.span(), "the runtime is `\"multi_thread\"` or `\"current_thread\"`")),
        }
    }

    fn isolation(&self) -> Result<Isolation> {
        let text = self.text()?;
        match text.value().as_str() {
            "case" => Ok(Isolation::Case),
            "sample" => Ok(Isolation::Sample),
            _ => Err(Error::new(text.span(), "a process is for a `\"case\"` or for a `\"sample\"`")),
        }
    }

    /// The name alone, or with `= true` or `= false`.
    fn flag(&self) -> Result<bool> {
        if at_end_of_item(self.input) {
            return Ok(true);
        }
        let reason = format!("`{}` stands alone, or with `= true` or `= false`", self.name);
        if !is_next_equals(self.input) {
            return Err(self.mistake(self.input.span(), &reason));
        }
        let span = self.equals()?;
        let value: LitBool = self.input.parse().map_err(|_| self.mistake(span, &reason))?;
        Ok(value.value)
    }

    fn path(&self) -> Result<Path> {
        let span = self.equals()?;
        let reason = "`crate` is the path of profiling-core, without quotes";
        self.input.call(Path::parse_mod_style).map_err(|_| self.mistake(span, reason))
    }

    fn params(&self, errors: &mut Errors) -> Result<Option<Params>> {
        let content = self.parenthesized()?;
        Ok(params::parse(&content, self.name, errors))
    }

    fn args(&self, errors: &mut Errors) -> Result<Args> {
        let content = self.parenthesized()?;
        let mistakes = errors.count();
        let mut expressions = Vec::new();
        each_item(&content, errors, |input, _| {
            expressions.push(input.parse()?);
            Ok(())
        });
        Ok(if errors.count() > mistakes { Args::Mistaken } else { Args::Given(expressions) })
    }

    /// The one expression in the parentheses.
    fn expression(&self) -> Result<Expr> {
        let content = self.parenthesized()?;
        if content.is_empty() {
            return Err(self.mistake(self.name.span(), &format!("`{}` takes an expression", self.name)));
        }
        let expression = content.parse()?;
        content.parse::<Option<Token![,]>>()?;
        if !content.is_empty() {
            let rest: TokenStream = content.parse()?;
            let message = format!("`{}` takes one expression: put several into a block", self.name);
            return Err(Error::new_spanned(rest, message));
        }
        match expression {
            Expr::Let(statement) => Err(self.mistake(statement.let_token.span, "`let` is no expression")),
            expression => Ok(expression),
        }
    }

    fn check(&self) -> Result<Check> {
        match self.expression()? {
            Expr::Path(path) => Ok(Check::Function(path)),
            Expr::Closure(closure) if closure.asyncness.is_some() => {
                let span = closure.asyncness.map_or_else(Span::call_site, |token| token.span);
                Err(self.mistake(span, "`verify` doesn't await: take a closure that isn't async"))
            }
            Expr::Closure(closure) if closure.inputs.len() == 1 => Ok(Check::Closure(Box::new(closure))),
            Expr::Closure(closure) => {
                let span = closure.inputs.iter().nth(1).map_or(closure.inputs_begin.span, |_| closure.inputs_end.span);
                Err(self.mistake(span, "the closure of `verify` has one parameter, a reference to the output"))
            }
            other => Err(Error::new_spanned(
                other,
                format!("`verify` takes a closure or the path of a function: write `{}`", self.usage()),
            )),
        }
    }
}

/// Reads items between commas. A mistake in one doesn't hide those in the others.
fn each_item(
    input: ParseStream<'_>,
    errors: &mut Errors,
    mut item: impl FnMut(ParseStream<'_>, &mut Errors) -> Result<()>,
) {
    while !input.is_empty() {
        let read = item(input, errors).and_then(|()| {
            let complete = at_end_of_item(input);
            if complete { Ok(()) } else { Err(Error::new(input.span(), "expected `,` or the end here")) }
        });
        if errors.keep(read).is_none() {
            skip(input, |input| input.peek(Token![,]));
        }
        // `skip` has stopped at a comma or at the end.
        errors.keep(input.parse::<Option<Token![,]>>());
    }
}

/// Skips tokens up to the first that `stop` recognises, or to the end.
fn skip(input: ParseStream<'_>, stop: impl Fn(ParseStream<'_>) -> bool) {
    while !input.is_empty() && !stop(input) {
        if input.parse::<TokenTree>().is_err() {
            return;
        }
    }
}

fn at_end_of_item(input: ParseStream<'_>) -> bool {
    input.is_empty() || input.peek(Token![,])
}

/// Whether `=` comes next, and not `==` or `=>`.
fn is_next_equals(input: ParseStream<'_>) -> bool {
    input.peek(Token![=]) && !input.peek(Token![==]) && !input.peek(Token![=>])
}

/// Whether `word` stands anywhere in `tokens`, be it as `{word}` in a format string.
pub(crate) fn mentions(tokens: TokenStream, word: &str) -> bool {
    tokens.into_iter().any(|tree| match tree {
        TokenTree::Group(group) => mentions(group.stream(), word),
        TokenTree::Ident(ident) => ident == word,
        TokenTree::Literal(literal) => literal.to_string().contains(&format!("{{{word}")),
        TokenTree::Punct(_) => false,
    })
}

#[cfg(test)]
mod tests;
