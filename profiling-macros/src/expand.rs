//! What the attribute turns a function into: the function as it was and, where the feature
//! `profiling` is on, one registration beside it.
//!
//! Our own tokens have the span of the macro, so that lints treat them as code of another crate;
//! those of the user keep theirs, so that rustc's errors point at them.

use std::time::Duration;

use proc_macro2::{Ident, Literal, Span, TokenStream};
use quote::{ToTokens, quote_spanned};
use syn::spanned::Spanned;

use crate::arguments::{Arguments, Auto, Binding, Budget, Check, Flags, Integer, Isolation, Param, Samples, Values};
use crate::around::{self, Around};
use crate::errors::Errors;
use crate::function::{Function, Returns};
use crate::job::{Entry, Job};

/// The most parameters for which core types the arguments by the function.
const MOST_TYPED: usize = 12;

/// Expands the attribute on `item`. The item is emitted even where it has mistakes: without it, each
/// use of the function would be one more error.
pub(crate) fn profile_job(attribute: TokenStream, item: TokenStream, register: bool) -> TokenStream {
    let mut errors = Errors::default();
    let arguments = Arguments::parse(attribute, &mut errors);
    let function = Function::parse(item.clone(), &mut errors);
    let job = function.map(|function| Job::new(arguments, function, &mut errors));
    let mut output = item;
    match (errors.into_compile_errors(), job) {
        (Some(errors), _) => output.extend(errors),
        (None, Some(job)) if register => output.extend(Registration::new(&job).to_tokens()),
        _ => {}
    }
    output
}

/// The pieces that the generated code is put together from.
struct Registration<'a> {
    job: &'a Job,
    arguments: &'a Arguments,
    function: &'a Function,
    /// The span of our own tokens.
    span: Span,
    krate: TokenStream,
    private: TokenStream,
    around: Around,
}

