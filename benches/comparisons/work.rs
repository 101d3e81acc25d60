//! What the jobs do, and what criterion measures.

use std::collections::HashMap;
use std::hint::black_box;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// Whether this is the version in which jobs are slower and allocate more.
const CHANGED: bool = cfg!(feature = "changed");
/// By how many per cent the first CPU-bound job and the first of the allocations are slower.
const SLOWER: u64 = if CHANGED { 5 } else { 0 };

/// So many dependent multiplications, about a nanosecond each.
fn multiply(count: u64) -> u64 {
    (0..count).fold(black_box(1), |product, number| black_box(product ^ number).wrapping_mul(0x9e37_79b9_7f4a_7c15))
}

pub fn cpu_150us() -> u64 {
    multiply(100_000)
}

pub fn cpu_1ms() -> u64 {
    multiply(6_500 * (100 + SLOWER))
}

pub fn cpu_5ms() -> u64 {
    multiply(3_250_000)
}

pub fn cpu_20ms() -> u64 {
    multiply(13_000_000)
}

/// Slower by work on what is allocated.
pub fn allocations() -> u64 {
    let mut sum = 0;
    for size in 0..10_000_u64 {
        let text = vec![size; 1 + size as usize % 32];
        sum ^= text.iter().sum::<u64>() ^ multiply(100 + SLOWER);
    }
    sum
}

pub fn strings() -> usize {
    let mut counts: HashMap<String, usize> = HashMap::new();
    for number in 0..20_000_u32 {
        *counts.entry(format!("key {}", number % 977)).or_default() += 1;
    }
    counts.values().copied().max().unwrap_or_default()
}

/// Some thousand allocations, and one more.
pub fn one_allocation() -> usize {
    let texts: Vec<String> = (0..2_000_u32).map(|number| number.to_string()).collect();
    if CHANGED {
        drop(black_box(Box::new(0_u8)));
    }
    texts.iter().map(String::len).sum()
}

/// The same, with one more in every sixteenth execution.
pub fn rare_allocation(run: u64) -> usize {
    let texts: Vec<String> = (0..2_000_u32).map(|number| number.to_string()).collect();
    if CHANGED && run % 16 == 7 {
        drop(black_box(Box::new(0_u8)));
    }
    texts.iter().map(String::len).sum()
}

/// Every sixteenth run takes three times as long.
pub fn rarely_slow(run: u64) -> u64 {
    multiply(if CHANGED && run % 16 == 7 { 300_000 } else { 100_000 })
}

/// Every sixteenth execution of a process waits three times as long.
pub fn rarely_late() {
    static EXECUTIONS: AtomicU64 = AtomicU64::new(0);
    let late = CHANGED && EXECUTIONS.fetch_add(1, Ordering::Relaxed) % 16 == 7;
    std::thread::sleep(Duration::from_millis(if late { 3 } else { 1 }));
}

pub fn stream() -> u64 {
    let numbers: Vec<u64> = (0..2 << 20).collect();
    black_box(&numbers).iter().fold(0, |sum: u64, number| sum.wrapping_add(*number))
}

pub fn chase() -> usize {
    let count = 1 << 19;
    let next: Vec<usize> = (0..count).map(|at| (at * 421 + 7) % count).collect();
    (0..200_000).fold(0, |at, _| next[at])
}

/// A server that answers, and requests to it.
pub fn echo(requests: usize) -> std::io::Result<usize> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let address = listener.local_addr()?;
    let server = std::thread::spawn(move || -> std::io::Result<()> {
        let (mut stream, _) = listener.accept()?;
        let mut buffer = [0; 256];
        for _ in 0..requests {
            stream.read_exact(&mut buffer)?;
            stream.write_all(&buffer)?;
        }
        Ok(())
    });
    let mut stream = TcpStream::connect(address)?;
    let mut buffer = [7; 256];
    for _ in 0..requests {
        stream.write_all(&buffer)?;
        stream.read_exact(&mut buffer)?;
    }
    server.join().expect("it doesn't panic")?;
    Ok(requests)
}
