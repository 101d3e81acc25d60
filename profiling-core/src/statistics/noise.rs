//! Whether other programs disturbed a measurement.

use std::io;

use crate::profile::{Grade, MachineShare, Noise};
use crate::sample::Column;
use crate::samples::CaseSamples;

/// The job waited for a CPU for more than this share of its time, in thousandths.
const QUEUED_PERMILLE: u64 = 50;
/// The machine's host gave more than this share of its CPU time to others, in thousandths.
const STEAL_PERMILLE: u64 = 20;
/// The job lost its CPU to another program more often than this per second of CPU time.
const SWITCHES_PER_SECOND: u64 = 100;
/// Other programs used more than this share of the machine, in thousandths, and left less than this idle.
const OTHERS_PERMILLE: u64 = 100;
const IDLE_PERMILLE: u64 = 100;
/// What is below this in all is too little to tell.
const LEAST_NS: u64 = 1_000_000;

impl Noise {
    /// From the samples of a case, and who has used the machine meanwhile. `None` where nothing of it was
    /// measured.
    ///
    /// # Errors
    ///
    /// Where the samples can't be read.
    pub fn of(samples: &CaseSamples, machine: Option<MachineShare>) -> io::Result<Option<Self>> {
        let wall = samples.sum(Column::WallNs)?.unwrap_or(0);
        let queued = samples.sum(Column::RunQueueDelayNs)?;
        let switches = samples.sum(Column::InvoluntarySwitches)?.zip(samples.sum(Column::CpuNs)?);
        if queued.is_none() && switches.is_none() && machine.is_none() {
            return Ok(None);
        }
        // Threads of one job take the CPUs from each other.
        let single = samples.all(&[Column::PeakThreads], |sample| sample.peak_threads == Some(1))?;
        let reasons = [
            queued.filter(|_| single).and_then(|queued| waited(queued, wall)),
            switches.filter(|_| single).and_then(|(switches, cpu)| lost(switches, cpu)),
            machine.and_then(|machine| stolen(machine.stolen_permille)),
            machine.and_then(crowded),
        ];
        let why: Vec<String> = reasons.into_iter().flatten().collect();
        let grade = if why.is_empty() { Grade::Quiet } else { Grade::Noisy };
        Ok(Some(Self { grade, why }))
    }
}

fn waited(queued_ns: u64, wall_ns: u64) -> Option<String> {
    let permille = queued_ns.saturating_mul(1000) / wall_ns.max(1);
    (queued_ns >= LEAST_NS && permille > QUEUED_PERMILLE)
        .then(|| format!("waited for a CPU for {}% of the time", percent(permille)))
}

fn lost(switches: u64, cpu_ns: u64) -> Option<String> {
    let per_second = u128::from(switches) * 1_000_000_000 / u128::from(cpu_ns.max(1));
    (cpu_ns >= 10 * LEAST_NS && per_second > u128::from(SWITCHES_PER_SECOND))
        .then(|| format!("lost the CPU to other programs {per_second} times per second of CPU time"))
}

fn stolen(permille: u64) -> Option<String> {
    (permille > STEAL_PERMILLE)
        .then(|| format!("the machine's host gave {}% of its CPU time to others", percent(permille)))
}

fn crowded(machine: MachineShare) -> Option<String> {
    let MachineShare { others_permille, idle_permille, .. } = machine;
    (others_permille > OTHERS_PERMILLE && idle_permille < IDLE_PERMILLE)
        .then(|| format!("other programs used {}% of all CPU time and left none idle", percent(others_permille)))
}

fn percent(permille: u64) -> String {
    format!("{}.{}", permille / 10, permille % 10)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sample::Sample;

    fn noise_of(samples: &[Sample], machine: Option<MachineShare>) -> Option<Noise> {
        Noise::of(&samples.into(), machine).expect("they are in memory")
    }

    fn samples(wall_ns: u64, cpu_ns: u64, queued_ns: u64, switches: u64) -> [Sample; 2] {
        let sample = Sample {
            wall_ns,
            cpu_ns: Some(cpu_ns),
            run_queue_delay_ns: Some(queued_ns),
            involuntary_switches: Some(switches),
            peak_threads: Some(1),
            ..Sample::default()
        };
        [sample; 2]
    }

    fn why(samples: &[Sample], stolen_permille: Option<u64>) -> Vec<String> {
        let machine = |stolen_permille| MachineShare { stolen_permille, idle_permille: 500, others_permille: 300 };
        noise_of(samples, stolen_permille.map(machine)).expect("measured").why
    }

    #[test]
    fn a_job_that_had_the_machine_to_itself_is_quiet() {
        assert_eq!(why(&samples(100_000_000, 100_000_000, 1_000_000, 2), Some(5)), Vec::<String>::new());
        assert_eq!(why(&samples(1_000, 1_000, 900, 5), None), Vec::<String>::new(), "too short to tell");
    }

    #[test]
    fn a_machine_without_room_is_noisy_for_threads_too() {
        let machine = MachineShare { stolen_permille: 0, idle_permille: 10, others_permille: 400 };
        let noise = noise_of(&samples(100_000_000, 300_000_000, 0, 900), Some(machine)).expect("measured");
        assert_eq!(noise.grade, Grade::Noisy);
        assert!(noise.why.contains(&"other programs used 40.0% of all CPU time and left none idle".to_owned()));
    }

    #[test]
    fn threads_of_the_job_are_no_noise() {
        let mut samples = samples(100_000_000, 300_000_000, 50_000_000, 900);
        for sample in &mut samples {
            sample.peak_threads = Some(3);
        }
        assert_eq!(why(&samples, None), Vec::<String>::new());
    }

    #[test]
    fn every_reason_is_given() {
        let noisy = why(&samples(100_000_000, 50_000_000, 25_000_000, 10), Some(123));
        let expected = [
            "waited for a CPU for 25.0% of the time",
            "lost the CPU to other programs 200 times per second of CPU time",
            "the machine's host gave 12.3% of its CPU time to others",
        ];
        assert_eq!(noisy, expected);
    }

    #[test]
    fn nothing_measured_is_no_verdict() {
        assert_eq!(noise_of(&[Sample::default()], None), None);
        let quiet = noise_of(&[Sample::default()], Some(MachineShare::default()));
        assert_eq!(quiet, Some(Noise { grade: Grade::Quiet, why: Vec::new() }));
    }
}
