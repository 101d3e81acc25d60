//! The attributes `#[profile_job]` and `#[profile_stage]` of `profiling-core`, which re-exports them: use
//! them from there.
//!
//! With the feature `profiling`, which `profiling-core/profiling` switches on, the first emits a
//! registration beside the function, and the second puts the function's body into a stage. Without it,
//! both check their grammar and emit the function as it was.

#![forbid(unsafe_code)]

mod arguments;
mod around;
mod errors;
mod expand;
mod function;
mod job;
mod stage;

use proc_macro::TokenStream;

/// Makes a function a job, which `profiling-test-harness` finds, executes and measures.
///
/// The function stays as it is. What is measured is one call of it, from the call to the result
/// (for an async function, to the end of its future); everything that the arguments below ask for is
/// done before or after.
///
/// ```
/// use profiling_core::profile_job;
///
/// #[profile_job(id = 0, samples = 10, warmup = 2, args(12_345))]
/// pub async fn square(x: u64) -> u64 {
///     x * x
/// }
/// ```
///
/// # Arguments
///
/// Each is optional, in any order, with a comma between them.
///
/// | argument | default | meaning |
/// |---|---|---|
/// | `id = 0` | none | the job's index in the blueprint; unique in the binary |
/// | `name = "…"` | the function's name | the name under which the job is listed and stored; unique in the binary, not empty, without control characters |
/// | `samples = N` | 10 | measured executions of each case, 1 or more; or `auto`, [as many as it takes](#samples--auto) |
/// | `warmup = N` | 2 | executions of each case that run first and don't count |
/// | `timeout = "30s"` | 300 s | the longest that one execution may take: a decimal number with a unit, `ns`, `us` (or `µs`), `ms`, `s`, `min` (or `m`), `h` |
/// | `params(n = [1, 10], k = 1..=3, size = log(1..=1_000_000), k <= n)` | none | one case per combination of the values that meets the constraints; a range of more than 16 integers is spread over 16, evenly or by `log` |
/// | `fixture(a = expr, b = expr)` | none | values made once per worker, before its first execution; later ones can use earlier ones |
/// | `setup(a = expr, mut b = expr)` | none | bindings made before each execution, in order; later ones can use earlier ones |
/// | `args(expr, …)` | none | what the function is called with: one expression per parameter, in order |
/// | `verify(\|output\| …)` | none | a closure with one parameter, or the path of a function, called with a reference to the output; `false`, `Err` or a panic fails the execution |
/// | `teardown(expr)` | none | done after each execution, a failed one too, once inputs that `args` made and the output are dropped; not after a panic |
/// | `runtime = "multi_thread"` | `"multi_thread"` | the tokio runtime of an async job, or `"current_thread"` |
/// | `worker_threads = N` | one per logical CPU | threads of the multi-thread runtime, 1 or more |
/// | `cold_samples = N` | 1 | processes that are started to measure the cold start, the one that measures the samples included, 1 or more |
/// | `isolation = "sample"` | `"case"` | whether every sample has a process of its own, with its own warm-ups, or every case |
/// | `budget(p95 = "50ms", peak_memory = "64MiB", allocations = 1000)` | none | what an execution may cost; over budget fails the job |
/// | `targets("aws-lambda", …)` | none | the platforms that the job is to run on, by their ids in the catalogue; one that it can't run on fails the job |
/// | `stateful` | detected | the job keeps state between executions; also `stateful = true` or `false` |
/// | `persistent_connections` | detected | the job needs connections that outlive an execution; also with `= true` or `= false` |
/// | `ignore` | no | the job runs only with `--ignored` or `--include-ignored`; also with `= true` or `= false` |
/// | `crate = path` | `::profiling_core` | where `profiling-core` is, for a renamed dependency or a re-export |
///
/// # `samples = auto`
///
/// `auto(min = 10, max = 1000, precision = 2%, percentile = p50, time = "10s")`: until half the width of the
/// 95% interval of that percentile of the wall-clock time is within the precision, but at least `min`; at most
/// `max`, and no more once so much time has passed since the first. Each may be left out, and these are the
/// defaults.
///
/// # Budgets
///
/// Durations, with the units of `timeout`: `p50`, `p90`, `p95`, `p99` and `max` of the wall-clock time, and
/// `cpu`, the median of the CPU time. Sizes, in `B`, `KiB`, `MiB`, `GiB`, `kB`, `MB` or `GB`: `peak_memory` and
/// `peak_heap`, the largest peaks, and `allocated`, the median. Numbers: `allocations`, the median, and
/// `instructions`.
///
/// ```
/// use profiling_core::profile_job;
///
/// #[profile_job(
///     samples = auto(percentile = p95),
///     budget(p95 = "50ms", peak_memory = "64MiB", allocations = 1),
///     args(1_000),
/// )]
/// fn squares(n: u64) -> Vec<u64> {
///     (0..n).map(|x| x * x).collect()
/// }
/// ```
///
/// # What the expressions can see
///
/// `fixture`, `setup`, `args`, `verify` and `teardown` are ordinary Rust, with everything in scope that is in
/// scope where the function stands. In an async job, they can `.await` (the closure of `verify`
/// excepted). They also see
/// - the names of `params`, each an integer or a `&'static str`, whose type follows from its use as
///   that of a literal does (or from a suffix: `[1_u8, 2]`),
/// - the names of `fixture`, by reference, or by value where the type is `Copy`,
/// - the names of `setup`, by value or by reference,
/// - `run: u64`, the number of the execution from 0, warm-ups included.
///
/// Those of `fixture` see params and earlier names of `fixture` alone.
///
/// ```
/// use profiling_core::profile_job;
///
/// #[profile_job(
///     params(rows = [100, 10_000], order = ["ascending", "shuffled"]),
///     setup(mut table = make_table(rows, order)),
///     args(&mut table),
///     verify(|sorted| sorted.is_ok()),
///     teardown(println!("execution {run} is done")),
/// )]
/// fn sort(table: &mut Vec<u64>) -> Result<(), String> {
///     table.sort_unstable();
///     if table.is_sorted() { Ok(()) } else { Err("not sorted".to_owned()) }
/// }
///
/// fn make_table(rows: u64, order: &str) -> Vec<u64> {
///     let step = if order == "ascending" { 1 } else { 7_919 };
///     (0..rows).map(|row| row * step % rows).collect()
/// }
/// ```
///
/// # Fixtures
///
/// What can't be made anew for every execution is made once per worker, unmeasured. An expression that is
/// `Err`, `?` on one, a panic, and more time than the job's `timeout` fail the case before its first execution;
/// of `Ok` the name has the value. The values are dropped when the worker ends.
///
/// ```
/// use profiling_core::profile_job;
/// use std::collections::HashMap;
///
/// #[profile_job(
///     params(rows = [100, 1_000]),
///     fixture(table = (0..rows).map(|row| (row, row.to_string())).collect::<HashMap<u64, String>>()),
///     args(&table, rows / 2),
///     verify(|found| found.is_some()),
/// )]
/// fn look_up(table: &HashMap<u64, String>, key: u64) -> Option<&String> {
///     table.get(&key)
/// }
/// ```
///
/// # Params and constraints
///
/// A parameter's values are a list of integer literals or of string literals, or a range of integers,
/// up to 4,096 of them; all other values can be made of these in `setup`. A constraint compares
/// params and literals with `<`, `<=`, `>`, `>=`, `==` and `!=`, calculates with `+`, `-`, `*`, `/`
/// and `%`, and combines comparisons with `&&`, `||`, `!` and parentheses. The macro evaluates it. A
/// job has one case per combination that meets all constraints, at most 4,096; the last parameter
/// changes fastest.
///
/// ```
/// use profiling_core::profile_job;
///
/// #[profile_job(
///     params(threads = [1, 2, 4, 8], chunk = 1..=16, chunk % threads == 0 && threads * chunk <= 64),
///     args(threads, chunk),
/// )]
/// fn hash(threads: usize, chunk: usize) {
///     # let _ = (threads, chunk);
///     // …
/// }
/// ```
///
/// # Which functions
///
/// Sync and async functions with any return type, in any module or function body. A function that
/// returns `impl Future`, `BoxFuture` or `Pin<Box<dyn Future>>` is awaited like an async one. Where a
/// job returns a `Result`, `Err` fails the execution. Parameters may be patterns:
///
/// ```
/// use profiling_core::profile_job;
///
/// pub struct TangleArg<T>(pub T);
/// pub struct TangleResult<T>(pub T);
///
/// #[profile_job(id = 1, args(TangleArg((12,))), verify(|TangleResult(output)| *output == 144))]
/// pub async fn square(TangleArg((x,)): TangleArg<(u64,)>) -> TangleResult<u64> {
///     TangleResult(x * x)
/// }
/// ```
///
/// Generic functions (lifetimes apart), `const`, `unsafe` and `extern` functions and methods can't be
/// jobs: annotate a free function that calls them. Inside an `impl` block the attribute can't work at
/// all. Where neither `self` nor `Self` gives the block away, rustc says that `const` items in this
/// context need a name.
///
/// ```compile_fail
/// use profiling_core::profile_job;
///
/// struct Squarer;
///
/// impl Squarer {
///     #[profile_job(args(2))]
///     fn square(&self, x: u64) -> u64 {
///         x * x
///     }
/// }
/// ```
#[proc_macro_attribute]
pub fn profile_job(arguments: TokenStream, item: TokenStream) -> TokenStream {
    let register = cfg!(feature = "profiling");
    expand::profile_job(arguments.into(), item.into(), register).into()
}

