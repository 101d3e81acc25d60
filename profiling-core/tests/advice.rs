//! Verdicts, sizes and costs against calculations on paper, with the built-in catalogue.
//!
//! The profiles in `tests/advice` are made by hand. They have no samples beside them, so that durations are
//! held against limits at 1.5 × the longest. All have a cold start of 10 ms, 3 threads, 10 file descriptors and
//! nothing written, unless it says otherwise. Headroom is 20%.

use profiling_core::advise::{
    Advice, Catalogue, Constraint, Options, PlatformAdvice, Reason, RehearsedOutcome, SizeAdvice, SizesListed, Verdict,
    not_profiled,
};
use profiling_core::evidence::Leftover;
use profiling_core::fingerprint::Change;
use profiling_core::profile::{
    FileSystem, OfferedSize, Params, Profile, Rehearsal, RehearsalFailure, RehearsalOutcome,
};
use profiling_core::sample::Sample;
use profiling_core::samples::SampledCase;
use profiling_core::statistics::Summary;

use Verdict::{Compatible, Incompatible, Tight, Unknown};

type TestResult = Result<(), Box<dyn std::error::Error>>;

/// The platforms in the order of the catalogue.
const PLATFORMS: [&str; 9] = [
    "aws-lambda",
    "gcp-cloud-run",
    "gcp-cloud-run-instance",
    "azure-functions-consumption",
    "azure-functions-flex",
    "digitalocean-functions",
    "cloudflare-workers",
    "cloudflare-containers",
    "fly-machines",
];

macro_rules! profile {
    ($name:literal) => {
        serde_json::from_str::<Profile>(include_str!(concat!("advice/", $name, ".json"))).expect("a profile")
    };
}

/// With the samples of its only case, if any.
fn advise(profile: &Profile, samples: &[Sample], catalogue: &Catalogue, options: &Options) -> Advice {
    let samples = samples.into();
    let case: Vec<_> =
        profile.cases.first().map(|case| SampledCase { params: &case.params, samples: &samples }).into_iter().collect();
    profiling_core::advise::advise(profile, &case, catalogue, options).expect("samples in memory can be read")
}

fn plain(profile: &Profile) -> Advice {
    advise(profile, &[], Catalogue::builtin(), &Options::default())
}

fn on<'a>(advice: &'a Advice, platform: &str) -> &'a PlatformAdvice {
    advice.platform(platform).expect("in the catalogue")
}

fn verdicts(advice: &Advice) -> Vec<Verdict> {
    PLATFORMS.iter().map(|platform| on(advice, platform).verdict).collect()
}

fn reason<'a>(advice: &'a Advice, platform: &str, constraint: Constraint) -> &'a Reason {
    let reasons = &on(advice, platform).reasons;
    let found = reasons.iter().find(|reason| reason.constraint == constraint);
    found.unwrap_or_else(|| panic!("{platform} has no {constraint:?} among {reasons:?}"))
}

/// The constraints that decide, worst first.
fn constraints(advice: &Advice, platform: &str) -> Vec<Constraint> {
    on(advice, platform).reasons.iter().map(|reason| reason.constraint).collect()
}

fn near(found: f64, expected: f64) {
    assert!((found - expected).abs() <= 1e-6 * expected.abs().max(1e-3), "{found} is not {expected}");
}

fn near_some(found: Option<f64>, expected: f64) {
    near(found.expect("a figure"), expected);
}

/// Memory, predicted duration and cost of a million.
fn is_size(size: Option<&SizeAdvice>, memory_mb: u32, predicted_ms: f64, usd_per_million: f64) {
    let size = size.expect("chosen");
    assert_eq!(size.memory_mb, memory_mb);
    near(size.predicted_ms, predicted_ms);
    near(size.usd_per_million, usd_per_million);
}

fn size(advice: &Advice, platform: &str, memory_mb: u32, vcpu: f64) -> SizeAdvice {
    let sizes = &on(advice, platform).sizes;
    let found = sizes.iter().find(|size| size.memory_mb == memory_mb && (size.vcpu - vcpu).abs() < 1e-3);
    found.unwrap_or_else(|| panic!("{platform} has no {memory_mb} MB with {vcpu}")).clone()
}

/// 200 ms of CPU time of one thread, 40 MiB: 48 MiB with headroom.
#[test]
fn a_small_job_fits_everywhere() {
    let advice = plain(&profile!("hash"));
    let mut expected = [Compatible; 9];
    expected[6] = Unknown; // Workers run no native code.
    assert_eq!(verdicts(&advice), expected);

    // Lambda, 128 MB: 128/1769 CPUs. 200 ms · 1769/128 = 2764.0625 ms; bound 1.5 ×; cold start 10 · 1769/128.
    let lambda = on(&advice, "aws-lambda");
    let duration = reason(&advice, "aws-lambda", Constraint::Duration);
    near_some(duration.figure, 1.5 * 2.764_062_5 + 0.138_203_125);
    near_some(duration.limit, 900.0);
    let memory = reason(&advice, "aws-lambda", Constraint::Memory);
    near_some(memory.figure, 41_943_040.0);
    near_some(memory.limit, 134_217_728.0);
    near_some(memory.margin, 2.2); // (128 − 40) / 40
    // 2,765 ms · 0.125 GB · 1.66667e-5 + 2e-7; the lowest is 1769 MB's, 200 ms · 1.7275 GB, 0.03% below.
    is_size(lambda.cheapest.as_ref(), 128, 2_764.062_5, 5.960_429);
    is_size(lambda.fastest.as_ref(), 1769, 200.0, 5.958_475);
    assert_eq!(lambda.confidence, "high (limits, prices); medium (visible vCPU steps)");
    assert_eq!(on(&advice, "cloudflare-workers").reasons[0].constraint, Constraint::Architecture);
}

