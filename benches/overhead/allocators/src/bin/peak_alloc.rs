use peak_alloc::PeakAlloc;

#[global_allocator]
static ALLOCATOR: PeakAlloc = PeakAlloc;

rounds::allocator_main! {
    ALLOCATOR.reset_peak_usage();
}
