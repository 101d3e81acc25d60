//! `verify` judges the output; `teardown` cleans up after good and bad executions alike.

use std::panic;
use std::sync::atomic::{AtomicU64, Ordering};

use profiling_core::profile_job;

#[path = "../support.rs"]
mod support;

static TEARDOWNS: AtomicU64 = AtomicU64::new(0);

fn count() {
    TEARDOWNS.fetch_add(1, Ordering::SeqCst);
}

fn is_even(output: &u64) -> bool {
    output % 2 == 0
}

fn is_short(output: &str) -> Result<(), String> {
    if output.len() < 4 { Ok(()) } else { Err(format!("{output} is long")) }
}

#[profile_job(args(4), verify(is_even), teardown(count()))]
fn even(x: u64) -> u64 {
    x
}

#[profile_job(args(5), verify(is_even), teardown(count()))]
fn odd(x: u64) -> u64 {
    x
}

#[profile_job(args("abcd"), verify(is_short), teardown({ count(); count() }))]
async fn long(text: &str) -> String {
    text.to_owned()
}

#[profile_job(verify(|output| assert!(output.is_empty(), "it has {} elements", output.len())))]
fn asserted() -> Vec<u8> {
    vec![1, 2]
}

#[profile_job(verify(|output: &Result<u64, String>| output == &Ok(1)))]
fn right() -> Result<u64, String> {
    Ok(1)
}

#[profile_job(verify(|_| panic!("not called for an Err")), teardown(count()))]
fn wrong() -> Result<u64, String> {
    Err("wrong".to_owned())
}

#[profile_job(setup(expected = vec![run; 2]), args(run), verify(move |output| *output == expected))]
fn owned(x: u64) -> Vec<u64> {
    vec![x, x]
}

#[profile_job(verify(|output| output.as_deref().map(str::len)))]
fn borrowed() -> Result<String, String> {
    Ok(String::new())
}

#[profile_job(verify(|()| TEARDOWNS.load(Ordering::SeqCst) > 0))]
fn unit() {}

fn main() {
    // The panic that is expected is not printed: it would look like what is wrong.
    let print = panic::take_hook();
    panic::set_hook(Box::new(move |info| {
        if !info.payload().downcast_ref::<String>().is_some_and(|message| message == "it has 2 elements") {
            print(info);
        }
    }));
    support::execute("even").expect("it passes");
    assert_eq!(TEARDOWNS.load(Ordering::SeqCst), 1);
    assert_eq!(support::failure("odd"), "verify returned false");
    assert_eq!(TEARDOWNS.load(Ordering::SeqCst), 2);
    assert_eq!(support::failure("long"), "verify returned Err: abcd is long");
    assert_eq!(TEARDOWNS.load(Ordering::SeqCst), 4);
    assert!(support::failure("asserted").contains("it has 2 elements"));
    support::execute("right").expect("it passes");
    assert_eq!(support::failure("wrong"), "returned Err: wrong");
    assert_eq!(TEARDOWNS.load(Ordering::SeqCst), 5);
    support::execute("owned").expect("it passes");
    support::execute("borrowed").expect("it passes");
    support::execute("unit").expect("it passes");
}
