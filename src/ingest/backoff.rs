//! How long a worker rests between attempts at what failed.

use std::time::Duration;

/// The first pause after a failure; doubled up to [`PAUSE_MAX`].
const PAUSE_MIN: Duration = Duration::from_millis(50);
const PAUSE_MAX: Duration = Duration::from_secs(5);

/// Pauses that grow until something succeeds.
#[derive(Debug)]
pub(super) struct Backoff(Duration);

impl Backoff {
    pub(super) fn new() -> Self {
        Self(PAUSE_MIN)
    }

    /// The pause before the next attempt.
    pub(super) fn next(&mut self) -> Duration {
        let pause = self.0;
        self.0 = (pause * 2).min(PAUSE_MAX);
        pause
    }

    /// It has worked.
    pub(super) fn reset(&mut self) {
        *self = Self::new();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_outage_is_met_with_at_most_one_attempt_in_five_seconds_after_the_first_seconds() {
        let mut backoff = Backoff::new();
        let mut attempts = 0;
        let mut spent = Duration::ZERO;
        while spent < Duration::from_secs(600) {
            spent += backoff.next();
            attempts += 1;
        }
        assert!((120..=127).contains(&attempts), "{attempts} in 10 minutes");
        assert_eq!(backoff.next(), PAUSE_MAX);
        backoff.reset();
        assert_eq!(backoff.next(), PAUSE_MIN);
    }
}
