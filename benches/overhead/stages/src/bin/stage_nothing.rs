//! The empty function alone.

use std::hint::black_box;

use rounds::Request;

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
    Request::from_arguments().answer(stages);
}
