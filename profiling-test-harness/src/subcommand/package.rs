//! The package whose profiles are meant, and what is known of its jobs.

use std::collections::BTreeMap;
use std::env;
use std::path::{Path, PathBuf};
use std::process::Command;

use profiling_core::profile::Profile;
use profiling_core::store::{BuildKind, RegisteredJob, Store, StoredSamples};
use profiling_core::tangle::blueprint::{DocumentJob, KnownJob, job_ids};
use serde::Deserialize;

use super::Error;
use super::arguments::Place;
use crate::advisor::Jobs;
use crate::shelf::read_document;

/// A package that has been profiled.
#[derive(Debug)]
pub(super) struct Package {
    pub(super) name: String,
    /// Where its manifest is; `None` where cargo could not be asked.
    pub(super) directory: Option<PathBuf>,
    pub(super) store: Store,
    /// The jobs that the newest run found, and those that have a profile; by name.
    registered: Vec<RegisteredJob>,
    document: Vec<DocumentJob>,
    /// By name.
    profiles: Vec<Profile>,
}

/// What of `cargo metadata` is read.
#[derive(Debug, Deserialize)]
struct Metadata {
    packages: Vec<Member>,
    target_directory: PathBuf,
}

#[derive(Debug, Clone, Deserialize)]
struct Member {
    name: String,
    manifest_path: PathBuf,
}

impl Package {
    /// The package that is asked for, with at least one run behind it.
    pub(super) fn find(place: &Place) -> Result<Self, Error> {
        let metadata = match (Metadata::ask(place.manifest_path.as_deref()), &place.package, &place.store) {
            (Ok(metadata), ..) => metadata,
            (Err(_), Some(name), Some(store)) => {
                return Self::read(name.clone(), None, Store::new(store, name).of_build(place.build()));
            }
            (Err(reason), ..) => return Err(Error::Cargo(reason)),
        };
        let member = metadata.choose(place)?;
        let store = metadata.store(&member, place).of_build(place.build());
        Self::read(member.name.clone(), Some(member.directory()), store)
    }

    fn read(name: String, directory: Option<PathBuf>, store: Store) -> Result<Self, Error> {
        let profiles = store.load_all()?;
        let run = store.registered()?;
        if profiles.is_empty() && run.is_none() {
            return Err(Error::NoProfiles { package: name, place: store.root().to_owned() });
        }
        let mut registered = run.unwrap_or_default();
        for Profile { job, id, .. } in &profiles {
            if !registered.iter().any(|known| known.name == *job) {
                registered.push(RegisteredJob { name: job.clone(), id: *id, harnesses: Vec::new() });
            }
        }
        registered.sort_by(|a, b| a.name.cmp(&b.name));
        let document = directory.as_ref().map(|directory| read_document(&directory.join("blueprint.json")));
        Ok(Self { name, directory, store, registered, document: document.unwrap_or_default(), profiles })
    }

    /// A line on the profiles that are not among these, as nothing asked for them.
    pub(super) fn left_out(&self) -> Option<String> {
        if self.store.build() == BuildKind::Unoptimised {
            return None;
        }
        let others = self.store.of_build(BuildKind::Unoptimised);
        // One that can't be read is for those who ask for it.
        let jobs: Vec<String> = others.load_all().ok()?.into_iter().map(|profile| profile.job).collect();
        let count = match jobs.len() {
            0 => return None,
            1 => "the profile of a build".to_owned(),
            count => format!("{count} profiles of builds"),
        };
        Some(format!("left out: {count} without optimisation ({}); --unoptimised takes them", jobs.join(", ")))
    }

