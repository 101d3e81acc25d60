//! The files that a package is compiled from.
//!
//! A build script runs before the compiler does, which alone knows them for sure. So it is all files in the
//! directories of the library and the binaries, and what their code names in `include_str!` and its like.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use super::error::{EmbedError, io_error};
use super::packages::Package;
use crate::fingerprint::EMITTED;
use crate::fingerprint::Fnv;

/// What stands before the name of a file that the compiler reads.
const INCLUSIONS: [&str; 4] = ["include_str!", "include_bytes!", "include!", "#[path"];

/// The sources of one package.
#[derive(Debug)]
pub(super) struct Sources {
    pub(super) hash: String,
    pub(super) files: BTreeSet<PathBuf>,
}

impl Sources {
    /// `left_out` is a file that is made of profiles.
    pub(super) fn read(package: &Package, left_out: Option<&Path>) -> Result<Self, EmbedError> {
        let mut reader =
            Reader { package: package.directory(), left_out, seen: HashSet::new(), hashes: BTreeMap::new() };
        for (path, is_script) in compiled(package) {
            match path.parent() {
                Some(directory) if directory != package.directory() => reader.directory(directory)?,
                // Beside the manifest lies much else.
                Some(directory) if !is_script => reader.package_directory(directory)?,
                _ => reader.file(path)?,
            }
        }
        let hash = reader.hashes.iter().fold(Fnv::new(), |hash, (path, file)| {
            let path = path.strip_prefix(package.directory()).unwrap_or(path);
            let hash = path.iter().fold(hash, |hash, part| hash.with(part.as_encoded_bytes()).with(b"/"));
            hash.with(&file.to_le_bytes())
        });
        Ok(Self { hash: format!("{:016x}", hash.finish()), files: reader.hashes.into_keys().collect() })
    }
}

/// The main files of what is built, and whether each is the build script's.
fn compiled(package: &Package) -> impl Iterator<Item = (&Path, bool)> {
    let is = |kinds: &[String], names: &[&str]| kinds.iter().any(|kind| names.contains(&&**kind));
    let built = package.targets.iter().filter(move |target| !is(&target.kind, &["test", "bench", "example"]));
    built.map(move |target| (&*target.src_path, is(&target.kind, &["custom-build"])))
}

struct Reader<'a> {
    package: &'a Path,
    left_out: Option<&'a Path>,
    /// Directories, by the one name that no link changes.
    seen: HashSet<PathBuf>,
    hashes: BTreeMap<PathBuf, u64>,
}

impl Reader<'_> {
    /// Every file, but for hidden ones and other packages'.
    fn directory(&mut self, directory: &Path) -> Result<(), EmbedError> {
        for path in self.entries(directory)? {
            if !path.is_dir() {
                self.file(&path)?;
            } else if !is_foreign(&path) {
                self.directory(&path)?;
            }
        }
        Ok(())
    }

    /// A package whose code lies beside its manifest: the code in it, and nothing that only tests are made of.
    fn package_directory(&mut self, directory: &Path) -> Result<(), EmbedError> {
        for path in self.entries(directory)? {
            let is_for_tests = ["tests", "benches", "examples"].iter().any(|name| path == self.package.join(name));
            if path.is_dir() && !is_for_tests && !is_foreign(&path) {
                self.package_directory(&path)?;
            } else if is_code(&path) && path.is_file() {
                self.file(&path)?;
            }
        }
        Ok(())
    }

    /// The entries that aren't hidden, in the same order every time; none where a link leads back.
    fn entries(&mut self, directory: &Path) -> Result<Vec<PathBuf>, EmbedError> {
        if !self.seen.insert(directory.canonicalize().map_err(io_error("read", directory))?) {
            return Ok(Vec::new());
        }
        let read = fs::read_dir(directory).and_then(|entries| entries.map(|entry| Ok(entry?.path())).collect());
        let mut paths: Vec<PathBuf> = read.map_err(io_error("read", directory))?;
        paths.retain(|path| !path.file_name().unwrap_or_default().as_encoded_bytes().starts_with(b"."));
        paths.sort();
        Ok(paths)
    }

    fn file(&mut self, path: &Path) -> Result<(), EmbedError> {
        if self.left_out.is_some_and(|left_out| left_out == path) || self.hashes.contains_key(path) {
            return Ok(());
        }
        let content = match fs::read(path) {
            // As editors leave them: a link to nothing.
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            content => content.map_err(io_error("read", path))?,
        };
        let code = is_code(path).then(|| String::from_utf8_lossy(&content));
        if code.as_ref().is_some_and(|code| code.lines().take(3).any(|line| line.contains(EMITTED))) {
            return Ok(());
        }
        // Git may write other line endings elsewhere.
        let hash =
            code.as_ref().map_or_else(|| Fnv::of(&content), |code| Fnv::of(code.replace("\r\n", "\n").as_bytes()));
        self.hashes.insert(path.to_owned(), hash);
        let directory = path.parent().unwrap_or(path);
        let included = code.iter().flat_map(|code| inclusions(code)).map(|name| normalised(&directory.join(name)));
        // What isn't there may stand in a comment, or lie in a module's own directory.
        included.filter(|path| path.is_file()).try_for_each(|path| self.file(&path))
    }
}

