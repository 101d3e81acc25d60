//! A span of `tracing`, entered and left around an empty function: `off` without a subscriber, `registry`
//! with one that only keeps the spans.

use std::hint::black_box;

use rounds::Request;
use tracing_subscriber::util::SubscriberInitExt;

#[inline(never)]
fn stage() {
    let _span = tracing::info_span!("stage").entered();
    black_box(());
}

fn stages(times: u64) {
    for _ in 0..times {
        stage();
    }
}

fn main() {
    let request = Request::from_arguments();
    if request.name == "registry" {
        tracing_subscriber::registry().init();
    }
    request.answer(stages);
}
