//! What platforms and machines offer, and at what price: dated facts with their source.
//!
//! The built-in catalogue is `platforms.json`, beside this module. A file of the same form overrides
//! single fields of its entries, or adds entries: see [`Catalogue::with_user_file`].

use std::sync::LazyLock;
use std::time::{Duration, SystemTime};

mod error;
mod file;
mod numbers;
mod platform;

pub use error::CatalogueError;
pub use numbers::{Date, Price, Share};
pub(crate) use platform::is_same_arch;
pub use platform::{Billing, Cpu, Limits, MemoryPrice, NotOffered, Platform, Size, SizeLimits, Sizes};

/// The built-in catalogue, as text.
const BUILTIN: &str = include_str!("platforms.json");

/// From this age on, prices are no longer taken for granted.
const OLD: Duration = Duration::from_secs(180 * 24 * 60 * 60);

/// The CPUs of a platform that doesn't say how many it gives, and of one CPU that is shared without a
/// promise.
pub const UNDOCUMENTED_VCPU: f64 = 0.1;

/// Platforms and instance types.
///
/// ```
/// use profiling_core::advise::Catalogue;
///
/// let lambda = Catalogue::builtin().platform("aws-lambda").expect("in the catalogue");
/// let limits = lambda.at(512).expect("offered");
/// assert_eq!(limits.memory_bytes, 512 << 20);
/// assert!((limits.cpus - 512.0 / 1769.0).abs() < 1e-12);
/// assert_eq!(lambda.at(64).expect_err("too small").to_string(), "`aws-lambda` offers 128 to 10240 MB, not 64 MB");
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct Catalogue {
    /// Serverless platforms, each `id` once.
    pub platforms: Vec<Platform>,
    /// Virtual machines, each type of a provider once.
    pub instance_types: Vec<InstanceType>,
}

/// A type of virtual machine.
#[derive(Debug, Clone, PartialEq)]
pub struct InstanceType {
    /// The provider.
    pub provider: String,
    /// The type's name there.
    pub name: String,
    /// The region that the price is of.
    pub region: Option<String>,
    /// `x86_64` or `arm64`.
    pub arch: String,
    /// Its CPUs.
    pub vcpu: f64,
    /// The part of each CPU that it has all the time; less than 1 for burstable and shared ones.
    pub cpu_fraction: f64,
    /// Whether that part is a guess, because the source gives none for a shared CPU.
    pub cpu_fraction_is_assumed: bool,
    /// Its memory in MiB.
    pub memory_mb: u32,
    /// USD per hour.
    pub usd_per_hour: f64,
    /// The most that a month costs in USD, where the provider caps it.
    pub usd_per_month_max: Option<f64>,
    /// What the price doesn't contain, in words.
    pub price_excludes: Option<String>,
    /// When the price was read.
    pub as_of: Date,
    /// How far the facts can be trusted: `high`, `medium` or `low`, with what that is about.
    pub confidence: String,
}

impl Catalogue {
    /// The catalogue that comes with this crate.
    ///
    /// # Panics
    ///
    /// Never: its text is part of the crate, and tested.
    #[must_use]
    pub fn builtin() -> &'static Self {
        static CATALOGUE: LazyLock<Catalogue> = LazyLock::new(|| {
            let read = file::File::read(BUILTIN, "platforms.json").and_then(|file| file.resolve(None));
            read.unwrap_or_else(|error| panic!("the built-in catalogue: {error}"))
        });
        &CATALOGUE
    }

    /// The built-in catalogue with a user's entries over it: a field that an entry has replaces that of the
    /// built-in entry with the same `id` (for machines, `provider` and `instance_type`); an unknown `id` is a
    /// new entry, which needs all fields that its billing model takes. `name` is the file's, for errors.
    ///
    /// ```
    /// use profiling_core::advise::Catalogue;
    ///
    /// let text = r#"{
    ///   "as_of": "2026-11-01",
    ///   "faas": [{"id": "aws-lambda", "price_usd_per_gb_s": -1}]
    /// }"#;
    /// let error = Catalogue::with_user_file(text, "prices.json").expect_err("negative");
    /// assert_eq!(
    ///     error.to_string(),
    ///     "prices.json:3: `faas[0].price_usd_per_gb_s`: -1 is no price: give USD, 0 or more"
    /// );
    /// ```
    pub fn with_user_file(text: &str, name: &str) -> Result<Self, CatalogueError> {
        let builtin = file::File::read(BUILTIN, "platforms.json")?;
        file::File::read(text, name)?.resolve(Some(builtin))
    }

    /// The platform with this `id`.
    #[must_use]
    pub fn platform(&self, id: &str) -> Option<&Platform> {
        self.platforms.iter().find(|platform| platform.id == id)
    }

    /// Says which prices are more than 180 days old; `None` where none is.
    ///
    /// ```
    /// use std::time::SystemTime;
    /// use profiling_core::advise::Catalogue;
    ///
    /// let warning = Catalogue::builtin().old_prices(SystemTime::now()).expect("some are from 2025");
    /// assert!(warning.starts_with("prices are more than 180 days old: "), "{warning}");
    /// ```
    #[must_use]
    pub fn old_prices(&self, today: SystemTime) -> Option<String> {
        let platforms = self.platforms.iter().map(|platform| (platform.id.as_str(), &platform.as_of));
        let machines = self.instance_types.iter().map(|machine| (machine.name.as_str(), &machine.as_of));
        let is_old = |date: &Date| today.duration_since(date.start()).is_ok_and(|age| age > OLD);
        let mut old: Vec<(&str, &Date)> = platforms.chain(machines).filter(|(_, date)| is_old(date)).collect();
        old.sort_by_key(|(_, date)| date.start());
        let shown: Vec<String> = old.iter().take(3).map(|(name, date)| format!("`{name}` ({date})")).collect();
        let more = if old.len() > 3 { format!(" and {} more", old.len() - 3) } else { String::new() };
        (!old.is_empty()).then(|| {
            let over = format!("prices are more than 180 days old: {}{more}", shown.join(", "));
            format!("{over}. Give new ones in the file that `platforms` in `[package.metadata.profiling]` names")
        })
    }
}

#[cfg(test)]
mod tests;
