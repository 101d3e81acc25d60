use std::time::Duration;

use quote::ToTokens;

use super::{Args, Arguments, Auto, Check, Flavor, Samples, Values};
use crate::errors::Errors;

fn parse(attribute: &str) -> (Arguments, Vec<String>) {
    let mut errors = Errors::default();
    let arguments = Arguments::parse(attribute.parse().expect(attribute), &mut errors);
    (arguments, errors.messages())
}

fn arguments(attribute: &str) -> Arguments {
    let (arguments, errors) = parse(attribute);
    assert!(errors.is_empty(), "{attribute}: {errors:?}");
    arguments
}

fn text(tokens: impl ToTokens) -> String {
    tokens.to_token_stream().to_string().replace(' ', "")
}

/// The cases, as the values of the params.
fn cases(params: &str) -> Vec<String> {
    let params = arguments(&format!("params({params})")).params;
    let value = |(index, level): (usize, &usize)| match &params.list[index].values {
        Values::Integers(values) => values[*level].value.to_string(),
        Values::Texts(values) => values[*level].value(),
    };
    params.cases.iter().map(|levels| levels.iter().enumerate().map(value).collect::<Vec<_>>().join(" ")).collect()
}

#[test]
fn nothing_given_is_the_defaults() {
    let arguments = arguments("");
    assert!(arguments.id.is_none() && arguments.samples.is_none() && arguments.warmup.is_none());
    assert!(arguments.timeout.is_none() && arguments.cold_samples.is_none());
    assert!(arguments.budgets.is_empty() && arguments.targets.is_empty());
    assert!(arguments.params.list.is_empty());
    assert_eq!(arguments.params.cases, [[]]);
    assert!(matches!(arguments.args, Args::Absent));
}

#[test]
fn every_argument_is_understood() {
    let arguments = arguments(
        "id = 3, name = \"a b\", samples = 1_000, warmup = 0x0, timeout = \"2min\", params(n = [1]), \
         setup(a = f::<u8, u8>(), mut b = |x, y| x + y,), args(a, HashMap::<u8, u8>::new(), &mut b), \
         verify(|output| output == &n), teardown({ drop(b); run }), runtime = \"current_thread\", worker_threads = 4, \
         stateful, persistent_connections = false, ignore = true, cold_samples = 3, isolation = \"sample\", \
         budget(max = \"2s\"), targets(\"aws-lambda\", \"gcp-2\"), crate = ::a::b,",
    );
    assert_eq!((arguments.id, arguments.warmup), (Some(3), Some(0)));
    assert!(matches!(arguments.samples, Some(Samples::Count(1_000))));
    assert_eq!(arguments.name.map(|name| name.value()).as_deref(), Some("a b"));
    assert_eq!(arguments.timeout, Some(Duration::from_secs(120)));
    assert_eq!(arguments.params.cases, [[0]]);
    let setup: Vec<String> = arguments.setup.iter().map(|binding| text(&binding.value)).collect();
    assert_eq!(setup, ["f::<u8,u8>()", "|x,y|x+y"]);
    assert!(arguments.setup[0].mutability.is_none() && arguments.setup[1].mutability.is_some());
    let Args::Given(args) = arguments.args else { panic!("`args` is given") };
    assert_eq!(args.iter().map(text).collect::<Vec<_>>(), ["a", "HashMap::<u8,u8>::new()", "&mutb"]);
    assert!(matches!(arguments.verify, Some(Check::Closure(_))));
    assert_eq!(text(arguments.teardown), "{drop(b);run}");
    assert!(arguments.runtime.is_some_and(|runtime| runtime.value == Flavor::CurrentThread));
    assert!(arguments.worker_threads.is_some_and(|threads| threads.value == 4));
    let flags = arguments.flags;
    let targets: Vec<String> = arguments.targets.iter().map(syn::LitStr::value).collect();
    assert_eq!((arguments.budgets.len(), targets), (1, vec!["aws-lambda".to_owned(), "gcp-2".to_owned()]));
    assert_eq!((arguments.cold_samples, arguments.isolation), (Some(3), super::Isolation::Sample));
    assert_eq!((flags.stateful, flags.persistent_connections, flags.ignore), (true, false, true));
    assert_eq!(text(arguments.krate), "::a::b");
}

