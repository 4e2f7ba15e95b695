//! How long an act is tried again.

use std::time::{Duration, Instant as Moment};

use super::{Answer, OperatorError};

/// How often the gate is looked at again while an early release waits for it.
const PAUSE: Duration = Duration::from_millis(100);

/// Until when an act is tried again while only the gate or a moment's trouble of the database is in
/// its way.
pub(super) struct Patience(Moment);

impl Patience {
    /// So long from now on.
    pub(super) fn of(long: Duration) -> Self {
        Self(Moment::now() + long)
    }

    /// Waits a little if it makes sense to try again after this answer.
    pub(super) async fn waits_after(&self, answer: &Result<Answer, OperatorError>) -> bool {
        let passes = match answer {
            Err(OperatorError::Gate(_)) => true,
            Err(OperatorError::Store(error)) => error.passes(),
            _ => false,
        };
        if !passes || !self.lasts() {
            return false;
        }
        self.pause().await;
        true
    }

    pub(super) fn lasts(&self) -> bool {
        Moment::now() < self.0
    }

    pub(super) async fn pause(&self) {
        tokio::time::sleep(PAUSE).await;
    }
}
