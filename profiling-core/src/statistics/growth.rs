//! Whether something grows with every execution.

use std::io;

use super::values::Values;

/// How fast something grows, per execution.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Growth {
    /// The slope of the line of least squares.
    pub slope: f64,
    /// The lower end of its 95% interval.
    pub low: f64,
    /// The upper end of its 95% interval.
    pub high: f64,
}

/// What grows takes back less than one part in so many of what it adds. More is what threads leave that
/// end a little later, and pools that give back in their own time.
const TAKEN_BACK: i64 = 20;

/// The fewest executions that can have grown for it to be called growth.
const FEWEST: usize = 3;

impl Growth {
    /// The growth of a sum of which `steps` are the changes, in order; `None` where it doesn't grow.
    ///
    /// It grows if both halves have added to it, at least three steps were up, those down took back less
    /// than a twentieth of them or the mean step is above zero for sure, it has not come to rest, and the
    /// slope's interval is above zero. So a cache that fills and then stays, and what comes and goes, are no growth; a
    /// collection whose capacity doubles ever more rarely is.
    ///
    /// ```
    /// use profiling_core::statistics::Growth;
    ///
    /// let growth = Growth::of(&[1024; 10]).expect("it grows");
    /// assert!((growth.slope - 1024.0).abs() < 1e-6);
    /// assert_eq!(Growth::of(&[4096, 0, 0, 0, 0, 0]), None);
    /// ```
    #[must_use]
    pub fn of(steps: &[i64]) -> Option<Self> {
        // What is in memory can be read.
        Self::of_values(&steps).ok().flatten()
    }

    /// The same of steps of which there may be more than fit into memory.
    pub(crate) fn of_values(steps: &dyn Values<i64>) -> io::Result<Option<Self>> {
        let seen = Seen::of(steps)?;
        let grows = seen.rises >= FEWEST && seen.halves.iter().all(|&sum| sum > 0);
        if !grows || !seen.rises_reliably(steps)? || seen.has_stopped(steps)? {
            return Ok(None);
        }
        Ok(Some(seen.line(steps)?).filter(|growth| growth.low > 0.0))
    }
}

/// What is seen of the steps in one pass.
#[derive(Debug, Default)]
struct Seen {
    count: usize,
    /// The sums of both halves.
    halves: [i64; 2],
    /// The sums of the steps up and down.
    added: i64,
    taken: i64,
    /// The sums of the steps, and of the points that they lead to.
    steps: f64,
    points: f64,
    /// How many steps are up.
    rises: usize,
    /// The last of these, and where it is.
    last: Option<(usize, i64)>,
    /// The longest rest between two of them.
    longest: usize,
}

impl Seen {
    fn of(steps: &dyn Values<i64>) -> io::Result<Self> {
        let mut seen = Self::default();
        let half = steps.count() / 2;
        steps.visit(&mut |piece| piece.iter().for_each(|&step| seen.see(step, half)))?;
        Ok(seen)
    }

    fn see(&mut self, step: i64, half: usize) {
        let sum = &mut self.halves[usize::from(self.count >= half)];
        *sum = sum.saturating_add(step);
        self.added = self.added.saturating_add(step.max(0));
        self.taken = self.taken.saturating_sub(step.min(0));
        self.steps += step as f64;
        self.points += self.steps;
        if step > 0 {
            if let Some((before, _)) = self.last {
                self.longest = self.longest.max(self.count - before - 1);
            }
            self.rises += 1;
            self.last = Some((self.count, step));
        }
        self.count += 1;
    }

    /// Whether hardly anything is taken back, or else the 95% interval of the mean step is above zero.
    fn rises_reliably(&self, steps: &dyn Values<i64>) -> io::Result<bool> {
        if self.taken.saturating_mul(TAKEN_BACK) <= self.added {
            return Ok(true);
        }
        let count = self.count as f64;
        let mean = self.steps / count;
        let mut squares = 0.0;
        steps.visit(&mut |piece| piece.iter().for_each(|&step| squares += (step as f64 - mean).powi(2)))?;
        Ok(mean > student_t(self.count - 1) * (squares / (count - 1.0) / count).sqrt())
    }

    /// Whether there was a longer rest at the end than ever before, and no larger step before it: a cache that
    /// is full. The steps of a collection whose capacity doubles get rarer, too, but larger.
    fn has_stopped(&self, steps: &dyn Values<i64>) -> io::Result<bool> {
        let Some((at, last)) = self.last else { return Ok(true) };
        let rest = self.count - 1 - at;
        if rest <= self.longest || rest <= 1 {
            return Ok(false);
        }
        // It is not above the median of the rises where no more than half of them are below it.
        let mut below = 0;
        steps.visit(&mut |piece| below += piece.iter().filter(|&&step| step > 0 && step < last).count())?;
        Ok(below <= self.rises / 2)
    }