    /// All jobs, profiled or not.
    pub(super) fn known(&self) -> Vec<KnownJob<'_>> {
        self.registered.iter().map(|job| (job.name.as_str(), job.id)).collect()
    }

    /// These jobs, with those of the document.
    pub(super) fn jobs<'a>(&'a self, known: &'a [KnownJob<'a>]) -> Jobs<'a> {
        Jobs { known, document: &self.document }
    }

    /// The profiles of these jobs, of all where none is named.
    pub(super) fn profiles(&self, jobs: &[String]) -> Result<Vec<&Profile>, Error> {
        self.expect_jobs(jobs)?;
        Ok(self.profiles.iter().filter(|profile| is_wanted(jobs, &profile.job)).collect())
    }

    /// Those of these jobs that have no profile.
    pub(super) fn unprofiled(&self, jobs: &[String]) -> Vec<&str> {
        let names = self.registered.iter().map(|job| job.name.as_str()).filter(|job| is_wanted(jobs, job));
        names.filter(|job| self.profile(job).is_none()).collect()
    }

    pub(super) fn profile(&self, job: &str) -> Option<&Profile> {
        self.profiles.iter().find(|profile| profile.job == job)
    }

    /// Refuses jobs that there are none of.
    pub(super) fn expect_jobs(&self, jobs: &[String]) -> Result<(), Error> {
        let known = |job: &&String| self.registered.iter().any(|known| known.name == **job);
        let Some(job) = jobs.iter().find(|job| !known(job)) else { return Ok(()) };
        let known = self.registered.iter().map(|job| job.name.clone()).collect();
        Err(Error::NoSuchJob { package: self.name.clone(), job: job.clone(), known })
    }

    /// The id of each job that has one.
    pub(super) fn ids(&self) -> BTreeMap<&str, u32> {
        let known = self.known();
        job_ids(&self.document, &known).into_iter().map(|(id, position)| (known[position].0, id)).collect()
    }

    /// The jobs of the document that no annotated job stands for.
    pub(super) fn not_registered(&self) -> Vec<String> {
        let paired = job_ids(&self.document, &self.known());
        let lost = self.document.iter().filter(|job| !paired.contains_key(&job.index));
        lost.map(|job| job.name.clone().unwrap_or_else(|| format!("job {}", job.index))).collect()
    }

    /// The samples of a profile.
    pub(super) fn samples(&self, profile: &Profile) -> Result<StoredSamples, Error> {
        Ok(self.store.samples(&profile.job, None)?)
    }
}

fn is_wanted(jobs: &[String], job: &str) -> bool {
    jobs.is_empty() || jobs.iter().any(|wanted| wanted == job)
}

impl Member {
    fn directory(&self) -> PathBuf {
        self.manifest_path.parent().unwrap_or(Path::new("")).to_owned()
    }
}

impl Metadata {
    fn ask(manifest_path: Option<&Path>) -> Result<Self, String> {
        let cargo = env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
        let mut command = Command::new(&cargo);
        command.args(["metadata", "--no-deps", "--offline", "--format-version", "1"]);
        if let Some(path) = manifest_path {
            command.arg("--manifest-path").arg(path);
        }
        let output = command.output().map_err(|error| format!("can't run `{}`: {error}", cargo.display()))?;
        if !output.status.success() {
            let said = String::from_utf8_lossy(&output.stderr);
            return Err(said.trim().trim_start_matches("error: ").to_owned());
        }
        serde_json::from_slice(&output.stdout).map_err(|error| error.to_string())
    }

    /// The package that is named, else the one whose directory this is, else the only one that has profiles.
    fn choose(&self, place: &Place) -> Result<Member, Error> {
        let names = |members: &[&Member]| members.iter().map(|member| member.name.clone()).collect();
        if let Some(name) = &place.package {
            let found = self.packages.iter().find(|member| member.name == *name).cloned();
            let known = || names(&self.packages.iter().collect::<Vec<_>>());
            return found.ok_or_else(|| Error::NoSuchPackage { name: name.clone(), known: known() });
        }
        if let Some(member) = self.nearest(place.manifest_path.as_deref()) {
            return Ok(member.clone());
        }
        let profiled = |member: &&Member| {
            let store = self.store(member, place);
            store.exists() || store.of_build(BuildKind::Unoptimised).exists() || store.roster_path().exists()
        };
        match &self.packages.iter().filter(profiled).collect::<Vec<_>>()[..] {
            [] => match &self.packages[..] {
                [only] => Ok(only.clone()),
                _ => Err(Error::NoProfiles { package: "any package".to_owned(), place: self.target_directory.clone() }),
            },
            [only] => Ok((*only).clone()),
            several => Err(Error::WhichPackage(names(several))),
        }
    }

    /// The package with this manifest; without, the one whose directory holds this one.
    fn nearest(&self, manifest_path: Option<&Path>) -> Option<&Member> {
        let here = match manifest_path {
            Some(path) => path.canonicalize().ok()?,
            None => env::current_dir().ok()?.canonicalize().ok()?,
        };
        let holds = |member: &&Member| {
            let canonical = if manifest_path.is_some() {
                member.manifest_path.canonicalize()
            } else {
                member.directory().canonicalize()
            };
            canonical.is_ok_and(|directory| here.starts_with(directory))
        };
        self.packages.iter().filter(holds).max_by_key(|member| member.manifest_path.components().count())
    }

    fn store(&self, member: &Member, place: &Place) -> Store {
        let out = place.out.as_ref().map(|out| member.directory().join(out));
        Store::new(place.store.clone().or(out).unwrap_or_else(|| self.target_directory.clone()), &member.name)
    }
}
