//! `--instructions`: one more worker of a case under Valgrind's callgrind, which counts the same
//! instructions however busy the machine is.
//!
//! What lies between the two [`markers`] is counted, on all threads. callgrind's file has a part for what
//! comes before an execution, one for the execution itself, and so on to the end of the program.
//!
//! A comparison has it simulate caches and branch prediction, too: always the same, whatever the machine has, so
//! that the counts are those of the code alone.

use std::fs::{self, File};
use std::io::{self, BufRead, BufReader, ErrorKind};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use profiling_core::measure::markers;
use profiling_core::sample::Column;
use profiling_core::sampling::Samples;
use profiling_core::statistics::comparison::Events;
use tempfile::TempDir;
use thiserror::Error;

use crate::outcome::Measured;
use crate::plan::CasePlan;

/// How much longer than without Valgrind an execution may take.
const SLOWDOWN: u32 = 100;
/// What is allowed for in addition: Valgrind translates the code that is executed for the first time.
const ALLOWANCE: Duration = Duration::from_secs(60);
/// A CPU of the common kind: 32 KiB of first-level data cache, and 8 MiB of the last level.
const SIMULATION: [&str; 5] =
    ["--cache-sim=yes", "--branch-sim=yes", "--I1=32768,8,64", "--D1=32768,8,64", "--LL=8388608,16,64"];
/// How many of Valgrind's last lines are shown where it failed.
const LAST_LINES: usize = 20;

/// Why instructions can't be counted at all.
#[derive(Debug, Error)]
pub(crate) enum ValgrindError {
    #[error(
        "--instructions needs Valgrind, and there is no `valgrind` in the PATH. Install it: `apt-get install valgrind` \
         (Debian, Ubuntu), `dnf install valgrind` (Fedora), `pacman -S valgrind` (Arch), `apk add valgrind` (Alpine); \
         elsewhere see https://valgrind.org. Or leave out --instructions and PROFILING_INSTRUCTIONS"
    )]
    Missing,
    #[error("--instructions needs Valgrind, and `valgrind --version` does not work here: {0}")]
    Unusable(String),
}

/// An installed Valgrind.
#[derive(Debug)]
pub(crate) struct Valgrind;

impl Valgrind {
    /// Makes sure that there is one.
    pub(crate) fn find() -> Result<Self, ValgrindError> {
        let version = Command::new("valgrind").arg("--version").stdin(Stdio::null()).output();
        match version {
            Ok(output) if output.status.success() => Ok(Self),
            Ok(output) => Err(ValgrindError::Unusable(output.status.to_string())),
            Err(error) if error.kind() == ErrorKind::NotFound => Err(ValgrindError::Missing),
            Err(error) => Err(ValgrindError::Unusable(error.to_string())),
        }
    }
}

/// One run under callgrind, and the files that come of it.
#[derive(Debug)]
pub(crate) struct Callgrind {
    directory: TempDir,
}

impl Callgrind {
    /// `directory`: an empty one for its files.
    pub(crate) fn new(directory: TempDir) -> Self {
        Self { directory }
    }

    /// Where its files lie.
    pub(crate) fn path(&self) -> &Path {
        self.directory.path()
    }

    /// `executable` under callgrind with a simulation of the CPU; its arguments are still to come.
    pub(crate) fn simulating(&self, executable: &Path) -> Command {
        self.with(&SIMULATION, executable)
    }

    /// `executable` under callgrind; its arguments are still to come.
    pub(crate) fn command(&self, executable: &Path) -> Command {
        self.with(&[], executable)
    }

    fn with(&self, options: &[&str], executable: &Path) -> Command {
        let mut command = Command::new("valgrind");
        command
            // Without the options of `.valgrindrc` and `VALGRIND_OPTS`, or a debugger's pipes.
            .args(["--tool=callgrind", "--command-line-only=yes", "--vgdb=no", "--fair-sched=try"])
            .arg(format!("--dump-after={}", markers::BEGINS))
            .arg(format!("--dump-before={}", markers::ENDS))
            .args(["--combine-dumps=yes", "--trace-children=no", "--num-callers=8"])
            .arg(self.option("--callgrind-out-file=", "counts"))
            .arg(self.option("--log-file=", "log"))
            .args(options)
            .arg(executable);
        command
    }

