//! `crate = path`, where core goes by another name.

mod vendored {
    pub mod deep {
        pub use profiling_core as profiling;
    }
}

#[path = "../support.rs"]
mod support;

mod jobs {
    use crate::vendored::deep::profiling;

    #[profiling::profile_job(crate = crate::vendored::deep::profiling, params(n = [1, 2]), args(n), verify(|_| true))]
    pub async fn absolute(x: u64) -> Result<u64, String> {
        Ok(x)
    }

    #[profiling::profile_job(crate = profiling, args(1))]
    pub fn relative(x: u64) -> u64 {
        x
    }

    #[profiling::profile_job(crate = ::profiling_core)]
    pub fn global() {}
}

fn main() {
    for name in ["absolute", "relative", "global"] {
        support::execute(name).expect(name);
    }
}
