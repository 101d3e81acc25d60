//! `"30s"` and `"64MiB"`: decimal numbers with a unit.

use std::time::Duration;

const TIMES: [(&str, u128); 9] = [
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

const SIZES: [(&str, u128); 8] = [
    ("B", 1),
    ("KiB", 1 << 10),
    ("MiB", 1 << 20),
    ("GiB", 1 << 30),
    ("kB", 1_000),
    ("KB", 1_000),
    ("MB", 1_000_000),
    ("GB", 1_000_000_000),
];

/// Reads `30s`, `1.5 h` or `250us`; the error says what is wrong with the text.
pub(super) fn duration(text: &str) -> Result<Duration, &'static str> {
    let (number, unit) = split(text)?;
    let Some((_, nanoseconds)) = TIMES.iter().find(|(name, _)| *name == unit) else {
        return Err("the unit is none of ns, us, ms, s, min and h");
    };
    whole(scale(number, *nanoseconds, "a duration has no parts of a nanosecond")?).ok_or(TOO_LARGE)
}

/// Reads `64MiB` or `1.5 kB`, in bytes; the error says what is wrong with the text.
pub(super) fn size(text: &str) -> Result<u64, &'static str> {
    let (number, unit) = split(text)?;
    let Some((_, bytes)) = SIZES.iter().find(|(name, _)| *name == unit) else {
        return Err("the unit is none of B, KiB, MiB, GiB, kB, MB and GB");
    };
    scale(number, *bytes, "a size has no parts of a byte")?.try_into().map_err(|_| TOO_LARGE)
}

const TOO_LARGE: &str = "the number is too large";

/// The number and the unit.
fn split(text: &str) -> Result<(&str, &str), &'static str> {
    let unit = text.trim_start_matches(|character: char| character.is_ascii_digit() || character == '.');
    let (number, unit) = text.split_at(text.len() - unit.len());
    match (number, unit.trim()) {
        ("", _) => Err("the number is missing"),
        (_, "") => Err("the unit is missing"),
        found => Ok(found),
    }
}

fn scale(number: &str, unit: u128, parts: &'static str) -> Result<u128, &'static str> {
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    if number.ends_with('.') || whole.is_empty() || fraction.contains('.') {
        return Err("the number is not a decimal one");
    }
    let fraction = fraction.trim_end_matches('0');
    let digits: u128 = format!("{whole}{fraction}").parse().map_err(|_| TOO_LARGE)?;
    let places = u32::try_from(fraction.len()).ok().and_then(|places| 10_u128.checked_pow(places)).ok_or(TOO_LARGE)?;
    let scaled = digits.checked_mul(unit).ok_or(TOO_LARGE)?;
    if scaled % places == 0 { Ok(scaled / places) } else { Err(parts) }
}

fn whole(nanoseconds: u128) -> Option<Duration> {
    let seconds = u64::try_from(nanoseconds / NANOSECONDS_PER_SECOND).ok()?;
    let rest = u32::try_from(nanoseconds % NANOSECONDS_PER_SECOND).ok()?;
    Some(Duration::new(seconds, rest))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{duration, size};

    #[test]
    fn every_unit_is_understood() {
        assert_eq!(duration("7ns"), Ok(Duration::from_nanos(7)));
        assert_eq!(duration("7us"), Ok(Duration::from_micros(7)));
        assert_eq!(duration("7\u{b5}s"), Ok(Duration::from_micros(7)));
        assert_eq!(duration("7\u{3bc}s"), Ok(Duration::from_micros(7)));
        assert_eq!(duration("7ms"), Ok(Duration::from_millis(7)));
        assert_eq!(duration("30s"), Ok(Duration::from_secs(30)));
        assert_eq!(duration("2m"), Ok(Duration::from_secs(120)));
        assert_eq!(duration("2min"), Ok(Duration::from_secs(120)));
        assert_eq!(duration("1h"), Ok(Duration::from_secs(3_600)));
    }

    #[test]
    fn decimals_are_exact_and_a_space_is_allowed() {
        assert_eq!(duration("1.5s"), Ok(Duration::from_millis(1_500)));
        assert_eq!(duration("0.25 h"), Ok(Duration::from_secs(900)));
        assert_eq!(duration("1.0000000010s"), Ok(Duration::new(1, 1)));
        assert_eq!(duration("0.001us"), Ok(Duration::from_nanos(1)));
    }

    #[test]
    fn sizes_are_in_bytes() {
        for (text, bytes) in [
            ("0B", 0),
            ("17 B", 17),
            ("1KiB", 1024),
            ("1.5MiB", 3 << 19),
            ("2GiB", 2 << 30),
            ("1kB", 1000),
            ("1KB", 1000),
            ("1.000001MB", 1_000_001),
            ("3GB", 3_000_000_000),
        ] {
            assert_eq!(size(text), Ok(bytes), "{text}");
        }
        for (text, reason) in [
            ("64", "unit is missing"),
            ("64 mib", "unit is none of"),
            ("64ms", "unit is none of"),
            ("0.5B", "parts of a byte"),
            ("99999999999GiB", "too large"),
            ("", "number is missing"),
        ] {
            let error = size(text).expect_err(text);
            assert!(error.contains(reason), "{text}: {error}");
        }
    }

    #[test]
    fn what_is_no_duration_says_why() {
        for (text, reason) in [
            ("", "number is missing"),
            ("s", "number is missing"),
            ("-1s", "number is missing"),
            ("30", "unit is missing"),
            ("30 parsecs", "unit is none of"),
            ("1h30m", "unit is none of"),
            ("1.s", "not a decimal"),
            (".5s", "not a decimal"),
            ("1.2.3s", "not a decimal"),
            ("0.5ns", "parts of a nanosecond"),
            ("99999999999999999999h", "too large"),
            ("999999999999999999999999999999999999999999s", "too large"),
            ("0.00000000000000000000000000000000000000000001s", "too large"),
        ] {
            let error = duration(text).expect_err(text);
            assert!(error.contains(reason), "{text}: {error}");
        }
    }
}
