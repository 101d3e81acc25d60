//! What is happening now: a live line on a terminal, plain lines elsewhere.

use std::time::Duration;

use console::style;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use super::{CaseReport, figures};
use crate::comparison::Step;
use crate::plan::CasePlan;

/// How often the live line is redrawn at most, per second: drawing must not disturb the measurement.
const REDRAWS: u8 = 5;
/// How much of a failure's reason is shown as it happens; all of it follows at the end.
const REASON: usize = 200;

/// Shows which case is being executed, and how each one ended.
#[derive(Debug)]
pub(crate) struct Progress {
    bar: Option<ProgressBar>,
    quiet: bool,
}

impl Progress {
    /// `cases`: how many will be run.
    pub(crate) fn new(cases: usize, quiet: bool) -> Self {
        let terminal = console::Term::stderr().features().is_attended();
        let bar = (terminal && !quiet).then(|| {
            let bar = ProgressBar::with_draw_target(Some(cases as u64), ProgressDrawTarget::stderr_with_hz(REDRAWS));
            // Shows that time passes during a long execution.
            bar.enable_steady_tick(Duration::from_secs(1));
            bar.with_style(
                ProgressStyle::with_template("[{pos}/{len}] {wide_msg} {elapsed}")
                    .unwrap_or_else(|_| ProgressStyle::default_bar()),
            )
        });
        Self { bar, quiet }
    }

    /// A case begins.
    pub(crate) fn begin(&self, plan: &CasePlan) {
        self.executed(plan, 0);
    }

    /// So many executions of the case have ended.
    pub(crate) fn executed(&self, plan: &CasePlan, ended: u64) {
        if let Some(bar) = &self.bar {
            let most = if plan.auto().is_some() { " at most" } else { "" };
            bar.set_message(format!("{}: execution {ended}/{}{most}", plan.case.path(), plan.executions()));
        }
    }

    /// A case is being compared.
    pub(crate) fn compare(&self, plan: &CasePlan, step: Step) {
        if let Some(bar) = &self.bar {
            let path = plan.case.path();
            bar.set_message(match step {
                Step::Pairs(pairs) => format!("{path}: compared by {pairs} pairs"),
                Step::Count => format!("{path}: counted under Valgrind"),
            });
        }
    }

    /// A case is being rehearsed in a size.
    pub(crate) fn rehearse(&self, plan: &CasePlan, size: &str) {
        if let Some(bar) = &self.bar {
            bar.set_message(format!("{}: rehearsed at {size}", plan.case.path()));
        }
    }

    /// A case has ended.
    pub(crate) fn end(&self, report: &CaseReport) {
        let path = report.case.path();
        let line = match (&report.result, report.verdict_line(REASON)) {
            (Ok(profile), None) => {
                let figures = format!("({} samples, p50 {})", profile.samples, figures::time(profile.wall_ns.p50));
                format!("test {path} ... {} {}", style("ok").green(), style(figures).dim())
            }
            (_, verdict) => format!("test {path} ... {}: {}", style("FAILED").red(), verdict.unwrap_or_default()),
        };
        match &self.bar {
            Some(bar) => {
                bar.suspend(|| say!("{line}"));
                bar.inc(1);
            }
            None if self.quiet => {}
            None => say!("{line}"),
        }
    }

    /// Nothing more will happen.
    pub(crate) fn finish(&self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}