/// What `samples = auto…` says.
fn auto(attribute: &str) -> Auto {
    match arguments(attribute).samples {
        Some(Samples::Auto(auto)) => auto,
        _ => panic!("{attribute} is auto"),
    }
}

#[test]
fn auto_takes_what_it_is_given() {
    for attribute in ["samples = auto", "samples = auto()", "samples = auto,"] {
        let Auto { min, max, precision, percentile, time } = auto(attribute);
        assert_eq!((min, max, percentile, time), (10, 1000, "P50", Duration::from_secs(10)));
        assert!((precision - 0.02).abs() < 1e-12);
    }
    let given = auto(
        "samples = auto(max = 5_000, percentile = p99, precision = 0.5%, time = \"1.5min\", min = 300,), warmup = 1",
    );
    assert_eq!((given.min, given.max, given.percentile, given.time), (300, 5000, "P99", Duration::from_secs(90)));
    assert!((given.precision - 0.005).abs() < 1e-12);
}

#[test]
fn budgets_are_in_nanoseconds_bytes_and_numbers() {
    let budgets = arguments(
        "budget(p50 = \"1us\", p90 = \"2ms\", p95 = \"1.5s\", p99 = \"1min\", max = \"1h\", cpu = \"5ns\", \
         peak_memory = \"64MiB\", peak_heap = \"1kB\", allocations = 1_000, allocated = \"0B\", instructions = 0)",
    )
    .budgets;
    let budgets: Vec<(&str, u64)> = budgets.iter().map(|budget| (budget.subject, budget.limit)).collect();
    let expected = [
        ("P50", 1_000),
        ("P90", 2_000_000),
        ("P95", 1_500_000_000),
        ("P99", 60_000_000_000),
        ("Max", 3_600_000_000_000),
        ("Cpu", 5),
        ("PeakMemory", 64 << 20),
        ("PeakHeap", 1_000),
        ("Allocations", 1_000),
        ("Allocated", 0),
        ("Instructions", 0),
    ];
    assert_eq!(budgets, expected);
}

#[test]
fn verify_takes_the_path_of_a_function() {
    assert!(matches!(arguments("verify(crate::checks::is_even)").verify, Some(Check::Function(_))));
    assert!(matches!(arguments("verify(is::<u8>)").verify, Some(Check::Function(_))));
}

#[test]
#[cfg(feature = "profiling")]
fn run_is_found_wherever_it_can_be_used() {
    for attribute in ["args(run)", "setup(a = f(&[run + 1]))", "verify(|_| run > 0)", "args(format!(\"{run:?}\"))"] {
        assert!(arguments(attribute).mentions_run, "{attribute}");
    }
    for attribute in ["", "args(runs)", "args(\"run\")", "name = \"run\""] {
        assert!(!arguments(attribute).mentions_run, "{attribute}");
    }
}

#[test]
fn cases_are_the_combinations_in_order() {
    assert_eq!(cases(""), [""]);
    assert_eq!(cases("n = [10, 1]"), ["10", "1"]);
    assert_eq!(cases("n = [1, 2], k = [\"b\", \"a\"]"), ["1 b", "1 a", "2 b", "2 a"]);
    assert_eq!(cases("n = 1..=3"), ["1", "2", "3"]);
    assert_eq!(cases("n = -1..1"), ["-1", "0"]);
    assert_eq!(cases("n = [0xff, -0b11, 1_000u16]"), ["255", "-3", "1000"]);
    assert_eq!(cases("n = 1..=16").len(), 16, "all of them");
    assert_eq!(
        cases("n = 1..=1000").join(" "),
        "1 68 134 201 267 334 401 467 534 600 667 734 800 867 933 1000",
        "16 of more"
    );
    assert_eq!(cases("n = -5..4096").len(), 16);
    assert_eq!(cases("n = 0..=18_446_744_073_709_551_615").last().map(String::as_str), Some("18446744073709551615"));
    assert_eq!(
        cases("n = log(1..=1_000_000)").join(" "),
        "1 3 6 16 40 100 251 631 1585 3981 10000 25119 63096 158489 398107 1000000"
    );
    assert_eq!(cases("n = log(1..10)").join(" "), "1 2 3 4 5 6 7 8 9");
    assert_eq!(cases("n = log(7..=7)"), ["7"]);
    let far = cases("n = log(1..=18_446_744_073_709_551_615)");
    assert_eq!((far.len(), far[15].as_str()), (16, "18446744073709551615"));
}

