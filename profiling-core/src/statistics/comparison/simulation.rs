//! Whether the method keeps what it promises, on figures whose truth is known.

use std::f64::consts::TAU;

use fastrand::Rng;

use super::*;

/// What sets one worker apart from the next, and disturbs one in ten of them by 5 to 30%.
#[derive(Clone, Copy)]
struct Machine {
    deviation: f64,
    /// By how much both workers of a pair are slower than those of the pair before.
    drift: f64,
}

impl Machine {
    fn worker(self, random: &mut Rng) -> f64 {
        let disturbed = if random.f64() < 0.1 { 1.05 + 0.25 * random.f64() } else { 1.0 };
        1e7 * (self.deviation * normal(random)).exp() * disturbed
    }

    /// More pairs, until there are so many.
    fn measure(self, pairs: &mut Vec<Pair>, slowdown: f64, until: usize, random: &mut Rng) {
        while pairs.len() < until {
            let drift = (1.0 + self.drift).powi(i32::try_from(pairs.len()).expect("few"));
            let [old, new] = [1.0, slowdown].map(|cost| cost * drift * self.worker(random));
            pairs.push(Pair::new(old, new).expect("figures"));
        }
    }

    fn pairs(self, slowdown: f64, count: usize, random: &mut Rng) -> Vec<Pair> {
        let mut pairs = Vec::new();
        self.measure(&mut pairs, slowdown, count, random);
        pairs
    }

    /// One run over jobs that are slower by these factors, each look as the plan has it, with the noise taken
    /// from ten pairs of the baseline with itself.
    fn run(self, slowdowns: &[f64], random: &mut Rng) -> Vec<(Comparison, Verdict)> {
        let itself: Vec<Vec<Pair>> = slowdowns.iter().map(|_| self.pairs(1.0, 10, random)).collect();
        let mut pairs: Vec<Vec<Pair>> = vec![Vec::new(); slowdowns.len()];
        let mut decided: Vec<Option<(Comparison, Verdict)>> = vec![None; slowdowns.len()];
        let plan = Plan::default();
        let mut look = Some(plan.first());
        while let Some(now) = look {
            let compared = (0..slowdowns.len()).map(|job| {
                decided[job].map_or_else(
                    || {
                        self.measure(&mut pairs[job], slowdowns[job], now.pairs, random);
                        let noise = noise_floor(&itself[job], now.pairs).expect("enough pairs");
                        Comparison::of_pairs(&pairs[job]).expect("pairs").with_noise(noise)
                    },
                    |(comparison, _)| comparison,
                )
            });
            let compared: Vec<Comparison> = compared.collect();
            look = plan.after(now);
            let verdicts = judge(&compared, &Rule { level: now.level, ..Rule::default() });
            for (decided, found) in decided.iter_mut().zip(compared.into_iter().zip(verdicts)) {
                if decided.is_none() && (found.1.outcome != Outcome::Undecided || look.is_none()) {
                    *decided = Some(found);
                }
            }
        }
        decided.into_iter().flatten().collect()
    }
}

fn normal(random: &mut Rng) -> f64 {
    (-2.0 * (1.0 - random.f64()).ln()).sqrt() * (TAU * random.f64()).cos()
}

const QUIET: Machine = Machine { deviation: 0.01, drift: 0.0 };
const USUAL: Machine = Machine { deviation: 0.02, drift: 0.0 };
const NOISY: Machine = Machine { deviation: 0.03, drift: 0.0 };
const DRIFTING: Machine = Machine { deviation: 0.01, drift: 0.005 };

#[test]
fn identical_code_is_hardly_ever_called_changed() {
    let mut random = Rng::with_seed(1);
    let mut verdicts: Vec<Verdict> = Vec::new();
    for machine in [QUIET, USUAL, NOISY, DRIFTING] {
        // Ten jobs with four figures each.
        let runs = (0..3).flat_map(|_| machine.run(&[1.0; 40], &mut random));
        verdicts.extend(runs.map(|(_, verdict)| verdict));
    }
    let count = |outcome| verdicts.iter().filter(|verdict| verdict.outcome == outcome).count();
    let called = count(Outcome::Improved) + count(Outcome::Regressed);
    assert!(called * 1000 <= 5 * verdicts.len(), "{called} of {}", verdicts.len());
    assert!(count(Outcome::Unchanged) * 2 >= verdicts.len(), "{} unchanged", count(Outcome::Unchanged));
}

