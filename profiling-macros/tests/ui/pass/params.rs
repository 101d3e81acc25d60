//! One case per combination that meets the constraints, and names typed by their use.

use profiling_core::profile_job;

#[path = "../support.rs"]
mod support;

#[profile_job(params(n = [10, 1], k = 1..=3, k <= n), args(vec![0; n], k), verify(|output| *output == n + k as usize))]
fn list_and_range(values: Vec<u8>, k: u8) -> usize {
    values.len() + usize::from(k)
}

#[profile_job(
    params(
        kind = ["left", "right"],
        offset = [-1, 0, 0x10],
        scale = 2..4,
        !(kind == "left" && offset < 0) || scale * 2 - 1 >= 5,
        kind != "right" || offset % 2 == 0,
    ),
    args(kind, offset, f64::from(scale)),
    verify(|output| output.starts_with(kind))
)]
async fn mixed(kind: &'static str, offset: i64, scale: f64) -> String {
    format!("{kind} {offset} {scale}")
}

#[profile_job(params(n = [1_u16, 2], big = [18_446_744_073_709_551_615], small = [-9_223_372_036_854_775_808]), args(n, big, small))]
fn limits(_: u16, _: u64, _: i64) {}

#[profile_job(params(_n = 0..3))]
fn unused() {}

#[profile_job(params(a = 1..=1_000, b = log(1..=1_000), b <= a, b % 2 == 0, a > 900), args(a, b))]
fn spread(_: u32, _: u64) {}

fn labels(name: &str) -> Vec<String> {
    support::job(name).cases().map(|case| case.label()).collect()
}

fn main() {
    assert_eq!(labels("list_and_range"), ["n=10,k=1", "n=10,k=2", "n=10,k=3", "n=1,k=1"]);
    assert_eq!(
        labels("mixed"),
        [
            "kind=left,offset=-1,scale=3",
            "kind=left,offset=0,scale=2",
            "kind=left,offset=0,scale=3",
            "kind=left,offset=16,scale=2",
            "kind=left,offset=16,scale=3",
            "kind=right,offset=0,scale=2",
            "kind=right,offset=0,scale=3",
            "kind=right,offset=16,scale=2",
            "kind=right,offset=16,scale=3",
        ]
    );
    assert_eq!(labels("limits").len(), 2);
    assert_eq!(labels("unused"), ["_n=0", "_n=1", "_n=2"]);
    assert_eq!(labels("spread").len(), 19, "2, 4, 6, 10, 16, 40, 100, 158 and 398 with 933 and 1000, and 1000 with itself");
    assert_eq!(labels("spread").last().map(String::as_str), Some("a=1000,b=1000"));
    for name in ["list_and_range", "mixed", "limits", "unused", "spread"] {
        for (case, label) in labels(name).into_iter().enumerate() {
            support::executions(name, case, 1).remove(0).unwrap_or_else(|failure| panic!("{name}/{label}: {failure}"));
        }
    }
}
