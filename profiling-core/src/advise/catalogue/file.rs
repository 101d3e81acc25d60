//! The file's form: entries of which every field can be left out, to be laid over others.

use std::num::NonZeroU32;

use serde::Deserialize;
use serde::de::{DeserializeOwned, IgnoredAny};
use serde_json::value::RawValue;

use super::error::{Place, closest};
use super::numbers::{Date, Price, Share};
use super::{Catalogue, CatalogueError, InstanceType, Platform, UNDOCUMENTED_VCPU};

/// A file whose entries are read, and not yet complete.
#[derive(Debug)]
pub(super) struct File<'a> {
    as_of: Date,
    faas: Vec<Located<'a, FaasEntry>>,
    vm: Vec<Located<'a, VmEntry>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Raw<'a> {
    #[serde(default, rename = "schema")]
    _schema: Schema,
    as_of: Date,
    #[serde(default, rename = "units")]
    _units: Option<IgnoredAny>,
    #[serde(default, rename = "caveats")]
    _caveats: Option<IgnoredAny>,
    #[serde(borrow, default)]
    faas: Vec<&'a RawValue>,
    #[serde(borrow, default)]
    vm: Vec<&'a RawValue>,
}

/// The one version that there is.
#[derive(Deserialize, Default)]
enum Schema {
    #[default]
    #[serde(rename = "profiling.platforms/1")]
    First,
}

/// An entry, and where it stands.
#[derive(Debug, Clone)]
pub(super) struct Located<'a, T> {
    pub(super) entry: T,
    place: Place<'a>,
    path: String,
    /// Of a new entry, the known one that it may have been meant to change.
    meant: Option<String>,
}

/// Fields that are all optional, and can be laid over another entry's.
macro_rules! entry {
    ($(#[$attribute:meta])* $name:ident { $($field:ident: $type:ty,)* }) => {
        $(#[$attribute])*
        #[derive(Debug, Clone, Default, Deserialize)]
        #[serde(deny_unknown_fields, default)]
        pub(super) struct $name {
            $(pub(super) $field: Option<$type>,)*
        }

        impl Overlay for $name {
            fn over(self, base: Self) -> Self {
                // The date is that of what is laid over, never older.
                Self { as_of: self.as_of.clone(), ..Self { $($field: self.$field.or(base.$field),)* } }
            }
        }
    };
}

pub(super) trait Overlay {
    /// These fields, and those of `base` where there are none.
    fn over(self, base: Self) -> Self;
}

entry! {
    /// A serverless platform.
    FaasEntry {
        id: String,
        provider: String,
        name: String,
        region: String,
        arch: Vec<String>,
        memory_mb_min: NonZeroU32,
        memory_mb_max: NonZeroU32,
        memory_mb_step: NonZeroU32,
        memory_sizes_mb: Vec<NonZeroU32>,
        vcpu_per_memory: VcpuPerMemory,
        instance_types: Vec<FaasInstance>,
        timeout_s_max: u64,
        timeout_s_http_response_max: u64,
        timeout_s_sync_max: u64,
        cpu_time_s_max: u64,
        payload_request_bytes_max: u64,
        payload_response_bytes_max: u64,
        tmp_bytes_max: u64,
        tmp_bytes_free: u64,
        price_usd_per_gb_s_tmp_extra: Price,
        filesystem_counts_as_memory: bool,
        file_descriptors_max: u64,
        processes_threads_max: u64,
        init_phase_s_max: u64,
        billing_model: BillingModel,
        price_usd_per_gb_s: Price,
        price_usd_per_gb_s_arm64: Price,
        price_usd_per_vcpu_s: Price,
        price_usd_per_gib_s: Price,
        price_usd_per_cpu_ms: Price,
        price_usd_per_gb_s_disk: Price,
        price_usd_per_request: Price,
        price_usd_per_month_base: Price,
        billing_granularity_ms: NonZeroU32,
        billing_min_ms: u64,
        billing_memory_step_mb: NonZeroU32,
        billing_memory_mb_min: u32,
        init_billed: bool,
        cost_formula: String,
        confidence: Confidence,
        confidence_note: String,
        notes: Vec<String>,
        source: Vec<String>,
        as_of: Date,
    }
}

entry! {
    /// A type of virtual machine.
    VmEntry {
        provider: String,
        instance_type: String,
        region: String,
        arch: String,
        vcpu: Share,
        memory_mb: NonZeroU32,
        price_usd_per_hour: Price,
        price_usd_per_month_max: Price,
        price_eur_per_month_max: f64,
        price_excludes: String,
        burstable: bool,
        cpu_shared: bool,
        cpu_baseline_fraction_per_vcpu: Share,
        smt: bool,
        confidence: Confidence,
        confidence_note: String,
        source: Vec<String>,
        as_of: Date,
    }
}

/// Those of 64 bits that Linux runs on, by Rust's names, and Arm's by that of its sellers.
const ARCHITECTURES: [&str; 7] = ["x86_64", "arm64", "aarch64", "riscv64", "powerpc64", "s390x", "loongarch64"];

/// How far a fact can be trusted.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Confidence {
    High,
    Medium,
    Low,
}

/// How CPUs come with memory.
#[derive(Debug, Clone, Deserialize)]
#[serde(tag = "rule", rename_all = "snake_case", deny_unknown_fields)]
pub(super) enum VcpuPerMemory {
    Linear {
        mb_per_vcpu: Share,
        vcpu_max: Share,
    },
    Table {
        memory_mb_to_vcpu: Vec<(NonZeroU32, Share)>,
    },
    Chosen {
        memory_mb_range_by_vcpu: Vec<(Share, NonZeroU32, NonZeroU32)>,
        #[serde(default)]
        memory_mb_to_vcpu: Vec<(NonZeroU32, Share)>,
    },
    Fixed {
        vcpu: Share,
    },
    InstanceTypes {},
    Undocumented {},
}

/// A size with a name.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct FaasInstance {
    pub(super) name: String,
    pub(super) vcpu: Share,
    pub(super) memory_mb: NonZeroU32,
    #[serde(default)]
    pub(super) disk_mb: Option<u64>,
    #[serde(default)]
    pub(super) price_usd_per_s: Option<Price>,
    #[serde(default)]
    pub(super) cpu_shared: bool,
}

