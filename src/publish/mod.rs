//! The journal goes out, and is read back.
//!
//! One publisher at a time sends what was not read back yet, in Kafka transactions. An event counts as published only when it was seen in the
//! topic; whatever a send claimed, what is missing there is sent again and what is there is not.
//!
//! Kafka's transactions alone don't promise that with librdkafka (no KIP-890: a delayed end of one
//! transaction can end the next). So a producer is replaced after anything suspicious, and the
//! topic itself is the witness.

mod marks;
pub(crate) mod outputs;
mod records;
mod seen;
mod session;

use std::sync::Arc;
use std::time::{Duration, Instant as Moment};

use tokio::runtime::Handle;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::config::Topics;
use crate::http::{Heartbeat, Readiness};
use crate::kafka::{self, Admin, KafkaSettings};
use crate::planted::{Bug, is_planted};
use crate::store::{Store, StoreError};
use crate::telemetry;

use outputs::OutputError;
pub(crate) use records::buried_at;
use session::Session;

/// How long a lease lasts.
const LEASE_SECONDS: i32 = 15;
/// How long to rest when there is nothing to publish.
const PAUSE: Duration = Duration::from_millis(25);
/// How long to rest after a failure, or while another process publishes.
const WAIT: Duration = Duration::from_millis(500);
/// How long to rest while a person has to look.
const FAULT: Duration = Duration::from_secs(5);
/// How long the broker may take to answer a question or to fence an older producer.
const PATIENCE: Duration = Duration::from_secs(30);

/// What a publisher is made of.
#[derive(Debug, Clone)]
pub struct Setup {
    pub store: Store,
    pub kafka: KafkaSettings,
    pub admin: Arc<Admin>,
    pub topics: Topics,
    pub batch_max: i64,
    pub readiness: Arc<Readiness>,
    pub heartbeat: Heartbeat,
    pub stop: CancellationToken,
}

/// Why a session ended.
#[derive(Debug, thiserror::Error)]
enum SessionError {
    #[error(transparent)]
    Store(StoreError),
    #[error(transparent)]
    Kafka(#[from] kafka::Error),
    #[error("another process publishes now")]
    Lost,
    #[error("{0}")]
    Fault(String),
}

impl From<StoreError> for SessionError {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::LostPartition => Self::Lost,
            error => Self::Store(error),
        }
    }
}

impl From<OutputError> for SessionError {
    fn from(error: OutputError) -> Self {
        match error {
            OutputError::Kafka(error) => Self::Kafka(error),
            cut @ OutputError::Cut { .. } => Self::Fault(cut.to_string()),
        }
    }
}

/// Publishes on this thread until stopped.
pub fn run(setup: &Setup, handle: &Handle) {
    let owner = Uuid::from_u128(rand::random());
    while !setup.stop.is_cancelled() {
        setup.heartbeat.beat();
        match turn(setup, handle, owner) {
            Ok(()) => {}
            Err(SessionError::Fault(fault)) => {
                tracing::error!(
                    alarm = "publisher_fault",
                    fault,
                    "nothing is published or released; see the README, \"When the topic and the database disagree\""
                );
                setup.readiness.set("publish", Err(fault.clone()));
                if let Err(error) = handle.block_on(setup.store.note_fault(&fault)) {
                    tracing::warn!(%error, "could not note the fault");
                }
                wait(setup, FAULT);
            }
            Err(SessionError::Lost) => {
                setup.readiness.set("publish", Ok(()));
                if is_planted(Bug::GiveUp) {
                    return;
                }
            }
            Err(error) => {
                tracing::warn!(
                    error = telemetry::chain(&error),
                    "publishing failed and begins anew"
                );
                if is_planted(Bug::GiveUp) {
                    return;
                }
                setup.readiness.set("publish", Err(error.to_string()));
            }
        }
        wait(setup, WAIT);
    }
    if let Err(error) = handle.block_on(setup.store.leave_publisher(owner)) {
        tracing::info!(%error, "could not give the publisher's lease back; it expires");
    }
}

fn wait(setup: &Setup, long: Duration) {
    let until = Moment::now() + long;
    while Moment::now() < until && !setup.stop.is_cancelled() {
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// Takes the lease, publishes until it is lost, something fails or the process stops.
fn turn(setup: &Setup, handle: &Handle, owner: Uuid) -> Result<(), SessionError> {
    let mut session = Session::open(setup, handle, owner)?;
    setup.readiness.set("publish", Ok(()));
    while !setup.stop.is_cancelled() {
        setup.heartbeat.beat();
        session.keep_lease()?;
        session.compare_clocks()?;
        if session.publish_once()? == 0 {
            wait(setup, PAUSE);
        }
    }
    Ok(())
}