impl<'a> Registration<'a> {
    fn new(job: &'a Job) -> Self {
        let span = Span::mixed_site();
        let path = job.arguments.krate.as_ref().map(ToTokens::to_token_stream);
        let krate = path.unwrap_or_else(|| quote_spanned!(span=> ::profiling_core));
        let private = quote_spanned!(span=> #krate::__private);
        let around = Around::of(&job.arguments, &job.args);
        Self { job, arguments: &job.arguments, function: &job.function, span, krate, private, around }
    }

    /// A block that core's macro drops as a whole where core has the feature `profiling` off.
    fn to_tokens(&self) -> TokenStream {
        let krate = &self.krate;
        let (execute, descriptor) = (self.execute(), self.descriptor());
        quote_spanned!(self.span=> const _: () = { #krate::__register! {{ #execute #descriptor }} };)
    }

    fn descriptor(&self) -> TokenStream {
        let Self { private, arguments, function, .. } = self;
        let ident = unraw(&function.ident);
        let name = arguments.name.as_ref().map_or_else(|| ident.clone(), syn::LitStr::value);
        let id = self.option(arguments.id);
        let Flags { stateful, persistent_connections, ignore } = &arguments.flags;
        let samples = self.option(arguments.samples.as_ref().map(|samples| self.samples(samples)));
        let warmup = self.option(arguments.warmup);
        let timeout = self.option(arguments.timeout.map(|timeout| self.duration(timeout)));
        let (params, cases) = (self.params(), self.cases());
        let cold_samples = self.option(arguments.cold_samples);
        let (budgets, targets) = (self.budgets(), &arguments.targets);
        let isolation = match arguments.isolation {
            Isolation::Case => quote_spanned!(self.span=> Case),
            Isolation::Sample => quote_spanned!(self.span=> Sample),
        };
        let Around { fixture, before, after } = self.around;
        let entry = self.entry();
        quote_spanned! {self.span=>
            #private::JobDescriptor {
                name: #name,
                id: #id,
                function: ::core::concat!(::core::module_path!(), "::", #ident),
                source: #private::SourceLocation { file: ::core::file!(), line: ::core::line!() },
                samples: #samples,
                warmup: #warmup,
                timeout: #timeout,
                params: &[#params],
                cases: &[#cases],
                stateful: #stateful,
                persistent_connections: #persistent_connections,
                ignore: #ignore,
                cold_samples: #cold_samples,
                isolation: #private::Isolation::#isolation,
                budgets: &[#budgets],
                targets: &[#(#targets),*],
                around: #private::Around { fixture: #fixture, before: #before, after: #after },
                entry: #entry,
            }
        }
    }

    fn option(&self, value: Option<impl ToTokens>) -> TokenStream {
        let some = value.map(|value| quote_spanned!(self.span=> ::core::option::Option::Some(#value)));
        some.unwrap_or_else(|| quote_spanned!(self.span=> ::core::option::Option::None))
    }

    fn duration(&self, duration: Duration) -> TokenStream {
        let (private, seconds, nanoseconds) = (&self.private, duration.as_secs(), duration.subsec_nanos());
        quote_spanned!(self.span=> #private::Duration::new(#seconds, #nanoseconds))
    }

    fn samples(&self, samples: &Samples) -> TokenStream {
        let private = &self.private;
        match samples {
            Samples::Count(count) => quote_spanned!(self.span=> #private::Samples::Count(#count)),
            Samples::Auto(Auto { min, max, precision, percentile, time }) => {
                let (percentile, time) = (Ident::new(percentile, self.span), self.duration(*time));
                quote_spanned! {self.span=>
                    #private::Samples::Auto(#private::Auto {
                        min: #min,
                        max: #max,
                        precision: #precision,
                        percentile: #private::Percentile::#percentile,
                        time: #time,
                    })
                }
            }
        }
    }

    fn budgets(&self) -> TokenStream {
        let private = &self.private;
        let budget = |Budget { subject, limit }: &Budget| {
            let subject = Ident::new(subject, self.span);
            quote_spanned!(self.span=> #private::Budget { subject: #private::Subject::#subject, limit: #limit },)
        };
        self.arguments.budgets.iter().map(budget).collect()
    }

    fn params(&self) -> TokenStream {
        let private = &self.private;
        let param = |param: &Param| {
            let name = unraw(&param.name);
            let values = self.param_values(&param.values);
            quote_spanned!(self.span=> #private::Param { name: #name, values: &[#values] },)
        };
        self.arguments.params.list.iter().map(param).collect()
    }

    fn param_values(&self, values: &Values) -> TokenStream {
        let private = &self.private;
        match values {
            Values::Integers(values) => {
                let values = values.iter().map(|integer| literal(integer.value, "", self.span));
                quote_spanned!(self.span=> #(#private::ParamValue::Integer(#values),)*)
            }
            Values::Texts(texts) => {
                let texts = texts.iter().map(syn::LitStr::value);
                quote_spanned!(self.span=> #(#private::ParamValue::Text(#texts),)*)
            }
        }
    }

    fn cases(&self) -> TokenStream {
        let case = |levels: &Vec<usize>| {
            let levels = levels.iter().map(|level| Literal::usize_unsuffixed(*level));
            quote_spanned!(self.span=> &[#(#levels),*],)
        };
        self.arguments.params.cases.iter().map(case).collect()
    }

    fn entry(&self) -> TokenStream {
        let private = &self.private;
        let runtime = match self.job.entry {
            Entry::Sync => return quote_spanned!(self.span=> #private::Entry::Sync(__execute)),
            Entry::CurrentThread => quote_spanned!(self.span=> #private::Runtime::CurrentThread),
            Entry::MultiThread { worker_threads } => {
                let threads = self.option(worker_threads);
                quote_spanned!(self.span=> #private::Runtime::MultiThread { worker_threads: #threads })
            }
        };
        quote_spanned!(self.span=> #private::Entry::Async { runtime: #runtime, start: __execute })
    }

    /// `fn __execute`: one execution of the job.
    fn execute(&self) -> TokenStream {
        let private = &self.private;
        let allow = self.function.deprecated.then(|| quote_spanned!(self.span=> #[allow(deprecated)]));
        let body = self.body();
        if self.function.awaited {
            quote_spanned! {self.span=>
                #allow
                fn __execute(__execution: &mut #private::Execution) -> #private::ExecutionFuture<'_> {
                    ::std::boxed::Box::pin(async move { #body })
                }
            }
        } else {
            quote_spanned! {self.span=>
                #allow
                fn __execute(__execution: &mut #private::Execution) -> #private::Outcome { #body }
            }
        }
    }

    /// The function is bound before the user's names are, one of which may be the same.
    fn body(&self) -> TokenStream {
        let name = &self.function.ident;
        let blanks = self.function.parameters.iter().map(|_| quote_spanned!(self.span=> _));
        let (params, fixture, bindings, call) = (self.params_bound(), self.fixture(), self.bindings(), self.call());
        let teardown = self.arguments.teardown.as_ref().map(|teardown| quote_spanned!(self.span=> #teardown;));
        let rest = if self.is_judged() {
            quote_spanned!(self.span=> let __outcome = #call; #teardown __outcome)
        } else {
            quote_spanned!(self.span=> #call #teardown ::core::result::Result::Ok(()))
        };
        let execution = match fixture {
            None => quote_spanned!(self.span=> #bindings #rest),
            // What borrows from the fixture is gone when it is given back.
            Some((take, names)) => quote_spanned! {self.span=>
                #take
                let __outcome = { #bindings #rest };
                __execution.keep(#names);
                __outcome
            },
        };
        quote_spanned! {self.span=>
            let __job: fn(#(#blanks),*) -> _ = #name;
            #params
            #execution
        }
    }

    /// What binds the values of the fixture, and their names as a tuple.
    fn fixture(&self) -> Option<(TokenStream, TokenStream)> {
        let (private, fixture) = (&self.private, &self.arguments.fixture);
        if fixture.is_empty() {
            return None;
        }
        let values = fixture.iter().map(|Binding { name, value, .. }| {
            // A value's place is where it stands.
            let place = value.span();
            let value = quote_spanned!(self.span=> (&&&&#private::Given::new(#value)));
            let value = quote_spanned!(place=> #value.value());
            quote_spanned!(self.span=> let #name = { use #private::Value as _; #value }?;)
        });
        let names = fixture.iter().map(|Binding { name, .. }| name);
        let names = quote_spanned!(self.span=> (#(#names,)*));
        let make = quote_spanned!(self.span=> #(#values)* ::core::result::Result::Ok::<_, #private::Unmade>(#names));
        let values = if self.function.awaited {
            quote_spanned!(self.span=> __execution.awaited_fixture(async { #make }).await)
        } else {
            quote_spanned!(self.span=> __execution.fixture(|| { #make }))
        };
        let take = quote_spanned! {self.span=>
            let #names = match #values {
                ::core::result::Result::Ok(__values) => __values,
                ::core::result::Result::Err(__outcome) => return __outcome,
            };
        };
        Some((take, names))
    }

    /// The params, each as a literal.
    fn params_bound(&self) -> TokenStream {
        let params = self.arguments.params.list.iter().enumerate();
        let bound = params.map(|(index, param)| {
            let (name, value) = (&param.name, self.level(index, &param.values));
            quote_spanned!(self.span=> let #name = #value;)
        });
        bound.collect()
    }

    /// `run` and the setup, in the order in which they can be used.
    fn bindings(&self) -> TokenStream {
        let mut bindings = TokenStream::new();
        if self.arguments.mentions_run {
            // Visible to the user's expressions, yet a token of ours: it may be unused, as in `job.run()`.
            let run = Ident::new("run", Span::call_site());
            bindings.extend(quote_spanned!(self.span=> let #run: u64 = __execution.number();));
        }
        for binding in &self.arguments.setup {
            let (mutability, name, value) = (&binding.mutability, &binding.name, &binding.value);
            bindings.extend(quote_spanned!(self.span=> let #mutability #name = #value;));
        }
        bindings
    }

    /// The value of a parameter, as a `match` over literals: its type follows from its use.
    fn level(&self, index: usize, values: &Values) -> TokenStream {
        let literal = |integer: &Integer| literal(integer.value, &integer.suffix, integer.span);
        let mut values: Vec<TokenStream> = match values {
            Values::Integers(integers) => integers.iter().map(literal).collect(),
            Values::Texts(texts) => texts.iter().map(ToTokens::to_token_stream).collect(),
        };
        let last = values.pop();
        if values.is_empty() {
            return last.into_token_stream();
        }
        let (index, levels) = (Literal::usize_unsuffixed(index), (0..values.len()).map(Literal::usize_unsuffixed));
        quote_spanned!(self.span=> match __execution.level(#index) { #(#levels => #values,)* _ => #last })
    }

    /// Builds the arguments and calls the function. The `match` keeps what they refer to alive.
    fn call(&self) -> TokenStream {
        let (private, args) = (&self.private, &self.job.args);
        let measured = self.measured();
        if args.is_empty() {
            return quote_spanned!(self.span=> { let __job = #private::black_box(__job); #measured });
        }
        let inputs = if args.len() <= MOST_TYPED {
            let typed = Ident::new(&format!("inputs_{}", args.len()), self.span);
            quote_spanned!(self.span=> #private::#typed(__job, (#(#args,)*)))
        } else {
            quote_spanned!(self.span=> #private::black_box((__job, (#(#args,)*))))
        };
        let noted = self.around.before.then(|| {
            let Around { after, .. } = self.around;
            let shared = after || !self.arguments.setup.is_empty() || !args.iter().all(around::keeps_nothing);
            let changeable = around::changes_inputs(self.arguments, args);
            quote_spanned!(self.span=> __execution.inputs(&__args, #shared, #changeable);)
        });
        quote_spanned!(self.span=> match #inputs { (__job, __args) => { #noted #measured } })
    }

    /// The measured window, and the judgement of what the function returned.
    fn measured(&self) -> TokenStream {
        let private = &self.private;
        let positions = (0..self.job.args.len()).map(Literal::usize_unsuffixed);
        let wait = self.function.awaited.then(|| quote_spanned!(self.span=> .await));
        let call = quote_spanned!(self.span=> __job(#(__args.#positions),*) #wait);
        let judgement = self.judgement();
        if self.function.returns == Returns::Nothing && !self.is_judged() {
            return quote_spanned!(self.span=> __execution.start(); #call; __execution.stop(););
        }
        let (outcome, result) = match &judgement {
            Some(judgement) => (
                Some(quote_spanned!(self.span=> let __outcome = { #judgement };)),
                Some(quote_spanned!(self.span=> __outcome)),
            ),
            None => (None, None),
        };
        quote_spanned! {self.span=>
            __execution.start();
            let __output = #call;
            #private::black_box(&__output);
            __execution.stop();
            #outcome
            __execution.drop_output(__output);
            #result
        }
    }

    /// Whether what the function returns can fail the execution.
    fn is_judged(&self) -> bool {
        self.function.returns == Returns::PerhapsResult || self.arguments.verify.is_some()
    }

    fn judgement(&self) -> Option<TokenStream> {
        let private = &self.private;
        let output = (self.function.returns == Returns::PerhapsResult).then(|| {
            quote_spanned! {self.span=>
                let __outcome = { use #private::Judge as _; (&&&&#private::Returned(&__output)).judge() };
            }
        });
        let verdict = self.arguments.verify.as_ref().map(|check| self.verdict(check));
        Some(match (output, verdict) {
            (None, None) => return None,
            (Some(output), None) => quote_spanned!(self.span=> #output __outcome),
            (None, Some(verdict)) => verdict,
            (Some(output), Some(verdict)) => quote_spanned! {self.span=>
                #output
                if __outcome.is_ok() { #verdict } else { __outcome }
            },
        })
    }

    fn verdict(&self, check: &Check) -> TokenStream {
        let private = &self.private;
        let call = match check {
            Check::Closure(closure) => quote_spanned!(self.span=> #private::verify(&__output, #closure)),
            Check::Function(path) => {
                // Where the types don't match, rustc points at the argument: let that be the user's path.
                let place = path.span().resolved_at(self.span);
                let output = quote_spanned!(place=> &__output);
                quote_spanned!(self.span=> #path(#output))
            }
        };
        quote_spanned! {self.span=>
            let __verdict = #call;
            let __outcome = { use #private::Judge as _; (&&&&&#private::Verdict(&__verdict)).judge() };
            __outcome
        }
    }
}

/// The name without `r#`.
pub(crate) fn unraw(ident: &Ident) -> String {
    let name = ident.to_string();
    name.strip_prefix("r#").map(str::to_owned).unwrap_or(name)
}

/// An integer literal; a negative one is two tokens.
fn literal(value: i128, suffix: &str, span: Span) -> TokenStream {
    let digits = format!("{}{suffix}", value.unsigned_abs());
    let mut literal: Literal = digits.parse().unwrap_or_else(|_| Literal::u128_unsuffixed(value.unsigned_abs()));
    literal.set_span(span);
    if value < 0 { quote_spanned!(span=> -#literal) } else { literal.into_token_stream() }
}

#[cfg(test)]
mod tests {
    use super::profile_job;

    const SQUARE: &str = "/// Squares.\n#[inline] pub async fn square(x: u64) -> u64 { x * x }";

    fn expand(attribute: &str, item: &str, register: bool) -> String {
        let tokens = |text: &str| text.parse().expect(text);
        profile_job(tokens(attribute), tokens(item), register).to_string()
    }

    fn plain(item: &str) -> String {
        item.parse::<proc_macro2::TokenStream>().expect(item).to_string()
    }

    #[test]
    fn without_the_feature_there_is_the_function_alone() {
        assert_eq!(expand("id = 0, params(n = [1, 2]), args(n)", SQUARE, false), plain(SQUARE));
    }

    #[test]
    fn with_the_feature_one_constant_follows() {
        let expanded = expand("args(1)", SQUARE, true);
        let registration = expanded.strip_prefix(&plain(SQUARE)).expect("the function comes first, as it was");
        assert!(registration.trim_start().starts_with("const _ : () ="), "{registration}");
        assert_eq!(registration.matches("const _").count(), 1);
        assert!(!registration.contains("allow"), "{registration}");
        assert!(!registration.contains("let run"), "{registration}");
    }

    #[test]
    fn mistakes_are_reported_with_and_without_the_feature_and_leave_the_function() {
        for register in [false, true] {
            let expanded = expand("id = -1, args()", SQUARE, register);
            let errors = expanded.strip_prefix(&plain(SQUARE)).expect("the function comes first, as it was");
            assert_eq!(errors.matches("compile_error !").count(), 2, "{errors}");
            assert!(!errors.contains("__register"), "{errors}");
        }
    }

    #[test]
    fn only_a_result_or_a_check_is_judged() {
        for (attribute, item, judged) in [
            ("", "fn f() {}", false),
            ("", "fn f() -> u64 {}", false),
            ("", "fn f() -> Alias {}", true),
            ("verify(|()| true)", "fn f() {}", true),
        ] {
            assert_eq!(expand(attribute, item, true).contains("judge"), judged, "{item}");
        }
    }
}