/// What is multiplied with what.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(rename_all = "snake_case")]
#[expect(clippy::enum_variant_names, reason = "as they are in the file")]
pub(super) enum BillingModel {
    MemoryTime,
    ObservedMemoryTime,
    VcpuMemoryTime,
    CpuTime,
    ActiveCpuMemoryTime,
    MachineTime,
}

impl<'a> File<'a> {
    /// Reads a file; its entries need not be complete.
    pub(super) fn read(text: &'a str, file: &'a str) -> Result<Self, CatalogueError> {
        let whole = Place { file, text, piece: text };
        let mut json = serde_json::Deserializer::from_str(text);
        let raw: Raw<'a> = serde_path_to_error::deserialize(&mut json).map_err(|error| whole.unreadable("", &error))?;
        json.end().map_err(|error| CatalogueError {
            file: file.to_owned(),
            line: error.line(),
            field: String::new(),
            reason: "text after the end of the catalogue".to_owned(),
        })?;
        Ok(Self { as_of: raw.as_of, faas: entries(whole, "faas", &raw.faas)?, vm: entries(whole, "vm", &raw.vm)? })
    }

    /// The catalogue of these entries, laid over those of `base`.
    pub(super) fn resolve(self, base: Option<File<'_>>) -> Result<Catalogue, CatalogueError> {
        refuse_twice(&self.faas, "id", |entry| entry.id.clone())?;
        refuse_twice(&self.vm, "instance_type", VmEntry::key)?;
        let (mut platforms, mut instance_types) = (Vec::new(), Vec::new());
        let (mut base_faas, mut base_vm) = (Vec::new(), Vec::new());
        let mut base_date = None;
        if let Some(base) = base {
            base_date = Some(base.as_of);
            base_faas = base.faas;
            base_vm = base.vm;
        }
        for entry in &base_faas {
            match self.faas.iter().find(|own| own.entry.id == entry.entry.id) {
                Some(own) => platforms.push(own.over(entry).platform(&self.as_of)?),
                None => platforms.push(entry.platform(base_date.as_ref().unwrap_or(&self.as_of))?),
            }
        }
        for own in new_entries(self.faas, &base_faas, |entry| entry.id.clone()) {
            platforms.push(own.platform(&self.as_of)?);
        }
        for entry in &base_vm {
            match self.vm.iter().find(|own| own.entry.key() == entry.entry.key()) {
                Some(own) => instance_types.push(own.over(entry).instance_type(&self.as_of)?),
                None => instance_types.push(entry.instance_type(base_date.as_ref().unwrap_or(&self.as_of))?),
            }
        }
        for own in new_entries(self.vm, &base_vm, VmEntry::key) {
            instance_types.push(own.instance_type(&self.as_of)?);
        }
        Ok(Catalogue { platforms, instance_types })
    }
}

fn entries<'a, T: DeserializeOwned>(
    whole: Place<'a>,
    list: &str,
    raw: &[&'a RawValue],
) -> Result<Vec<Located<'a, T>>, CatalogueError> {
    let read = |(index, raw): (usize, &&'a RawValue)| {
        let place = Place { piece: raw.get(), ..whole };
        let path = format!("{list}[{index}]");
        let mut json = serde_json::Deserializer::from_str(raw.get());
        let entry = serde_path_to_error::deserialize(&mut json).map_err(|error| place.unreadable(&path, &error))?;
        Ok(Located { entry, place, path, meant: None })
    };
    raw.iter().enumerate().map(read).collect()
}

