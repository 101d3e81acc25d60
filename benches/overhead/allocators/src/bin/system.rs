use std::alloc::System;

#[global_allocator]
static ALLOCATOR: System = System;

rounds::allocator_main!();
