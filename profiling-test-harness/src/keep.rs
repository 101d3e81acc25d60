//! `--keep-samples`: which samples stay when the profile is made.

/// Which samples of a case are kept.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) enum KeepSamples {
    /// All of them.
    #[default]
    All,
    /// None.
    None,
    /// So many at most, evenly spread; 1 or more.
    Most(u32),
}

impl KeepSamples {
    /// `all`, `none`, or a number.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        match text {
            "all" => Ok(Self::All),
            "none" => Ok(Self::None),
            _ => {
                let most = text.parse().ok().filter(|&most| most > 0);
                most.map(Self::Most).ok_or_else(|| format!("neither `all`, `none` nor a number from 1 to {}", u32::MAX))
            }
        }
    }

    /// How many are kept at most.
    pub(crate) fn most(self) -> usize {
        match self {
            Self::All => usize::MAX,
            Self::None => 0,
            Self::Most(most) => most as usize,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_none_or_a_number() {
        let most = |text| KeepSamples::parse(text).map(KeepSamples::most);
        assert_eq!((most("all"), most("none"), most("1000")), (Ok(usize::MAX), Ok(0), Ok(1000)));
        for wrong in ["", "0", "-1", "every", "1.5", "4294967296"] {
            assert!(most(wrong).is_err_and(|message| message.contains("`none`")), "{wrong}");
        }
    }
}
