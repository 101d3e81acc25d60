//! A function that returns a future is awaited like an async one.

use std::future::Future;
use std::pin::Pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use profiling_core::job::Entry;
use profiling_core::profile_job;

#[path = "../support.rs"]
mod support;

pub type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

static AWAITED: AtomicU64 = AtomicU64::new(0);

async fn work() -> Result<u64, String> {
    tokio::time::sleep(Duration::from_millis(20)).await;
    AWAITED.fetch_add(1, Ordering::SeqCst);
    Ok(1)
}

#[profile_job]
fn returns_impl() -> impl Future<Output = Result<u64, String>> {
    work()
}

#[profile_job(args(&"text".to_owned()))]
fn borrows(text: &str) -> impl Future<Output = Result<u64, String>> + use<'_> {
    async move { if text == "text" { work().await } else { Err(text.to_owned()) } }
}

#[profile_job]
fn returns_alias() -> BoxFuture<'static, Result<u64, String>> {
    Box::pin(work())
}

#[profile_job]
fn returns_pin() -> Pin<Box<dyn Future<Output = Result<u64, String>>>> {
    Box::pin(work())
}

/// The call itself may work too.
#[profile_job]
fn works_in_the_call() -> impl std::future::Future<Output = ()> {
    std::thread::sleep(Duration::from_millis(20));
    std::future::ready(())
}

#[profile_job]
fn fails() -> impl Future<Output = Result<u64, String>> {
    std::future::ready(Err("no".to_owned()))
}

fn main() {
    for (count, name) in ["returns_impl", "borrows", "returns_alias", "returns_pin"].into_iter().enumerate() {
        assert!(matches!(support::job(name).entry, Entry::Async { .. }), "{name}");
        let sample = support::execute(name).expect(name);
        assert!(sample.wall_ns >= 20_000_000, "{name}: {}", sample.wall_ns);
        assert_eq!(AWAITED.load(Ordering::SeqCst), count as u64 + 1, "{name}");
    }
    let sample = support::execute("works_in_the_call").expect("it passes");
    assert!(sample.wall_ns >= 20_000_000, "{}", sample.wall_ns);
    assert_eq!(support::failure("fails"), "returned Err: no");
}
