//! Defaults from `Cargo.toml`: `[package.metadata.profiling]`, and `[workspace.metadata.profiling]` for what
//! the package leaves open.

use std::fs;
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};
use std::time::Duration;

use profiling_core::advise::Options;
use profiling_core::budget::Bound;
use profiling_core::sampling::Samples;
use thiserror::Error;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

use crate::cli;
use crate::keep::KeepSamples;

/// What is to be done where neither the command line, nor the environment, nor the attribute says.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Configuration {
    pub samples: Option<Samples>,
    pub warmup: Option<u32>,
    pub timeout: Option<Duration>,
    pub cold_samples: Option<u32>,
    pub keep_samples: Option<KeepSamples>,
    pub quiet_machine: Option<bool>,
    pub instructions: Option<bool>,
    pub budget_bound: Option<Bound>,
    pub compare_time: Option<Duration>,
    pub minimum_effect: Option<f64>,
    pub no_witness: Option<bool>,
    pub headroom: Option<f64>,
    pub history_file: Option<PathBuf>,
    /// Relative to the package.
    pub platforms: Option<PathBuf>,
}

/// Sets an option to a value, which is written as on the command line.
type Set = fn(&mut Configuration, Value<'_>) -> Result<(), String>;

/// Every option that can be set: its name, which is that on the command line, and what it sets.
const OPTIONS: [(&str, Set); 14] = [
    ("samples", |all, value| value.number_or_text(cli::samples, &mut all.samples)),
    ("warmup", |all, value| value.number(cli::warmup, &mut all.warmup)),
    ("timeout", |all, value| value.text(cli::duration, &mut all.timeout)),
    ("cold-samples", |all, value| value.number(cli::count, &mut all.cold_samples)),
    ("keep-samples", |all, value| value.number_or_text(KeepSamples::parse, &mut all.keep_samples)),
    ("quiet-machine", |all, value| value.flag(&mut all.quiet_machine)),
    ("instructions", |all, value| value.flag(&mut all.instructions)),
    ("budget-bound", |all, value| value.text(cli::bound, &mut all.budget_bound)),
    ("compare-time", |all, value| value.text(cli::duration, &mut all.compare_time)),
    ("minimum-effect", |all, value| value.text(cli::percent, &mut all.minimum_effect)),
    ("no-witness", |all, value| value.flag(&mut all.no_witness)),
    ("headroom", |all, value| value.text(cli::percent, &mut all.headroom)),
    ("history-file", |all, value| value.text(|path| Ok(PathBuf::from(path)), &mut all.history_file)),
    ("platforms", |all, value| value.text(cli::path, &mut all.platforms)),
];

/// Why the configuration can't be used.
#[derive(Debug, Error)]
pub(crate) enum ConfigurationError {
    #[error("can't read `{}`: {error}", file.display())]
    Unreadable { file: PathBuf, error: io::Error },
    #[error("`{}` is no TOML: {reason}", file.display())]
    Syntax { file: PathBuf, reason: String },
    #[error("`{}`, line {line}: `{table}` is a table, with a key for each option", file.display())]
    NoTable { file: PathBuf, line: usize, table: String },
    #[error("`{}`, line {line}: `{table}` has no `{key}`{}; it has {}", file.display(), guess(key), names())]
    UnknownKey { file: PathBuf, line: usize, table: String, key: String },
    #[error("`{}`, line {line}: `{key}` in `{table}`: {reason}", file.display())]
    Value { file: PathBuf, line: usize, table: String, key: String, reason: String },
}

impl Configuration {
    /// How to advise, where nothing else says.
    pub(crate) fn advising(&self) -> Options {
        let default = Options::default();
        Options { headroom: self.headroom.unwrap_or(default.headroom), ..default }
    }

    /// Reads the manifest of the package in this directory, and that of its workspace. Where they are gone,
    /// as in a container that holds the binary alone, there is nothing to say.
    pub(crate) fn load(manifest_dir: &Path) -> Result<Self, ConfigurationError> {
        let mut configuration = Self::default();
        let Some(package) = Manifest::read(manifest_dir)? else { return Ok(configuration) };
        let root = package.workspace()?;
        root.as_ref().unwrap_or(&package).apply("workspace", &mut configuration)?;
        package.apply("package", &mut configuration)?;
        Ok(configuration)
    }

    fn set(&mut self, key: &str, value: Value<'_>) -> Option<Result<(), String>> {
        let (_, set) = OPTIONS.iter().find(|(name, _)| *name == key)?;
        Some(set(self, value))
    }
}

/// What a key is set to.
#[derive(Clone, Copy)]
struct Value<'a>(&'a DeValue<'a>);

/// Reads a value as it is written on the command line.
type Parse<T> = fn(&str) -> Result<T, String>;

impl Value<'_> {
    fn number<T>(self, parse: Parse<T>, option: &mut Option<T>) -> Result<(), String> {
        let number = self.0.as_integer().ok_or_else(|| self.is_no("a whole number"))?;
        // As toml hands it over, without underscores; in another base it is none that `parse` knows.
        *option = Some(parse(number.as_str())?);
        Ok(())
    }

    fn text<T>(self, parse: Parse<T>, option: &mut Option<T>) -> Result<(), String> {
        *option = Some(parse(self.0.as_str().ok_or_else(|| self.is_no("a string"))?)?);
        Ok(())
    }

    fn number_or_text<T>(self, parse: Parse<T>, option: &mut Option<T>) -> Result<(), String> {
        match self.0 {
            DeValue::Integer(_) => self.number(parse, option),
            DeValue::String(_) => self.text(parse, option),
            _ => Err(self.is_no("a whole number or a string")),
        }
    }

    fn flag(self, option: &mut Option<bool>) -> Result<(), String> {
        *option = Some(self.0.as_bool().ok_or_else(|| self.is_no("`true` or `false`"))?);
        Ok(())
    }

    fn is_no(self, expected: &str) -> String {
        format!("expected {expected}, found {}", self.0.type_str())
    }
}