    /// The option for a file of the process's own: one that the job forks writes another.
    fn option(&self, option: &str, file: &str) -> String {
        let directory = self.directory.path().to_string_lossy().replace('%', "%%");
        format!("{option}{directory}/{file}.%p")
    }

    fn file(&self, name: &str, process: u32) -> PathBuf {
        self.directory.path().join(format!("{name}.{process}"))
    }

    /// The instructions of the last execution, of which there were as many as planned.
    pub(crate) fn count(&self, process: u32, plan: &CasePlan) -> Result<u64, String> {
        let last = self.events(process, plan)?.pop();
        Ok(last.unwrap_or_default().instructions)
    }

    /// The events of every execution, of which there were as many as planned, at least one.
    pub(crate) fn events(&self, process: u32, plan: &CasePlan) -> Result<Vec<Events>, String> {
        let counts = File::open(self.file("counts", process)).and_then(|file| executions(BufReader::new(file)));
        let counts = counts.map_err(|error| format!("its counts can't be read: {error}"))?;
        let executed = plan.executions();
        match counts.len() as u64 {
            all if all == executed && all > 0 => Ok(counts),
            0 => Err(format!(
                "the functions `{}` and `{}` were never entered: if the binary is stripped of its symbols, set \
                 `strip = false` in the Cargo profile that it is built with",
                markers::BEGINS,
                markers::ENDS
            )),
            some => Err(format!("it counted {some} executions of {executed}")),
        }
    }

    /// Valgrind's last lines, or the worker's where Valgrind said nothing.
    pub(crate) fn last_words(&self, process: u32, stderr: &str) -> String {
        let log = fs::read(self.file("log", process)).unwrap_or_default();
        let log = String::from_utf8_lossy(&log);
        let said = if log.trim().is_empty() { stderr } else { &log };
        // Valgrind begins its lines with the process, `==123==`.
        let is_blank = |line: &str| line.trim().trim_matches('=').chars().all(|c| c.is_ascii_digit());
        let lines: Vec<&str> = said.lines().filter(|line| !is_blank(line)).collect();
        lines[lines.len().saturating_sub(LAST_LINES)..].join("\n")
    }
}

/// The run under callgrind of a case that was measured: warm-ups, at least one, and one execution.
pub(crate) fn plan(plan: &CasePlan, measured: &Measured) -> io::Result<CasePlan> {
    // How long a fixture takes to be made was not measured: no longer than was allowed.
    let fixture = if plan.case.job.around.fixture { plan.timeout.saturating_mul(SLOWDOWN) } else { Duration::ZERO };
    let timeout = timeout(measured)?.max(fixture);
    Ok(CasePlan { warmup: plan.warmup.max(1), samples: Samples::Count(1), timeout, ..*plan })
}

/// From the longest execution, by the clock or, of several threads that Valgrind lets run one at a time,
/// by the CPU.
fn timeout(measured: &Measured) -> io::Result<Duration> {
    let longest = measured.samples.max(Column::WallNs)?.max(measured.samples.max(Column::CpuNs)?);
    let first = measured.circumstances.cold_starts.iter().map(|cold| cold.first_execution_ns).max();
    let longest = Duration::from_nanos(longest.max(first).unwrap_or(0));
    Ok(longest.saturating_mul(SLOWDOWN).saturating_add(ALLOWANCE))
}

/// The events of each execution in a file of callgrind's.
fn executions(file: impl BufRead) -> io::Result<Vec<Events>> {
    let mut counts = Vec::new();
    let mut of_execution = false;
    let mut columns = Vec::new();
    for line in file.split(b'\n') {
        let line = line?;
        // Costs stand in the other lines, and file names, which may be anything.
        let Ok(line) = str::from_utf8(&line) else { continue };
        if let Some(trigger) = line.strip_prefix("desc: Trigger: ") {
            of_execution = trigger.strip_prefix("--dump-before=") == Some(markers::ENDS);
        } else if let Some(names) = line.strip_prefix("events: ") {
            columns = names.split_whitespace().map(str::to_owned).collect();
        } else if let Some(totals) = line.strip_prefix("totals: ")
            && of_execution
        {
            counts.push(events(&columns, totals).ok_or_else(|| io::Error::other(format!("`{line}` has no counts")))?);
        }
    }
    Ok(counts)
}

