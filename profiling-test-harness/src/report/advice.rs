//! Where jobs can run, on what size, at what cost: `--advise`, and `cargo profiling advise`.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use comfy_table::{CellAlignment, ColumnConstraint, ContentArrangement, Table, presets};
use profiling_core::advise::{
    Advice, BlueprintAdvice, DeploymentStrategy, PlatformAdvice, PlatformStrategy, SizeAdvice, Verdict, VmAdvice,
};

use super::figures;
use super::table::NOT_MEASURED;

/// The characters of a line.
const WIDTH: u16 = 100;
/// Marks a platform or machine some of whose facts are not sure.
const UNCERTAIN: &str = " *";

/// The advice on one job.
#[derive(Debug)]
pub(crate) struct JobAdvice {
    pub job: String,
    pub id: Option<u32>,
    /// What it seems to keep between executions, a line each.
    pub keeps: Vec<String>,
    pub advice: Advice,
}

/// All tables: of each job, of the blueprint, and what is to be known about them. `sizes`: with every size of the
/// platforms that the advice lists.
pub(crate) fn render(jobs: &[JobAdvice], blueprint: Option<&BlueprintAdvice>, sizes: bool) -> String {
    let mut parts: Vec<String> = jobs.iter().map(|job| of_job(job, sizes)).collect();
    parts.extend(blueprint.map(|blueprint| of_blueprint(blueprint, jobs)));
    parts.extend(notes(jobs));
    parts.join("\n\n")
}

fn of_job(JobAdvice { job, keeps, advice, .. }: &JobAdvice, sizes: bool) -> String {
    let mut parts = vec![format!("{job}: where it can run"), verdicts(advice)];
    parts.extend(keeps.iter().cloned());
    if advice.platforms.iter().any(|platform| platform.cheapest.is_some()) {
        parts.push(format!("\n{job}: on what size, at what cost"));
        parts.push(chosen(advice));
    }
    if sizes {
        for platform in advice.platforms.iter().filter(|platform| !platform.sizes.is_empty()) {
            parts.push(format!("\n{job}: all sizes of {}", platform.platform));
            parts.push(all_sizes(platform));
        }
    }
    parts.extend(advice.vm.as_ref().map(|vm| machines(job, vm)));
    parts.join("\n")
}

fn new(header: &[&str]) -> Table {
    let mut table = Table::new();
    table.load_style(presets::UTF8_BORDERS_ONLY);
    table.set_content_arrangement(ContentArrangement::Dynamic).set_width(WIDTH);
    table.set_header(header.iter().copied());
    table
}

/// Names are not broken into two lines.
fn whole(table: &mut Table, column: usize) {
    if let Some(column) = table.column_mut(column) {
        column.set_constraint(ColumnConstraint::ContentWidth);
    }
}

