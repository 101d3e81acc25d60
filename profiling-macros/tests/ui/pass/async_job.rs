//! An async function; `setup`, `args` and `teardown` may await too.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use profiling_core::job::{Entry, Runtime};
use profiling_core::profile_job;

#[path = "../support.rs"]
mod support;

static TORN_DOWN: AtomicU64 = AtomicU64::new(0);

async fn next(x: u64) -> u64 {
    tokio::time::sleep(Duration::from_millis(1)).await;
    x + 1
}

#[profile_job(
    id = 0,
    setup(two = next(1).await),
    args(next(two).await, "text"),
    verify(|output| *output == 9),
    teardown(TORN_DOWN.store(next(two).await, Ordering::SeqCst))
)]
async fn square(x: u64, text: &str) -> u64 {
    assert_eq!(text, "text");
    tokio::time::sleep(Duration::from_millis(20)).await;
    x * x
}

#[profile_job(runtime = "current_thread")]
async fn alone() {}

#[profile_job(runtime = "multi_thread", worker_threads = 2)]
async fn together() {
    tokio::spawn(async {}).await.expect("the task ends");
}

fn main() {
    let sample = support::execute("square").expect("it passes");
    assert!(sample.wall_ns >= 20_000_000, "{}", sample.wall_ns);
    assert_eq!(TORN_DOWN.load(Ordering::SeqCst), 3);

    let runtime = |name| match support::job(name).entry {
        Entry::Async { runtime, .. } => runtime,
        Entry::Sync(_) => panic!("{name} is async"),
    };
    assert_eq!(runtime("square"), Runtime::MultiThread { worker_threads: None });
    assert_eq!(runtime("alone"), Runtime::CurrentThread);
    assert_eq!(runtime("together"), Runtime::MultiThread { worker_threads: Some(2) });
    support::execute("alone").expect("it passes");
    support::execute("together").expect("it passes");
}
