use std::alloc::System;

use alloc_tracker::{Allocator, Session};

#[global_allocator]
static ALLOCATOR: Allocator<System> = Allocator::system();

rounds::allocator_main! {
    let session = Session::new();
    let operation = session.operation("pair");
    let _span = operation.measure_process();
}
