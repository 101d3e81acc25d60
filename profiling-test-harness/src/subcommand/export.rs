//! `export`: profiles and advice as other programs read them.

use std::collections::BTreeMap;
use std::io::{self, Write};

use profiling_core::advise::{
    BenchmarkProfile, Catalogue, JobCost, Options, PriceTerms, QosBaseline, price_suggestions, prometheus_rules,
};
use profiling_core::profile::Profile;
use profiling_core::store::{StoreError, replace_file};
use serde_json::json;

use super::arguments::{Export, What};
use super::package::Package;
use super::{Error, pretty};
use crate::advisor;
use crate::report::advice::JobAdvice;

/// Writes what is asked for.
pub(super) fn export(package: &Package, catalogue: &Catalogue, options: &Options, asked: &Export) -> Result<(), Error> {
    let advised = || advised(package, catalogue, options);
    let text = match asked.what {
        What::Prometheus => prometheus_rules(&package.name, &baselines(advised()?)),
        What::Qos => pretty(&json!({"package": package.name, "jobs": baselines(advised()?)})),
        What::Pricing { service_id, margin, usd_per_token, decimals } => {
            prices(package, &advised()?, service_id, &PriceTerms::new(margin, usd_per_token, decimals)?)?
        }
        What::BenchmarkProfile => benchmarks(package, &asked.jobs)?,
        What::Summary => summary(package)?,
    };
    let text = format!("{}\n", text.trim_end_matches('\n'));
    match &asked.out {
        None => {
            let _ = io::stdout().write_all(text.as_bytes());
            Ok(())
        }
        Some(path) => {
            replace_file(path, text.as_bytes()).map_err(|reason| Error::Unwritable { path: path.clone(), reason })?;
            say!("wrote {}", path.display());
            Ok(())
        }
    }
}

fn advised(package: &Package, catalogue: &Catalogue, options: &Options) -> Result<Vec<JobAdvice>, Error> {
    let known = package.known();
    Ok(advisor::on_jobs(&package.store, package.jobs(&known), |_| true, catalogue, options)?)
}

fn baselines(advised: Vec<JobAdvice>) -> Vec<QosBaseline> {
    advised.into_iter().filter_map(|job| job.advice.qos).collect()
}

fn prices(package: &Package, advised: &[JobAdvice], service: u64, terms: &PriceTerms) -> Result<String, Error> {
    let costs: BTreeMap<u32, Option<JobCost>> =
        advised.iter().filter_map(|job| Some((job.id?, JobCost::least(&job.advice)))).collect();
    if costs.is_empty() {
        return Err(Error::NoIds(package.name.clone()));
    }
    Ok(price_suggestions(service, costs.iter().map(|(&id, cost)| (id, cost.as_ref())), terms))
}

fn benchmarks(package: &Package, jobs: &[String]) -> Result<String, Error> {
    if let Some(job) = package.unprofiled(jobs).first().filter(|_| !jobs.is_empty()) {
        package.expect_jobs(jobs)?;
        return Err(Error::NotProfiled { job: (*job).to_owned() });
    }
    let profiles = package.profiles(jobs)?;
    let ids = package.ids();
    let of = |profile: &&Profile| -> Result<Option<BenchmarkProfile>, Error> {
        let id = ids.get(&*profile.job).map_or_else(|| profile.job.clone(), u32::to_string);
        let benchmark = BenchmarkProfile::of(id, profile, &package.samples(profile)?.cases());
        Ok(benchmark.map_err(StoreError::samples(&package.store, &profile.job))?)
    };
    let benchmarks = profiles.iter().map(of).filter_map(Result::transpose).collect::<Result<Vec<_>, _>>()?;
    Ok(match (&benchmarks[..], jobs) {
        ([one], [_]) => pretty(one),
        _ => pretty(&benchmarks),
    })
}

fn summary(package: &Package) -> Result<String, Error> {
    let known = package.known();
    let profiles = package.store.blueprint_profiles(&known, package.jobs(&known).document)?;
    profiles.map(|profiles| pretty(&profiles)).ok_or_else(|| Error::NoIds(package.name.clone()))
}
