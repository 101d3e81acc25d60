//! A job: an attribute and a function that fit together.

use crate::arguments::{Args, Arguments, Flavor};
use crate::errors::{Errors, list};
use crate::function::{Function, Parameter};

/// What the registration is made of.
pub(crate) struct Job {
    pub(crate) arguments: Arguments,
    pub(crate) function: Function,
    /// One expression per parameter of the function.
    pub(crate) args: Vec<syn::Expr>,
    pub(crate) entry: Entry,
}

/// How the function is called.
#[derive(Clone, Copy)]
pub(crate) enum Entry {
    Sync,
    CurrentThread,
    MultiThread { worker_threads: Option<usize> },
}

impl Job {
    /// Puts the two together; what doesn't fit is told to `errors`.
    pub(crate) fn new(mut arguments: Arguments, function: Function, errors: &mut Errors) -> Self {
        let args = match std::mem::replace(&mut arguments.args, Args::Absent) {
            Args::Mistaken => Vec::new(),
            Args::Absent => {
                check_args(&function, None, errors);
                Vec::new()
            }
            Args::Given(args) => {
                check_args(&function, Some(&args), errors);
                args
            }
        };
        let entry = entry(&arguments, &function, errors);
        Self { arguments, function, args, entry }
    }
}

fn check_args(function: &Function, args: Option<&[syn::Expr]>, errors: &mut Errors) {
    let given = args.map_or(0, <[_]>::len);
    let (name, parameters) = (&function.ident, &function.parameters);
    if let Some(surplus) = args.and_then(|args| args.get(parameters.len())) {
        let takes = match parameters.len() {
            0 => "no parameters".to_owned(),
            1 => "1 parameter".to_owned(),
            many => format!("{many} parameters"),
        };
        errors.over(surplus, format!("`{name}` takes {takes}: remove this expression and those after it"));
    }
    let Some(missing) = parameters.get(given) else { return };
    let labels: Vec<String> = parameters[given..].iter().map(Parameter::label).collect();
    let all = list(labels.iter().map(String::as_str));
    let write = match args {
        None => format!("write `args(…)` with one expression for each of {all}"),
        Some(_) => format!("add expressions to `args` for {all}"),
    };
    errors.over(missing.tokens(), format!("no value for `{}` to call `{name}` with: {write}", labels[0]));
}

fn entry(arguments: &Arguments, function: &Function, errors: &mut Errors) -> Entry {
    let flavor = arguments.runtime.as_ref();
    let threads = arguments.worker_threads.as_ref();
    if !function.awaited {
        for keyword in flavor.map(|flavor| flavor.keyword).into_iter().chain(threads.map(|threads| threads.keyword)) {
            let message = format!("only an async job has a runtime: remove this, or make `{}` async", function.ident);
            errors.at(keyword, message);
        }
        return Entry::Sync;
    }
    match (flavor.map(|flavor| flavor.value), threads) {
        (Some(Flavor::CurrentThread), threads) => {
            if let Some(threads) = threads {
                let message = "the current_thread runtime has no worker threads: remove this, or write \
                               `runtime = \"multi_thread\"`";
                errors.at(threads.keyword, message);
            }
            Entry::CurrentThread
        }
        (_, threads) => Entry::MultiThread { worker_threads: threads.map(|threads| threads.value) },
    }
}
