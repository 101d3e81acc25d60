//! What the user may set.

/// What advice is given for.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Options {
    /// What memory and duration have to leave free, as a part of the job's figure: 0.2 allows 80 MB in 96.
    pub headroom: f64,
    /// The rate that virtual machines are sized for, in executions per second.
    pub jobs_per_second: f64,
    /// How busy the CPUs of virtual machines may be, from 0 to 1.
    pub utilisation: f64,
    /// The part of executions that meet a cold start, for costs: 0 counts none.
    pub cold_start_share: f64,
    /// The part of executions that may fail, for monitoring.
    pub error_rate: f64,
    /// How many sizes of each platform to list.
    pub sizes: SizesListed,
}

/// Which sizes of a platform are listed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SizesListed {
    /// At most 16: the chosen ones, the usual ones, and the chosen ones' neighbours.
    Few,
    /// All that the platform offers; of some, thousands.
    All,
}

impl Default for Options {
    /// 20% headroom, 1 execution per second at 70% utilisation, no cold starts, 1% failures, few sizes.
    fn default() -> Self {
        Self {
            headroom: 0.2,
            jobs_per_second: 1.0,
            utilisation: 0.7,
            cold_start_share: 0.0,
            error_rate: 0.01,
            sizes: SizesListed::Few,
        }
    }
}