/// A `Cargo.toml`.
#[derive(Debug)]
struct Manifest {
    file: PathBuf,
    text: String,
}

impl Manifest {
    /// `None` where there is no such file.
    fn read(directory: &Path) -> Result<Option<Self>, ConfigurationError> {
        let file = directory.join("Cargo.toml");
        match fs::read_to_string(&file) {
            Ok(text) => Ok(Some(Self { file, text })),
            Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => Ok(None),
            Err(error) => Err(ConfigurationError::Unreadable { file, error }),
        }
    }

    fn parse(&self) -> Result<DeTable<'_>, ConfigurationError> {
        let parsed = DeTable::parse(&self.text);
        let parsed =
            parsed.map_err(|error| ConfigurationError::Syntax { file: self.file.clone(), reason: error.to_string() });
        Ok(parsed?.into_inner())
    }

    fn directory(&self) -> &Path {
        self.file.parent().unwrap_or(Path::new(""))
    }

    /// The manifest of the workspace that the package is a member of, as Cargo finds it: named by
    /// `package.workspace`, or the nearest above that doesn't exclude the package. `None` where that is this one.
    fn workspace(&self) -> Result<Option<Self>, ConfigurationError> {
        let table = self.parse()?;
        if table.contains_key("workspace") {
            return Ok(None);
        }
        if let Some(root) = lookup(&table, &["package", "workspace"]).and_then(|root| root.get_ref().as_str()) {
            return Self::read(&self.directory().join(root));
        }
        for directory in self.directory().ancestors().skip(1) {
            let Some(manifest) = Self::read(directory)? else { continue };
            if manifest.has_member(self.directory())? {
                return Ok(Some(manifest));
            }
        }
        Ok(None)
    }

    /// Whether this is the manifest of a workspace that doesn't exclude the package in `directory`.
    fn has_member(&self, directory: &Path) -> Result<bool, ConfigurationError> {
        let table = self.parse()?;
        let names = |key| {
            let list = lookup(&table, &["workspace", key]).and_then(|list| list.get_ref().as_array());
            list.into_iter()
                .flatten()
                .filter_map(|path| path.get_ref().as_str())
                .any(|path| directory.starts_with(self.directory().join(path)))
        };
        Ok(table.contains_key("workspace") && (!names("exclude") || names("members")))
    }

    /// Sets what stands in `[OWNER.metadata.profiling]`.
    fn apply(&self, owner: &str, configuration: &mut Configuration) -> Result<(), ConfigurationError> {
        let table = self.parse()?;
        let Some(found) = lookup(&table, &[owner, "metadata", "profiling"]) else { return Ok(()) };
        let name = format!("{owner}.metadata.profiling");
        let Some(options) = found.get_ref().as_table() else {
            return Err(ConfigurationError::NoTable { file: self.file.clone(), line: self.line(found), table: name });
        };
        for (key, value) in options {
            let (file, table, text) = (self.file.clone(), name.clone(), key.get_ref().to_string());
            match configuration.set(&text, Value(value.get_ref())) {
                Some(Ok(())) => {}
                Some(Err(reason)) => {
                    return Err(ConfigurationError::Value { file, line: self.line(value), table, key: text, reason });
                }
                None => return Err(ConfigurationError::UnknownKey { file, line: self.line(key), table, key: text }),
            }
        }
        Ok(())
    }

    fn line<T>(&self, spanned: &Spanned<T>) -> usize {
        1 + self.text.get(..spanned.span().start).map_or(0, |before| before.matches('\n').count())
    }
}

