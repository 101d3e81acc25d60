//! Sizes and costs on a serverless platform.

use super::advice::{PlatformAdvice, Reason, SizeAdvice, Verdict};
use super::catalogue::{Cpu, Platform, Size, Sizes};
use super::compatibility;
use super::cost::{Quote, quote};
use super::demand::CaseDemand;
use super::options::{Options, SizesListed};
use super::rehearsal;
use crate::profile::Profile;

/// The most sizes that a profile lists of a platform.
const FEW: usize = 16;

/// Of a platform with thousands of sizes, about as many are compared for balance.
const SPREAD: usize = 64;

/// A size is as cheap as another within this.
const CLOSE: f64 = 1.01;

/// A job on a platform.
pub(super) struct Placement<'a> {
    pub(super) platform: &'a Platform,
    pub(super) profile: &'a Profile,
    pub(super) cases: &'a [CaseDemand<'a>],
    pub(super) options: &'a Options,
}

/// The positions of the chosen sizes.
#[derive(Debug, Clone, Copy)]
struct Chosen {
    cheapest: usize,
    fastest: usize,
    balanced: usize,
}

impl Placement<'_> {
    /// All that is said of the platform; `of_profile` decides on every platform.
    pub(super) fn advise(&self, of_profile: &[Reason]) -> PlatformAdvice {
        let fitting = self.fitting();
        let chosen = fitting.as_ref().and_then(|fitting| self.choose(fitting));
        let last = self.platform.sizes.count() - 1;
        let judged = chosen.map_or(last, |chosen| chosen.cheapest);
        let of_size = compatibility::of_size(self.platform, &self.size(judged), self.cases, self.options);
        let of_platform = compatibility::of_platform(self.platform, self.cases, self.options);
        let mut reasons: Vec<Reason> = of_profile.iter().cloned().chain(of_platform).chain(of_size).collect();
        let verdict = reasons.iter().map(|reason| reason.verdict).max().unwrap_or(Verdict::Unknown);
        if verdict != Verdict::Compatible {
            reasons.retain(|reason| reason.verdict != Verdict::Compatible);
        }
        reasons.sort_by_key(|reason| std::cmp::Reverse(reason.verdict));
        let listed = self.listed(chosen);
        let sizes: Option<Vec<SizeAdvice>> = listed.iter().map(|&position| self.size_advice(position)).collect();
        let sizes = sizes.unwrap_or_default();
        let at = |position: usize| sizes.get(listed.binary_search(&position).ok()?).cloned();
        PlatformAdvice {
            platform: self.platform.id.clone(),
            verdict,
            reasons,
            notes: compatibility::notes(self.platform, self.profile, self.cases),
            confidence: self.platform.confidence.clone(),
            as_of: self.platform.as_of.to_string(),
            cheapest: chosen.and_then(|chosen| at(chosen.cheapest)),
            fastest: chosen.and_then(|chosen| at(chosen.fastest)),
            balanced: chosen.and_then(|chosen| at(chosen.balanced)),
            sizes,
            rehearsed: rehearsal::outcomes(self.platform, self.cases),
        }
    }

    fn size(&self, position: usize) -> Size {
        self.platform.sizes.get(position)
    }

    fn verdict(&self, position: usize) -> Verdict {
        compatibility::verdict_of_size(self.platform, &self.size(position), self.cases, self.options)
    }

    /// The positions of the sizes with the best verdict; `None` where the job fits none.
    fn fitting(&self) -> Option<Vec<usize>> {
        let all: Vec<usize> = (0..self.platform.sizes.count()).collect();
        let fitting = match self.platform.sizes {
            // More memory comes with no fewer CPUs: what fits a size fits all above it, as far as that is
            // predicted.
            Sizes::Range { .. } => {
                let (rehearsed, predicted): (Vec<usize>, Vec<usize>) = all
                    .iter()
                    .partition(|&&position| rehearsal::was_in(self.platform, &self.size(position), self.cases));
                let candidates = rehearsed.iter().chain(predicted.last());
                let best = candidates.map(|&position| self.verdict(position)).min()?;
                let first = predicted.partition_point(|&position| self.verdict(position) > best);
                let rehearsed = rehearsed.into_iter().filter(|&position| self.verdict(position) == best);
                let mut fitting: Vec<usize> = predicted[first..].iter().copied().chain(rehearsed).collect();
                fitting.sort_unstable();
                (best, fitting)
            }
            Sizes::List(_) => {
                let verdicts: Vec<Verdict> = all.iter().map(|&position| self.verdict(position)).collect();
                let best = *verdicts.iter().min()?;
                (best, all.into_iter().filter(|&position| verdicts[position] == best).collect())
            }
        };
        (fitting.0 <= Verdict::Tight).then_some(fitting.1)
    }

    fn choose(&self, fitting: &[usize]) -> Option<Chosen> {
        let cheapest = self.cheapest(fitting)?;
        let fastest = self.fastest(fitting)?;
        let stride = fitting.len().div_ceil(SPREAD).max(1);
        let mut compared: Vec<usize> = fitting.iter().copied().step_by(stride).chain([cheapest, fastest]).collect();
        compared.sort_unstable();
        compared.dedup();
        let figures: Option<Vec<(usize, f64, f64)>> = compared
            .iter()
            .map(|&position| Some((position, self.dearest(position, 0.0)?.usd, self.predicted_ns(position)?)))
            .collect();
        let figures = figures?;
        let most = |figure: fn(&(usize, f64, f64)) -> f64| figures.iter().map(figure).fold(f64::MIN_POSITIVE, f64::max);
        let (most_usd, most_ns) = (most(|size| size.1), most(|size| size.2));
        let score = |size: &(usize, f64, f64)| size.1 / most_usd + size.2 / most_ns;
        let balanced = figures.iter().min_by(|a, b| score(a).total_cmp(&score(b)))?.0;
        Some(Chosen { cheapest, fastest, balanced })
    }

    /// The smallest size within 1% of the lowest cost.
    fn cheapest(&self, fitting: &[usize]) -> Option<usize> {
        let is_range = matches!(self.platform.sizes, Sizes::Range { .. });
        let mut costs: Vec<(usize, f64)> = Vec::new();
        let mut lowest = f64::INFINITY;
        let close_to = |costs: &[(usize, f64)], lowest: f64| costs.iter().position(|(_, usd)| *usd <= lowest * CLOSE);
        for &position in fitting {
            let Quote { usd, floor_usd, .. } = self.dearest(position, 0.0)?;
            lowest = lowest.min(usd);
            costs.push((position, usd));
            // No size from here on is below the floor: does it matter how far above they are?
            let is_decided = || {
                let sure = close_to(&costs, lowest.min(floor_usd));
                sure.is_some() && sure == close_to(&costs, lowest)
            };
            if is_range && is_decided() {
                break;
            }
        }
        close_to(&costs, lowest).map(|at| costs[at].0)
    }

    fn fastest(&self, fitting: &[usize]) -> Option<usize> {
        if matches!(self.platform.sizes, Sizes::Range { .. }) {
            let shortest = self.predicted_ns(*fitting.last()?)?;
            let first = fitting
                .partition_point(|&position| self.predicted_ns(position).is_some_and(|predicted| predicted > shortest));
            return fitting.get(first).copied();
        }
        let durations: Option<Vec<(usize, f64)>> =
            fitting.iter().map(|&position| Some((position, self.predicted_ns(position)?))).collect();
        durations?.into_iter().min_by(|a, b| a.1.total_cmp(&b.1)).map(|(position, _)| position)
    }

    /// The median of the slowest case.
    fn predicted_ns(&self, position: usize) -> Option<f64> {
        let vcpu = self.size(position).vcpu;
        self.most(|case| case.median_ns(vcpu))
    }

    /// The cost of the dearest case; `cold` is the part of executions that meet a cold start.
    fn dearest(&self, position: usize, cold: f64) -> Option<Quote> {
        let size = self.size(position);
        let is_billed = self.platform.init_billed != Some(false);
        let arch = &self.profile.environment.arch;
        let quotes: Option<Vec<Quote>> = self
            .cases
            .iter()
            .map(|case| {
                let warm = quote(self.platform, &size, case, 0.0, arch)?;
                if cold <= 0.0 || !is_billed {
                    return Some(warm);
                }
                let cold_quote = quote(self.platform, &size, case, case.cold_start_ns(size.vcpu)?, arch)?;
                let mixed = |warm: f64, with_start: f64| warm * (1.0 - cold) + with_start * cold;
                Some(Quote {
                    billed_ms: mixed(warm.billed_ms, cold_quote.billed_ms),
                    usd: mixed(warm.usd, cold_quote.usd),
                    floor_usd: warm.floor_usd,
                })
            })
            .collect();
        quotes?.into_iter().max_by(|a, b| a.usd.total_cmp(&b.usd))
    }

    fn most(&self, figure: impl Fn(&CaseDemand<'_>) -> Option<f64>) -> Option<f64> {
        let figures: Option<Vec<f64>> = self.cases.iter().map(figure).collect();
        figures?.into_iter().max_by(f64::total_cmp)
    }

    fn size_advice(&self, position: usize) -> Option<SizeAdvice> {
        let size = self.size(position);
        let ms = |ns: f64| to_decimals(ns / 1e6, 6);
        let per_million = |quote: Quote| to_decimals(quote.usd * 1e6, 6);
        let share = self.options.cold_start_share;
        let quote = self.dearest(position, share).or_else(|| self.dearest(position, 0.0))?;
        Some(SizeAdvice {
            memory_mb: size.memory_mb,
            vcpu: to_decimals(size.vcpu, 4),
            verdict: self.verdict(position),
            predicted_ms: ms(self.predicted_ns(position)?),
            bound_ms: ms(self.most(|case| compatibility::bound_ns(self.platform, &size, case))?),
            cold_start_ms: self.most(|case| case.cold_start_ns(size.vcpu)).map(ms),
            billed_ms: to_decimals(quote.billed_ms, 3),
            usd_per_million: per_million(quote),
            usd_per_million_cold: self.dearest(position, 1.0).map(per_million),
            name: size.name,
        })
    }

    /// The positions to list, ascending.
    fn listed(&self, chosen: Option<Chosen>) -> Vec<usize> {
        let count = self.platform.sizes.count();
        if self.options.sizes == SizesListed::All || count <= FEW {
            return (0..count).collect();
        }
        let chosen: Vec<usize> = chosen.into_iter().flat_map(|of| [of.cheapest, of.fastest, of.balanced]).collect();
        let neighbours = chosen.iter().flat_map(|&position| [position.wrapping_sub(1), position + 1]);
        let mut few: Vec<usize> = Vec::new();
        let sizes = &self.platform.sizes;
        let rehearsed = rehearsal::outcomes(self.platform, self.cases);
        let rehearsed = rehearsed.iter().filter_map(|size| sizes.position(size.memory_mb));
        for position in chosen.iter().copied().chain(rehearsed).chain(self.usual()).chain(neighbours) {
            if few.len() < FEW && position < count && !few.contains(&position) {
                few.push(position);
            }
        }
        few.sort_unstable();
        few
    }

    /// The usual sizes: doublings, the largest, and the one with a whole CPU; of a long list, every other.
    fn usual(&self) -> Vec<usize> {
        let sizes = &self.platform.sizes;
        let Sizes::Range { min, max, cpu, .. } = sizes else {
            return (0..sizes.count()).step_by(sizes.count().div_ceil(FEW)).collect();
        };
        let doublings = std::iter::successors(Some(*min), |memory| memory.checked_mul(2)).take_while(|size| size < max);
        let whole = match cpu {
            #[expect(
                clippy::cast_possible_truncation,
                clippy::cast_sign_loss,
                reason = "MiB, in the range or left out"
            )]
            Cpu::Linear { mb_per_vcpu, .. } => Some(mb_per_vcpu.ceil() as u32),
            Cpu::Fixed(_) => None,
        };
        let whole = whole.filter(|memory| (min..=max).contains(&memory));
        doublings.chain(whole).chain([*max]).filter_map(|memory| sizes.position(memory)).collect()
    }
}

pub(super) fn to_decimals(figure: f64, decimals: i32) -> f64 {
    let unit = 10_f64.powi(decimals);
    (figure * unit).round() / unit
}
