//! The only reader of time. The database's clock decides everything; the demo and tests set it by
//! hand.
//!
//! What time this process has is asked only to compare the clocks of process, database and broker:
//! where they disagree, one of them is wrong, and nobody knows which.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use jiff::Timestamp;

use crate::rules::time::Instant;

/// By how much clocks may disagree before nothing is released.
pub const APART_MAX: Duration = Duration::from_secs(30);

/// What time this process has.
#[must_use]
#[expect(
    clippy::disallowed_methods,
    reason = "compared with the other clocks, never decided by"
)]
pub fn of_this_process() -> Instant {
    Instant::new(Timestamp::now())
}

/// By how much another clock's answer lies outside of the time between question and answer, by the
/// clock of this process: the least by which the two disagree.
#[must_use]
pub fn apart(asked: Instant, answer: Instant, answered: Instant) -> Duration {
    let after = |one: Instant, other: Instant| {
        let gap = one.timestamp().duration_since(other.timestamp());
        Duration::try_from(gap).unwrap_or_default()
    };
    after(asked, answer).max(after(answer, answered))
}

/// Says so, if that is too much.
#[must_use]
pub fn disagreement(whose: &str, apart: Duration) -> Option<String> {
    (apart > APART_MAX).then(|| {
        format!(
            "the clocks of {whose}, which disagree by {} s",
            apart.as_secs()
        )
    })
}

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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clocks_disagree_by_what_no_delay_explains() {
        let at = |second: i64| Instant::new(Timestamp::from_second(second).unwrap());
        let seconds = |answer| apart(at(100), at(answer), at(110)).as_secs();
        assert_eq!(
            [90, 99, 100, 105, 110, 111, 150].map(seconds),
            [10, 1, 0, 0, 0, 1, 40]
        );
        assert_eq!(disagreement("a and b", APART_MAX), None);
        let says = disagreement("a and b", Duration::from_secs(31)).unwrap();
        assert_eq!(says, "the clocks of a and b, which disagree by 31 s");
    }
}
