use axum::Router;
use axum::body::Bytes;
use axum::routing::get;
use profiling_core::profile_job;
use tokio::net::TcpListener;
use tokio::sync::oneshot;

use crate::Error;

/// Serves a document over HTTP on this machine, fetches it and returns what arrived.
///
/// # Errors
///
/// When there is no free port, or the document can't be fetched.
#[profile_job(
    id = 6,
    samples = 20,
    args(include_bytes!("../data/grace_hopper.jpg").as_slice().into()),
    verify(|arrived| arrived.as_ref().is_ok_and(|arrived| arrived.len() == 61_306)),
)]
pub async fn deliver(document: Bytes) -> Result<Bytes, Error> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?;
    let (stop, stopped) = oneshot::channel::<()>();
    let server = axum::serve(listener, Router::new().route("/document", get(async || document)))
        .with_graceful_shutdown(async { drop(stopped.await) });
    let server = tokio::spawn(server.into_future());

    let response = reqwest::get(format!("http://{address}/document")).await?.error_for_status()?;
    let arrived = response.bytes().await?;

    drop(stop);
    server.await??;
    Ok(arrived)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::samples::PHOTO;

    #[tokio::test]
    async fn what_arrives_is_what_was_sent() {
        assert_eq!(deliver(PHOTO.into()).await.expect("a free port"), PHOTO);
    }
}
