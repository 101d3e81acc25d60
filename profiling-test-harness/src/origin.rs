//! What this run's figures are true of: the harness, its executable, and what it was built from.

use std::path::{Path, PathBuf};

use profiling_core::origin::{HarnessTarget, Origin};
use profiling_core::profile::Environment;

use crate::Host;
use crate::binary::Identity;

/// What a run of `host` measures, in `environment`.
pub(crate) fn of_run(host: &Host, environment: Environment) -> Origin {
    Origin {
        environment,
        fingerprint: host.fingerprint.and_then(|json| serde_json::from_str(json).ok()),
        harness: Some(harness(host)),
        executable: Identity::of_this_process().and_then(|binary| binary.build()),
    }
}

/// The target that `main!` stands in.
pub(crate) fn harness(host: &Host) -> HarnessTarget {
    let name = host.module.split("::").next().unwrap_or(host.module).to_owned();
    HarnessTarget { name, file: within(Path::new(host.manifest_dir), Path::new(host.file)) }
}

/// A source file relative to its package, with `/`. The compiler names it relative to where cargo has started it,
/// which is the workspace's root; where the sources are not at hand, names alone decide.
fn within(package: &Path, file: &Path) -> String {
    let in_place = |root: &Path| Some(root.join(file)).filter(|path| path.is_file());
    let absolute = if file.is_absolute() { Some(file.to_owned()) } else { package.ancestors().find_map(in_place) };
    let relative = absolute
        .as_deref()
        .map_or_else(|| without_overlap(package, file), |path| path.strip_prefix(package).unwrap_or(path).to_owned());
    relative.to_string_lossy().replace('\\', "/")
}

/// A path without what it begins with that the package's own path ends with.
fn without_overlap(package: &Path, file: &Path) -> PathBuf {
    let parents = file.ancestors().skip(1).filter(|parent| !parent.as_os_str().is_empty());
    let overlap = parents.into_iter().find(|parent| package.ends_with(parent));
    overlap.and_then(|parent| file.strip_prefix(parent).ok()).unwrap_or(file).to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_harness_is_named_by_its_place_in_the_package() -> std::io::Result<()> {
        let home = tempfile::tempdir()?;
        let package = home.path().join("workspace/blueprints/tests");
        std::fs::create_dir_all(package.join("tests"))?;
        std::fs::write(package.join("tests/profiling.rs"), "")?;
        let named = |file: &str| within(&package, Path::new(file));
        assert_eq!(named("tests/profiling.rs"), "tests/profiling.rs", "a package of its own");
        assert_eq!(named("blueprints/tests/tests/profiling.rs"), "tests/profiling.rs", "a member of a workspace");
        let absolute = package.join("tests/profiling.rs");
        assert_eq!(named(&absolute.to_string_lossy()), "tests/profiling.rs", "a path dependency");
        assert_eq!(named("/remapped/tests/profiling.rs"), "/remapped/tests/profiling.rs");
        // On a device, without the sources.
        let gone = Path::new("/w/blueprints/squares");
        assert_eq!(within(gone, Path::new("blueprints/squares/benches/costs.rs")), "benches/costs.rs");
        assert_eq!(within(gone, Path::new("benches/costs.rs")), "benches/costs.rs");
        Ok(())
    }

    #[test]
    fn another_build_is_another_executable() -> std::io::Result<()> {
        let home = tempfile::tempdir()?;
        let path = home.path().join("harness");
        let build = |path: &Path| Identity::at(path).ok().and_then(|binary| binary.build());
        std::fs::write(&path, "old")?;
        let old = build(&path);
        assert_eq!(old, build(&path));
        std::fs::write(&path, "newer")?;
        assert!(old.is_some() && build(&path) != old);
        Ok(())
    }
}
