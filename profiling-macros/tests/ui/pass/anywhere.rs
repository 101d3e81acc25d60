//! In modules, in a function body, again and again in one file.

use profiling_core::profile_job;

#[path = "../support.rs"]
mod support;

mod outer {
    pub mod inner {
        #[profiling_core::profile_job(name = "inner")]
        pub fn job() {}
    }

    #[::profiling_core::profile_job(name = "outer")]
    pub fn job() {}

    // Names that the generated code doesn't care about.
    pub mod core {}
    pub mod std {}
    pub mod profiling_core {}
    pub enum Option {}
    pub enum Result {}

    #[::profiling_core::profile_job(name = "shadowed", params(n = [1, 2]), args(n), verify(|output| *output > 0))]
    pub async fn shadowed(x: u64) -> u64 {
        x
    }
}

#[profile_job(name = "here")]
fn job() {}

#[profile_job]
fn second() {}

fn main() {
    #[profile_job(args(1))]
    fn within(x: u64) -> u64 {
        x
    }
    within(2);

    let function = |name| support::job(name).function;
    assert!(function("inner").ends_with("::outer::inner::job"));
    assert!(function("outer").ends_with("::outer::job"));
    for name in ["inner", "outer", "shadowed", "here", "second", "within"] {
        support::execute(name).expect(name);
    }
}
