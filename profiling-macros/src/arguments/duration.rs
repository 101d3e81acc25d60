//! `timeout = "30s"`: a decimal number with a unit.

use std::time::Duration;

const UNITS: [(&str, u128); 9] = [
    ("ns", 1),
    ("us", 1_000),
    ("\u{b5}s", 1_000),
    ("\u{3bc}s", 1_000),
    ("ms", 1_000_000),
    ("s", NANOSECONDS_PER_SECOND),
    ("m", 60 * NANOSECONDS_PER_SECOND),
    ("min", 60 * NANOSECONDS_PER_SECOND),
    ("h", 3_600 * NANOSECONDS_PER_SECOND),
];
const NANOSECONDS_PER_SECOND: u128 = 1_000_000_000;

/// Reads `30s`, `1.5 h` or `250us`; the error says what is wrong with the text.
pub(super) fn parse(text: &str) -> Result<Duration, &'static str> {
    let digits = text.trim_start_matches(|character: char| character.is_ascii_digit() || character == '.');
    let (number, unit) = text.split_at(text.len() - digits.len());
    if number.is_empty() {
        return Err("a duration starts with a number");
    }
    let unit = unit.trim();
    if unit.is_empty() {
        return Err("the unit is missing");
    }
    let Some((_, nanoseconds)) = UNITS.iter().find(|(name, _)| *name == unit) else {
        return Err("the unit is none of ns, us, ms, s, min and h");
    };
    match scale(number, *nanoseconds)? {
        0 => Err("a timeout of zero would fail every execution"),
        total => whole(total).ok_or("the duration is too long"),
    }
}

fn scale(number: &str, unit: u128) -> Result<u128, &'static str> {
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    if number.ends_with('.') || whole.is_empty() || fraction.contains('.') {
        return Err("the number is not a decimal one");
    }
    let fraction = fraction.trim_end_matches('0');
    let too_long = "the duration is too long";
    let digits: u128 = format!("{whole}{fraction}").parse().map_err(|_| too_long)?;
    let places = u32::try_from(fraction.len()).ok().and_then(|places| 10_u128.checked_pow(places)).ok_or(too_long)?;
    let scaled = digits.checked_mul(unit).ok_or(too_long)?;
    if scaled % places == 0 { Ok(scaled / places) } else { Err("a duration has no parts of a nanosecond") }
}

fn whole(nanoseconds: u128) -> Option<Duration> {
    let seconds = u64::try_from(nanoseconds / NANOSECONDS_PER_SECOND).ok()?;
    let rest = u32::try_from(nanoseconds % NANOSECONDS_PER_SECOND).ok()?;
    Some(Duration::new(seconds, rest))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::parse;

    #[test]
    fn every_unit_is_understood() {
        assert_eq!(parse("7ns"), Ok(Duration::from_nanos(7)));
        assert_eq!(parse("7us"), Ok(Duration::from_micros(7)));
        assert_eq!(parse("7\u{b5}s"), Ok(Duration::from_micros(7)));
        assert_eq!(parse("7\u{3bc}s"), Ok(Duration::from_micros(7)));
        assert_eq!(parse("7ms"), Ok(Duration::from_millis(7)));
        assert_eq!(parse("30s"), Ok(Duration::from_secs(30)));
        assert_eq!(parse("2m"), Ok(Duration::from_secs(120)));
        assert_eq!(parse("2min"), Ok(Duration::from_secs(120)));
        assert_eq!(parse("1h"), Ok(Duration::from_secs(3_600)));
    }

    #[test]
    fn decimals_are_exact_and_a_space_is_allowed() {
        assert_eq!(parse("1.5s"), Ok(Duration::from_millis(1_500)));
        assert_eq!(parse("0.25 h"), Ok(Duration::from_secs(900)));
        assert_eq!(parse("1.0000000010s"), Ok(Duration::new(1, 1)));
        assert_eq!(parse("0.001us"), Ok(Duration::from_nanos(1)));
    }

    #[test]
    fn what_is_no_duration_says_why() {
        for (text, reason) in [
            ("", "starts with a number"),
            ("s", "starts with a number"),
            ("-1s", "starts with a number"),
            ("30", "unit is missing"),
            ("30 parsecs", "unit is none of"),
            ("1h30m", "unit is none of"),
            ("1.s", "not a decimal"),
            (".5s", "not a decimal"),
            ("1.2.3s", "not a decimal"),
            ("0s", "zero"),
            ("0.0ms", "zero"),
            ("0.5ns", "parts of a nanosecond"),
            ("99999999999999999999h", "too long"),
            ("999999999999999999999999999999999999999999s", "too long"),
            ("0.00000000000000000000000000000000000000000001s", "too long"),
        ] {
            let error = parse(text).expect_err(text);
            assert!(error.contains(reason), "{text}: {error}");
        }
    }
}