/// What lies at a path of keys.
fn lookup<'t, 'i>(table: &'t DeTable<'i>, path: &[&str]) -> Option<&'t Spanned<DeValue<'i>>> {
    let (first, rest) = path.split_first()?;
    let value = table.get(*first)?;
    if rest.is_empty() { Some(value) } else { lookup(value.get_ref().as_table()?, rest) }
}

fn names() -> String {
    OPTIONS.map(|(name, _)| format!("`{name}`")).join(", ")
}

fn guess(key: &str) -> String {
    let likeness = |name: &str| strsim::jaro_winkler(&key.replace('_', "-"), name);
    let names = OPTIONS.iter().map(|(name, _)| *name);
    let closest = names.max_by(|one, other| likeness(one).total_cmp(&likeness(other)));
    let closest = closest.filter(|name| likeness(name) > 0.8);
    closest.map(|name| format!("; did you mean `{name}`?")).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use std::error::Error;

    use profiling_core::sampling::Auto;
    use tempfile::TempDir;

    use super::*;

    const PACKAGE: &str = "[package]\nname = \"x\"\n";

    /// The configuration of a package whose manifest ends like this.
    fn load(metadata: &str) -> Result<Configuration, ConfigurationError> {
        let home = TempDir::new().expect("a directory can be made");
        write(home.path(), &format!("{PACKAGE}[workspace]\n{metadata}"));
        Configuration::load(home.path())
    }

    fn write(directory: &Path, manifest: &str) {
        fs::create_dir_all(directory).expect("a directory can be made");
        fs::write(directory.join("Cargo.toml"), manifest).expect("a file can be written");
    }

    #[test]
    fn every_option_can_be_set() -> Result<(), Box<dyn Error>> {
        let all = load(
            "[package.metadata.profiling]\nsamples = \"auto(max = 50)\"\nwarmup = 0\ntimeout = \"1s 500ms\"\n\
             cold-samples = 3\nquiet-machine = true\ninstructions = false\nno-witness = true\nbudget-bound = \"figure\"\n\
             compare-time = \"1min\"\nminimum-effect = \"5%\"\nheadroom = \"30%\"\nhistory-file = \"history.jsonl\"\nplatforms = \"prices.json\"\n\
             keep-samples = 1000\n",
        )?;
        let expected = Configuration {
            samples: Some(Samples::Auto(Auto { max: 50, ..Auto::DEFAULT })),
            warmup: Some(0),
            timeout: Some(Duration::from_millis(1500)),
            cold_samples: Some(3),
            quiet_machine: Some(true),
            keep_samples: Some(KeepSamples::Most(1000)),
            instructions: Some(false),
            no_witness: Some(true),
            budget_bound: Some(Bound::Figure),
            compare_time: Some(Duration::from_secs(60)),
            minimum_effect: Some(0.05),
            headroom: Some(0.3),
            history_file: Some(PathBuf::from("history.jsonl")),
            platforms: Some(PathBuf::from("prices.json")),
        };
        assert_eq!(all, expected);
        assert_eq!(load("[package.metadata.profiling]\nsamples = 1_000\n")?.samples, Some(Samples::Count(1000)));
        assert_eq!(load("[package.metadata.other]\nsamples = 7\n")?, Configuration::default());
        Ok(())
    }

    #[test]
    fn the_package_goes_before_the_workspace() -> Result<(), Box<dyn Error>> {
        let home = TempDir::new()?;
        let root = "[workspace]\nmembers = [\"a\"]\nexclude = [\"out\"]\n\
                    [workspace.metadata.profiling]\nsamples = 5\nwarmup = 1\n";
        write(home.path(), root);
        let member = home.path().join("deep/a");
        write(&member, &format!("{PACKAGE}[package.metadata.profiling]\nsamples = 7\n"));
        let found = Configuration::load(&member)?;
        assert_eq!((found.samples, found.warmup), (Some(Samples::Count(7)), Some(1)));
        let excluded = home.path().join("out/b");
        write(&excluded, PACKAGE);
        assert_eq!(Configuration::load(&excluded)?, Configuration::default());
        let elsewhere = TempDir::new()?;
        let named = format!("{PACKAGE}workspace = {:?}\n", home.path().display().to_string());
        write(elsewhere.path(), &named);
        assert_eq!(Configuration::load(elsewhere.path())?.warmup, Some(1));
        assert_eq!(Configuration::load(&home.path().join("no/such/place"))?, Configuration::default());
        Ok(())
    }

    #[test]
    fn mistakes_are_named_with_file_line_and_key() {
        for (metadata, says) in [
            (
                "[package.metadata.profiling]\nsample = 5\n",
                "line 5: `package.metadata.profiling` has no `sample`; did you mean `samples`?; it has `samples`, `warmup`",
            ),
            (
                "[package.metadata.profiling]\n\nquiet_machine = true\n",
                "line 6: `package.metadata.profiling` has no `quiet_machine`; did you mean `quiet-machine`?",
            ),
            (
                "[workspace.metadata.profiling]\nnonsense = 5\n",
                "`workspace.metadata.profiling` has no `nonsense`; it has",
            ),
            (
                "[package.metadata.profiling]\nwarmup = \"2\"\n",
                "line 5: `warmup` in `package.metadata.profiling`: expected a whole number, found string",
            ),
            (
                "[package.metadata.profiling]\nsamples = 0\n",
                "`samples` in `package.metadata.profiling`: not a whole number from 1",
            ),
            ("[package.metadata.profiling]\nsamples = 1.5\n", "expected a whole number or a string, found float"),
            ("[package.metadata.profiling]\nwarmup = -1\n", "not a whole number from 0"),
            ("[package.metadata.profiling]\ntimeout = 30\n", "expected a string, found integer"),
            ("[package.metadata.profiling]\ntimeout = \"30\"\n", "write a number with a unit"),
            ("[package.metadata.profiling]\nquiet-machine = \"yes\"\n", "expected `true` or `false`, found string"),
            ("[package.metadata.profiling]\nbudget-bound = \"high\"\n", "`lower`, `figure` or `upper`"),
            ("[package.metadata]\nprofiling = 5\n", "line 5: `package.metadata.profiling` is a table"),
            ("[package.metadata.profiling\n", "is no TOML"),
        ] {
            let message = load(metadata).expect_err(metadata).to_string();
            assert!(message.contains(says) && message.contains("Cargo.toml`"), "{message}");
        }
    }

    #[test]
    fn what_is_set_here_is_an_option_of_the_command_line() {
        for (name, _) in OPTIONS {
            assert!(cli::has_option(name), "{name}");
        }
    }
}
