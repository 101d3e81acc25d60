use std::collections::BTreeMap;

use profiling_core::profile_job;
use serde::Deserialize;

/// A row of the table.
#[derive(Debug, Deserialize)]
pub struct Flight {
    /// The airline's two-letter code.
    pub carrier: String,
    /// The airport that it left, as a three-letter code.
    pub origin: String,
    /// The airport that it went to.
    pub dest: String,
    /// The distance between the two, in miles.
    pub distance: u32,
    /// The minutes that it came late, negative where it was early; `NA` if it never came.
    #[serde(deserialize_with = "csv::invalid_option")]
    pub arr_delay: Option<i32>,
}

/// How late a carrier's flights came.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Delays {
    /// Its flights that came at all.
    pub arrived: u32,
    /// Those that came more than a quarter of an hour late.
    pub late: u32,
    /// The sum of all delays.
    pub minutes: i64,
}

/// The delays of each carrier in a table of flights.
///
/// # Errors
///
/// When the table is not CSV, or lacks a column of [`Flight`].
#[profile_job(
    id = 1,
    setup(table = crate::decompress(include_bytes!("../data/flights.csv.gz")).expect("a gzip file")),
    args(&table),
    verify(|delays| delays.as_ref().is_ok_and(|delays| delays.len() == 16)),
)]
pub fn delays(table: &[u8]) -> csv::Result<BTreeMap<String, Delays>> {
    let mut carriers = BTreeMap::<String, Delays>::new();
    for flight in csv::Reader::from_reader(table).deserialize() {
        let flight: Flight = flight?;
        if let Some(minutes) = flight.arr_delay {
            let delays = carriers.entry(flight.carrier).or_default();
            delays.arrived += 1;
            delays.late += u32::from(minutes > 15);
            delays.minutes += i64::from(minutes);
        }
    }
    Ok(carriers)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn adds_up_each_carrier() {
        let carriers = delays(&crate::samples::flights()).expect("a table");
        assert_eq!(carriers.values().map(|delays| delays.arrived).sum::<u32>(), 105_475);
        assert_eq!(carriers["HA"], Delays { arrived: 120, late: 14, minutes: -1_004 });
    }

    #[test]
    fn refuses_a_table_of_something_else() {
        assert!(delays(b"name,age\nGrace,85\n").is_err());
    }
}
