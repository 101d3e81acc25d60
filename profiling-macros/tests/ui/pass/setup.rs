//! Arguments that borrow from `setup`, from temporaries, and across `await`.

use std::sync::Mutex;
use std::time::Duration;

use profiling_core::profile_job;

#[path = "../support.rs"]
mod support;

static SHARED: Mutex<Vec<u64>> = Mutex::new(Vec::new());

#[profile_job(setup(text = "a b c".to_owned(), words = text.split(' ').collect::<Vec<_>>()), args(&words, &text))]
fn chained(words: &[&str], text: &str) -> Result<(), String> {
    if words.join(" ") == text { Ok(()) } else { Err(text.to_owned()) }
}

#[profile_job(
    setup(mut log = vec![1]),
    args(&mut log, 2),
    verify(|output| output.len() == 2),
    teardown(assert_eq!(log, [1, 2]))
)]
fn mutable(log: &mut Vec<u64>, value: u64) -> &mut Vec<u64> {
    log.push(value);
    log
}

#[profile_job(setup(text = format!("{run}")), args(&text, &mut String::from("x")), verify(|output| *output == format!("x{run}")))]
async fn awaited(text: &str, buffer: &mut String) -> String {
    tokio::time::sleep(Duration::from_millis(1)).await;
    buffer.push_str(text);
    buffer.clone()
}

#[profile_job(args(&String::from("temporary"), String::from("x").as_str()), verify(|output| *output == 10))]
fn temporaries(left: &str, right: &str) -> usize {
    left.len() + right.len()
}

/// The guard is a temporary of `args`: it is gone when `teardown` runs.
#[profile_job(args(&mut SHARED.lock().expect("no panic")), teardown(SHARED.lock().expect("no panic").clear()))]
fn guarded(shared: &mut Vec<u64>) {
    shared.push(1);
}

#[profile_job(setup(value = vec![1, 2]), args(value), verify(|output| output.len() == 2))]
fn moved(value: Vec<u64>) -> Vec<u64> {
    value
}

#[profile_job(
    setup(left = 1, right = 2),
    args(left, right, left, right, left, right, left, right, left, right, left, right, left)
)]
fn thirteen(
    a: u8,
    b: u8,
    c: u8,
    d: u8,
    e: u8,
    f: u8,
    g: u8,
    h: u8,
    i: u8,
    j: u8,
    k: u8,
    l: u8,
    m: u8,
) -> Result<(), u8> {
    let sum = a + b + c + d + e + f + g + h + i + j + k + l + m;
    if sum == 19 { Ok(()) } else { Err(sum) }
}

fn main() {
    for name in ["chained", "mutable", "awaited", "temporaries", "guarded", "moved", "thirteen"] {
        for result in support::executions(name, 0, 3) {
            result.expect(name);
        }
    }
    assert!(SHARED.lock().expect("no panic").is_empty());
}
