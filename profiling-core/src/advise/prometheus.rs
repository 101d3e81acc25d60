//! A job's baseline as rules for Prometheus.

use std::fmt::Write as _;

use super::advice::{Objective, QosBaseline};

/// Recording and alerting rules for a package's jobs, as the YAML file that Prometheus's `rule_files` names.
///
/// They expect these metrics, each with the label `job_name`: the histogram `blueprint_job_duration_seconds`, the
/// counters `blueprint_job_executions_total`, `blueprint_job_failures_total` and
/// `blueprint_job_cpu_seconds_total`, and the gauge `blueprint_job_memory_bytes`.
///
/// ```
/// use profiling_core::advise::{Catalogue, Options, advise, prometheus_rules};
/// # let text = include_str!("../../tests/advice/hash.json");
/// # let profile: profiling_core::profile::Profile = serde_json::from_str(text).unwrap();
///
/// let advice = advise(&profile, &[], Catalogue::builtin(), &Options::default()).expect("no samples to read");
/// let rules = prometheus_rules("my-blueprint", advice.qos.as_ref());
/// assert!(rules.contains("expr: 'profiling:job_duration_seconds:p95{job_name=\"hash\"} > 0.36'"), "{rules}");
/// ```
#[must_use]
pub fn prometheus_rules<'a>(package: &str, baselines: impl IntoIterator<Item = &'a QosBaseline>) -> String {
    let mut rules = Rules(format!(
        "# What the jobs of {} were measured to take. Written from their profiles.\ngroups:\n",
        one_line(package)
    ));
    rules.group(&format!("profiling: {package}: recorded"));
    for (name, quantile) in [("p50", "0.5"), ("p95", "0.95"), ("p99", "0.99")] {
        let rate = "sum by (le, job_name) (rate(blueprint_job_duration_seconds_bucket[5m]))";
        let record = format!("profiling:job_duration_seconds:{name}");
        rules.record(&record, &format!("histogram_quantile({quantile}, {rate})"));
    }
    let rate = |metric: &str| format!("sum by (job_name) (rate({metric}[5m]))");
    let executions = rate("blueprint_job_executions_total");
    let of_executions = |metric: &str| format!("{} / {executions}", rate(metric));
    rules.record("profiling:job_failures:ratio", &of_executions("blueprint_job_failures_total"));
    rules.record("profiling:job_cpu_seconds:mean", &of_executions("blueprint_job_cpu_seconds_total"));
    rules.record("profiling:job_memory_bytes:max", "max by (job_name) (blueprint_job_memory_bytes)");

    rules.group(&format!("profiling: {package}: expected"));
    let before = rules.0.len();
    for baseline in baselines {
        rules.expect(baseline);
    }
    if rules.0.len() == before {
        let line = rules.0.trim_end().len();
        rules.0.truncate(line);
        rules.0.push_str(" []\n");
    }
    rules.0
}

/// A file under construction.
struct Rules(String);

impl Rules {
    fn group(&mut self, name: &str) {
        self.line(&format!("- name: {}\n  rules:", quoted(name)));
    }

    fn record(&mut self, name: &str, expression: &str) {
        self.line(&format!("  - record: {name}\n    expr: {}", quoted(expression)));
    }

    fn expect(&mut self, baseline: &QosBaseline) {
        let latency = &baseline.latency;
        for (name, objective) in [("p50", latency.p50), ("p95", latency.p95), ("p99", latency.p99)] {
            let metric = format!("profiling:job_duration_seconds:{name}");
            let summary = format!("{name} of {} is above what was profiled: {}", baseline.job, measured(&objective));
            let quantile = format!("\n      quantile: {name}");
            self.alert("ProfiledLatencyExceeded", baseline, &metric, (objective.objective_s, &quantile), &summary);
        }
        let errors = &baseline.error_rate;
        let summary = format!("more than {}% of {} fail", errors.objective * 100.0, baseline.job);
        self.alert(
            "ProfiledErrorRateExceeded",
            baseline,
            "profiling:job_failures:ratio",
            (errors.objective, ""),
            &summary,
        );
        if let Some(bytes) = baseline.memory_bytes_max {
            let summary = format!("{} takes more memory than was profiled, with headroom", baseline.job);
            self.alert(
                "ProfiledMemoryExceeded",
                baseline,
                "profiling:job_memory_bytes:max",
                (bytes as f64, ""),
                &summary,
            );
        }
        if let Some(seconds) = baseline.cpu_seconds_max {
            let summary = format!("{} takes more CPU time than was profiled, with headroom", baseline.job);
            self.alert("ProfiledCpuExceeded", baseline, "profiling:job_cpu_seconds:mean", (seconds, ""), &summary);
        }
    }

    /// With the limit come labels beside the job's, which tell alerts of one name apart.
    fn alert(&mut self, name: &str, baseline: &QosBaseline, metric: &str, limit: (f64, &str), summary: &str) {
        let (limit, labels) = limit;
        let label = baseline.job.replace('\\', "\\\\").replace('"', "\\\"");
        let expression = format!("{metric}{{job_name=\"{label}\"}} > {limit}");
        self.line(&format!(
            "  - alert: {name}\n    expr: {}\n    for: 10m\n    labels:\n      severity: warning\n      job_name: {}{labels}\n    annotations:\n      summary: {}",
            quoted(&expression),
            // Labels are templates, too.
            quoted(&baseline.job.replace("{{", "{ {")),
            // Prometheus takes annotations for templates.
            quoted(&summary.replace("{{", "{ {"))
        ));
    }

    fn line(&mut self, text: &str) {
        // Writing to a string can't fail.
        let _ = writeln!(self.0, "{text}");
    }
}

fn measured(objective: &Objective) -> String {
    match (objective.low_s, objective.high_s) {
        (Some(low), Some(high)) => format!("{} s, between {low} and {high} s", objective.measured_s),
        _ => format!("{} s, of too few samples for an interval", objective.measured_s),
    }
}

/// A YAML scalar in single quotes.
fn quoted(text: &str) -> String {
    format!("'{}'", one_line(text).replace('\'', "''"))
}

fn one_line(text: &str) -> String {
    text.replace(char::is_control, " ")
}
