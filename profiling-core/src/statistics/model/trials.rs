//! Models of data whose growth is known, with noise.

use super::{FittedTerm, Level, Metric, Model, NOT_IDENTIFIABLE, Prediction};

/// `SplitMix64` (Steele, Lea and Flood, "Fast Splittable Pseudorandom Number Generators", 2014).
struct Random(u64);

impl Random {
    fn uniform(&mut self) -> f64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((z ^ (z >> 31)) >> 11) as f64 / (1_u64 << 53) as f64
    }

    /// By Box and Muller.
    fn normal(&mut self) -> f64 {
        (-2.0 * self.uniform().max(1e-300).ln()).sqrt() * (std::f64::consts::TAU * self.uniform()).cos()
    }
}

/// A release build has the time for more.
const TRIALS: u64 = if cfg!(debug_assertions) { 20 } else { 200 };
const NOISE: f64 = 0.05;

type Truth = fn(f64, f64) -> f64;

/// Figures of a known growth; the second parameter is 1 where there is one only.
struct Experiment {
    shape: &'static str,
    names: &'static [&'static str],
    levels: Vec<Vec<u64>>,
    samples: usize,
    truth: Truth,
}

impl Experiment {
    fn truth(&self, at: &[u64]) -> f64 {
        (self.truth)(at[0] as f64, at.get(1).map_or(1.0, |&second| second as f64))
    }

    fn model(&self, noise: f64, seed: u64) -> Model {
        let mut random = Random(seed);
        let mut sample = |at: &Vec<u64>| (self.truth(at) * (1.0 + noise * random.normal())).max(0.0);
        let levels = self.levels.iter();
        let levels =
            levels.map(|at| Level { at: at.clone(), figures: (0..self.samples).map(|_| sample(at)).collect() });
        Model::fit(Metric::WallNs, self.names, &levels.collect::<Vec<_>>())
    }

    /// How often the shape is named, and how often another one is.
    fn outcomes(&self) -> (u64, u64) {
        let shapes: Vec<String> = (0..TRIALS).map(|trial| self.model(NOISE, trial << 32).shape()).collect();
        let count = |is: &dyn Fn(&String) -> bool| shapes.iter().filter(|shape| is(shape)).count() as u64;
        (count(&|shape| shape == self.shape), count(&|shape| shape != self.shape && shape != NOT_IDENTIFIABLE))
    }

    #[track_caller]
    fn expect_named(&self) {
        let (right, wrong) = self.outcomes();
        assert!(right * 100 >= TRIALS * 95, "{} at {:?}: {right} of {TRIALS}, {wrong} wrong", self.shape, self.levels);
    }
}

fn one(shape: &'static str, levels: &[u64], samples: usize, truth: Truth) -> Experiment {
    Experiment { shape, names: &["n"], levels: levels.iter().map(|&n| vec![n]).collect(), samples, truth }
}

fn grid(shape: &'static str, levels: &[u64], samples: usize, truth: Truth) -> Experiment {
    let levels = levels.iter().flat_map(|&a| levels.iter().map(move |&b| vec![a, b])).collect();
    Experiment { shape, names: &["a", "b"], levels, samples, truth }
}

const CURVES: [(&str, Truth); 7] = [
    ("1", |_, _| 1_000.0),
    ("log n", |n, _| 50.0 * n.max(1.0).ln()),
    ("n", |n, _| 5.0 * n),
    ("n log n", |n, _| 3.0 * n * n.max(1.0).ln()),
    ("n^2", |n, _| 2.0 * n * n),
    ("n^2", |n, _| 1_000.0 + 3.0 * n * n),
    ("n^3", |n, _| 2.0 * n * n * n),
];
const DECADES: [u64; 7] = [1, 10, 100, 1_000, 10_000, 100_000, 1_000_000];
const THREE_DECADES: [u64; 8] = [10, 27, 72, 193, 518, 1_389, 3_728, 10_000];
const EVEN: [u64; 16] = [1, 68, 134, 201, 267, 334, 401, 467, 534, 600, 667, 734, 800, 867, 933, 1_000];

#[test]
fn names_what_the_figures_were_made_of() {
    for (shape, truth) in CURVES {
        for levels in [&DECADES[..], &THREE_DECADES, &EVEN] {
            one(shape, levels, 10, truth).expect_named();
        }
        one(shape, &THREE_DECADES, 1, truth).expect_named();
    }
}

#[test]
fn names_what_grows_with_two_parameters() {
    grid("a b", &[1, 10, 50, 100], 10, |a, b| 1_000.0 + 5.0 * a * b).expect_named();
    grid("a b", &[1, 25, 50, 75, 100], 1, |a, b| 1_000.0 + 5.0 * a * b).expect_named();
    grid("a + b", &[1, 10, 50, 100], 10, |a, b| 100.0 + 5.0 * a + 3.0 * b).expect_named();
    grid("a b^2", &[1, 10, 50, 100], 10, |a, b| 100.0 + 5.0 * a * b * b).expect_named();
    grid("1", &[1, 10, 50, 100], 10, |_, _| 1_000.0).expect_named();
}

#[test]
fn does_not_name_what_is_none_of_the_shapes() {
    let threshold: Truth = |n, _| n.max(100.0);
    for levels in [&DECADES[..], &THREE_DECADES, &EVEN] {
        one(NOT_IDENTIFIABLE, levels, 10, threshold).expect_named();
        one(NOT_IDENTIFIABLE, levels, 1, threshold).expect_named();
    }
    let model = one("", &THREE_DECADES, 10, threshold).model(NOISE, 1);
    let reason = model.growth.expect_err("a threshold");
    assert!(reason.starts_with("it is the same up to about 72 and grows above"), "{reason}");
    one(NOT_IDENTIFIABLE, &DECADES, 10, |n, _| 1e9 / n).expect_named();
}

