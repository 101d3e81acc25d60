use proptest::prelude::*;

use super::*;
use crate::profile::{CaseProfile, Circumstances, Params};
use crate::statistics::values::Values;
use crate::statistics::{Growth, Summary};

/// So many samples are written in three chunks, and a few stay in memory.
const MANY: usize = 3 * LENGTH + 5;

/// A stream of numbers that look random.
fn numbers(mut seed: u64) -> impl FnMut(u64) -> u64 {
    move |below| {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (seed >> 11) % below
    }
}

/// With figures of every width, of both signs, some of which are absent always and others now and then.
fn many(count: usize) -> Vec<Sample> {
    let mut random = numbers(7);
    let sample = |number: usize| Sample {
        wall_ns: if number.is_multiple_of(97) { u64::MAX - random(9) } else { 40 + random(1 << (number % 40)) },
        cpu_ns: Some(500 + random(100)),
        peak_rss_bytes: Some(4_194_304),
        peak_heap_bytes: (number % 1_500 != 3).then(|| random(1 << 20)),
        allocations: Some(random(70_000)),
        retained_heap_bytes: Some(random(1_000).cast_signed() - 400),
        involuntary_switches: Some(random(2)),
        run_queue_delay_ns: Some(random(3) * 1_000),
        voluntary_switches: Some(0),
        peak_threads: Some(1),
        device_written_bytes: Some(u64::MAX - random(2)),
        ..Sample::default()
    };
    (0..count).map(sample).collect()
}

fn spilled(samples: &[Sample]) -> CaseSamples {
    let mut spilled = CaseSamples::default();
    for &sample in samples {
        spilled.push(sample).expect("there is room");
    }
    spilled.complete();
    spilled
}

#[test]
fn samples_come_back_as_they_were_and_leave_nothing_behind() -> io::Result<()> {
    let directory = tempfile::tempdir()?;
    for count in [0, 1, LENGTH, LENGTH + 1, 2 * LENGTH, MANY] {
        let samples = many(count);
        let mut kept = CaseSamples::spilling_to(directory.path());
        samples.iter().try_for_each(|&sample| kept.push(sample))?;
        assert_eq!((kept.len(), kept.is_empty()), (count, count == 0));
        assert_eq!(kept.to_vec()?, samples);
        assert_eq!(directory.path().read_dir()?.count(), usize::from(count > LENGTH), "{count}");
        drop(kept);
        assert_eq!(directory.path().read_dir()?.count(), 0);
    }
    Ok(())
}

#[test]
fn more_can_come_after_the_file_was_closed() -> io::Result<()> {
    let samples = many(2 * MANY);
    let mut kept = spilled(&samples[..MANY]);
    kept.append(&spilled(&samples[MANY..]))?;
    assert_eq!(kept.to_vec()?, samples);
    Ok(())
}

#[test]
fn a_column_is_there_where_no_sample_lacks_it() -> io::Result<()> {
    let samples = many(MANY);
    let kept = spilled(&samples);
    let retained = kept.column::<i64>(Column::RetainedHeapBytes).expect("all have it").collect()?;
    assert!(retained.iter().copied().map(Some).eq(samples.iter().map(|sample| sample.retained_heap_bytes)));
    assert!(kept.column::<u64>(Column::PeakHeapBytes).is_none(), "three lack it");
    assert!(kept.column::<u64>(Column::MajorFaults).is_none(), "all do");
    assert_eq!(kept.max(Column::PeakHeapBytes)?, samples.iter().filter_map(|sample| sample.peak_heap_bytes).max());
    assert_eq!(kept.max(Column::MajorFaults)?, None);
    Ok(())
}