#[test]
fn what_is_slower_is_found() {
    let mut random = Rng::with_seed(2);
    for (machine, slowdown, fewest) in [(USUAL, 1.05, 38), (NOISY, 1.05, 38), (NOISY, 1.1, 40), (DRIFTING, 1.05, 36)] {
        let mut jobs = [1.0; 10];
        jobs[0] = slowdown;
        let runs: Vec<(Comparison, Verdict)> = (0..40).map(|_| machine.run(&jobs, &mut random)[0]).collect();
        let found = runs.iter().filter(|(_, verdict)| verdict.outcome == Outcome::Regressed).count();
        assert!(found >= fewest, "{found} of 40 at {}% noise", machine.deviation * 100.0);
        let mut effects: Vec<f64> = runs.iter().map(|(comparison, _)| comparison.effect).collect();
        effects.sort_unstable_by(f64::total_cmp);
        assert!((1.0 + effects[20] - slowdown).abs() < 0.01, "{}", effects[20]);
    }
}

#[test]
fn intervals_cover_the_truth() {
    let mut random = Rng::with_seed(3);
    for (machine, pairs) in [(USUAL, 6), (NOISY, 10), (USUAL, 20), (DRIFTING, 10), (USUAL, 60)] {
        let covered = (0..400).filter(|_| {
            let comparison = Comparison::of_pairs(&machine.pairs(1.05, pairs, &mut random)).expect("pairs");
            comparison.low <= 0.05 && 0.05 <= comparison.high
        });
        let covered = covered.count();
        assert!(covered >= 370, "{covered} of 400 with {pairs} pairs");
    }
}

#[test]
fn the_smallest_detectable_effect_is_detected() {
    let mut random = Rng::with_seed(4);
    let judged = |pairs: &[Pair]| judge(&[Comparison::of_pairs(pairs).expect("pairs")], &Rule::default())[0];
    let found = (0..200).filter(|_| {
        let verdict = judged(&USUAL.pairs(1.0, 20, &mut random));
        let slowdown = 1.0 + verdict.smallest_detectable;
        judged(&USUAL.pairs(slowdown, 20, &mut random)).outcome == Outcome::Regressed
    });
    let found = found.count();
    assert!((180..200).contains(&found), "{found} of 200");
}

#[test]
fn the_noise_floor_is_what_identical_code_shows() {
    let mut random = Rng::with_seed(5);
    let below = (0..400).filter(|_| {
        let floor = noise_floor(&NOISY.pairs(1.0, 10, &mut random), 20).expect("enough pairs");
        let comparison = Comparison::of_pairs(&NOISY.pairs(1.0, 20, &mut random)).expect("pairs");
        comparison.effect.ln_1p().abs() <= floor.ln_1p()
    });
    let below = below.count();
    assert!((340..=396).contains(&below), "{below} of 400");
}

#[test]
fn stored_samples_of_identical_code_are_hardly_ever_called_changed() {
    let mut random = Rng::with_seed(6);
    let called = (0..400).filter(|_| {
        // What sets a worker apart is in all of its samples.
        let [old, new] = [(); 2].map(|()| {
            let typical = 1e7 * (0.03 * normal(&mut random)).exp();
            let samples = (0..20).map(|_| (typical * QUIET.worker(&mut random) / 1e7).round());
            #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "nanoseconds")]
            samples.map(|sample| sample as u64).collect::<Vec<u64>>()
        });
        let comparison = Comparison::of_stored(&old, &new).expect("samples");
        matches!(judge(&[comparison], &Rule::default())[0].outcome, Outcome::Improved | Outcome::Regressed)
    });
    let called = called.count();
    assert!(called <= 4, "{called} of 400");
}