#[test]
fn every_platform_bills_by_its_own_formula() {
    let advice = plain(&profile!("hash"));
    // Cloud Run, 512 MB: 200 ms on 1 CPU · (2.4e-5 + 0.5 · 2.5e-6) + 4e-7; on 0.333, 600.6 → 700 ms · 9.242e-6.
    is_size(on(&advice, "gcp-cloud-run").cheapest.as_ref(), 512, 200.0, 5.45);
    near(size(&advice, "gcp-cloud-run", 512, 0.333).usd_per_million, 6.8694);
    // By instance: a minute at least, 60 s · (1.8e-5 + 0.5 · 2e-6).
    is_size(on(&advice, "gcp-cloud-run-instance").cheapest.as_ref(), 512, 200.0, 1140.0);
    // Consumption: 200 ms · ceil128(40 MiB)/1024 · 1.6e-5 + 2e-7.
    is_size(on(&advice, "azure-functions-consumption").cheapest.as_ref(), 1536, 200.0, 0.6);
    // Flex, 512 MB: 0.25 CPUs, 800 ms → 1000 ms at least · 0.5 GB · 2.6e-5 + 4e-7; 2048 MB: 1000 ms · 2 GB.
    is_size(on(&advice, "azure-functions-flex").cheapest.as_ref(), 512, 800.0, 13.4);
    near(size(&advice, "azure-functions-flex", 2048, 1.0).usd_per_million, 52.4);
    // DigitalOcean: undocumented share, 0.1 CPUs: 2,000 ms · 0.125 GiB · 1.85e-5.
    is_size(on(&advice, "digitalocean-functions").cheapest.as_ref(), 128, 2000.0, 4.625);
    // Workers: 200 ms of CPU time · 2e-8 + 3e-7.
    is_size(on(&advice, "cloudflare-workers").cheapest.as_ref(), 128, 200.0, 4.3);
    // Containers, lite: 0.0625 CPUs, 3,200 ms. 0.2 s · 2e-5 + 3.2 s · (0.25 GiB · 2.5e-6 + 2 GB · 7e-8) + 3e-7.
    near(size(&advice, "cloudflare-containers", 256, 0.0625).usd_per_million, 6.748);
    // Fly, 256 MB of a shared CPU, 0.1: 2,000 ms → 2 s · 7.8e-7; a whole CPU: 200 ms → 1 s · 1.242e-5.
    is_size(on(&advice, "fly-machines").cheapest.as_ref(), 256, 2000.0, 1.56);
    near(size(&advice, "fly-machines", 2048, 1.0).usd_per_million, 12.42);
}

/// 10 ms: the minimum of each platform is billed.
#[test]
fn the_minimum_is_billed() {
    let mut profile = profile!("hash");
    let ten_ms = profiling_core::statistics::Summary::of(&[10_000_000]);
    profile.cases[0].wall_ns = ten_ms.expect("a figure");
    profile.cases[0].figures.cpu_ns = ten_ms;
    let advice = plain(&profile);
    let billed = |platform: &str, memory_mb, vcpu| size(&advice, platform, memory_mb, vcpu).billed_ms;
    near(billed("aws-lambda", 1769, 1.0), 10.0);
    near(billed("gcp-cloud-run", 512, 1.0), 100.0);
    near(billed("azure-functions-consumption", 1536, 1.0), 100.0);
    near(billed("azure-functions-flex", 2048, 1.0), 1000.0);
    near(billed("digitalocean-functions", 128, 0.1), 100.0);
    near(billed("fly-machines", 2048, 1.0), 1000.0);
    near(billed("cloudflare-containers", 6144, 1.0), 10.0);
    near(billed("gcp-cloud-run-instance", 512, 1.0), 60_000.0);
}

/// A cold start of 10 ms on one CPU.
#[test]
fn cold_starts_are_billed_where_they_are() {
    let profile = profile!("hash");
    let advice = plain(&profile);
    let at = |platform: &str, memory_mb, vcpu| size(&advice, platform, memory_mb, vcpu).usd_per_million_cold;
    // 210 ms · 1.7275 GB · 1.66667e-5 + 2e-7.
    near_some(at("aws-lambda", 1769, 1.0), 0.21 * 1769.0 / 1024.0 * 16.6667 + 0.2);
    near_some(at("cloudflare-workers", 128, 1.0), 4.3); // not billed
    let tenth = Options { cold_start_share: 0.1, ..Options::default() };
    let advice = advise(&profile, &[], Catalogue::builtin(), &tenth);
    let mixed = size(&advice, "aws-lambda", 1769, 1.0).usd_per_million;
    near(mixed, (0.9 * 0.2 + 0.1 * 0.21) * 1769.0 / 1024.0 * 16.6667 + 0.2);
}