    /// The line of least squares through the points at 0, 1, 2, …; at least three of them.
    fn line(&self, steps: &dyn Values<i64>) -> io::Result<Growth> {
        let count = self.count as f64;
        let middle = (count - 1.0) / 2.0;
        let mean = self.points / count;
        let (mut spread, mut common) = (0.0, 0.0);
        points(steps, &mut |at, point| {
            spread += (at - middle).powi(2);
            common += (at - middle) * (point - mean);
        })?;
        let slope = common / spread;
        let mut squares = 0.0;
        points(steps, &mut |at, point| squares += (point - mean - slope * (at - middle)).powi(2))?;
        let error = (squares / (count - 2.0) / spread).sqrt();
        let half = student_t(self.count - 2) * error;
        Ok(Growth { slope, low: slope - half, high: slope + half })
    }
}

/// Every point that the steps lead to, and how many come before it.
fn points(steps: &dyn Values<i64>, point: &mut dyn FnMut(f64, f64)) -> io::Result<()> {
    let (mut at, mut sum) = (0.0, 0.0);
    steps.visit(&mut |piece| {
        for &step in piece {
            sum += step as f64;
            point(at, sum);
            at += 1.0;
        }
    })
}

/// The 97.5th percentile of Student's t distribution, rounded up (any table of it; beyond 30 degrees of
/// freedom that of 30).
pub(super) fn student_t(degrees: usize) -> f64 {
    const TABLE: [f64; 30] = [
        12.707, 4.303, 3.183, 2.777, 2.571, 2.447, 2.365, 2.307, 2.263, 2.229, 2.201, 2.179, 2.161, 2.145, 2.132,
        2.120, 2.110, 2.101, 2.094, 2.086, 2.080, 2.074, 2.069, 2.064, 2.060, 2.056, 2.052, 2.049, 2.046, 2.043,
    ];
    TABLE[degrees.clamp(1, TABLE.len()) - 1]
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_vec_whose_capacity_doubles_grows() {
        let growth = Growth::of(&[2 << 20, 0, 4 << 20, 0, 0, 0, 8 << 20, 0, 0, 0]).expect("it does");
        assert!((1.0..2.0).contains(&(growth.slope / f64::from(1 << 20))), "{growth:?}");
    }

    #[test]
    fn what_grows_more_than_it_shrinks_grows() {
        let steps: Vec<i64> = [4, -1].repeat(10);
        assert!(Growth::of(&steps).is_some());
        assert!(Growth::of(&[1, 0, 0, 1, 0, 0, 1, 0, 0, 1, 0, 0]).is_some(), "with every third execution");
    }

    #[test]
    fn what_fills_once_or_comes_and_goes_does_not() {
        assert_eq!(Growth::of(&[1 << 20, 0, 0, 0, 0, 0, 0, 0]), None);
        assert_eq!(Growth::of(&[1 << 20, 1 << 20, 1 << 20, 0, 0, 0, 0, 0]), None);
        assert_eq!(Growth::of(&[64, -64, 64, -64, 64, -64, 64, -64, 64]), None);
        // A thread pool per execution, whose threads end when they get to it.
        assert_eq!(Growth::of(&[4376, -40, 4608, 4376, -568, -800, -984, 2304, 2304, -1216]), None);
        let mut full = [1; 20];
        full[16..].fill(0);
        assert_eq!(Growth::of(&full), None, "a cache that was full after 16");
        assert_eq!(Growth::of(&[10, 0, 10, 0, 0, 10, 10, 0, 0, 0, 0]), None, "as many keys as there are");
        assert_eq!(Growth::of(&[0; 100]), None);
        assert_eq!(Growth::of(&[8, 8]), None, "too few to tell");
        assert_eq!(Growth::of(&[]), None);
    }

    proptest! {
        #[test]
        fn the_slope_of_equal_steps_is_the_step(step in 1_i64..1 << 40, count in 3_usize..200) {
            let growth = Growth::of(&vec![step; count]).expect("it grows");
            prop_assert!((growth.slope / step as f64 - 1.0).abs() < 1e-6);
            prop_assert!(growth.low <= growth.slope && growth.slope <= growth.high);
        }

        #[test]
        fn what_shrinks_does_not_grow(steps in prop::collection::vec(-1000_i64..=0, 0..50)) {
            prop_assert_eq!(Growth::of(&steps), None);
        }
    }
}
