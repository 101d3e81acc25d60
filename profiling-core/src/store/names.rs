//! From a job's name to a file's name.

use crate::fingerprint::Fnv;

/// Names up to this length stay as they are; the longest suffix and any file system's 255 bytes leave room.
const LONGEST: usize = 120;

/// Names that Windows keeps for devices, whatever extension follows.
const DEVICES: [&str; 4] = ["con", "prn", "aux", "nul"];

/// The file name, without extension, of a job or package.
///
/// Lower-case letters, digits, `_`, `-` and inner dots stay as they are: `square` is `square`. Any other
/// name becomes what is readable of it, `~`, and a hash of the whole: file systems that ignore case, take
/// accents apart, or keep some names for themselves must not mix up two jobs.
pub(super) fn file_stem(name: &str) -> String {
    if is_plain(name) {
        return name.to_owned();
    }
    let readable: String = name.chars().take(LONGEST / 2).map(readable).collect();
    format!("{}~{:016x}", readable.trim_start_matches('.'), Fnv::of(name.as_bytes()))
}

fn is_plain(name: &str) -> bool {
    let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, '_' | '-' | '.');
    let base = name.split('.').next().unwrap_or(name);
    // Windows drops dots at the end; a dot at the start hides a file.
    let dots = name.starts_with('.') || name.ends_with('.');
    !name.is_empty() && name.len() <= LONGEST && name.chars().all(plain) && !dots && !is_device(base)
}

fn is_device(base: &str) -> bool {
    let port = base.strip_prefix("com").or_else(|| base.strip_prefix("lpt"));
    DEVICES.contains(&base) || port.is_some_and(|number| number.len() == 1)
}

fn readable(c: char) -> char {
    if c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.') { c } else { '_' }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn two_names_never_share_a_file(a in "[a-bA-B._~/\\\\]{1,4}|\\PC{1,200}", b in "[a-bA-B._~/\\\\]{1,4}|\\PC{1,200}") {
            let files = |name: &str| [".json", ".samples.jsonl", ".samples.jsonl.gz"].map(|suffix| file_stem(name) + suffix);
            // As a file system sees them that ignores case.
            let [a_files, b_files] = [&a, &b].map(|name| files(name).map(|file| file.to_lowercase()));
            prop_assert_eq!(a == b, a_files.iter().any(|file| b_files.contains(file)), "{:?} {:?}", a_files, b_files);
        }

        #[test]
        fn every_name_is_safe(name in any::<String>()) {
            let stem = file_stem(&name);
            prop_assert!(stem.len() <= LONGEST && !stem.is_empty() && !stem.starts_with('.') && !stem.ends_with('.'));
            prop_assert!(stem.chars().all(|c| c.is_ascii_alphanumeric() || "_-.~".contains(c)), "{}", stem);
        }

        #[test]
        fn function_names_stay_as_they_are(name in "[a-z_][a-z0-9_]{3,60}") {
            prop_assume!(!is_device(&name));
            prop_assert_eq!(file_stem(&name), name);
        }
    }

    #[test]
    fn names_that_need_it_get_a_hash() {
        assert_eq!(file_stem("v1.sort-fast_2"), "v1.sort-fast_2");
        assert_eq!(file_stem("Square"), "Square~6641c258b0b51b26");
        for (name, readable) in
            [("../../etc/passwd", "_.._etc_passwd~"), ("nul", "nul~"), ("com1.x", "com1.x~"), ("", "~")]
        {
            assert!(file_stem(name).starts_with(readable), "{}", file_stem(name));
        }
    }
}
