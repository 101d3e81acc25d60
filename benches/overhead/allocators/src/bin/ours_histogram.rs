use std::alloc::System;

use profiling_core::{AllocationSpan, CountingAllocator};

#[global_allocator]
static ALLOCATOR: CountingAllocator<System, true> = CountingAllocator::system().with_histogram();

rounds::allocator_main! {
    let _span = AllocationSpan::begin();
}
