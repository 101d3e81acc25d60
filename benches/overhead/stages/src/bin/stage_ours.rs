//! `stage!` around an empty function, while an execution is recorded and allocations are counted.

use std::hint::black_box;

use profiling_core::stage::Recording;
use profiling_core::{CountingAllocator, stage};
use rounds::Request;

#[global_allocator]
static ALLOCATOR: CountingAllocator = CountingAllocator::system();

#[inline(never)]
fn stage() {
    let _stage = stage!("stage");
    black_box(());
}

fn stages(times: u64) {
    for _ in 0..times {
        stage();
    }
}

fn main() {
    let recording = Recording::begin();
    Request::from_arguments().answer(stages);
    drop(recording);
}