/// 599.9 s of waiting, a cold start of 50 ms: 1.5 × 599.9 + 0.05 = 899.9 s on a whole CPU.
#[test]
fn a_hair_below_the_timeout_is_no_headroom() {
    let advice = plain(&profile!("edge"));
    // Lambda, Cloud Run twice, both Azures, DigitalOcean, Workers, Containers, Fly.
    let expected =
        [Tight, Compatible, Compatible, Incompatible, Compatible, Incompatible, Unknown, Compatible, Compatible];
    assert_eq!(verdicts(&advice), expected);
    // The smallest size with a cold start below 0.15 s: 0.05 · 1769/m ≤ 0.15 from 590 MB on.
    let duration = reason(&advice, "aws-lambda", Constraint::Duration);
    near_some(duration.figure, 899.85 + 0.05 * 1769.0 / 590.0);
    assert_eq!(duration.verdict, Tight);
    assert_eq!(constraints(&advice, "aws-lambda"), [Constraint::Duration], "memory is no reason");
    near(size(&advice, "aws-lambda", 2048, 2048.0 / 1769.0).bound_ms, 899_850.0);
    let duration = reason(&advice, "azure-functions-consumption", Constraint::Duration);
    near_some(duration.figure, 899.9);
    near_some(duration.limit, 600.0);
    // A tenth of a CPU: 899.85 + 0.5.
    near_some(reason(&advice, "digitalocean-functions", Constraint::Duration).figure, 900.35);
    let notes = &on(&advice, "azure-functions-flex").notes;
    assert!(notes.iter().any(|note| note.contains("gets none after 230 s")), "{notes:?}");
}

/// A response of 5 MiB.
#[test]
fn a_payload_above_the_limit_is_incompatible() {
    let advice = plain(&profile!("payload"));
    let expected =
        [Compatible, Compatible, Compatible, Compatible, Compatible, Incompatible, Unknown, Compatible, Compatible];
    assert_eq!(verdicts(&advice), expected);
    let payload = reason(&advice, "digitalocean-functions", Constraint::PayloadResponse);
    near_some(payload.figure, 5_242_880.0);
    near_some(payload.limit, 1_000_000.0);
    near_some(payload.margin, -0.8093); // (1,000,000 − 5,242,880) / 5,242,880
    near_some(reason(&advice, "aws-lambda", Constraint::PayloadResponse).margin, 0.2);
    assert!(!on(&advice, "aws-lambda").notes.iter().any(|note| note.contains("never recorded")));
}

/// One second of CPU time, 9,000 MiB: 10,800 with headroom.
#[test]
fn memory_needs_headroom() {
    let advice = plain(&profile!("memory"));
    let expected = [
        Tight,
        Compatible,
        Compatible,
        Incompatible,
        Incompatible,
        Incompatible,
        Incompatible,
        Compatible,
        Incompatible,
    ];
    assert_eq!(verdicts(&advice), expected);
    let memory = reason(&advice, "aws-lambda", Constraint::Memory);
    // The cheapest that it fits at all; with headroom, it fits none.
    near_some(memory.figure, 9000.0 * 1_048_576.0);
    near_some(memory.limit, 9000.0 * 1_048_576.0);
    near_some(memory.margin, 0.0);
    assert_eq!(
        on(&advice, "gcp-cloud-run").cheapest.as_ref().map(|size| (size.memory_mb, size.vcpu)),
        Some((16384, 4.0))
    );
    assert_eq!(on(&advice, "cloudflare-containers").cheapest.as_ref().map(|size| size.memory_mb), Some(12288));
    assert_eq!(on(&advice, "azure-functions-flex").cheapest, None);
    let limit = reason(&advice, "azure-functions-flex", Constraint::Memory).limit;
    near_some(limit, 4096.0 * 1_048_576.0);
}

#[test]
fn state_and_connections_are_incompatible() {
    let advice = plain(&profile!("stateful"));
    assert_eq!(verdicts(&advice), [Incompatible; 9]);
    assert_eq!(constraints(&advice, "aws-lambda"), [Constraint::State]);
    let text = &reason(&advice, "aws-lambda", Constraint::State).text;
    assert_eq!(text, "keeps state between executions: retains 1,048,576 bytes more after every execution");

    let advice = plain(&profile!("connections"));
    assert_eq!(verdicts(&advice), [Incompatible; 9]);
    let text = &reason(&advice, "fly-machines", Constraint::PersistentConnections).text;
    assert_eq!(text, "keeps connections between executions: listens on 127.0.0.1:4711");
}