#[test]
fn does_not_guess_where_shapes_look_alike() {
    for (shape, truth) in [CURVES[2], CURVES[3]] {
        let (_, wrong) = one(shape, &[100, 110, 120, 130, 140, 150], 3, truth).outcomes();
        assert!(wrong * 100 <= TRIALS * 5, "{shape}: {wrong} of {TRIALS}");
    }
    for levels in [&[10][..], &[10, 100], &[10, 100, 1_000]] {
        assert_eq!(one("", levels, 10, CURVES[2].1).model(NOISE, 1).shape(), NOT_IDENTIFIABLE);
    }
}

#[test]
fn no_prediction_in_range_is_below_the_truth() {
    for (shape, truth) in CURVES {
        for samples in [1, 10] {
            let experiment = one(shape, &THREE_DECADES, samples, truth);
            for trial in 0..TRIALS {
                let model = experiment.model(NOISE, trial << 32);
                for n in (10..=10_000).step_by(37) {
                    if let Prediction::InRange { upper, .. } = model.predict(&[("n", n)]) {
                        assert!(upper >= experiment.truth(&[n]), "{shape}, trial {trial}, {n}: {model:?}");
                    }
                }
            }
        }
    }
}

#[test]
fn the_envelope_covers_every_sample() {
    let figures = |n: u64| vec![5.0 * n as f64, 5.1 * n as f64, 9.0 * n as f64 + 40_000.0];
    let levels: Vec<Level> = THREE_DECADES.iter().map(|&n| Level { at: vec![n], figures: figures(n) }).collect();
    let model = Model::fit(Metric::WallNs, &["n"], &levels);
    for n in THREE_DECADES {
        match model.predict(&[("n", n)]) {
            Prediction::InRange { upper, .. } => assert!(upper >= figures(n)[2], "{n}: {model:?}"),
            other => panic!("{other:?}"),
        }
    }
}

/// A line through these predicts 38% of the truth at 200.
#[test]
fn figures_without_noise_are_found_again() {
    let model = one("n^2", &[0, 20, 40, 60, 80, 100], 1, |n, _| 1_000.0 + 3.0 * n * n).model(0.0, 1);
    let curve = model.growth.as_ref().expect("identified");
    for (fitted, (name, truth)) in curve.terms.iter().zip([("1", 1_000.0), ("n^2", 3.0)]) {
        assert!(fitted.name == name && (fitted.coefficient / truth - 1.0).abs() < 1e-6, "{fitted:?}");
        assert!(fitted.low <= truth && truth <= fitted.high, "{fitted:?}");
    }
    assert!(curve.r_squared > 1.0 - 1e-9 && curve.max_relative_residual < 1e-6);
    match model.predict(&[("n", 200)]) {
        Prediction::Extrapolated { expected, error, .. } => {
            assert!((expected / 121_000.0 - 1.0).abs() < 1e-6 && error < 1e-6);
        }
        other => panic!("{other:?}"),
    }
    let product = grid("a b", &[1, 50, 100], 1, |a, b| 1_000.0 + 5.0 * a * b).model(0.0, 1);
    assert!(matches!(product.predict(&[("a", 100), ("b", 100)]),
        Prediction::InRange { expected, .. } if (expected / 51_000.0 - 1.0).abs() < 1e-6));
}

/// Sorting, as it was measured beside other programs: insertion sort below 20, caches that get too small, and at
/// the top a machine that is shared.
#[test]
fn real_figures_follow_a_shape_loosely() {
    let model = |measured: &[(u64, f64)]| {
        let level = |&(n, ns): &(u64, f64)| Level { at: vec![n], figures: vec![ns * 0.98, ns, ns * 1.02] };
        Model::fit(Metric::WallNs, &["n"], &measured.iter().map(level).collect::<Vec<_>>())
    };
    let sort = [(10, 70.0), (100, 481.0), (1_000, 5_550.0), (10_000, 85.3e3), (100_000, 1.55e6), (1_000_000, 18e6)];
    assert_eq!(model(&sort).shape(), "n log n");
    let multiply = [(8, 270.0), (16, 1.33e3), (32, 9.67e3), (64, 86.7e3), (128, 1.59e6), (256, 18.7e6), (512, 232e6)];
    assert_eq!(model(&multiply).shape(), "n^3");
    let hash = [(10, 50.0), (100, 60.0), (1_000, 191.0), (10_000, 1_550.0), (100_000, 14.8e3), (1_000_000, 149e3)];
    assert_eq!(model(&hash).shape(), "n");
}

/// Which terms there are was chosen by the same figures, which the intervals don't know.
#[test]
fn intervals_hold_the_truth() {
    for samples in [1, 10] {
        let experiment = one("n^2", &THREE_DECADES, samples, |n, _| 1_000.0 + 3.0 * n * n);
        let holds = |trial: u64| {
            let curve = experiment.model(NOISE, trial << 32).growth.expect("identified");
            let holds = |(fitted, truth): &(&FittedTerm, f64)| (fitted.low..=fitted.high).contains(truth);
            curve.terms.iter().zip([1_000.0, 3.0]).filter(holds).count() as u64
        };
        let held: u64 = (0..TRIALS).map(holds).sum();
        assert!(held * 100 >= 2 * TRIALS * 90, "{held} of {}", 2 * TRIALS);
    }
}
