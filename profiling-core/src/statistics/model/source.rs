//! Models as Rust source, for metering at run time.

use std::collections::HashSet;
use std::fmt::Write;

use serde_json::Value;

use super::term::{Growth, Term};
use super::{Curve, Metric, Model};
use crate::fingerprint::EMITTED;

/// What the functions of the file are made of, from which the file is complete.
const ARITHMETIC: &str = include_str!("emitted.rs");
/// Of the arithmetic's logarithms.
const LOGARITHM_BITS: u32 = 16;
/// How many digits of a coefficient are kept; it is rounded up.
const COEFFICIENT_BITS: i32 = 32;
/// More would leave nothing of a coefficient in 128 bits.
const LARGEST_SHIFT: i32 = 100;
/// What rustfmt leaves on one line.
const WIDTH: usize = 100;

/// A file of Rust that depends on nothing, without floating-point numbers, whose `const` functions are the upper
/// bounds of the models: the terms with the envelope, rounded up, saturating at `u64::MAX`.
///
/// One function per job and metric, `sort_wall_ns(n)`, and per value of the job's other parameters; those
/// whose growth was not identified are left out, with a comment.
#[must_use]
pub fn rust_source<'a>(package: &str, jobs: impl IntoIterator<Item = (&'a str, &'a [Model])>) -> String {
    let mut source = format!(
        "//! Upper bounds of what the jobs of `{}` cost, as they were measured, for metering at run time.\n//!\n//! \
         {EMITTED} Between the levels that were measured a function is above\n//! all \
         samples; beyond them it goes on as it grew. Each saturates at `u64::MAX`.\n",
        escaped(package)
    );
    // Those of the arithmetic.
    let mut taken: HashSet<String> =
        ["scaled", "linear", "quadratic", "cubic", "logarithmic", "linearithmic"].map(str::to_owned).into();
    for (job, models) in jobs {
        for model in models {
            let title = title(job, model);
            match &model.growth {
                Ok(curve) => source += &function(&title, &unique(name(job, model), &mut taken), model, curve),
                Err(reason) => {
                    let _ = write!(source, "\n// {title} is not identifiable: {}.\n", escaped(reason));
                }
            }
        }
    }
    source + ARITHMETIC
}

/// `` `wall_ns` of `sort` with `order` = "up" ``.
fn title(job: &str, model: &Model) -> String {
    let fixed = model.fixed.iter().map(|(name, value)| format!("`{}` = `{}`", escaped(name), escaped(&plain(value))));
    let fixed: Vec<String> = fixed.collect();
    let with = if fixed.is_empty() { String::new() } else { format!(" with {}", fixed.join(", ")) };
    format!("`{}` of `{}`{with}", model.metric.name(), escaped(job))
}

fn function(title: &str, name: &str, model: &Model, curve: &Curve) -> String {
    let mut taken = HashSet::from(["bound", "value", "part"].map(str::to_owned));
    let parameters: Vec<String> =
        model.params.iter().map(|range| unique(identifier(&range.name), &mut taken)).collect();
    let ranges = model.params.iter().zip(&parameters);
    let ranges: Vec<String> =
        ranges.map(|(range, name)| format!("`{name}` in {}..={}", range.low, range.high)).collect();
    let (constant, growing): (Vec<_>, Vec<_>) = curve.terms.iter().partition(|fitted| fitted.term.is_constant());
    let factor = curve.envelope.factor;
    let constant: f64 = constant.iter().map(|fitted| factor * fitted.coefficient).sum::<f64>() + curve.envelope.offset;
    let unused = |at: usize| growing.iter().all(|fitted| fitted.term.growths()[at] == Growth::Constant);
    let arguments: Vec<String> = parameters
        .iter()
        .enumerate()
        .map(|(at, name)| format!("{}{name}: u64", if unused(at) { "_" } else { "" }))
        .collect();
    let mut body = format!("    let bound: u64 = {};\n", digits(ceiling(constant)));
    for fitted in growing {
        body += &addition(&fitted.term, factor * fitted.coefficient, &parameters);
    }
    let summary = format!(
        "/// The upper bound of {title}, measured for {}: it grows with `{}`.",
        ranges.join(" and "),
        escaped(&model.shape())
    );
    format!("\n{summary}\n#[allow(dead_code)]\n#[must_use]\n{}{body}    bound\n}}\n", signature(name, &arguments))
}