#[test]
fn what_may_be_left_behind_makes_a_verdict_unknown_at_best() {
    let mut profile = profile!("hash");
    let file = |path: &str| Leftover::File { path: path.to_owned() };
    profile.cases[0].evidence.extend([file("/w/run.log").unknown("namespaces are denied")]);
    let advice = plain(&profile);
    let lambda = on(&advice, "aws-lambda");
    assert_eq!(lambda.verdict, Unknown);
    let text = "it isn't known whether it keeps state between executions: may leave the file /w/run.log behind: \
                namespaces are denied";
    assert_eq!(reason(&advice, "aws-lambda", Constraint::State).text, text);
    assert!(verdicts(&advice).iter().all(|&verdict| verdict >= Unknown));
}

#[test]
fn a_profile_that_says_nothing_is_never_compatible() {
    let catalogue = Catalogue::builtin();
    for (profile, constraint) in [(profile!("debug"), Constraint::Build), (profile!("few"), Constraint::Samples)] {
        let advice = plain(&profile);
        assert_eq!(verdicts(&advice), [Unknown; 9], "{constraint:?}");
        assert_eq!(constraints(&advice, "aws-lambda"), [constraint]);
    }
    let stale = Profile { stale: vec![Change::Sources], ..profile!("hash") };
    let advice = plain(&stale);
    assert_eq!(verdicts(&advice), [Unknown; 9]);
    assert_eq!(constraints(&advice, "aws-lambda"), [Constraint::Stale]);

    let mut afterwards = plain(&profile!("hash"));
    afterwards.distrust(Constraint::Stale, &advice.platforms[0].reasons[0].text);
    assert_eq!(verdicts(&afterwards), [Unknown; 9]);
    assert_eq!(afterwards.platforms[0].reasons, advice.platforms[0].reasons);
    afterwards.distrust(Constraint::Stale, &advice.platforms[0].reasons[0].text);
    assert_eq!(afterwards.platforms[0].reasons.len(), 1, "once is enough");

    assert_eq!(verdicts(&not_profiled(catalogue)), [Incompatible; 9]);
    let mut partial = profile!("hash");
    partial.missing_cases.push(Params::new());
    assert_eq!(verdicts(&plain(&partial)), [Unknown; 9]);
    partial.cases.clear();
    assert_eq!(verdicts(&plain(&partial)), [Incompatible; 9]);
}

/// 1,100 threads, 600 MB written to the device, a tree of 2,000 MiB (2,400 with headroom), 50 MiB itself.
#[test]
fn threads_disk_and_children_count() {
    let advice = plain(&profile!("family"));
    assert_eq!(constraints(&advice, "aws-lambda"), [Constraint::Threads]);
    near_some(reason(&advice, "aws-lambda", Constraint::Threads).figure, 1100.0);
    near_some(reason(&advice, "aws-lambda", Constraint::Threads).limit, 1024.0);
    let azure = constraints(&advice, "azure-functions-consumption");
    assert_eq!(azure, [Constraint::Memory, Constraint::TemporaryDisk], "1,536 MB, and 500 MB of disk");
    near_some(reason(&advice, "azure-functions-consumption", Constraint::TemporaryDisk).figure, 600e6);
    // Files lie in memory: up to 2,000 MiB + 600 MB = 2,572.2 MiB, 3,086.6 with headroom.
    assert_eq!(on(&advice, "gcp-cloud-run").verdict, Compatible);
    near_some(reason(&advice, "gcp-cloud-run", Constraint::Memory).figure, 2000.0 * 1_048_576.0 + 600e6);
    assert_eq!(on(&advice, "gcp-cloud-run").cheapest.as_ref().map(|size| size.memory_mb), Some(4096));
    assert_eq!(on(&advice, "azure-functions-flex").cheapest.as_ref().map(|size| size.memory_mb), Some(4096));
    assert_eq!(on(&advice, "fly-machines").cheapest.as_ref().map(|size| size.memory_mb), Some(4096));
    assert_eq!(on(&advice, "digitalocean-functions").verdict, Incompatible);

    // What is written, but to no device that is known, may lie in files or not.
    let mut profile = profile!("family");
    profile.cases[0].figures.device_written_bytes = None;
    profile.cases[0].tree_peak = None;
    let advice = plain(&profile);
    assert_eq!(reason(&advice, "azure-functions-consumption", Constraint::TemporaryDisk).verdict, Unknown);
}

/// Neither CPU time nor resident memory was measured.
#[test]
fn without_figures_nothing_is_known() {
    let advice = plain(&profile!("blind"));
    assert_eq!(verdicts(&advice), [Unknown; 9]);
    let lambda = on(&advice, "aws-lambda");
    assert_eq!(constraints(&advice, "aws-lambda"), [Constraint::Duration, Constraint::Memory]);
    assert!(lambda.reasons[1].text.starts_with("memory was not measured"), "{}", lambda.reasons[1].text);
    assert!(lambda.sizes.is_empty() && lambda.cheapest.is_none());
    assert_eq!(advice.vm, None);
}

