//! Builds and runs real crates through cargo, and looks at exit codes, output and files.

mod allocators;
#[cfg(unix)]
mod baselines;
#[cfg(target_os = "linux")]
mod budgets;
#[cfg(target_os = "linux")]
mod bystanders;
#[cfg(target_os = "linux")]
mod cgroups;
mod circumstances;
mod configuration;
mod decisions;
mod discovery;
#[cfg(target_os = "linux")]
mod disk;
mod embedding;
mod failures;
mod feature_off;
#[cfg(target_os = "linux")]
mod files;
mod fixtures;
mod flags;
mod growth;
mod history;
#[cfg(target_os = "linux")]
mod instructions;
#[cfg(target_os = "linux")]
mod interruption;
mod measurements;
mod messages;
#[cfg(target_os = "linux")]
mod odd_names;
mod output;
#[cfg(target_os = "linux")]
mod own_root;
#[cfg(target_os = "linux")]
mod processes;
#[cfg(target_os = "linux")]
mod rebuilds;
#[cfg(target_os = "linux")]
mod rehearsal;
mod runners;
mod sampling;
mod sandbox;
mod stages;
mod staleness;
#[cfg(target_os = "linux")]
mod state;
mod storage;
mod targets;
#[cfg(target_os = "linux")]
mod volume;
#[cfg(target_os = "linux")]
mod without_cargo;
