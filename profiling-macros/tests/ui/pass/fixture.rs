//! Values that are made once, and that every execution uses.
#![deny(warnings)]
#![warn(clippy::pedantic)]

use std::cell::Cell;
use std::convert::Infallible;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use profiling_core::profile_job;
use profiling_core::runner::CaseRunner;

#[path = "../support.rs"]
mod support;

static MADE: AtomicUsize = AtomicUsize::new(0);
static DROPPED: AtomicUsize = AtomicUsize::new(0);

/// Neither `Copy` nor `Clone`.
struct Counted(Vec<u64>);

impl Counted {
    fn new(n: u64) -> Self {
        MADE.fetch_add(1, Ordering::SeqCst);
        Self((0..n).collect())
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        DROPPED.fetch_add(1, Ordering::SeqCst);
    }
}

#[profile_job(
    params(n = [3, 5]),
    fixture(counted = Counted::new(n), expected = counted.0.iter().sum::<u64>(), name = String::from("x")),
    setup(first = &counted.0[0], text = format!("{name}{run}")),
    args(&counted, *first, text, name.clone()),
    verify(|sum| *sum == expected),
    teardown(assert_eq!(counted.0.len() as u64, n)),
)]
fn sync(counted: &Counted, first: u64, text: String, name: String) -> u64 {
    assert!(text.starts_with(&name));
    counted.0.iter().sum::<u64>() + first
}

async fn connect(port: u16) -> Result<Connection, String> {
    tokio::task::yield_now().await;
    Ok(Connection { port, sent: Cell::new(0) })
}

struct Connection {
    port: u16,
    sent: Cell<u32>,
}

struct Client<'a>(&'a Connection);

impl Drop for Client<'_> {
    fn drop(&mut self) {
        self.0.sent.set(self.0.sent.get() + 1);
    }
}

#[profile_job(
    fixture(port = 4711, connection = connect(port).await, handle = tokio::spawn(async { 7 })),
    setup(client = Client(&connection), count = connection.sent.get()),
    args(&client, port, u64::from(count)),
    verify(|sent| *sent == connection.sent.get()),
    teardown(assert!(!handle.is_finished() || count < 100))
)]
async fn awaited(client: &Client<'_>, port: u16, count: u64) -> u32 {
    assert_eq!(client.0.port, port);
    tokio::task::yield_now().await;
    count as u32
}

#[profile_job(fixture(number = "12".parse::<u8>()?, same = Ok::<_, Infallible>(number)), args(number, same))]
fn asks(number: u8, same: u8) {
    assert_eq!((number, same), (12, 12));
}

#[profile_job(fixture(_guard = Mutex::new(1), none = None::<Counted>), args(none.is_none()))]
fn unused(none: bool) {
    assert!(none);
}

#[profile_job(fixture(number = "x".parse::<u8>()), args(number))]
fn errs(_: u8) {}

#[profile_job(fixture(number = { let text = "y".to_owned(); text.parse::<u8>()? }), args(number))]
async fn errs_early(_: u8) {}

#[profile_job(fixture(list = Vec::<u8>::new(), first = list[0]), args(first))]
fn panics(_: u8) {}

#[profile_job(fixture(run_out = Some(4)), setup(value = run_out.map(|x| x + run)), args(value))]
fn named(value: Option<u64>) {
    assert!(value.is_some());
}

fn main() {
    for (case, n) in [(0, 3), (1, 5)] {
        let (made, dropped) = (MADE.load(Ordering::SeqCst), DROPPED.load(Ordering::SeqCst));
        for result in support::executions("sync", case, 4) {
            result.unwrap_or_else(|failure| panic!("n={n}: {failure}"));
        }
        assert_eq!(MADE.load(Ordering::SeqCst), made + 1);
        assert_eq!(DROPPED.load(Ordering::SeqCst), dropped + 1);
    }
    for name in ["awaited", "asks", "unused", "named"] {
        for result in support::executions(name, 0, 3) {
            result.expect(name);
        }
    }
    for (name, line, reason) in [
        ("errs", 89, ": invalid digit found in string"),
        ("errs_early", 92, ": invalid digit found in string"),
        ("panics", 95, ": index out of bounds: the len is 0 but the index is 0"),
    ] {
        let failure = support::failure(name);
        let begin = if name == "panics" { "panicked at " } else { "returned Err at " };
        assert!(failure.starts_with(begin) && failure.ends_with(reason), "{failure}");
        assert!(failure.contains(&format!("fixture.rs:{line}:")), "{failure}");
    }
    let case = support::job("sync").cases().next().expect("it has two");
    let mut runner = CaseRunner::new(case).expect("there is nothing to start");
    let dropped = DROPPED.load(Ordering::SeqCst);
    runner.prepare().expect("it can be made");
    runner.prepare().expect("it was made");
    runner.execute().expect("it passes");
    runner.release();
    assert_eq!(DROPPED.load(Ordering::SeqCst), dropped + 1);
}