/// A profile whose only case was rehearsed in these sizes of platforms.
fn rehearsed(mut profile: Profile, outcomes: Vec<(&str, u32, RehearsalOutcome)>) -> Profile {
    let rehearsal = |(platform, memory_mb, outcome): (&str, u32, RehearsalOutcome)| {
        let size = Catalogue::builtin().platform(platform).expect("there").size(memory_mb, None).expect("offered");
        Rehearsal {
            size: format!("{platform}@{memory_mb}"),
            offered: Some(OfferedSize { platform: platform.to_owned(), memory_mb, vcpu: size.vcpu }),
            outcome,
            predicted_p50_ns: Some(200_000_000),
            period_ns: 20_000_000,
            file_system: FileSystem::ReadOnly,
        }
    };
    profile.cases[0].rehearsals = outcomes.into_iter().map(rehearsal).collect();
    profile
}

fn failed(cause: RehearsalFailure) -> RehearsalOutcome {
    let out_of_memory_kills = u64::from(cause == RehearsalFailure::OutOfMemory);
    RehearsalOutcome::Failed { cause, reason: "in execution 0: it was so".to_owned(), out_of_memory_kills }
}

/// In so many milliseconds.
fn passed(ms: u64) -> RehearsalOutcome {
    RehearsalOutcome::Passed { wall_ns: Summary::of(&[ms * 1_000_000]).expect("one") }
}

/// 40 MiB were measured, but it was killed at 128 MB: 153.6 are the least with headroom.
#[test]
fn a_size_that_killed_is_no_recommendation_anywhere() {
    let cheapest = |advice: &Advice, platform| on(advice, platform).cheapest.as_ref().map(|size| size.memory_mb);
    assert_eq!(cheapest(&plain(&profile!("hash")), "aws-lambda"), Some(128));
    let killed = ("aws-lambda", 128, failed(RehearsalFailure::OutOfMemory));
    let advice = plain(&rehearsed(profile!("hash"), vec![killed]));
    let lambda = on(&advice, "aws-lambda");
    assert_eq!((lambda.verdict, cheapest(&advice, "aws-lambda")), (Compatible, Some(154)));
    assert_eq!(size(&advice, "aws-lambda", 128, 128.0 / 1769.0).verdict, Incompatible);
    assert_eq!(cheapest(&advice, "digitalocean-functions"), Some(256), "which offers 128 MB, too");
    let [of_128] = &lambda.rehearsed[..] else { panic!("{:?}", lambda.rehearsed) };
    assert_eq!((of_128.memory_mb, of_128.measured_p50_ms), (128, None));
    assert_eq!(serde_json::to_value(of_128).expect("JSON")["outcome"], "failed");
    assert!(on(&advice, "digitalocean-functions").rehearsed.is_empty());

    let killed = ("aws-lambda", 10_240, failed(RehearsalFailure::OutOfMemory));
    let advice = plain(&rehearsed(profile!("hash"), vec![killed]));
    assert_eq!((on(&advice, "aws-lambda").verdict, cheapest(&advice, "aws-lambda")), (Incompatible, None));
    let reason = reason(&advice, "aws-lambda", Constraint::Rehearsal);
    assert_eq!((reason.verdict, &*reason.text), (Incompatible, "out of memory when rehearsed at 10240 MB"));
}

#[test]
fn a_failed_rehearsal_overturns_sizes() {
    let advised = |cause| {
        let advice = plain(&rehearsed(profile!("hash"), vec![("aws-lambda", 256, failed(cause))]));
        let of = |platform| {
            let of = on(&advice, platform);
            (of.verdict, of.cheapest.as_ref().map(|size| size.memory_mb))
        };
        (of("aws-lambda"), of("azure-functions-flex"))
    };
    let elsewhere = advised(RehearsalFailure::NotRun).1;
    assert_eq!(advised(RehearsalFailure::TimedOut), ((Compatible, Some(257)), elsewhere));
    assert_eq!(advised(RehearsalFailure::Job), ((Compatible, Some(257)), elsewhere));
    assert_eq!(advised(RehearsalFailure::WriteRefused), ((Incompatible, None), elsewhere), "so it is in every size");
    assert_eq!(advised(RehearsalFailure::NotRun), ((Compatible, Some(128)), elsewhere), "which says nothing");

    // Where files lie in memory, they can be written to.
    let refused = ("gcp-cloud-run", 512, failed(RehearsalFailure::WriteRefused));
    assert_eq!(on(&plain(&rehearsed(profile!("hash"), vec![refused])), "gcp-cloud-run").verdict, Compatible);
}

