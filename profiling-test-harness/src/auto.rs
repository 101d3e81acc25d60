//! `--samples auto(…)`: how a number of samples is written, or as many as it takes.

use profiling_core::sampling::{Auto, Samples};
use profiling_core::statistics::Percentile;

/// `10`, `auto`, or `auto(min = 10, max = 1000, precision = 2%, percentile = p50, time = 10s)`.
pub(crate) fn parse(text: &str) -> Result<Samples, String> {
    let Some(given) = text.trim().strip_prefix("auto") else {
        let count = text.parse().ok().filter(|&count| count > 0);
        let message = || format!("not a whole number from 1 to {}, nor `auto`", u32::MAX);
        return count.map(Samples::Count).ok_or_else(message);
    };
    let given = given.trim();
    let list =
        if given.is_empty() { Some("") } else { given.strip_prefix('(').and_then(|list| list.strip_suffix(')')) };
    let list = list.ok_or_else(|| "after `auto` come parentheses: `auto(max = 1000, precision = 2%)`".to_owned())?;
    let mut auto = Auto::DEFAULT;
    for item in list.split(',').map(str::trim).filter(|item| !item.is_empty()) {
        let (name, value) = item.split_once('=').ok_or_else(|| format!("`{item}` has no value: write `max = 1000`"))?;
        set(&mut auto, name.trim(), value.trim().trim_matches('"')).map_err(|reason| format!("`{item}`: {reason}"))?;
    }
    check(auto)
}

fn set(auto: &mut Auto, name: &str, value: &str) -> Result<(), String> {
    match name {
        "min" => auto.min = count(value)?,
        "max" => auto.max = count(value)?,
        "precision" => auto.precision = share(value)?,
        "percentile" => auto.percentile = percentile(value)?,
        "time" => auto.time = humantime::parse_duration(value).map_err(|error| error.to_string())?,
        _ => return Err("`auto` has `min`, `max`, `precision`, `percentile` and `time`".to_owned()),
    }
    Ok(())
}

fn count(text: &str) -> Result<u32, String> {
    text.parse().ok().filter(|&count| count > 0).ok_or_else(|| format!("not a whole number from 1 to {}", u32::MAX))
}

fn share(text: &str) -> Result<f64, String> {
    let percent = text.strip_suffix('%').and_then(|number| number.trim_end().parse::<f64>().ok());
    let percent = percent.filter(|&percent| percent > 0.0 && percent <= 100.0);
    percent.map(|percent| percent / 100.0).ok_or_else(|| "not a share from above 0% to 100%, such as `2%`".to_owned())
}

fn percentile(text: &str) -> Result<Percentile, String> {
    let found = Percentile::ALL.into_iter().find(|percentile| percentile.name() == text);
    found.ok_or_else(|| format!("none of {}", Percentile::ALL.map(Percentile::name).join(", ")))
}

fn check(auto: Auto) -> Result<Samples, String> {
    let (fewest, name) = (auto.percentile.fewest_samples(), auto.percentile.name());
    if auto.min > auto.max {
        return Err(format!("`min` is {} and `max` is {}: `max` is no less than `min`", auto.min, auto.max));
    }
    if (auto.max as usize) < fewest {
        return Err(format!("`max` is {}, and no fewer than {fewest} samples say how sure {name} is", auto.max));
    }
    Ok(Samples::Auto(auto))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn numbers_and_what_auto_is_given() {
        assert_eq!(parse("12"), Ok(Samples::Count(12)));
        for text in ["auto", " auto ", "auto()", "auto( )"] {
            assert_eq!(parse(text), Ok(Samples::Auto(Auto::DEFAULT)), "{text}");
        }
        let given = parse("auto(max = 500, min=300,percentile = p99, precision = 0.5 %, time = \"1m 30s\",)");
        let (percentile, time) = (Percentile::P99, Duration::from_secs(90));
        assert_eq!(given, Ok(Samples::Auto(Auto { min: 300, max: 500, precision: 0.005, percentile, time })));
    }

    #[test]
    fn mistakes_say_what_to_write() {
        for (text, says) in [
            ("0", "from 1 to"),
            ("1.5", "nor `auto`"),
            ("automatic", "come parentheses"),
            ("auto(5", "come parentheses"),
            ("auto(max)", "`max` has no value"),
            ("auto(most = 5)", "`auto` has `min`"),
            ("auto(precision = 0.02)", "such as `2%`"),
            ("auto(precision = 0%)", "above 0%"),
            ("auto(percentile = p96)", "none of p50, p90"),
            ("auto(time = 10)", "`time = 10`"),
            ("auto(min = 5, max = 4)", "no less than"),
            ("auto(percentile = p99, max = 200)", "no fewer than 299"),
        ] {
            let reason = parse(text).expect_err(text);
            assert!(reason.contains(says), "{text}: {reason}");
        }
    }
}
