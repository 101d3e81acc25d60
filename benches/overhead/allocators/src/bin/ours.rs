use profiling_core::{AllocationSpan, CountingAllocator};

#[global_allocator]
static ALLOCATOR: CountingAllocator = CountingAllocator::system();

rounds::allocator_main! {
    let _span = AllocationSpan::begin();
}
