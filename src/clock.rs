//! The only reader of time. The database's clock decides everything; a demo may let it run fast,
//! a test may set it by hand. Nothing else in holdback asks what time it is.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use jiff::{SignedDuration, Timestamp};

use crate::rules::time::Instant;

/// Turns the database's time into the time that the rules see.
#[derive(Debug, Clone, Default)]
pub enum Clock {
    /// The database's time as it is. The only clock of a real deployment.
    #[default]
    Database,
    /// Simulated time: `speed` seconds pass in one second of the database.
    Fast {
        /// Database time at which simulated time began.
        since: Instant,
        /// Simulated time at that moment.
        from: Instant,
        /// Simulated seconds per second, at least 1.
        speed: i32,
    },
    /// Stands still until a test moves it.
    Manual(ManualClock),
}

/// A clock that a test moves by hand; clones share the hand.
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
            Self::Fast { since, from, speed } => {
                let passed = database.timestamp().duration_since(since.timestamp());
                let ahead = passed.checked_mul(*speed).unwrap_or(SignedDuration::MAX);
                Instant::new(
                    from.timestamp()
                        .saturating_add(ahead)
                        .unwrap_or(Timestamp::MAX),
                )
            }
            Self::Manual(hand) => {
                let micros = hand.0.load(Ordering::SeqCst);
                Instant::new(Timestamp::from_microsecond(micros).unwrap_or(Timestamp::MAX))
            }
        }
    }
}