fn is_code(path: &Path) -> bool {
    path.extension().is_some_and(|extension| extension == "rs")
}

/// Another package, or what cargo has built.
fn is_foreign(directory: &Path) -> bool {
    ["Cargo.toml", "CACHEDIR.TAG"].iter().any(|name| directory.join(name).exists())
}

/// The names in `include_str!("name")`, `#[path = "name"]` and their like.
fn inclusions(code: &str) -> impl Iterator<Item = &str> {
    let after = |inclusion| code.match_indices(inclusion).map(|(at, found): (usize, &str)| &code[at + found.len()..]);
    INCLUSIONS.into_iter().flat_map(after).filter_map(|rest| {
        let (between, rest) = rest.split_once('"')?;
        let is_literal = between.chars().all(|c| c.is_whitespace() || "([{=r#".contains(c));
        rest.split('"').next().filter(|_| is_literal)
    })
}

/// The path without `..`, so that a file has one name.
fn normalised(path: &Path) -> PathBuf {
    let mut parts = PathBuf::new();
    for part in path {
        if part == ".." {
            parts.pop();
        } else if part != "." {
            parts.push(part);
        }
    }
    parts
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::packages::tests::{TestResult, package};
    use super::*;

    struct Files {
        home: tempfile::TempDir,
        package: Package,
    }

    impl Files {
        /// A package with a library, a build script, a test, and what else lies about.
        fn new(library: &str) -> Result<Self, Box<dyn std::error::Error>> {
            let home = tempfile::tempdir()?;
            let root = home.path().join("p");
            let mut package = package(&json!({}), &json!([]));
            package.manifest_path = root.join("Cargo.toml");
            let kinds = [(library, "lib"), ("build.rs", "custom-build"), ("tests/t.rs", "test")];
            package.targets = serde_json::from_value(
                kinds.iter().map(|(path, kind)| json!({"kind": [kind], "src_path": root.join(path)})).collect(),
            )?;
            let files = Self { home, package };
            for path in
                ["Cargo.toml", "README.md", "build.rs", "tests/t.rs", "target/CACHEDIR.TAG", "target/x.rs", library]
            {
                files.write(path, "1")?;
            }
            Ok(files)
        }

        fn write(&self, path: &str, content: &str) -> TestResult {
            let path = self.package.directory().join(path);
            fs::create_dir_all(path.parent().ok_or("a file")?)?;
            Ok(fs::write(path, content)?)
        }

        fn read(&self) -> Result<Sources, EmbedError> {
            Sources::read(&self.package, Some(&self.package.directory().join("src/blueprint.json")))
        }

        fn names(&self) -> Result<Vec<String>, EmbedError> {
            let root = self.home.path();
            Ok(self
                .read()?
                .files
                .iter()
                .map(|path| path.strip_prefix(root).unwrap_or(path).display().to_string())
                .collect())
        }

        /// Whether writing a file makes a difference.
        #[track_caller]
        fn counts(&self, path: &str, content: &str) -> Result<bool, Box<dyn std::error::Error>> {
            let before = self.read()?.hash;
            self.write(path, content)?;
            Ok(self.read()?.hash != before)
        }
    }

    #[test]
    fn what_is_compiled_counts_and_nothing_else() -> TestResult {
        let files = Files::new("src/lib.rs")?;
        assert_eq!(files.names()?, ["p/build.rs", "p/src/lib.rs"]);
        for path in ["src/lib.rs", "src/deep/new.rs", "src/query.sql", "build.rs"] {
            assert!(files.counts(path, "changed")?, "{path}");
        }
        for path in [
            "README.md",
            "Cargo.toml",
            "tests/t.rs",
            "benches/b.rs",
            "src/.lib.rs.swp",
            "src/blueprint.json",
            "src/nested/Cargo.toml",
            "src/nested/lib.rs",
            "target/x.rs",
            "blueprint.json",
        ] {
            assert!(!files.counts(path, "changed")?, "{path}");
        }
        assert!(!files.counts("src/deep/new.rs", "changed")?, "the same content");
        Ok(())
    }

    #[test]
    fn what_the_code_takes_in_counts() -> TestResult {
        let files = Files::new("src/lib.rs")?;
        files.write("data/a.bin", "1")?;
        files.write("../shared/b.rs", "const C: &str = include_str!(\"c.txt\");")?;
        files.write("../shared/c.txt", "1")?;
        let code = "const A: &[u8] = include_bytes! (\n    r#\"../data/a.bin\"#);\n#[path = \"../../shared/b.rs\"] mod b;\n\
                    include_str!(concat!(env!(\"OUT_DIR\"), \"/x\")); include!(\"gone.rs\")";
        files.write("src/lib.rs", code)?;
        assert_eq!(files.names()?, ["p/build.rs", "p/data/a.bin", "p/src/lib.rs", "shared/b.rs", "shared/c.txt"]);
        for path in ["data/a.bin", "../shared/b.rs"] {
            assert!(files.counts(path, "changed")?, "{path}");
        }
        assert!(!files.counts("data/other.bin", "1")?);
        Ok(())
    }

    #[test]
    fn models_follow_from_what_was_measured() -> TestResult {
        let files = Files::new("src/lib.rs")?;
        files.write("src/lib.rs", "pub mod costs;")?;
        let before = files.names()?;
        files.write("src/costs.rs", &crate::statistics::rust_source("it", []))?;
        assert_eq!(files.names()?, before);
        Ok(())
    }

    #[test]
    fn code_beside_the_manifest_is_found() -> TestResult {
        let files = Files::new("lib.rs")?;
        assert_eq!(files.names()?, ["p/build.rs", "p/lib.rs"]);
        assert!(files.counts("module/mod.rs", "1")?);
        assert!(!files.counts("module/notes.md", "1")?);
        assert!(!files.counts("examples/e.rs", "1")?);
        Ok(())
    }

    #[test]
    fn place_and_line_endings_make_no_difference() -> TestResult {
        let [here, there] = [Files::new("src/lib.rs")?, Files::new("src/lib.rs")?];
        here.write("src/lib.rs", "a\nb\n")?;
        there.write("src/lib.rs", "a\r\nb\r\n")?;
        assert_eq!(here.read()?.hash, there.read()?.hash);
        // But a file's name does.
        here.write("src/a.rs", "")?;
        there.write("src/b.rs", "")?;
        assert_ne!(here.read()?.hash, there.read()?.hash);
        Ok(())
    }

    #[cfg(unix)]
    #[test]
    fn links_and_odd_names_are_no_obstacle() -> TestResult {
        use std::ffi::OsStr;
        use std::os::unix::ffi::OsStrExt;
        use std::os::unix::fs::symlink;

        let files = Files::new("src/lib.rs")?;
        let src = files.package.directory().join("src");
        fs::write(src.join(OsStr::from_bytes(b"\xff.rs")), "")?;
        files.write("../elsewhere/linked.rs", "1")?;
        symlink(files.home.path().join("elsewhere"), src.join("elsewhere"))?;
        symlink(&src, src.join("back"))?;
        symlink("nowhere", src.join("#lock"))?;
        assert_eq!(files.read()?.files.len(), 4, "{:?}", files.names()?);
        assert!(files.counts("../elsewhere/linked.rs", "changed")?);
        Ok(())
    }
}
