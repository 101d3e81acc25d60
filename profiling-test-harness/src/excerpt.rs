//! The beginning and the end of a text that may be of any length: what a failed assertion prints of its values
//! can be most of a file.

/// How many bytes are kept at either end.
const KEPT: usize = 16 * 1024;

/// The text where it is short; else its two ends, with a note in the place of what is left out.
pub(crate) fn excerpt(text: String) -> String {
    if text.len() <= 2 * KEPT {
        return text;
    }
    let is_boundary = |&at: &usize| text.is_char_boundary(at);
    let head = (0..=KEPT).rfind(is_boundary).unwrap_or(0);
    let tail = (text.len() - KEPT..=text.len()).find(is_boundary).unwrap_or(text.len());
    format!("{}\n[… {} bytes left out …]\n{}", &text[..head], tail - head, &text[tail..])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn short_texts_stay() {
        for text in [String::new(), "short".to_owned(), "é".repeat(KEPT)] {
            assert_eq!(excerpt(text.clone()), text);
        }
    }

    #[test]
    fn both_ends_of_long_texts_are_kept() {
        let text = format!("first{}last", "x".repeat(10 << 20));
        let kept = excerpt(text);
        assert!(kept.starts_with("firstxxx") && kept.ends_with("xxxlast"));
        let left_out = (10 << 20) + 9 - 2 * KEPT;
        assert!(kept.contains(&format!("x\n[… {left_out} bytes left out …]\nx")));
        assert!(kept.len() < 2 * KEPT + 60);
    }

    #[test]
    fn no_character_is_cut() {
        for shift in 0..4 {
            let kept = excerpt(format!("{}{}", "x".repeat(shift), "🦀".repeat(KEPT)));
            let left_out = kept.chars().filter(|&c| c != '🦀' && c != 'x').collect::<String>();
            let bytes: usize =
                left_out.chars().filter(char::is_ascii_digit).collect::<String>().parse().expect("a count");
            let crabs = kept.chars().filter(|&c| c == '🦀').count();
            assert_eq!(crabs * 4 + bytes, KEPT * 4, "{left_out}");
        }
    }
}