fn refuse_twice<T>(
    entries: &[Located<'_, T>],
    field: &str,
    key: impl Fn(&T) -> Option<String>,
) -> Result<(), CatalogueError> {
    for (index, entry) in entries.iter().enumerate() {
        let Some(own) = key(&entry.entry) else {
            return Err(entry.error(field, format!("missing: every entry needs a `{field}`")));
        };
        if let Some(first) = entries[..index].iter().find(|first| key(&first.entry).as_ref() == Some(&own)) {
            return Err(entry.error(field, format!("`{own}` is there already, as {}", first.path)));
        }
    }
    Ok(())
}

impl<'a, T: Overlay + Clone> Located<'a, T> {
    /// This entry over another, at its own place.
    fn over(&self, base: &Located<'_, T>) -> Located<'a, T> {
        let entry = self.entry.clone().over(base.entry.clone());
        Located { entry, place: self.place, path: self.path.clone(), meant: None }
    }
}

impl<T> Located<'_, T> {
    pub(super) fn error(&self, field: &str, reason: String) -> CatalogueError {
        self.place.error(&self.path, field, reason)
    }

    /// The value of a field that has to be there.
    pub(super) fn required<V>(&self, field: &str, value: Option<V>) -> Result<V, CatalogueError> {
        value.ok_or_else(|| {
            let meant = self.meant.as_ref().map(|known| format!(". Did you mean the entry `{known}`?"));
            self.error(field, format!("missing: a new entry has to have it{}", meant.unwrap_or_default()))
        })
    }
}

/// The entries that `base` doesn't have, with what they may have been meant for.
fn new_entries<'a, T>(
    own: Vec<Located<'a, T>>,
    base: &[Located<'_, T>],
    key: impl Fn(&T) -> Option<String>,
) -> impl Iterator<Item = Located<'a, T>> {
    let known: Vec<String> = base.iter().filter_map(|base| key(&base.entry)).collect();
    own.into_iter().filter_map(move |own| {
        let key = key(&own.entry)?;
        let meant = closest(&key, known.iter().map(String::as_str)).map(str::to_owned);
        (!known.contains(&key)).then_some(Located { meant, ..own })
    })
}

impl VmEntry {
    fn key(&self) -> Option<String> {
        Some(format!("{} {}", self.provider.as_ref()?, self.instance_type.as_ref()?))
    }
}

impl Located<'_, FaasEntry> {
    fn platform(&self, as_of: &Date) -> Result<Platform, CatalogueError> {
        Platform::of(self, as_of)
    }
}

impl Located<'_, VmEntry> {
    /// With a typing error in it, the machine would never be advised, and nobody would know why.
    fn arch(&self) -> Result<String, CatalogueError> {
        let arch = self.required("arch", self.entry.arch.clone())?;
        if ARCHITECTURES.contains(&&*arch) {
            return Ok(arch);
        }
        Err(self.error("arch", format!("`{arch}` is none of {}", ARCHITECTURES.join(", "))))
    }

    fn instance_type(&self, as_of: &Date) -> Result<InstanceType, CatalogueError> {
        let entry = &self.entry;
        let is_shared = entry.burstable == Some(true) || entry.cpu_shared == Some(true);
        let baseline = entry.cpu_baseline_fraction_per_vcpu.map(Share::cpus);
        if baseline.is_some_and(|baseline| baseline > 1.0) {
            let reason = "a part of one vCPU, from 0 to 1: 0.2 for 20%".to_owned();
            return Err(self.error("cpu_baseline_fraction_per_vcpu", reason));
        }
        Ok(InstanceType {
            provider: self.required("provider", entry.provider.clone())?,
            name: self.required("instance_type", entry.instance_type.clone())?,
            region: entry.region.clone(),
            arch: self.arch()?,
            vcpu: self.required("vcpu", entry.vcpu)?.cpus(),
            cpu_fraction: baseline.unwrap_or(if is_shared { UNDOCUMENTED_VCPU } else { 1.0 }),
            cpu_fraction_is_assumed: is_shared && baseline.is_none(),
            memory_mb: self.required("memory_mb", entry.memory_mb)?.get(),
            usd_per_hour: self.required("price_usd_per_hour", entry.price_usd_per_hour)?.usd(),
            price_excludes: entry.price_excludes.clone(),
            usd_per_month_max: entry.price_usd_per_month_max.map(Price::usd),
            as_of: entry.as_of.clone().unwrap_or_else(|| as_of.clone()),
            confidence: confidence(entry.confidence, entry.confidence_note.as_ref()),
        })
    }
}

/// The note, which begins with the word, or else the word; unmarked facts are a user's own.
pub(super) fn confidence(confidence: Option<Confidence>, note: Option<&String>) -> String {
    let word = match confidence {
        Some(Confidence::High) => "high",
        Some(Confidence::Medium) => "medium",
        Some(Confidence::Low) => "low",
        None => "not stated",
    };
    note.cloned().unwrap_or_else(|| word.to_owned())
}
