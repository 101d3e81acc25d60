#[global_allocator]
static ALLOCATOR: dhat::Alloc = dhat::Alloc;

rounds::allocator_main! {
    let _profiler = dhat::Profiler::new_heap();
}
