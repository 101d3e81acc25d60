//! hotpath's attribute around an empty function, its guard alive.

use std::hint::black_box;

use hotpath::HotpathGuardBuilder;
use rounds::Request;

#[hotpath::measure]
#[inline(never)]
fn stage() {
    black_box(());
}

fn stages(times: u64) {
    for _ in 0..times {
        stage();
    }
}

fn main() {
    let request = Request::from_arguments();
    let _guard = HotpathGuardBuilder::new("main").build();
    request.answer(stages);
    std::process::exit(0);
}
