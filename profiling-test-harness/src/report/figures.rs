//! Figures as people read them: three digits and a unit.

/// Nanoseconds: `820 ns`, `1.23 ms`, `45.6 s`.
pub(crate) fn time(nanoseconds: u64) -> String {
    scaled(nanoseconds as f64, 1000.0, &["ns", "µs", "ms", "s"])
}

/// Bytes: `512 B`, `1.50 KiB`, `100 MiB`.
pub(crate) fn bytes(bytes: u64) -> String {
    scaled(bytes as f64, 1024.0, &["B", "KiB", "MiB", "GiB", "TiB"])
}

/// A count, in groups of three digits: `12,345`.
pub(crate) fn count(count: u64) -> String {
    let digits = count.to_string();
    let groups: Vec<&str> =
        digits.as_bytes().rchunks(3).rev().map(|group| str::from_utf8(group).unwrap_or_default()).collect();
    groups.join(",")
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
    fn groups_of_three() {
        for (value, text) in [(0, "0"), (999, "999"), (1000, "1,000"), (1_234_567, "1,234,567")] {
            assert_eq!(count(value), text);
        }
    }
}