#[test]
fn a_passed_rehearsal_tells_what_was_not_measured() {
    let mut profile = profile!("hash");
    let figures = &mut profile.cases[0].figures;
    (figures.peak_rss_bytes, figures.peak_file_descriptors, figures.peak_threads) = (None, None, None);
    figures.written_bytes = None;
    assert_eq!(on(&plain(&profile), "aws-lambda").verdict, Unknown);

    let advice = plain(&rehearsed(profile, vec![("aws-lambda", 512, passed(800))]));
    let lambda = on(&advice, "aws-lambda");
    assert_eq!(lambda.verdict, Compatible, "{:?}", lambda.reasons);
    // It needs 512 MB at most, and 614.4 with headroom.
    assert_eq!(lambda.cheapest.as_ref().map(|size| size.memory_mb), Some(615));
    let in_512 = size(&advice, "aws-lambda", 512, 512.0 / 1769.0);
    assert_eq!(in_512.verdict, Tight);
    near(in_512.bound_ms, 1.5 * 800.0);
    near(in_512.predicted_ms, 200.0 * 1769.0 / 512.0);
    assert_eq!(lambda.rehearsed[0].outcome, RehearsedOutcome::Passed);
    assert_eq!((lambda.rehearsed[0].measured_p50_ms, lambda.rehearsed[0].predicted_p50_ms), (Some(800.0), Some(200.0)));
    // Of descriptors and threads, what is enough on one platform tells nothing of others.
    assert_eq!(on(&advice, "azure-functions-consumption").verdict, Unknown);
}

/// A peak that was seen is one, whatever came of a rehearsal.
#[test]
fn a_passed_rehearsal_takes_no_peak_back() {
    let advice = plain(&rehearsed(profile!("memory"), vec![("aws-lambda", 512, passed(1))]));
    assert_eq!(size(&advice, "aws-lambda", 512, 512.0 / 1769.0).verdict, Incompatible);
    assert_eq!(on(&advice, "aws-lambda").verdict, Tight);
}

/// What was measured within the limits goes before what was predicted: 700 s · 1.5 is above 900.
#[test]
fn a_rehearsed_duration_goes_before_a_predicted_one() {
    let advice = plain(&rehearsed(profile!("hash"), vec![("aws-lambda", 128, passed(700_000))]));
    assert_eq!(size(&advice, "aws-lambda", 128, 128.0 / 1769.0).verdict, Incompatible);
    assert_eq!(on(&advice, "aws-lambda").cheapest.as_ref().map(|size| size.memory_mb), Some(129));
}

/// Executions of 20 ms of CPU and 10 to 389 ms of waiting.
fn spread() -> (Profile, Vec<Sample>) {
    let waiting = 10..390_u64;
    let samples =
        waiting.map(|ms| Sample { wall_ns: (ms + 20) * 1_000_000, cpu_ns: Some(20_000_000), ..Sample::default() });
    (profile!("hash"), samples.collect())
}

#[test]
fn samples_are_carried_over_one_by_one() {
    let (profile, samples) = spread();
    let advice = advise(&profile, &samples, Catalogue::builtin(), &Options::default());
    let half = size(&advice, "aws-lambda", 512, 512.0 / 1769.0);
    // 20 ms · 1769/512 = 69.1015625 ms of CPU; 380 samples: the median is the 190th, 199 ms of waiting.
    near(half.predicted_ms, 69.101_562_5 + 199.0);
    // 99% of 380: the upper end of p99's interval is the longest, and no 1.5 ×.
    near(half.bound_ms, 69.101_562_5 + 389.0);
    // Billed: the mean of ceil(69.1 + w) = 70 + w, with w from 10 to 389.
    near(half.billed_ms, 70.0 + 199.5);
}

/// `Math.ceil(duration) * minCost * (value / minRAM)`, with `minCost` per ms of `minRAM` = 128 MB.
#[test]
fn lambda_agrees_with_aws_lambda_power_tuning() {
    let (profile, samples) = spread();
    let all = Options { sizes: SizesListed::All, ..Options::default() };
    let advice = advise(&profile, &samples, Catalogue::builtin(), &all);
    let sizes = &on(&advice, "aws-lambda").sizes;
    assert_eq!(sizes.len(), 10_113);
    let cost_of_128_mb_ms = 1.66667e-5 * 128.0 / 1024.0 / 1000.0;
    for size in sizes.iter().filter(|size| [128, 256, 512, 1024, 1536, 1769, 3008, 10240].contains(&size.memory_mb)) {
        let share = (f64::from(size.memory_mb) / 1769.0).min(1.0);
        let price = |ms: u32| {
            let duration = 20.0 / share + f64::from(ms);
            (duration - 1e-6).ceil() * cost_of_128_mb_ms * (f64::from(size.memory_mb) / 128.0)
        };
        let average = (10..390).map(price).sum::<f64>() / 380.0;
        near(size.usd_per_million, (average + 2e-7) * 1e6);
    }
    // The cheapest by looking at all of them.
    let lowest = sizes.iter().map(|size| size.usd_per_million).fold(f64::INFINITY, f64::min);
    let cheapest = sizes.iter().find(|size| size.usd_per_million <= lowest * 1.01).expect("there");
    assert_eq!(on(&advice, "aws-lambda").cheapest.as_ref(), Some(cheapest));
}

/// The case that the figures in the documents are of.
#[test]
fn lambda_at_one_cpu_costs_596() {
    let advice = plain(&profile!("hash"));
    let usd = size(&advice, "aws-lambda", 1769, 1.0).usd_per_million;
    assert_eq!(format!("{usd:.2}"), "5.96");
}

