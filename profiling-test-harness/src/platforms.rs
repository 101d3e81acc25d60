//! The catalogue of platforms, with the user's own entries, and whether it knows a platform.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use profiling_core::advise::{Catalogue, CatalogueError};
use thiserror::Error;

/// Why there is no catalogue for these jobs.
#[derive(Debug, Error)]
pub(crate) enum PlatformsError {
    #[error("can't read the catalogue of platforms `{}`: {reason}", .path.display())]
    Unreadable { path: PathBuf, reason: io::Error },
    #[error("the catalogue of platforms: {0}")]
    Catalogue(#[from] CatalogueError),
    #[error("`{id}` is no platform{hint}")]
    Unknown { id: String, hint: String },
    #[error("the job `{job}` has the target `{id}`, which is no platform{hint}")]
    Target { job: String, id: String, hint: String },
}

/// The built-in catalogue, with the entries of the user's file over it.
pub(crate) fn load(file: Option<&Path>) -> Result<Catalogue, PlatformsError> {
    let Some(path) = file else { return Ok(Catalogue::builtin().clone()) };
    let text = fs::read_to_string(path);
    let text = text.map_err(|reason| PlatformsError::Unreadable { path: path.to_owned(), reason })?;
    Ok(Catalogue::with_user_file(&text, &path.display().to_string())?)
}

/// Says so on standard error, where it is in nobody's way.
pub(crate) fn warn_of_old_prices(catalogue: &Catalogue) {
    if let Some(old) = catalogue.old_prices(SystemTime::now()) {
        complain!("warning: {old}");
    }
}

/// Refuses an id that the catalogue doesn't know.
pub(crate) fn known(id: &str, catalogue: &Catalogue) -> Result<(), PlatformsError> {
    let unknown = || PlatformsError::Unknown { id: id.to_owned(), hint: hint(id, catalogue) };
    catalogue.platform(id).map(drop).ok_or_else(unknown)
}

/// What was probably meant, and what there is.
pub(crate) fn hint(id: &str, catalogue: &Catalogue) -> String {
    let ids: Vec<&str> = catalogue.platforms.iter().map(|platform| platform.id.as_str()).collect();
    let meant = closest(id, &ids).map(|meant| format!("; did you mean `{meant}`?")).unwrap_or_default();
    format!("{meant}; the platforms are {}", ids.iter().map(|id| format!("`{id}`")).collect::<Vec<_>>().join(", "))
}

fn closest<'a>(written: &str, known: &[&'a str]) -> Option<&'a str> {
    let likeness = |name: &str| strsim::jaro_winkler(written, name);
    let closest = known.iter().copied().max_by(|one, other| likeness(one).total_cmp(&likeness(other)));
    closest.filter(|name| likeness(name) > 0.8)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_that_is_not_there_is_named() {
        let error = load(Some(Path::new("/no/such/prices.json"))).expect_err("there is none").to_string();
        assert!(error.contains("`/no/such/prices.json`"), "{error}");
        assert_eq!(load(None).expect("built in"), *Catalogue::builtin());
    }

    #[test]
    fn a_misspelt_platform_is_refused_with_the_one_that_was_meant() {
        known("gcp-cloud-run", Catalogue::builtin()).expect("it is in the catalogue");
        let error = known("aws-lamda", Catalogue::builtin()).expect_err("misspelt").to_string();
        let says = "`aws-lamda` is no platform; did you mean `aws-lambda`?; the platforms are `aws-lambda`, ";
        assert!(error.starts_with(says), "{error}");
    }
}
