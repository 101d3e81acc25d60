//! The jobs that are compared.

use profiling_core::profile_job;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

pub mod elsewhere;
pub mod work;

#[profile_job]
pub fn cpu_150us() -> u64 {
    work::cpu_150us()
}

#[profile_job]
pub fn cpu_1ms() -> u64 {
    work::cpu_1ms()
}

#[profile_job]
pub fn cpu_5ms() -> u64 {
    work::cpu_5ms()
}

#[profile_job]
pub fn cpu_20ms() -> u64 {
    work::cpu_20ms()
}

#[profile_job]
pub fn allocations() -> u64 {
    work::allocations()
}

#[profile_job]
pub fn strings() -> usize {
    work::strings()
}

#[profile_job]
pub fn one_allocation() -> usize {
    work::one_allocation()
}

#[profile_job(args(run))]
pub fn rare_allocation(run: u64) -> usize {
    work::rare_allocation(run)
}

#[profile_job(args(run))]
pub fn rarely_slow(run: u64) -> u64 {
    work::rarely_slow(run)
}

#[profile_job]
pub fn rarely_late() {
    work::rarely_late();
}

#[profile_job]
pub fn stream() -> u64 {
    work::stream()
}

#[profile_job]
pub fn chase() -> usize {
    work::chase()
}

#[profile_job]
pub fn echo() -> std::io::Result<usize> {
    work::echo(200)
}

#[profile_job]
pub async fn async_echo() -> std::io::Result<()> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?;
    let server = tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await?;
        let mut buffer = [0; 256];
        for _ in 0..200 {
            stream.read_exact(&mut buffer).await?;
            stream.write_all(&buffer).await?;
        }
        std::io::Result::Ok(())
    });
    let mut stream = TcpStream::connect(address).await?;
    let mut buffer = [7; 256];
    for _ in 0..200 {
        stream.write_all(&buffer).await?;
        stream.read_exact(&mut buffer).await?;
    }
    server.await?
}