fn right(table: &mut Table, columns: impl IntoIterator<Item = usize>) {
    for column in columns {
        if let Some(column) = table.column_mut(column) {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }
}

fn verdicts(advice: &Advice) -> String {
    let mut table = new(&["platform", "verdict", "why"]);
    whole(&mut table, 0);
    for platform in &advice.platforms {
        let why: Vec<&str> = platform.reasons.iter().map(|reason| reason.text.as_str()).collect();
        table.add_row([
            marked(&platform.platform, &platform.confidence),
            platform.verdict.as_str().to_owned(),
            why.join("\n"),
        ]);
    }
    table.to_string()
}

fn chosen(advice: &Advice) -> String {
    let mut table =
        new(&["platform, prices of", "choice", "size", "vCPU", "predicted p50", "cold start", "USD a million"]);
    right(&mut table, 2..=6);
    (0..=2).for_each(|column| whole(&mut table, column));
    for platform in &advice.platforms {
        let name = format!("{}\n{}", marked(&platform.platform, &platform.confidence), platform.as_of);
        for (index, (choice, size)) in choices(platform).into_iter().enumerate() {
            let [memory, vcpu, predicted, cold, usd] = cells(size);
            let name = if index == 0 { name.clone() } else { String::new() };
            table.add_row([name, choice.join("\n"), memory, vcpu, predicted, cold, usd]);
        }
    }
    table.to_string()
}

/// The chosen sizes, each once, with what it was chosen for.
fn choices(platform: &PlatformAdvice) -> Vec<(Vec<&'static str>, &SizeAdvice)> {
    let all = [("cheapest", &platform.cheapest), ("balanced", &platform.balanced), ("fastest", &platform.fastest)];
    let mut choices: Vec<(Vec<&str>, &SizeAdvice)> = Vec::new();
    for (choice, size) in all {
        let Some(size) = size else { continue };
        match choices.iter_mut().find(|(_, known)| *known == size) {
            Some((names, _)) => names.push(choice),
            None => choices.push((vec![choice], size)),
        }
    }
    choices
}

fn all_sizes(platform: &PlatformAdvice) -> String {
    let mut table = new(&["size", "vCPU", "predicted p50", "cold start", "USD a million", "billed", "fits", "chosen"]);
    right(&mut table, 0..=5);
    let choices = choices(platform);
    for size in &platform.sizes {
        let choice = choices.iter().find(|(_, known)| *known == size).map(|(choice, _)| choice.join(", "));
        let [memory, vcpu, predicted, cold, usd] = cells(size);
        let fits = size.verdict.as_str().to_owned();
        table.add_row([memory, vcpu, predicted, cold, usd, ms(size.billed_ms), fits, choice.unwrap_or_default()]);
    }
    table.to_string()
}

fn cells(size: &SizeAdvice) -> [String; 5] {
    let memory = format!("{} MB", figures::count(size.memory_mb.into()));
    [
        size.name.as_ref().map_or_else(|| memory.clone(), |name| format!("{name}\n{memory}")),
        number(size.vcpu),
        ms(size.predicted_ms),
        size.cold_start_ms.map_or_else(|| NOT_MEASURED.to_owned(), ms),
        usd(size.usd_per_million),
    ]
}

fn machines(job: &str, vm: &VmAdvice) -> String {
    let rate = number(vm.jobs_per_second);
    let mut text = format!(
        "\n{job}: on machines, {rate} execution{} a second at {}% utilisation: {} vCPU, {} MiB, {} at once\n",
        if (vm.jobs_per_second - 1.0).abs() < f64::EPSILON { "" } else { "s" },
        number(vm.utilisation * 100.0),
        vcpus(vm.vcpu),
        figures::count(vm.memory_mb),
        figures::count(vm.concurrency),
    );
    if vm.machines.is_empty() {
        return text + "no type of machine in the catalogue is large enough";
    }
    let mut table = new(&["provider", "type", "count", "USD a month", "USD a million", "prices of"]);
    right(&mut table, 2..=4);
    for machine in &vm.machines {
        table.add_row([
            machine.provider.clone(),
            marked(&machine.instance_type, &machine.confidence),
            figures::count(machine.count),
            usd(machine.usd_per_month),
            usd(machine.usd_per_million),
            machine.as_of.clone(),
        ]);
    }
    text.push_str(&table.to_string());
    if let Some(even) = &vm.cheaper_than_serverless_from_jobs_per_second {
        // Writing to a string can't fail.
        let _ = write!(
            text,
            "\n{} ({}) is cheaper than {} with {} MB from {} executions a second on",
            even.instance_type,
            even.provider,
            even.platform,
            even.memory_mb,
            number(even.jobs_per_second),
        );
    }
    text
}

fn of_blueprint(blueprint: &BlueprintAdvice, jobs: &[JobAdvice]) -> String {
    let names: BTreeMap<u32, &str> = jobs.iter().filter_map(|job| Some((job.id?, job.job.as_str()))).collect();
    let name = |id: &u32| names.get(id).map_or_else(|| format!("job {id}"), |name| format!("{name} ({id})"));
    let list = |ids: &[u32]| ids.iter().map(name).collect::<Vec<_>>().join(", ");
    let mut table = new(&["policy", "strategy", "on the platform", "on a machine"]);
    for PlatformStrategy { platform, strategy, .. } in &blueprint.strategies {
        let (word, local): (&str, &[u32]) = match strategy {
            DeploymentStrategy::Serverless { .. } => ("Serverless", &[]),
            DeploymentStrategy::Hybrid { local_jobs, .. } => ("Hybrid", local_jobs),
            DeploymentStrategy::Traditional { job_ids } => ("Traditional", job_ids),
        };
        table.add_row([platform.clone(), word.to_owned(), list(strategy.faas_jobs()), list(local)]);
    }
    let sizing = &blueprint.resource_sizing;
    let mut text = format!(
        "the blueprint: how Tangle's manager deploys it\n{table}\nits machine: {} cores, {} MiB",
        sizing.cpu_cores,
        figures::count(sizing.memory_mb.into()),
    );
    if let (Some(vcpu), Some(memory)) = (sizing.measured_vcpu, sizing.measured_memory_mb) {
        // Writing to a string can't fail.
        let _ = write!(text, "; measured need: {} vCPU, {} MiB", vcpus(vcpu), figures::count(memory));
    }
    let doubts =
        blueprint.strategies.iter().flat_map(|strategy| strategy.doubts.iter().map(move |doubt| (strategy, doubt)));
    let doubts: Vec<[String; 2]> = doubts
        .map(|(strategy, doubt)| {
            let known = doubt.verdict.map_or("not advised on", Verdict::as_str);
            [
                format!("{} on {}", name(&doubt.job_id), strategy.platform),
                format!("{known}: {}", doubt.reasons.join("; ")),
            ]
        })
        .collect();
    if !doubts.is_empty() {
        let mut table = new(&["the manager would put", "though it is"]);
        table.add_rows(doubts);
        let _ = write!(text, "\n{table}");
    }
    text
}

/// What doesn't decide but should be known; each once, with what it is about.
fn notes(jobs: &[JobAdvice]) -> Option<String> {
    let mut notes: Vec<(String, Vec<String>)> = Vec::new();
    let mut note = |text: String, about: &str| match notes.iter_mut().find(|(known, _)| *known == text) {
        Some((_, whom)) if whom.iter().any(|known| known == about) => {}
        Some((_, whom)) => whom.push(about.to_owned()),
        None => notes.push((text, vec![about.to_owned()])),
    };
    for job in jobs {
        for platform in &job.advice.platforms {
            if is_uncertain(&platform.confidence) {
                note(format!("* how sure the facts are: {}", platform.confidence), &platform.platform);
            }
            for text in &platform.notes {
                note(text.clone(), &platform.platform);
            }
        }
        if let Some(vm) = &job.advice.vm {
            for machine in vm.machines.iter().filter(|machine| is_uncertain(&machine.confidence)) {
                note(format!("* how sure the facts are: {}", machine.confidence), &machine.instance_type);
            }
            for text in &vm.notes {
                note(text.clone(), "machines");
            }
        }
    }
    let everywhere = jobs.iter().map(|job| job.advice.platforms.len()).max().unwrap_or(0);
    let mut table = new(&["about", "to know"]);
    for (text, about) in &notes {
        let all = about.len() >= everywhere && everywhere > 1;
        table.add_row([if all { "every platform".to_owned() } else { about.join("\n") }, text.clone()]);
    }
    (!notes.is_empty()).then(|| table.to_string())
}

fn is_uncertain(confidence: &str) -> bool {
    confidence != "high"
}

fn marked(name: &str, confidence: &str) -> String {
    if is_uncertain(confidence) { format!("{name}{UNCERTAIN}") } else { name.to_owned() }
}

/// CPUs, which the advice has with four decimals.
fn vcpus(vcpu: f64) -> String {
    if vcpu > 0.0 { number(vcpu) } else { "less than 0.0001".to_owned() }
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a duration; saturates")]
fn ms(ms: f64) -> String {
    figures::time((ms * 1e6).round() as u64)
}

/// USD: whole from 100 on, in cents from 10 cents on, else three digits.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a price; saturates")]
fn usd(usd: f64) -> String {
    match usd {
        usd if usd >= 100.0 => figures::count(usd.round() as u64),
        usd if usd >= 0.1 => format!("{usd:.2}"),
        usd => number(usd),
    }
}

/// Up to three digits behind the point's zeros, and none that say nothing.
fn number(value: f64) -> String {
    if value == 0.0 || !value.is_finite() {
        return "0".to_owned();
    }
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a handful of digits")]
    let decimals = (2 - value.abs().log10().floor() as i32).clamp(0, 12) as usize;
    let text = format!("{value:.decimals$}");
    if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.').to_owned() } else { text }
}

#[cfg(test)]
mod tests {
    use profiling_core::advise::{Catalogue, Options, SizesListed, advise, not_profiled};
    use profiling_core::profile::Profile;

    use super::*;

    fn job(text: &str) -> JobAdvice {
        let profile: Profile = serde_json::from_str(text).expect("a profile");
        let options = Options { sizes: SizesListed::Few, ..Options::default() };
        let advice = advise(&profile, &[], Catalogue::builtin(), &options).expect("there are no samples to read");
        JobAdvice { keeps: Vec::new(), job: profile.job, id: profile.id, advice }
    }

    /// 200 ms of CPU time and 40 MiB.
    fn hash() -> JobAdvice {
        job(include_str!("../../../profiling-core/tests/advice/hash.json"))
    }

    #[test]
    fn figures_have_three_digits() {
        for (value, text) in
            [(0.0, "0"), (5.960_428, "5.96"), (0.596, "0.596"), (0.004_25, "0.00425"), (1140.0, "1140")]
        {
            assert_eq!(number(value), text);
        }
        for (value, text) in
            [(1140.4, "1,140"), (5.960_428, "5.96"), (13.4, "13.40"), (0.6, "0.60"), (0.004_25, "0.00425"), (0.0, "0")]
        {
            assert_eq!(usd(value), text);
        }
        assert_eq!(ms(2764.0625), "2.76 s");
    }

    #[test]
    fn tables_have_verdict_reason_size_and_price() {
        let text = render(&[hash()], None, false);
        for expected in [
            "hash: where it can run",
            "memory 40 MiB of 128 MiB leaves 220% of headroom",
            "hash: on what size, at what cost",
            "│ aws-lambda *",
            "hash: on machines, 1 execution a second at 70% utilisation: 0.286 vCPU",
            "* how sure the facts are: ",
            "payloads were never recorded",
        ] {
            assert!(text.contains(expected), "lacks `{expected}`:\n{text}");
        }
        let lambda = text.lines().find(|line| line.contains("aws-lambda *") && line.contains("cheapest"));
        let lambda = lambda.expect("a row with the cheapest size");
        assert!(lambda.contains("128 MB") && lambda.contains("2.76 s") && lambda.contains("5.96"), "{lambda}");
        assert!(text.lines().all(|line| line.chars().count() <= WIDTH.into()), "{text}");
        assert!(!text.contains("all sizes of"));
        assert!(render(&[hash()], None, true).contains("hash: all sizes of aws-lambda"));
    }

    #[test]
    fn a_job_without_a_profile_says_what_to_do() {
        let advice = not_profiled(Catalogue::builtin());
        let text = render(&[JobAdvice { job: "lost".to_owned(), id: Some(1), keeps: Vec::new(), advice }], None, true);
        assert!(text.contains("incompatible") && text.contains("the job has no profile"), "{text}");
        assert!(!text.contains("on what size") && !text.contains("on machines"), "{text}");
    }
}
