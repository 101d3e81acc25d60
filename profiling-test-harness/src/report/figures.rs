//! Figures as people read them: three digits and a unit.

/// Nanoseconds: `820 ns`, `1.23 ms`, `45.6 s`.
pub(crate) fn time(nanoseconds: u64) -> String {
    scaled(nanoseconds as f64, 1000.0, &["ns", "µs", "ms", "s"])
}

/// Bytes: `512 B`, `1.50 KiB`, `100 MiB`.
pub(crate) fn bytes(bytes: u64) -> String {
    scaled(bytes as f64, 1024.0, &["B", "KiB", "MiB", "GiB", "TiB"])
}

/// A part of a nanosecond, too: `0.312 ns`.
pub(crate) fn exact_time(nanoseconds: f64) -> String {
    part_or_scaled(nanoseconds, 1000.0, &["ns", "µs", "ms", "s"])
}

/// A part of a byte, too: `0.125 B`.
pub(crate) fn exact_bytes(bytes: f64) -> String {
    part_or_scaled(bytes, 1024.0, &["B", "KiB", "MiB", "GiB", "TiB"])
}

/// A share: `3%`, `0.4%`.
pub(crate) fn percent(share: f64) -> String {
    let decimals = usize::from(share < 0.00995);
    format!("{:.decimals$}%", share * 100.0)
}

/// A count, in groups of three digits: `12,345`.
pub(crate) fn count(count: u64) -> String {
    let digits = count.to_string();
    let groups: Vec<&str> =
        digits.as_bytes().rchunks(3).rev().map(|group| str::from_utf8(group).unwrap_or_default()).collect();
    groups.join(",")
}

/// Three digits of what is less than ten of the smallest unit.
fn part_or_scaled(value: f64, step: f64, units: &[&str]) -> String {
    match value {
        _ if value >= 9.995 => scaled(value, step, units),
        _ if value >= 0.9995 => format!("{value:.2} {}", units[0]),
        _ if value >= 0.0005 => format!("{value:.3} {}", units[0]),
        _ => format!("{value:.1e} {}", units[0]),
    }
}

fn scaled(mut value: f64, step: f64, units: &[&str]) -> String {
    let mut unit = 0;
    // What would be printed as 1000 is the next unit's.
    while value >= step.min(999.5) && unit + 1 < units.len() {
        value /= step;
        unit += 1;
    }
    let decimals = match value {
        _ if unit == 0 => 0,
        v if v < 9.995 => 2,
        v if v < 99.95 => 1,
        _ => 0,
    };
    format!("{value:.decimals$} {}", units[unit])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn three_digits_and_a_unit() {
        let times = [(0, "0 ns"), (999, "999 ns"), (1_000, "1.00 µs"), (999_499, "999 µs"), (999_999, "1.00 ms")];
        for (value, text) in times {
            assert_eq!(time(value), text);
        }
        assert_eq!(time(45_640_000_000), "45.6 s");
        assert_eq!(time(4_564_000_000_000), "4564 s");
        let sizes = [(0, "0 B"), (512, "512 B"), (1536, "1.50 KiB"), (100 << 20, "100 MiB"), (1010 << 20, "0.99 GiB")];
        for (value, text) in sizes {
            assert_eq!(bytes(value), text);
        }
    }

    #[test]
    fn parts_of_the_smallest_unit() {
        let times = [(0.0312, "0.031 ns"), (0.9999, "1.00 ns"), (9.994, "9.99 ns"), (12.34, "12 ns"), (1e6, "1.00 ms")];
        for (value, text) in times {
            assert_eq!(exact_time(value), text);
        }
        assert_eq!((exact_bytes(0.0001), exact_bytes(8.0)), ("1.0e-4 B".to_owned(), "8.00 B".to_owned()));
        assert_eq!((percent(0.004), percent(0.034)), ("0.4%".to_owned(), "3%".to_owned()));
    }

    #[test]
    fn groups_of_three() {
        for (value, text) in [(0, "0"), (999, "999"), (1000, "1,000"), (1_234_567, "1,234,567")] {
            assert_eq!(count(value), text);
        }
    }
}
