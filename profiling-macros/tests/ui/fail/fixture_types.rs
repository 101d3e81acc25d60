use profiling_core::profile_job;

#[profile_job(fixture(list = vec![1]), args(list))]
fn moved(_: Vec<u8>) {}

#[profile_job(fixture(list = vec![1]), args(&mut list))]
fn changed(list: &mut Vec<u8>) {
    list.push(1);
}

#[profile_job(fixture(length = input.len()), setup(input = vec![1]), args(length))]
fn made_before_setup(_: usize) {}

#[profile_job(fixture(number = u64::from(run)))]
fn made_before_any_run() {}

#[profile_job(fixture(list = tokio::task::yield_now().await))]
fn awaits_in_a_sync_job() {}

fn main() {}