/// Makes a function a stage: each call of it is recorded while a job is measured that it is part of.
///
/// ```
/// use profiling_core::profile_stage;
///
/// #[profile_stage("merge")]
/// fn merge<T: Ord>(left: &mut Vec<T>, right: Vec<T>) {
///     left.extend(right);
///     left.sort();
/// }
///
/// struct Client;
///
/// impl Client {
///     /// The stage has the method's name, `fetch`.
///     #[profile_stage]
///     async fn fetch(&self) -> Result<Vec<u8>, String> {
///         Ok(Vec::new())
///     }
/// }
/// # drop(Client.fetch());
/// # merge(&mut vec![1], vec![2]);
/// ```
///
/// It works on functions and methods, sync, async and generic; not on `const` functions, and not on
/// functions that return a future without being `async`. A call of an async function begins when it is
/// first polled and is recorded with the time that it was being polled, whichever threads did. With the
/// feature `profiling` off, the function stays exactly as it is.
///
/// | argument | default | meaning |
/// |---|---|---|
/// | `"merge"` | the function's name | the stage's name, not empty |
/// | `crate = path` | `::profiling_core` | where `profiling-core` is, for a renamed dependency or a re-export |
#[proc_macro_attribute]
pub fn profile_stage(arguments: TokenStream, item: TokenStream) -> TokenStream {
    let record = cfg!(feature = "profiling");
    stage::profile_stage(arguments.into(), item.into(), record).into()
}
