//! The only reader of time. The database's clock decides everything; the demo and tests set it by
//! hand. Nothing else in holdback asks what time it is.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use jiff::Timestamp;

use crate::rules::time::Instant;

/// Turns the database's time into the time that the rules see.
#[derive(Debug, Clone, Default)]
pub enum Clock {
    /// The database's time as it is. The only clock of a real deployment.
    #[default]
    Database,
    /// Stands still until someone moves it.
    Manual(ManualClock),
}

/// A clock that the demo or a test moves by hand; clones share the hand.
#[derive(Debug, Clone)]
pub struct ManualClock(Arc<AtomicI64>);

impl ManualClock {
    /// Stands at this instant.
    #[must_use]
    pub fn at(instant: Instant) -> Self {
        Self(Arc::new(AtomicI64::new(
            instant.timestamp().as_microsecond(),
        )))
    }

    /// What it shows.
    #[must_use]
    pub fn now(&self) -> Instant {
        let micros = self.0.load(Ordering::SeqCst);
        Instant::new(Timestamp::from_microsecond(micros).unwrap_or(Timestamp::MAX))
    }

    /// Moves the hand.
    pub fn set(&self, instant: Instant) {
        self.0
            .store(instant.timestamp().as_microsecond(), Ordering::SeqCst);
    }
}

impl Clock {
    /// The rules' time at this database time.
    #[must_use]
    pub fn at(&self, database: Instant) -> Instant {
        match self {
            Self::Database => database,
            Self::Manual(hand) => hand.now(),
        }
    }
}
