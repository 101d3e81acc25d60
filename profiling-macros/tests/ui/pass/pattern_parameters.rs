//! Patterns in place of names, generics with commas among them.

use std::collections::HashMap;

use profiling_core::profile_job;

#[path = "../support.rs"]
mod support;

pub struct TangleArg<T>(pub T);

pub struct TangleResult<T>(pub T);

pub struct Context {
    factor: u64,
}

#[profile_job(id = 0, args(TangleArg((12_u64,))), verify(|TangleResult(output)| *output == 144))]
pub async fn square(TangleArg((x,)): TangleArg<(u64,)>) -> TangleResult<u64> {
    TangleResult(x * x)
}

#[profile_job(
    args(Context { factor: 2 }, TangleArg((HashMap::from([(1, 2)]), 3)), [4, 5], 6),
    verify(|output| *output == 2 * (2 + 3) + 4 + 6)
)]
fn mixed(
    Context { factor }: Context,
    TangleArg((map, n)): TangleArg<(HashMap<u64, u64>, u64)>,
    [first, _]: [u64; 2],
    mut last: u64,
) -> u64 {
    last += factor * (map[&1] + n) + first;
    last
}

#[profile_job(args(|x| x + 1, Box::new(|x| x * 2), &|text| text.len(), &[1, 2, 3], &String::from("abc")))]
fn coerced(
    function: fn(u64) -> u64,
    boxed: Box<dyn Fn(u64) -> u64>,
    borrowed: &dyn Fn(&str) -> usize,
    slice: &[u64],
    text: &str,
) -> Result<(), String> {
    let sum = function(1) + boxed(2) + borrowed(text) as u64 + slice.len() as u64;
    if sum == 12 { Ok(()) } else { Err(sum.to_string()) }
}

fn main() {
    support::execute("square").expect("it passes");
    support::execute("mixed").expect("it passes");
    support::execute("coerced").expect("it passes");
}
