//! A blueprint whose jobs work on real documents, a photo and a table of flights. Each is profiled
//! on the files in `data/`.
//!
//! | job | id | what it does | with |
//! |---|---|---|---|
//! | [`thumbnail`] | 0 | decodes a photo and makes it smaller | `image` |
//! | [`delays`] | 1 | parses a table and adds up its columns | `csv` |
//! | [`compress`] | 2 | compresses a document | `flate2` |
//! | [`decompress`] | 3 | gets it back | `flate2` |
//! | [`busiest_routes`] | 4 | fills a database and queries it | `rusqlite` |
//! | [`fingerprint`] | 5 | identifies a document | `sha2` |
//! | [`deliver`] | 6 | serves a document over HTTP and fetches it | `axum`, `reqwest` |

mod archive;
mod database;
mod delivery;
mod fingerprint;
mod flights;
mod photo;

pub use archive::{compress, decompress};
pub use database::{Route, busiest_routes};
pub use delivery::deliver;
pub use fingerprint::fingerprint;
pub use flights::{Delays, Flight, delays};
pub use photo::thumbnail;

/// Any error of a job.
pub type Error = Box<dyn std::error::Error + Send + Sync>;

/// The documents that the tests work on.
#[cfg(test)]
mod samples {
    pub(crate) const PHOTO: &[u8] = include_bytes!("../data/grace_hopper.jpg");
    const FLIGHTS: &[u8] = include_bytes!("../data/flights.csv.gz");

    pub(crate) fn flights() -> Vec<u8> {
        crate::decompress(FLIGHTS).expect("a gzip file")
    }
}
