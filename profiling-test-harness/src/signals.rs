//! Names of the signals that end workers.

use std::process::ExitStatus;

/// The name of the signal that ended a process, such as `SIGABRT`.
#[cfg(unix)]
pub(crate) fn of(status: ExitStatus) -> Option<String> {
    use std::os::unix::process::ExitStatusExt;

    use rustix::process::Signal;

    const NAMES: [(Signal, &str); 15] = [
        (Signal::ABORT, "SIGABRT"),
        (Signal::ALARM, "SIGALRM"),
        (Signal::BUS, "SIGBUS"),
        (Signal::FPE, "SIGFPE"),
        (Signal::HUP, "SIGHUP"),
        (Signal::ILL, "SIGILL"),
        (Signal::INT, "SIGINT"),
        (Signal::KILL, "SIGKILL"),
        (Signal::PIPE, "SIGPIPE"),
        (Signal::QUIT, "SIGQUIT"),
        (Signal::SEGV, "SIGSEGV"),
        (Signal::SYS, "SIGSYS"),
        (Signal::TERM, "SIGTERM"),
        (Signal::TRAP, "SIGTRAP"),
        (Signal::XCPU, "SIGXCPU"),
    ];

    let number = status.signal()?;
    let name = NAMES.iter().find(|(signal, _)| signal.as_raw() == number);
    Some(name.map_or_else(|| format!("signal {number}"), |(_, name)| (*name).to_owned()))
}

/// Elsewhere processes are not ended by signals.
#[cfg(not(unix))]
pub(crate) fn of(_status: ExitStatus) -> Option<String> {
    None
}

#[cfg(all(test, unix))]
mod tests {
    use std::os::unix::process::ExitStatusExt;

    use super::*;

    #[test]
    fn names_what_it_knows() {
        assert_eq!(of(ExitStatus::from_raw(6)).as_deref(), Some("SIGABRT"));
        assert_eq!(of(ExitStatus::from_raw(64)).as_deref(), Some("signal 64"));
        assert_eq!(of(ExitStatus::from_raw(101 << 8)), None);
    }
}
