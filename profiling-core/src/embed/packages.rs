//! The package and its path dependencies, as cargo knows them.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::store::target;

/// Nothing of this crate is left in a build without the feature `profiling`.
pub(super) const OURS: &str = env!("CARGO_PKG_NAME");

/// What of `cargo metadata` is read.
#[derive(Deserialize)]
struct Metadata {
    packages: Vec<Package>,
    workspace_root: PathBuf,
}

/// A package whose sources lie here.
#[derive(Debug, Deserialize)]
pub(super) struct Package {
    pub(super) name: String,
    pub(super) version: String,
    pub(super) edition: String,
    pub(super) manifest_path: PathBuf,
    /// What each feature turns on.
    pub(super) features: BTreeMap<String, Vec<String>>,
    pub(super) dependencies: Vec<Dependency>,
    pub(super) targets: Vec<Target>,
}

/// What a manifest asks for.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Deserialize, Serialize)]
pub(super) struct Dependency {
    pub(super) name: String,
    kind: Option<String>,
    optional: bool,
    uses_default_features: bool,
    features: Vec<String>,
    target: Option<String>,
    #[serde(skip_serializing)]
    path: Option<PathBuf>,
}

#[derive(Debug, Deserialize)]
pub(super) struct Target {
    pub(super) kind: Vec<String>,
    pub(super) src_path: PathBuf,
}

impl Package {
    pub(super) fn directory(&self) -> &Path {
        self.manifest_path.parent().unwrap_or(&self.manifest_path)
    }

    /// The dependencies of which something is in the build, or has made something that is.
    pub(super) fn built_dependencies(&self) -> impl Iterator<Item = &Dependency> {
        self.dependencies.iter().filter(|dependency| !dependency.is_dev() && dependency.name != OURS)
    }

    /// The features that tell a build of the jobs' tests from one of the package: `profiling`, what it turns on,
    /// what turns it on, and what a test's dependency on this very package turns on.
    pub(super) fn features_of_tests(&self) -> BTreeSet<&str> {
        const PROFILING: &str = "profiling";
        let own_tests =
            self.dependencies.iter().filter(|dependency| dependency.is_dev() && dependency.name == self.name);
        let turned_on = own_tests.flat_map(|dependency| dependency.features.iter().map(String::as_str));
        let mut found = self.turned_on_by(turned_on.chain([PROFILING]));
        let turns_it_on = |name: &&String| self.turned_on_by([name.as_str()]).contains(PROFILING);
        // `default` is what a build has unless told otherwise: it counts.
        found.extend(self.features.keys().filter(turns_it_on).map(String::as_str).filter(|name| *name != "default"));
        found
    }

    /// These features, and what they turn on.
    fn turned_on_by<'a>(&'a self, features: impl IntoIterator<Item = &'a str>) -> BTreeSet<&'a str> {
        let mut found = BTreeSet::new();
        let mut open: Vec<&str> = features.into_iter().collect();
        while let Some(feature) = open.pop() {
            if found.insert(feature) {
                // `name/feature` turns on the optional dependency of that name, too; `dep:name` is no feature.
                let names =
                    self.features.get(feature).into_iter().flatten().map(|name| name.split('/').next().unwrap_or(name));
                open.extend(names.filter(|name| self.features.contains_key(*name)));
            }
        }
        found
    }
}

impl Dependency {
    fn is_dev(&self) -> bool {
        self.kind.as_deref() == Some("dev")
    }
}

/// The package that is built, with its path dependencies, theirs, and so on.
#[derive(Debug)]
pub(super) struct Packages {
    /// The package itself first.
    pub(super) all: Vec<Package>,
    pub(super) workspace_root: PathBuf,
}

impl Packages {
    /// Asks cargo: once for each workspace that has some of them.
    pub(super) fn find(name: &str, manifest_dir: &Path) -> Result<Self, String> {
        let Metadata { packages: mut known, workspace_root } = target::metadata(manifest_dir)?;
        let mut all: Vec<Package> = Vec::new();
        let mut open = vec![(name.to_owned(), manifest_dir.to_owned())];
        while let Some((name, directory)) = open.pop() {
            if all.iter().any(|package| package.name == name) {
                continue;
            }
            let find = |known: &[Package]| known.iter().position(|package| package.name == name);
            if find(&known).is_none() {
                known.extend(target::metadata::<Metadata>(&directory)?.packages);
            }
            let position = find(&known)
                .ok_or_else(|| format!("`cargo metadata` knows no package `{name}` at `{}`", directory.display()))?;
            let package = known.swap_remove(position);
            let paths = package
                .built_dependencies()
                .filter_map(|dependency| Some((dependency.name.clone(), dependency.path.clone()?)));
            open.extend(paths);
            all.push(package);
        }
        Ok(Self { all, workspace_root })
    }
}

