//! The same under criterion.

use criterion::{Criterion, criterion_group, criterion_main};

#[allow(dead_code)]
#[path = "../src/work.rs"]
mod work;

fn all(criterion: &mut Criterion) {
    criterion.bench_function("cpu_150us", |bench| bench.iter(work::cpu_150us));
    criterion.bench_function("cpu_1ms", |bench| bench.iter(work::cpu_1ms));
    criterion.bench_function("cpu_5ms", |bench| bench.iter(work::cpu_5ms));
    criterion.bench_function("cpu_20ms", |bench| bench.iter(work::cpu_20ms));
    criterion.bench_function("allocations", |bench| bench.iter(work::allocations));
    criterion.bench_function("strings", |bench| bench.iter(work::strings));
    criterion.bench_function("stream", |bench| bench.iter(work::stream));
    criterion.bench_function("chase", |bench| bench.iter(work::chase));
    criterion.bench_function("echo", |bench| bench.iter(|| work::echo(200)));
}

criterion_group!(benches, all);
criterion_main!(benches);
