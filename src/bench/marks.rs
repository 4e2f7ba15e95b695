//! Rates out of a row of looks at something that grows.
//!
//! Guarantees that starting up is in no rate: the clock runs from the first growth that was seen to
//! the last.

use std::time::{Duration, Instant as Moment};

/// What was seen, and when.
#[derive(Debug, Clone, Default)]
pub(super) struct Marks(Vec<(Moment, u64)>);

impl Marks {
    /// Notes a look; only growth is kept.
    pub(super) fn note(&mut self, at: Moment, level: u64) {
        if self.0.last().is_none_or(|(_, last)| level > *last) {
            self.0.push((at, level));
        }
    }

    /// How high it was at the last look.
    pub(super) fn level(&self) -> u64 {
        self.0.last().map_or(0, |(_, level)| *level)
    }

    /// How high it was at this moment.
    pub(super) fn level_at(&self, at: Moment) -> u64 {
        let seen = self.0.iter().take_while(|(moment, _)| *moment <= at);
        seen.last().map_or(0, |(_, level)| *level)
    }

    /// When it was as high as this for the first time.
    pub(super) fn reached(&self, level: u64) -> Option<Moment> {
        let mark = self.0.iter().find(|(_, seen)| *seen >= level)?;
        Some(mark.0)
    }

    /// Events per second while it grew from `before` to `end`, where all that growth stands for this
    /// many events. `None` when it grew in one look.
    pub(super) fn rate(&self, events: u64, before: u64, end: u64) -> Option<u64> {
        let (began, first) = self.0.iter().find(|(_, level)| *level > before)?;
        let ended = self.reached(end)?;
        let counted = share(events, end.checked_sub(*first)?, end.checked_sub(before)?);
        per_second(counted, ended.duration_since(*began))
    }
}

/// The part of these events that this part of a growth stands for.
pub(super) fn share(events: u64, part: u64, whole: u64) -> u64 {
    let counted = u128::from(events) * u128::from(part) / u128::from(whole.max(1));
    u64::try_from(counted).unwrap_or(u64::MAX)
}

/// Events per second; `None` when no time has passed.
pub(super) fn per_second(events: u64, took: Duration) -> Option<u64> {
    let rate = (u128::from(events) * 1_000_000).checked_div(took.as_micros())?;
    u64::try_from(rate).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_clock_runs_from_the_first_growth_to_the_last() {
        let start = Moment::now();
        let mut marks = Marks::default();
        let mut note = |second, level| marks.note(start + Duration::from_secs(second), level);
        note(0, 10);
        note(5, 10);
        note(6, 30);
        note(8, 110);
        note(9, 110);
        // 20 of 100 had come when the clock began; the other 80 took 2 s. Each stands for 3 events.
        assert_eq!(marks.rate(300, 10, 110), Some(120));
        assert_eq!(marks.rate(300, 110, 110), None);
        assert_eq!(marks.rate(300, 10, 111), None);
        assert_eq!(marks.level(), 110);
        assert_eq!(marks.level_at(start + Duration::from_secs(7)), 30);
    }
}
