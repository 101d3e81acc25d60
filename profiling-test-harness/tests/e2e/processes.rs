//! Which processes a test has started, directly or not.

use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::time::{Duration, Instant};

use crate::sandbox::Sandbox;

#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Process {
    pub(crate) id: u32,
    pub(crate) command: String,
}

/// Every process that has the sandbox's target directory in its environment, as descendants inherit it.
pub(crate) fn of(sandbox: &Sandbox) -> Vec<Process> {
    let mark = sandbox.target().as_os_str().as_bytes();
    let entries = fs::read_dir("/proc").expect("this is Linux").flatten();
    let ids = entries.filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok());
    let ours = ids.filter(|id| {
        let environment = fs::read(format!("/proc/{id}/environ")).unwrap_or_default();
        environment.windows(mark.len()).any(|window| window == mark)
    });
    ours.map(|id| {
        let command = fs::read(format!("/proc/{id}/cmdline")).unwrap_or_default();
        Process { id, command: String::from_utf8_lossy(&command).replace('\0', " ") }
    })
    .collect()
}

/// Waits a moment until none is left.
#[track_caller]
pub(crate) fn expect_none(sandbox: &Sandbox) {
    let deadline = Instant::now() + Duration::from_secs(5);
    loop {
        let left = of(sandbox);
        if left.is_empty() {
            return;
        }
        assert!(Instant::now() < deadline, "still running: {left:?}");
        std::thread::sleep(Duration::from_millis(2));
    }
}