#[test]
fn what_remains_is_evenly_spread() -> io::Result<()> {
    let samples = many(MANY);
    let kept = spilled(&samples);
    assert_eq!(kept.thinned(MANY)?, samples);
    assert_eq!(kept.thinned(2 * MANY)?, samples);
    let parts = [&samples[..MANY / 3], &samples[MANY / 3..2 * MANY / 3], &samples[2 * MANY / 3..]];
    let thinned = kept.thinned(3)?;
    assert!(thinned.len() == 3 && thinned.iter().zip(parts).all(|(sample, part)| part.contains(sample)));
    // Every fourth of these is another one, and of those that remain, about as many.
    let periodic: Vec<Sample> =
        (0..4_000).map(|number| Sample { wall_ns: u64::from(number % 4 == 0), ..Sample::default() }).collect();
    let others = spilled(&periodic).thinned(1_000)?.iter().map(|sample| sample.wall_ns).sum::<u64>();
    assert!((200..300).contains(&others), "{others}");
    assert_eq!(kept.thinned(0)?, []);
    Ok(())
}

#[test]
fn a_file_that_is_gone_is_an_error() {
    let directory = tempfile::tempdir().expect("there is room");
    let mut kept = CaseSamples::spilling_to(directory.path());
    for sample in many(MANY) {
        kept.push(sample).expect("there is room");
    }
    drop(directory);
    assert!(kept.to_vec().is_err());
    assert!(CaseProfile::of_samples(Params::new(), &kept, &Circumstances::default()).is_err());
}

/// More than are sorted in memory.
#[test]
fn the_profile_of_very_many_samples_is_that_of_all_of_them_in_memory() -> io::Result<()> {
    let mut samples = many(70_000);
    for fresh in [false, true] {
        // Of which the distances from the median are whole numbers, too.
        samples.iter_mut().filter(|_| fresh).for_each(|sample| sample.wall_ns %= 1 << 40);
        let kept = spilled(&samples);
        let circumstances = Circumstances::default();
        let profile = CaseProfile::of_samples(Params::new(), &kept, &circumstances)?.expect("samples");
        assert_eq!(profile.wall_ns, plainly(&samples, |sample| sample.wall_ns));
        assert_eq!(profile.figures.cpu_ns, Some(plainly(&samples, |sample| sample.cpu_ns.expect("measured"))));
        let retained = plainly(&samples, |sample| sample.retained_heap_bytes.expect("measured"));
        assert_eq!(profile.figures.retained_heap_bytes, Some(retained));
        let written = plainly(&samples, |sample| sample.device_written_bytes.expect("measured"));
        assert_eq!(profile.figures.device_written_bytes, Some(written));
        assert_eq!((profile.figures.peak_heap_bytes, profile.samples), (None, 70_000));
    }
    Ok(())
}

/// By sorting all of them.
fn plainly<T: crate::statistics::Figure>(samples: &[Sample], figure: fn(&Sample) -> T) -> Summary<T> {
    Summary::of(&samples.iter().map(figure).collect::<Vec<T>>()).expect("samples")
}

proptest! {
    #[test]
    fn growth_is_that_of_all_steps_at_once(
        steps in prop::collection::vec(prop_oneof![Just(0_i64), -50..100_i64, Just(1 << 20)], 1..3 * LENGTH),
    ) {
        let samples: Vec<Sample> = steps.iter().map(|&step| Sample { retained_heap_bytes: Some(step), ..Sample::default() }).collect();
        let kept = spilled(&samples);
        let column = kept.column(Column::RetainedHeapBytes).expect("all have it");
        prop_assert_eq!(Growth::of_values(&column).expect("it can be read"), Growth::of(&steps));
    }

    #[test]
    fn budgets_and_profiles_do_not_depend_on_where_samples_are(
        walls in prop::collection::vec(any::<u64>(), 1..2 * LENGTH),
    ) {
        let samples: Vec<Sample> = walls.iter().map(|&wall_ns| Sample { wall_ns: wall_ns >> 1, cpu_ns: Some(wall_ns >> 2), ..Sample::default() }).collect();
        let circumstances = Circumstances::default();
        let of = |kept: &CaseSamples| CaseProfile::of_samples(Params::new(), kept, &circumstances).expect("it can be read");
        prop_assert_eq!(of(&spilled(&samples)), of(&samples.into()));
    }
}
