#![allow(unused)]

use profiling_core::profile_job;

struct Jobs;

impl Jobs {
    #[profile_job]
    fn by_reference(&self) {}

    #[profile_job(args(1))]
    async fn mutable<'a>(&'a mut self, x: u64) {}

    #[profile_job]
    fn boxed(self: Box<Self>) {}

    #[profile_job(args(Jobs))]
    fn takes_self_type(jobs: Self) {}

    #[profile_job]
    fn returns_self_type() -> Option<Self> {
        None
    }
}

trait Work {
    #[profile_job]
    fn work(&self);
}

fn main() {}
