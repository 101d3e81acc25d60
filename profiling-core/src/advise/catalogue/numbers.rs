//! Numbers and dates that are right by construction.

use std::fmt;
use std::time::SystemTime;

use serde::de::Error;
use serde::{Deserialize, Deserializer};

/// USD, 0 or more.
#[derive(Debug, Clone, Copy, PartialEq, PartialOrd)]
pub struct Price(f64);

/// A number of CPUs, or a part of one: above 0.
#[derive(Debug, Clone, Copy, PartialEq, PartialOrd)]
pub struct Share(f64);

/// A date; of some facts only the year or the month is known.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Date {
    text: String,
    start: SystemTime,
}

impl Price {
    /// USD.
    #[must_use]
    pub fn usd(self) -> f64 {
        self.0
    }
}

impl Share {
    /// CPUs.
    #[must_use]
    pub fn cpus(self) -> f64 {
        self.0
    }
}

impl Date {
    /// When the day, month or year began, in UTC.
    #[must_use]
    pub fn start(&self) -> SystemTime {
        self.start
    }
}

impl fmt::Display for Date {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl<'de> Deserialize<'de> for Price {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let usd = f64::deserialize(deserializer)?;
        let refused = || D::Error::custom(format!("{usd} is no price: give USD, 0 or more"));
        (usd.is_finite() && usd >= 0.0).then_some(Self(usd)).ok_or_else(refused)
    }
}

impl<'de> Deserialize<'de> for Share {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let cpus = f64::deserialize(deserializer)?;
        let refused = || D::Error::custom(format!("{cpus} is no number of CPUs: give one above 0"));
        (cpus.is_finite() && cpus > 0.0).then_some(Self(cpus)).ok_or_else(refused)
    }
}

impl<'de> Deserialize<'de> for Date {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let day = match text.len() {
            4 => format!("{text}-01-01"),
            7 => format!("{text}-01"),
            _ => text.clone(),
        };
        match humantime::parse_rfc3339(&format!("{day}T00:00:00Z")) {
            Ok(start) => Ok(Self { text, start }),
            Err(_) => Err(D::Error::custom(format!("`{text}` is no date: write 2026-11-20"))),
        }
    }
}
