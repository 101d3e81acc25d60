//! Only the function itself is measured: not the setup, not the arguments, not what comes after.

use std::thread::sleep;
use std::time::Duration;

use profiling_core::profile_job;

#[path = "../support.rs"]
mod support;

const LONG: Duration = Duration::from_millis(30);

struct SlowToDrop;

impl Drop for SlowToDrop {
    fn drop(&mut self) {
        sleep(LONG);
    }
}

fn slow() -> u64 {
    sleep(LONG);
    1
}

#[profile_job(
    setup(guard = SlowToDrop, value = slow()),
    args(&guard, value + slow()),
    verify(|_| slow() == 1),
    teardown(assert_eq!(slow(), 1))
)]
fn quick(_: &SlowToDrop, _: u64) -> SlowToDrop {
    SlowToDrop
}

#[profile_job(setup(guard = SlowToDrop, value = slow()), args(&guard, value + slow()), verify(|_| slow() == 1))]
async fn quick_async(_: &SlowToDrop, _: u64) -> Result<SlowToDrop, String> {
    Ok(SlowToDrop)
}

#[profile_job(args(0))]
fn works(x: u64) -> u64 {
    // The optimiser must not see what the arguments are, nor that nobody reads the result.
    (0..20_000_000_u64).fold(x, |sum, n| (sum ^ n).wrapping_mul(0x9E37_79B9_7F4A_7C15))
}

fn main() {
    for name in ["quick", "quick_async"] {
        let sample = support::execute(name).expect(name);
        assert!(sample.wall_ns < 20_000_000, "{name}: {}", sample.wall_ns);
    }
    let sample = support::execute("works").expect("it passes");
    assert!(sample.wall_ns > 1_000_000, "{}", sample.wall_ns);
}
