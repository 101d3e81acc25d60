//! The work, and what is measured of it.

use std::fs;
use std::hint::black_box;
use std::process::{Child, Command};
use std::time::{Duration, Instant};

use profiling_core::breakdown::StageProfile;
use profiling_core::measure::{Meter, memory};
use profiling_core::sample::Sample;
use profiling_core::stage::Recording;
use profiling_core::statistics::Summary;
use profiling_core::{AllocationSpan, CountingAllocator, stage};
use rustix::time::{ClockId, clock_gettime};

#[global_allocator]
static ALLOCATOR: CountingAllocator = CountingAllocator::system();

const MIB: u64 = 1 << 20;
const REPETITIONS: usize = 9;
/// Set for the processes that this one starts.
const CHILD: &str = "ACCURACY_CHILD";

/// A line of the table.
struct Row {
    figure: &'static str,
    work: String,
    truth: u64,
    /// What was measured, once per repetition.
    measured: Vec<u64>,
    unit: &'static str,
}

pub(crate) fn print() {
    if std::env::var_os(CHILD).is_some() {
        return be_the_child();
    }
    println!("| figure | work | truth | measured, median of {REPETITIONS} | largest error |");
    println!("|---|---|---:|---:|---:|");
    let rows = [heap(), resident(), time(), transfers(), children(), stages()];
    rows.into_iter().flatten().for_each(|row| row.print());
}

impl Row {
    fn print(&self) {
        let Self { figure, work, truth, measured, unit } = self;
        let mut sorted = measured.clone();
        sorted.sort_unstable();
        let median = sorted[sorted.len() / 2];
        let error = sorted.iter().map(|figure| figure.abs_diff(*truth)).max().unwrap_or(0);
        let percent =
            if error == 0 { "exact".to_owned() } else { format!("{:.2}%", 100.0 * error as f64 / *truth as f64) };
        println!("| `{figure}` | {work} | {truth} {unit} | {median} {unit} | {percent} |");
    }
}

/// Does the work several times and returns one figure of each.
fn measure(figure: impl Fn(&Sample) -> Option<u64>, mut work: impl FnMut()) -> Vec<u64> {
    let mut meter = Meter::new();
    let mut once = || {
        meter.start();
        work();
        meter.stop();
        let sample = meter.take(&mut || ())?;
        figure(&sample)
    };
    once();
    (0..REPETITIONS).map(|_| once().expect("this platform tells")).collect()
}

fn touch(bytes: u64) {
    black_box(vec![1_u8; usize::try_from(bytes).expect("it fits into memory")]);
}

fn heap() -> Vec<Row> {
    let boxes = || (0..1_000_u64).for_each(|number| drop(black_box(Box::new(number))));
    let on_a_thread = || std::thread::spawn(|| touch(100 * MIB)).join().expect("it ends");
    let retained: Vec<u64> = (0..REPETITIONS).map(|_| retained(4096)).collect();
    vec![
        Row {
            figure: "allocations",
            work: "1,000 boxes".to_owned(),
            truth: 1_000,
            measured: measure(|s| s.allocations, boxes),
            unit: "",
        },
        Row {
            figure: "allocated_bytes",
            work: "1,000 boxes of 8 B".to_owned(),
            truth: 8_000,
            measured: measure(|s| s.allocated_bytes, boxes),
            unit: "B",
        },
        Row {
            figure: "peak_heap_bytes",
            work: "100 MiB".to_owned(),
            truth: 100 * MIB,
            measured: measure(|s| s.peak_heap_bytes, || touch(100 * MIB)),
            unit: "B",
        },
        Row {
            figure: "peak_heap_bytes",
            work: "100 MiB on a new thread".to_owned(),
            truth: 100 * MIB,
            measured: measure(|s| s.peak_heap_bytes, on_a_thread),
            unit: "B",
        },
        Row { figure: "retained_bytes", work: "4 KiB kept".to_owned(), truth: 4096, measured: retained, unit: "B" },
    ]
}

fn retained(bytes: usize) -> u64 {
    let span = AllocationSpan::begin();
    black_box(vec![0_u8; bytes]).leak();
    span.end().retained_bytes.unsigned_abs()
}

fn resident() -> Vec<Row> {
    let row = |mebibytes: u64| {
        let idle = memory::resident_bytes().expect("this platform tells");
        let measured = measure(|sample| Some(sample.peak_rss_bytes?.saturating_sub(idle)), || touch(mebibytes * MIB));
        Row {
            figure: "peak_rss_bytes",
            work: format!("{mebibytes} MiB touched, above idle"),
            truth: mebibytes * MIB,
            measured,
            unit: "B",
        }
    };
    [10, 100, 500].map(row).into()
}

