//! Printing that a closed pipe or a full disk behind it can't stop: `cargo test … | head` must not cost a
//! job its profile.

/// `println!` that ignores errors.
macro_rules! say {
    ($($text:tt)*) => {{
        use std::io::Write as _;
        let _ = writeln!(std::io::stdout(), $($text)*);
    }};
}

/// `eprintln!` that ignores errors.
macro_rules! complain {
    ($($text:tt)*) => {{
        use std::io::Write as _;
        let _ = writeln!(std::io::stderr(), $($text)*);
    }};
}
