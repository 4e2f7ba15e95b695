//! The HTTP server: `/livez`, `/readyz` and `/metrics`. It never touches Kafka or Postgres;
//! the loops tell it how they are.

mod health;
mod metrics;

use std::future::IntoFuture as _;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::routing::get;
use metrics_exporter_prometheus::PrometheusHandle;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

pub use health::{Heartbeat, Liveness, Readiness};

/// What the routes show.
#[derive(Clone)]
pub struct State {
    pub liveness: Arc<Liveness>,
    pub readiness: Arc<Readiness>,
    pub metrics: PrometheusHandle,
}

/// Takes the address; with port 0 the listener knows which port it got.
///
/// # Errors
/// When the address can't be had, with the address in the message.
pub async fn bind(addr: SocketAddr) -> io::Result<TcpListener> {
    let listener = TcpListener::bind(addr).await.map_err(|error| {
        io::Error::new(error.kind(), format!("can't listen on {addr}: {error}"))
    })?;
    tracing::info!(addr = %listener.local_addr()?, "http listens");
    Ok(listener)
}

/// How long a request that has begun may still take when the server is told to stop.
const GRACE: Duration = Duration::from_secs(3);

/// Serves until told to stop, then finishes the requests that it has begun, within a few seconds:
/// an asker who stopped in the middle of a request must not hold the process up.
///
/// # Errors
/// When the listener fails for good.
pub async fn serve(
    listener: TcpListener,
    state: State,
    shutdown: CancellationToken,
) -> io::Result<()> {
    let stopped = shutdown.clone();
    let serving = axum::serve(listener, routes(state))
        .with_graceful_shutdown(stopped.cancelled_owned())
        .into_future();
    let overdue = async {
        shutdown.cancelled().await;
        tokio::time::sleep(GRACE).await;
    };
    // No request uses the database, so one that is dropped half-way leaves nothing behind.
    tokio::select! {
        ended = serving => ended,
        () = overdue => Ok(()),
    }
}

fn routes(state: State) -> Router {
    Router::new()
        .route("/livez", get(health::livez))
        .route("/readyz", get(health::readyz))
        .route("/metrics", get(metrics::metrics))
        .with_state(state)
}