fn time() -> Vec<Row> {
    let spin = || {
        let begin = Instant::now();
        while begin.elapsed() < Duration::from_millis(40) {}
    };
    let on_two = || {
        let threads = [(); 2].map(|()| std::thread::spawn(|| burn(Duration::from_millis(100))));
        for thread in threads {
            thread.join().expect("it ends");
        }
    };
    let one = || burn(Duration::from_millis(100));
    vec![
        Row {
            figure: "wall_ns",
            work: "40 ms by the clock".to_owned(),
            truth: 40_000_000,
            measured: measure(|s| Some(s.wall_ns), spin),
            unit: "ns",
        },
        Row {
            figure: "cpu_ns",
            work: "100 ms of CPU".to_owned(),
            truth: 100_000_000,
            measured: measure(|s| s.cpu_ns, one),
            unit: "ns",
        },
        Row {
            figure: "cpu_ns",
            work: "100 ms of CPU on each of 2 threads".to_owned(),
            truth: 200_000_000,
            measured: measure(|s| s.cpu_ns, on_two),
            unit: "ns",
        },
    ]
}

fn transfers() -> Vec<Row> {
    const SIZE: u64 = 1_234_567;
    let path = std::env::temp_dir().join(format!("accuracy-{}", std::process::id()));
    let content = vec![7_u8; usize::try_from(SIZE).expect("it fits into memory")];
    let write = || fs::write(&path, &content).expect("a writable directory");
    let read = || drop(black_box(fs::read(&path).expect("it was written")));
    let rows = vec![
        Row {
            figure: "written_bytes",
            work: "a file".to_owned(),
            truth: SIZE,
            measured: measure(|s| s.written_bytes, write),
            unit: "B",
        },
        Row {
            figure: "read_bytes",
            work: "the same".to_owned(),
            truth: SIZE,
            measured: measure(|s| s.read_bytes, read),
            unit: "B",
        },
    ];
    fs::remove_file(&path).expect("it was written");
    rows
}

fn children() -> Vec<Row> {
    let waits = || assert!(child().wait().expect("it is a child").success());
    let leaves = || drop(child());
    let row = |work: &str, measured| Row {
        figure: "cpu_ns",
        work: work.to_owned(),
        truth: 200_000_000,
        measured,
        unit: "ns",
    };
    vec![
        row("a child process of 200 ms of CPU, waited for", measure(|s| s.cpu_ns, waits)),
        row("the same, not waited for", measure(|s| s.cpu_ns, leaves)),
    ]
}

fn stages() -> Vec<Row> {
    const MS: u64 = 1_000_000;
    let sleeps_too = || {
        let _stage = stage!("stage");
        std::thread::sleep(Duration::from_millis(20));
        burn(Duration::from_millis(20));
    };
    let rare = || {
        for call in 0..1_000 {
            let _stage = stage!("stage");
            if call == 999 {
                burn(Duration::from_millis(2));
            }
        }
    };
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).build().expect("threads can be made");
    let futures = || {
        let work = || stage!("stage", async { burn(Duration::from_millis(1)) });
        let spawned: Vec<_> = (0..100).map(|_| runtime.spawn(work())).collect();
        for task in spawned {
            runtime.block_on(task).expect("it ends");
        }
    };
    let row =
        |work: &str, truth, measured| Row { figure: "cpu_ns", work: work.to_owned(), truth, measured, unit: "ns" };
    let cpu = |cpu: fn(Summary) -> u64| move |stage: &StageProfile| stage.cpu_ns.map(cpu);
    vec![
        row("a stage: 20 ms of CPU and 20 ms asleep", 20 * MS, recorded(cpu(|cpu| cpu.max), sleeps_too)),
        row("a stage: 2 ms of CPU, after 999 calls of nothing", 2 * MS, recorded(cpu(|cpu| cpu.max), rare)),
        row("a stage: 1 ms of CPU, 100 futures at once, the least", MS, recorded(cpu(|cpu| cpu.min), futures)),
        row("the same, the median", MS, recorded(cpu(|cpu| cpu.p50), futures)),
    ]
}

/// Does the work several times and returns one figure of its stage in each.
fn recorded(figure: impl Fn(&StageProfile) -> Option<u64>, work: impl Fn()) -> Vec<u64> {
    let once = |_| {
        let recording = Recording::begin();
        work();
        let breakdown = recording.end();
        figure(&breakdown.stages[0]).expect("this platform tells")
    };
    (0..REPETITIONS).map(once).collect()
}

fn child() -> Child {
    let program = std::env::current_exe().expect("the system tells");
    Command::new(program).env(CHILD, "1").spawn().expect("it is a program")
}

fn be_the_child() {
    touch(20 * MIB);
    burn(Duration::from_millis(200));
}

/// Computes until the calling thread has used this much CPU time more, and a new process in all.
fn burn(time: Duration) {
    let used = || {
        let used = clock_gettime(ClockId::ThreadCPUTime);
        Duration::new(used.tv_sec.unsigned_abs(), u32::try_from(used.tv_nsec).expect("less than a second"))
    };
    let begin = if std::env::var_os(CHILD).is_some() { Duration::ZERO } else { used() };
    while used().saturating_sub(begin) < time {
        black_box((0..2_000).fold(0_u64, |sum, number| sum ^ black_box(number)));
    }
}
