//! A process whose global allocator doesn't count.

use profiling_core::AllocationSpan;
use profiling_core::job::{Entry, JobDescriptor};
use profiling_core::measure::allocator::{is_installed, live_bytes};
use profiling_core::runner::CaseRunner;

mod support;

#[test]
fn a_span_says_how_to_install_the_allocator() {
    let payload = std::thread::spawn(|| drop(AllocationSpan::begin())).join().expect_err("a panic");
    let message = payload.downcast_ref::<&str>().copied().unwrap_or_default();
    assert!(message.contains("#[global_allocator]"), "{message}");
    assert!(message.contains("profiling_core::CountingAllocator::system()"), "{message}");
    assert!(message.contains("try_begin"), "{message}");
}

#[test]
fn nothing_is_there_to_read() {
    assert!(!is_installed());
    assert!(AllocationSpan::try_begin().is_none());
    assert_eq!(live_bytes(), None);
}

#[test]
fn a_sample_has_no_figures_of_the_heap() {
    static JOB: JobDescriptor = support::job(Entry::Sync(|execution| {
        execution.start();
        drop(std::hint::black_box(vec![1_u8; 1 << 20]));
        execution.stop();
        Ok(())
    }));
    let sample = CaseRunner::new(support::case(&JOB)).expect("a runner").execute().expect("it passes");
    assert!(sample.wall_ns > 0);
    assert_eq!((sample.allocations, sample.allocated_bytes), (None, None));
    assert_eq!((sample.peak_heap_bytes, sample.retained_heap_bytes), (None, None));
}