#[test]
fn constraints_leave_out_cases() {
    assert_eq!(cases("n = 1..=3, m = 1..=3, m <= n"), ["1 1", "2 1", "2 2", "3 1", "3 2", "3 3"]);
    // A constraint may stand before what it speaks of.
    assert_eq!(cases("m < n, n = 1..=2, m = 1..=2"), ["2 1"]);
    for (constraint, left) in [
        ("n < 2", "1"),
        ("n <= 2", "1 2"),
        ("n > 2", "3 4"),
        ("n >= 2", "2 3 4"),
        ("n == 2", "2"),
        ("n != 2", "1 3 4"),
        ("n == 1 || n == 4", "1 4"),
        ("n > 1 && n < 4", "2 3"),
        ("!(n > 1 && n < 4)", "1 4"),
        ("n == 1 || n > 2 && n < 4", "1 3"),
        ("n * 2 + 1 == 7 - 2", "2"),
        ("n % 2 == 0", "2 4"),
        ("n / 2 == 1", "2 3"),
        ("-n + 10 > (5 + 2)", "1 2"),
        ("2 + n * 2 >= (2 + n) * 2", ""),
        ("n != 2, 4 / (n - 2) > 0", "3 4"),
    ] {
        if left.is_empty() {
            let (_, errors) = parse(&format!("params(n = 1..=4, {constraint})"));
            assert_eq!(errors, ["no combination of the parameters meets the constraints"], "{constraint}");
        } else {
            assert_eq!(cases(&format!("n = 1..=4, {constraint}")).join(" "), left, "{constraint}");
        }
    }
    assert_eq!(cases("s = [\"a\", \"b\", \"c\"], s >= \"b\", \"c\" != s"), ["b"]);
    assert_eq!(cases("s = [\"a\", \"b\"], t = [\"a\", \"b\"], s == t"), ["a a", "b b"]);
}

#[test]
fn a_mistake_leaves_the_others_to_be_found() {
    let (arguments, errors) =
        parse("id = x, samples = 3, nonsense(1, 2), warmup = , timeout = \"1\", ignore, 5, name = \"ok\"");
    assert_eq!(errors.len(), 5, "{errors:?}");
    assert!(matches!(arguments.samples, Some(Samples::Count(3))));
    assert!(arguments.flags.ignore);
    assert!(arguments.name.is_some());

    let (_, errors) = parse("params(a = [], b = 3, c = [1], c < d), setup(1, a = ), args(;), verify(|| 1)");
    assert_eq!(errors.len(), 6, "{errors:?}");
}

#[test]
fn args_with_a_mistake_are_not_counted() {
    assert!(matches!(parse("args(1 +)").0.args, Args::Mistaken));
    assert!(matches!(parse("args = 1").0.args, Args::Mistaken));
}

#[test]
fn an_unknown_argument_is_told_the_known_ones() {
    let (_, errors) = parse("quota(1)");
    assert!(errors[0].starts_with("unknown argument `quota`\n"), "{errors:?}");
    assert!(errors[0].ends_with("`ignore` and `crate`"), "{errors:?}");
    let (_, errors) = parse("argss(1)");
    assert!(errors[0].starts_with("unknown argument `argss`; did you mean `args`?"), "{errors:?}");
}