/// As rustfmt writes it.
fn signature(name: &str, arguments: &[String]) -> String {
    let line = format!("pub const fn {name}({}) -> u64 {{", arguments.join(", "));
    if line.len() <= WIDTH {
        return line + "\n";
    }
    let arguments: String = arguments.iter().map(|argument| format!("    {argument},\n")).collect();
    format!("pub const fn {name}(\n{arguments}) -> u64 {{\n")
}

fn addition(term: &Term, coefficient: f64, parameters: &[String]) -> String {
    let factors = term.growths().iter().zip(parameters).filter_map(|(growth, name)| factor(*growth, name));
    let is_logarithm = |growth: &&Growth| matches!(growth, Growth::Logarithmic | Growth::Linearithmic);
    let logarithms = u32::try_from(term.growths().iter().filter(is_logarithm).count()).unwrap_or(0);
    let (mantissa, shift) = binary(coefficient);
    let mut lines: Vec<String> = Vec::new();
    for factor in factors {
        let value = if lines.is_empty() { factor } else { format!("value.saturating_mul({factor})") };
        lines.push(format!("let value = {value};"));
    }
    lines.push(format!("let part = scaled({}, {}, value);", digits(mantissa), shift + LOGARITHM_BITS * logarithms));
    lines.push("let bound = bound.saturating_add(part);".to_owned());
    lines.iter().map(|line| format!("    {line}\n")).collect()
}

fn factor(growth: Growth, parameter: &str) -> Option<String> {
    let function = match growth {
        Growth::Constant => return None,
        Growth::Logarithmic => "logarithmic",
        Growth::Linear => "linear",
        Growth::Linearithmic => "linearithmic",
        Growth::Quadratic => "quadratic",
        Growth::Cubic => "cubic",
    };
    Some(format!("{function}({parameter})"))
}

/// A mantissa and by how many bits it is shifted; never less than the coefficient.
fn binary(coefficient: f64) -> (u64, u32) {
    #[expect(clippy::cast_possible_truncation, reason = "an exponent of a float")]
    let exponent = if coefficient > 0.0 { coefficient.log2().floor() as i32 } else { 0 };
    let shift = (COEFFICIENT_BITS - 1 - exponent).clamp(0, LARGEST_SHIFT);
    (ceiling(coefficient * 2_f64.powi(shift)), shift.unsigned_abs())
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "not negative, and `as` saturates")]
fn ceiling(value: f64) -> u64 {
    value.ceil() as u64
}

/// In groups of three, as clippy wants them.
fn digits(number: u64) -> String {
    let digits = number.to_string();
    let groups = digits.as_bytes().rchunks(3).rev().map(|group| str::from_utf8(group).unwrap_or_default());
    groups.collect::<Vec<_>>().join("_")
}

/// `sort_order_up_wall_ns`.
fn name(job: &str, model: &Model) -> String {
    let fixed = model.fixed.iter().map(|(name, value)| format!("_{name}_{}", plain(value)));
    identifier(&format!("{job}{}_{}", fixed.collect::<String>(), model.metric.name()))
}