#[cfg(test)]
pub(super) mod tests {
    use std::fs;

    use serde_json::json;

    use super::*;

    pub(in crate::embed) type TestResult = Result<(), Box<dyn std::error::Error>>;

    pub(in crate::embed) fn package(features: &serde_json::Value, dependencies: &serde_json::Value) -> Package {
        serde_json::from_value(json!({
            "name": "p", "version": "0.1.0", "edition": "2024", "manifest_path": "/p/Cargo.toml", "targets": [],
            "features": features, "dependencies": dependencies
        }))
        .expect("as cargo writes it")
    }

    fn dependency(name: &str, kind: Option<&str>, features: &[&str]) -> serde_json::Value {
        json!({
            "name": name, "kind": kind, "optional": false, "uses_default_features": true, "features": features,
            "target": null
        })
    }

    #[test]
    fn features_of_the_tests_are_no_difference() {
        let features = json!({
            "default": ["fast"], "fast": [], "profiling": ["profiling-core/profiling", "metrics", "opt/x"],
            "metrics": ["deeper", "dep:m"], "deeper": [], "opt": ["dep:opt"], "linkme": ["profiling"], "testing": []
        });
        let package = package(
            &features,
            &json!([dependency("p", Some("dev"), &["testing"]), dependency("q", Some("dev"), &["fast"])]),
        );
        let expected = ["deeper", "linkme", "metrics", "opt", "profiling", "testing"];
        assert_eq!(package.features_of_tests().into_iter().collect::<Vec<_>>(), expected);
    }

    #[test]
    fn what_is_not_built_does_not_count() {
        let dependencies = json!([
            dependency("a", None, &[]),
            dependency("b", Some("build"), &[]),
            dependency("c", Some("dev"), &[]),
            dependency("profiling-core", None, &[])
        ]);
        let package = package(&json!({}), &dependencies);
        assert_eq!(package.built_dependencies().map(|dependency| &*dependency.name).collect::<Vec<_>>(), ["a", "b"]);
    }

    /// Writes packages, each with a library and these further lines in its manifest.
    pub(in crate::embed) fn write_packages(root: &Path, packages: &[(&str, &str)]) -> TestResult {
        for (name, more) in packages {
            let directory = root.join(name);
            fs::create_dir_all(directory.join("src"))?;
            fs::write(directory.join("src/lib.rs"), "")?;
            let manifest = format!("[package]\nname = \"{name}\"\nversion = \"0.1.0\"\nedition = \"2024\"\n{more}\n");
            fs::write(directory.join("Cargo.toml"), manifest)?;
        }
        Ok(())
    }

    #[test]
    fn path_dependencies_are_found_in_every_workspace() -> TestResult {
        let home = tempfile::tempdir()?;
        fs::create_dir(home.path().join("here"))?;
        fs::write(
            home.path().join("here/Cargo.toml"),
            "[workspace]\nmembers = [\"*\"]\n[workspace.dependencies]\nb = { path = \"b\" }\n",
        )?;
        write_packages(
            &home.path().join("here"),
            &[
                ("a", "[dependencies]\nb.workspace = true\n[dev-dependencies]\nc = { path = \"../c\" }"),
                ("b", "[build-dependencies]\nd = { path = \"../../there/d\" }"),
                ("c", ""),
            ],
        )?;
        write_packages(
            &home.path().join("there"),
            &[("d", "[workspace]\n[target.'cfg(unix)'.dependencies]\ne = { path = \"../e\" }"), ("e", "")],
        )?;
        let packages = Packages::find("a", &home.path().join("here/a"))?;
        let names: Vec<&str> = packages.all.iter().map(|package| &*package.name).collect();
        assert_eq!(names, ["a", "b", "d", "e"]);
        assert_eq!(packages.workspace_root, home.path().join("here").canonicalize()?);
        Ok(())
    }
}
