//! Payloads: how many bytes a job hands on or takes in.

/// Records the size of a payload of a job, for its percentiles in the profile.
///
/// Recorded within the measured window of an execution, for up to 32 different names; free otherwise.
/// With the feature `profiling` off, it compiles to nothing.
///
/// ```
/// use profiling_core::record_payload;
///
/// fn submit(result: &[u8]) {
///     record_payload("result", result.len());
///     // …
/// }
/// # submit(&[1, 2]);
/// ```
#[inline]
pub fn record_payload(name: &'static str, bytes: usize) {
    #[cfg(feature = "profiling")]
    if crate::stage::recorder::is_open() {
        crate::stage::store::with(|store| store.add_payload(name, bytes as u64));
    }
    #[cfg(not(feature = "profiling"))]
    let _ = (name, bytes);
}
