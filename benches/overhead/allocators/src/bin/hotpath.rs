use hotpath::{CountingAllocator, HotpathGuardBuilder};

#[global_allocator]
static ALLOCATOR: CountingAllocator = CountingAllocator::new();

rounds::allocator_main! {
    let _guard = HotpathGuardBuilder::new("main").build();
}