/// The totals of a part, which stand in these columns; zeros at the end are left out.
fn events(columns: &[String], totals: &str) -> Option<Events> {
    let totals: Vec<u64> = totals.split_whitespace().map(str::parse).collect::<Result<_, _>>().ok()?;
    let sum = |names: &[&str]| -> u64 {
        let wanted = columns.iter().zip(&totals).filter(|(column, _)| names.contains(&column.as_str()));
        wanted.map(|(_, &total)| total).sum()
    };
    columns.iter().any(|column| column == "Ir").then(|| Events {
        instructions: sum(&["Ir"]),
        data_misses: sum(&["D1mr", "D1mw"]),
        last_level_misses: sum(&["DLmr", "DLmw"]),
        mispredictions: sum(&["Bcm", "Bim"]),
    })
}

#[cfg(test)]
mod tests {
    use profiling_core::profile::{Circumstances, ColdStart};
    use profiling_core::sample::Sample;

    use super::*;

    /// As Valgrind 3.19 writes it, shortened.
    const FILE: &str = "# callgrind format
version: 1
creator: callgrind-3.19.0
pid: 18433
cmd:  ./a

part: 1


desc: I1 cache:
desc: Timerange: Basic block 0 - 40437
desc: Trigger: --dump-before=profiling_execution_ends

positions: line
events: Ir
summary: 8813015

fl=(62) ???
fn=(1088) desc: Trigger: of another kind
0 3
totals: 8813025

part: 2

desc: Timerange: Basic block 40437 - 40440
desc: Trigger: --dump-before=profiling_execution_ends

positions: line
events: Ir
summary: 4

fn=(1088)
0 4
totals: 4

part: 3

desc: Trigger: Program termination

events: Ir
summary: 2300

totals: 2300
";

    #[test]
    fn every_execution_is_a_part_and_the_end_of_the_program_is_none() {
        let instructions = |file: &[u8]| -> io::Result<Vec<u64>> {
            Ok(executions(file)?.into_iter().map(|events| events.instructions).collect())
        };
        assert_eq!(instructions(FILE.as_bytes()).expect("it is complete"), [8_813_025, 4]);
        let end = b"part: 1\ndesc: Trigger: Program termination\nevents: Ir\ntotals: 9\n";
        assert!(instructions(&end[..]).expect("valid").is_empty());
        let part = |rest: &str| format!("desc: Trigger: --dump-before=profiling_execution_ends\n{rest}\n");
        assert!(instructions(part("events: Ir\ntotals: many").as_bytes()).is_err());
        assert!(instructions(part("totals: 7").as_bytes()).is_err(), "of what, it doesn't say");
    }

    #[test]
    fn the_events_of_a_simulation_stand_in_columns() {
        let file = "desc: Trigger: --dump-before=profiling_execution_ends
events: Ir Dr Dw I1mr D1mr D1mw ILmr DLmr DLmw Bc Bcm Bi Bim
totals: 1000 200 100 5 7 3 1 2 1 90 8 4 2
desc: Trigger: --dump-before=profiling_execution_ends
events: Ir Dr Dw I1mr D1mr D1mw ILmr DLmr DLmw Bc Bcm Bi Bim
totals: 900 200 100 5 7
";
        let counted = executions(file.as_bytes()).expect("it is complete");
        let first = Events { instructions: 1000, data_misses: 10, last_level_misses: 3, mispredictions: 10 };
        let second = Events { instructions: 900, data_misses: 7, ..Events::default() };
        assert_eq!(counted, [first, second]);
    }

    #[test]
    fn the_deadline_follows_from_the_longest_execution_without_valgrind() {
        let seconds = |wall: u64, cpu: u64| Sample {
            wall_ns: wall * 1_000_000_000,
            cpu_ns: Some(cpu * 1_000_000_000),
            ..Sample::default()
        };
        let measured = |samples: &[Sample], first_execution_ns| Measured {
            samples: samples.into(),
            circumstances: Circumstances {
                cold_starts: vec![ColdStart { startup_ns: 0, first_execution_ns }],
                ..Circumstances::default()
            },
            ..Measured::default()
        };
        let timeout = |measured: &Measured| timeout(measured).expect("samples are in memory");
        assert_eq!(timeout(&measured(&[seconds(2, 1), seconds(1, 3)], 5)), Duration::from_secs(360));
        assert_eq!(timeout(&measured(&[seconds(0, 0)], 10_000_000)), Duration::from_secs(61));
    }
}