#[test]
fn at_most_sixteen_sizes_are_listed() {
    for profile in [profile!("hash"), profile!("edge"), profile!("memory"), profile!("family")] {
        for platform in plain(&profile).platforms {
            assert!((1..=16).contains(&platform.sizes.len()), "{} of {}", platform.sizes.len(), platform.platform);
            assert!(platform.sizes.is_sorted_by(|a, b| (a.memory_mb, a.vcpu) <= (b.memory_mb, b.vcpu)));
            for chosen in [&platform.cheapest, &platform.fastest, &platform.balanced].into_iter().flatten() {
                assert!(platform.sizes.contains(chosen), "{}", platform.platform);
            }
        }
    }
}

/// 200 ms of CPU time, 40 MiB of which 20 are the execution's, once a second at 70%: 0.2857 CPUs, one at a time.
#[test]
fn machines_carry_the_rate() -> TestResult {
    let profile = profile!("hash");
    let advice = plain(&profile);
    let vm = advice.vm.as_ref().ok_or("measured")?;
    near(vm.vcpu, 0.2857);
    assert_eq!((vm.concurrency, vm.memory_mb), (1, 48));
    let machine = |provider: &str| vm.machines.iter().find(|machine| machine.provider == provider).cloned();
    // t3.small: 2 · 0.2 = 0.4 CPUs; 0.0208 · 730 = 15.184 USD; ÷ 2,628,000 s.
    let aws = machine("aws").ok_or("aws")?;
    assert_eq!((aws.instance_type.as_str(), aws.count), ("t3.small", 1));
    near(aws.usd_per_month, 15.18);
    near(aws.usd_per_million, 5.777_778);
    // e2-micro: 2 · 0.125 = 0.25 CPUs are too few, two are 12.23; e2-small has 0.5, and costs 12.23 too.
    let gcp = machine("gcp").ok_or("gcp")?;
    near(gcp.usd_per_month, 12.23);
    assert!(vm.machines.is_sorted_by(|a, b| a.usd_per_month <= b.usd_per_month));
    assert!(vm.machines.iter().all(|machine| !machine.instance_type.starts_with("t4g")), "measured on x86_64");

    // Ten a second: 2.857 CPUs, ⌈10 · 0.2 / 0.7⌉ = 3 at a time: (20 + 3 · 20) · 1.2 = 96 MiB.
    let ten = Options { jobs_per_second: 10.0, ..Options::default() };
    let advice = advise(&profile, &[], Catalogue::builtin(), &ten);
    let vm = advice.vm.ok_or("measured")?;
    assert_eq!((vm.concurrency, vm.memory_mb), (3, 96));
    near(vm.vcpu, 2.8571);
    Ok(())
}

/// The cheapest that runs the job is Consumption, 0.60 USD a million: 1.5768 USD a month for one a second. A
/// machine that takes the rate that its own price buys there has to cost less than 2.1 USD per month and CPU.
#[test]
fn a_machine_pays_from_some_rate_on() -> TestResult {
    let advice = plain(&profile!("hash"));
    assert_eq!(advice.vm.ok_or("measured")?.cheaper_than_serverless_from_jobs_per_second, None);

    // On Lambda alone: 5.960429 USD a million. t3.small costs as much at 15.184 / (5.960429e-6 · 2,628,000) =
    // 0.96936 a second, which takes 0.277 of its 0.4 CPUs; cheaper ones: e2-small, 12.2296 USD: 0.78074 a second.
    let mut catalogue = Catalogue::builtin().clone();
    catalogue.platforms.retain(|platform| platform.id == "aws-lambda");
    let advice = advise(&profile!("hash"), &[], &catalogue, &Options::default());
    let at = advice.vm.ok_or("measured")?.cheaper_than_serverless_from_jobs_per_second.ok_or("pays")?;
    assert_eq!((at.platform.as_str(), at.memory_mb), ("aws-lambda", 128));
    let price = catalogue.instance_types.iter().find(|machine| machine.name == at.instance_type).ok_or("there")?;
    let per_month =
        price.usd_per_month_max.map_or(price.usd_per_hour * 730.0, |most| most.min(price.usd_per_hour * 730.0));
    near(at.jobs_per_second, per_month / (5.960_429e-6 * 2_628_000.0));
    catalogue.instance_types.retain(|machine| machine.name == "t3.small");
    let advice = advise(&profile!("hash"), &[], &catalogue, &Options::default());
    let at = advice.vm.ok_or("measured")?.cheaper_than_serverless_from_jobs_per_second.ok_or("pays")?;
    near(at.jobs_per_second, 0.969_356);
    Ok(())
}

