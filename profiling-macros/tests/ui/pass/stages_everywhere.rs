//! `#[profile_stage]` and `stage!` wherever a function may stand, under a crate that allows nothing.

#![deny(missing_docs, unsafe_code, warnings)]
#![forbid(unsafe_code)]
#![deny(clippy::all, clippy::pedantic)]
#![deny(let_underscore_drop, single_use_lifetimes, unreachable_pub, unused, unused_lifetimes, unused_qualifications)]

use std::fmt::Display;

use profiling_core::stage::Recording;
use profiling_core::{profile_stage, stage};

mod vendored {
    pub(crate) mod deep {
        pub(crate) use profiling_core as profiling;
    }
}

/// Has methods.
struct Merger<T> {
    values: Vec<T>,
}

impl<T: Ord + Clone + Sync> Merger<T> {
    #[profile_stage("merge")]
    fn merge(&mut self, more: &[T]) -> &mut Self {
        self.values.extend_from_slice(more);
        self.values.sort();
        self
    }

    #[profile_stage]
    async fn first<'a>(&'a self) -> Option<&'a T> {
        self.values.first()
    }

    #[profile_stage("into")]
    #[must_use]
    async fn into_values(self) -> Vec<T> {
        self.values
    }
}

/// Has a method with a body, and one without.
trait Named {
    fn name(&self) -> String;

    #[profile_stage("greet")]
    fn greet(&self) -> String {
        format!("hello {}", self.name())
    }
}

impl Named for u8 {
    #[profile_stage(crate = vendored::deep::profiling)]
    fn name(&self) -> String {
        self.to_string()
    }
}

#[profile_stage("parse", crate = ::profiling_core)]
async fn parse<const N: usize>(mut words: [&str; N]) -> Result<[u64; N], std::num::ParseIntError> {
    let mut parsed = [0; N];
    words.reverse();
    for (place, word) in parsed.iter_mut().zip(words) {
        *place = word.parse()?;
    }
    Ok(parsed)
}

#[profile_stage]
async fn print(value: impl Display) -> impl Display {
    format!("<{value}>")
}

#[profile_stage]
fn r#type() {}

#[profile_stage("nothing")]
async fn nothing() {
    if std::hint::black_box(true) {
        return;
    }
    stage!("never").instrument(async {}).await;
}

/// # Panics
///
/// Where it is told to.
#[profile_stage("never")]
fn never(panic: bool) -> u8 {
    let _stage = stage!("inside",);
    if panic { panic!("told to") } else { 0 }
}

macro_rules! function {
    ($name:ident $body:block) => {
        #[profile_stage]
        fn $name() -> u8 $body
    };
}

function!(made { 7 });

fn main() {
    let recording = Recording::begin();
    tokio::runtime::Builder::new_current_thread().build().expect("it starts").block_on(async {
        let mut merger = Merger { values: vec![3, 2] };
        assert_eq!(merger.merge(&[1]).first().await, Some(&1));
        assert_eq!(merger.into_values().await, [1, 2, 3]);
        assert_eq!(5_u8.greet(), "hello 5");
        assert_eq!(parse(["1", "2"]).await, Ok([2, 1]));
        assert!(parse(["1", "x"]).await.is_err());
        assert_eq!(print("x").await.to_string(), "<x>");
        r#type();
        nothing().await;
        assert_eq!((never(false), made()), (0, 7));
        stage!("future", async {}).await;
    });
    let recorded = recording.end();
    let names: Vec<&str> = recorded.stages.iter().map(|stage| stage.name.as_str()).collect();
    let expected =
        ["merge", "first", "into", "name", "greet", "parse", "print", "type", "nothing", "inside", "never", "made", "future"];
    assert_eq!(names, expected);
    assert_eq!(recorded.stages[3].parent.as_deref(), Some("greet"));
}
