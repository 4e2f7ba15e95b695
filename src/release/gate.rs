//! How far the freshness gate lets releases pass: what it knows, and the verdict on it.

use jiff::SignedDuration;

use crate::config;
use crate::rules::time::Instant;
use crate::store::positions::Gate;

/// The gate with the verdict on it.
#[derive(Debug, Clone)]
pub struct Passage {
    pub now: Instant,
    pub gate: Gate,
    /// Releases up to this date may go; `None`: the gate is closed.
    pub until: Option<Instant>,
}

/// How far a gate lets releases pass at `now` (contract, section 6, "The freshness gate").
#[must_use]
pub fn passage(now: Instant, gate: Gate, settings: &config::Release) -> Passage {
    let seconds = |seconds: u32| SignedDuration::from_secs(i64::from(seconds));
    let until = gate
        .moment
        .filter(|moment| age(now, *moment) <= seconds(settings.max_staleness_seconds))
        .and_then(|moment| {
            let margin = seconds(settings.margin_seconds);
            moment.timestamp().checked_sub(margin).ok()
        })
        .map(|moment| Instant::new(moment).min(now));
    Passage { now, gate, until }
}

pub(super) fn age(now: Instant, moment: Instant) -> SignedDuration {
    now.timestamp().duration_since(moment.timestamp())
}