fn plain(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

/// A name that is no keyword, does not start with a digit, and is written as names of functions are.
fn identifier(text: &str) -> String {
    const KEYWORDS: [&str; 51] = [
        "as", "async", "await", "break", "const", "continue", "crate", "dyn", "else", "enum", "extern", "false", "fn",
        "for", "if", "impl", "in", "let", "loop", "match", "mod", "move", "mut", "pub", "ref", "return", "self",
        "static", "struct", "super", "trait", "true", "type", "unsafe", "use", "where", "while", "abstract", "become",
        "box", "do", "final", "gen", "macro", "override", "priv", "try", "typeof", "unsized", "virtual", "yield",
    ];
    let mut name = String::new();
    for character in text.chars() {
        match character {
            'a'..='z' | '0'..='9' => name.push(character),
            'A'..='Z' => name.push(character.to_ascii_lowercase()),
            _ if name.ends_with('_') => {}
            _ => name.push('_'),
        }
    }
    let name = name.trim_matches('_');
    if name.is_empty() || name.starts_with(|first: char| first.is_ascii_digit()) || KEYWORDS.contains(&name) {
        format!("x_{name}").trim_end_matches('_').to_owned()
    } else {
        name.to_owned()
    }
}

/// The name, or one with a number after it.
fn unique(name: String, taken: &mut HashSet<String>) -> String {
    let numbered = (2_u32..).map(|number| format!("{name}_{number}"));
    let free = std::iter::once(name.clone()).chain(numbered).find(|name| !taken.contains(name)).unwrap_or(name);
    taken.insert(free.clone());
    free
}

/// Text that stays within its line and its backticks.
fn escaped(text: &str) -> String {
    text.chars().map(|c| if c.is_control() || c == '`' { '\'' } else { c }).collect()
}

impl Metric {
    /// The figure's name in profiles.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::WallNs => "wall_ns",
            Self::CpuNs => "cpu_ns",
            Self::AllocatedBytes => "allocated_bytes",
            Self::PeakHeapBytes => "peak_heap_bytes",
            Self::PeakRssBytes => "peak_rss_bytes",
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// What the written file computes with.
    mod emitted {
        include!("emitted.rs");

        #[test]
        fn logarithms_are_a_little_above() {
            for n in (0..64)
                .flat_map(|bits| [1_u64 << bits, (1 << bits) + 1, (1 << bits) | 0x1234_5678])
                .chain([3, u64::MAX])
            {
                let exact = (n as f64).log2() * 65_536.0;
                let found = logarithmic(n) as f64;
                assert!(found >= exact - 1e-6 && found <= exact + 1.001, "{n}: {found} {exact}");
            }
            assert_eq!((logarithmic(0), logarithmic(1), logarithmic(8)), (0, 0, 3 << 16));
        }

        #[test]
        fn what_is_too_large_saturates() {
            assert_eq!(scaled(1, 100, cubic(u64::MAX)), u64::MAX);
            assert_eq!(scaled(u64::MAX, 0, quadratic(u64::MAX)), u64::MAX);
            assert_eq!(scaled(1, 16, linearithmic(u64::MAX)), u64::MAX);
            assert_eq!((scaled(3, 1, linear(3)), scaled(3, 1, 4)), (5, 6), "rounded up");
        }
    }

    proptest! {
        #[test]
        fn coefficients_are_rounded_up_a_little(exponent in -60_i32..60, digits in 1.0..2.0_f64) {
            let coefficient = digits * 2_f64.powi(exponent);
            let (mantissa, shift) = binary(coefficient);
            let back = mantissa as f64 / 2_f64.powi(i32::try_from(shift).expect("small"));
            prop_assert!(back >= coefficient && back <= coefficient * (1.0 + 1e-9), "{coefficient} {back}");
        }
    }

    #[test]
    fn names_are_identifiers() {
        for (text, name) in [
            ("sort_wall_ns", "sort_wall_ns"),
            ("strange: [näme]", "strange_n_me"),
            ("2nd", "x_2nd"),
            ("type", "x_type"),
            ("日本", "x"),
            ("HTTP_get", "http_get"),
        ] {
            assert_eq!(identifier(text), name);
        }
        let mut taken = HashSet::new();
        let names = ["a", "a", "a_2"].map(|name| unique(name.to_owned(), &mut taken));
        assert_eq!(names, ["a", "a_2", "a_2_2"]);
    }
}