#[test]
fn monitoring_expects_what_was_measured() -> TestResult {
    let (mut profile, samples) = spread();
    let walls: Vec<u64> = samples.iter().map(|sample| sample.wall_ns).collect();
    profile.cases[0].wall_ns = profiling_core::statistics::Summary::of(&walls).ok_or("samples")?;
    profile.cases[0].samples = 380;
    let qos = advise(&profile, &samples, Catalogue::builtin(), &Options::default()).qos.ok_or("measured")?;
    // 30 to 409 ms. Of 380, the median's interval is between the 171st and the 210th (190 ± 1.96 · 9.75).
    near(qos.latency.p50.measured_s, 0.219);
    let (low, high) = (qos.latency.p50.low_s.ok_or("low")?, qos.latency.p50.high_s.ok_or("high")?);
    assert!((0.198..=0.202).contains(&low) && (0.237..=0.241).contains(&high), "{low} to {high}");
    near(qos.latency.p50.objective_s, high * 1.2);
    near(qos.latency.p99.objective_s, 0.409 * 1.2);
    near(qos.error_rate.upper, 1.0 - 0.05_f64.powf(1.0 / 380.0));
    assert_eq!(qos.memory_bytes_max, Some(50_331_648)); // 48 MiB
    near_some(qos.cpu_seconds_max, 0.24);

    let few = plain(&profile!("hash")).qos.ok_or("measured")?;
    assert_eq!((few.latency.p99.low_s, few.latency.p99.high_s), (None, None));
    near(few.latency.p99.objective_s, 0.2 * 1.5 * 1.2);
    Ok(())
}

#[test]
fn advice_survives_json() -> TestResult {
    for profile in [profile!("hash"), profile!("edge"), profile!("blind")] {
        let advice = plain(&profile);
        let read: Advice = serde_json::from_str(&serde_json::to_string(&advice)?)?;
        assert_eq!(read, advice);
    }
    let json = serde_json::to_value(plain(&profile!("hash")))?;
    let lambda = &json["platforms"][0];
    assert_eq!((lambda["platform"].as_str(), lambda["verdict"].as_str()), (Some("aws-lambda"), Some("compatible")));
    assert_eq!(lambda["cheapest"]["memory_mb"], 128);
    assert!(lambda["cheapest"]["predicted_ms"].is_f64() && lambda["cheapest"]["usd_per_million"].is_f64());
    Ok(())
}

mod properties {
    use proptest::prelude::*;

    use super::*;

    fn made(walls: &[(u64, u64)], rss: u64) -> (Profile, Vec<Sample>) {
        let mut profile = profile!("hash");
        let of = |&(wall_ns, cpu_ns): &(u64, u64)| Sample {
            wall_ns,
            cpu_ns: Some(cpu_ns),
            peak_rss_bytes: Some(rss),
            ..Sample::default()
        };
        let records: Vec<Sample> = walls.iter().map(of).collect();
        let rss = profiling_core::statistics::Summary::of(&[rss]);
        profile.cases[0].figures.peak_rss_bytes = rss;
        profile.cases[0].samples = u32::try_from(walls.len()).expect("few");
        (profile, records)
    }

    fn executions() -> impl Strategy<Value = Vec<(u64, u64)>> {
        prop::collection::vec((1_000_u64..2_000_000_000_000, 0_u64..4_000_000_000_000), 5..12)
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]

        #[test]
        fn more_memory_never_takes_longer(walls in executions(), rss in 1_u64..4_000_000_000) {
            let (profile, samples) = made(&walls, rss);
            let advice = advise(&profile, &samples, Catalogue::builtin(), &Options::default());
            let lambda = advice.platform("aws-lambda").expect("there");
            prop_assert!(lambda.sizes.is_sorted_by(|a, b| a.predicted_ms >= b.predicted_ms && a.bound_ms >= b.bound_ms));
            prop_assert!(lambda.sizes.is_sorted_by(|a, b| a.verdict >= b.verdict));
            if let (Some(cheapest), Some(fastest)) = (&lambda.cheapest, &lambda.fastest) {
                prop_assert!(cheapest.predicted_ms >= fastest.predicted_ms);
                prop_assert!(cheapest.usd_per_million <= fastest.usd_per_million * 1.0101);
            }
        }

        #[test]
        fn a_verdict_never_improves_when_a_figure_gets_worse(
            walls in executions(), rss in 1_u64..20_000_000_000, factor in 1.0..4.0_f64, part in 0..5_u8,
        ) {
            let (profile, samples) = made(&walls, rss);
            let before = advise(&profile, &samples, Catalogue::builtin(), &Options::default());
            let (mut profile, mut samples) = (profile, samples);
            #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "small factors")]
            let more = |figure: u64| (figure as f64 * factor).ceil() as u64;
            let figures = &mut profile.cases[0].figures;
            match part {
                0 => samples.iter_mut().for_each(|sample| {
                    sample.wall_ns = more(sample.wall_ns);
                    sample.cpu_ns = sample.cpu_ns.map(more);
                }),
                1 => figures.peak_rss_bytes = profiling_core::statistics::Summary::of(&[more(rss)]),
                2 => figures.peak_threads = profiling_core::statistics::Summary::of(&[more(1000)]),
                3 => figures.written_bytes = profiling_core::statistics::Summary::of(&[more(400_000_000)]),
                _ => profile.stateful_evidence.push("leaves a file".to_owned()),
            }
            let after = advise(&profile, &samples, Catalogue::builtin(), &Options::default());
            for (before, after) in before.platforms.iter().zip(&after.platforms) {
                prop_assert!(after.verdict >= before.verdict, "{} {:?} {:?}", after.platform, before.verdict, after.verdict);
            }
        }
    }
}
