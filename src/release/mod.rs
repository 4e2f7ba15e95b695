//! The clock meets the holds: what is due is released, in bounded batches, once.
//!
//! Any number of processes may do it. Guarantees that nothing goes while the freshness gate is closed or behind the
//! release date, that what fell due in an outage goes on recovery under its own settlement date,
//! and that a settlement's part closes after its last release.
//!
//! [`Release::release_once`] is the bounded step that the loop and the tests call.

pub(crate) mod booking;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant as Moment};

use jiff::SignedDuration;
use tokio_util::sync::CancellationToken;

use crate::config::{self, Config};
use crate::http::{Heartbeat, Readiness};
use crate::planted::{Bug, is_planted};
use crate::rules::calendar::Calendars;
use crate::rules::entry::Entry;
use crate::rules::ids::SettlementId;
use crate::rules::money::Amount;
use crate::rules::release::{self, Claim, Clock, Judgement, SettlementPart};
use crate::rules::time::Instant;
use crate::store::agreements::Catalogue;
use crate::store::due::{DueHold, Hint};
use crate::store::journal::Lines;
use crate::store::positions::Gate;
use crate::store::settlements::SettlementKey;
use crate::store::{Store, StoreError, Tx};
use crate::telemetry;

use booking::{book, close, settled_at, settlement_of};

/// How long the loop rests when nothing is due.
const PAUSE: Duration = Duration::from_millis(200);
/// How soon a hold is looked at again whose dates are being recomputed.
const RECOMPUTED_SOON: SignedDuration = SignedDuration::from_secs(1);

/// The release step with what it remembers between batches.
#[derive(Debug)]
pub struct Release {
    store: Store,
    config: Arc<Config>,
    not_before: Instant,
    catalogue: Catalogue,
}

/// What one step came to.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Step {
    /// Hints consumed; a full batch means that there may be more.
    pub claimed: usize,
    pub releases: usize,
    /// Settlement parts closed.
    pub closed: usize,
}

/// The gate with the verdict on it.
#[derive(Debug, Clone)]
pub struct Passage {
    pub now: Instant,
    pub gate: Gate,
    /// Releases up to this date may go; `None`: the gate is closed.
    pub until: Option<Instant>,
}

impl Release {
    /// A step over this store; `not_before` is the deployment's.
    #[must_use]
    pub fn new(store: Store, config: Arc<Config>, not_before: Instant) -> Self {
        Self {
            store,
            config,
            not_before,
            catalogue: Catalogue::default(),
        }
    }

    /// Releases a batch of what is due; when nothing more is due, closes settlements.
    ///
    /// # Errors
    /// When the database fails; the step has then had no effect.
    pub async fn release_once(&mut self) -> Result<Step, StoreError> {
        let answer = self.try_once().await;
        if answer.is_err() {
            self.catalogue = Catalogue::default();
        }
        answer
    }

    async fn try_once(&mut self) -> Result<Step, StoreError> {
        let mut tx = self.store.begin().await?;
        let passage = self.passage(&mut tx).await?;
        let Some(horizon) = passage.until else {
            tx.rollback().await?;
            return Ok(Step::default());
        };
        let (now, horizon) = if is_planted(Bug::ReleaseEarly) {
            let ahead = tx.now.plus_hours(2 * 365 * 24).unwrap_or(Instant::MAX);
            (ahead, ahead)
        } else {
            (tx.now, horizon)
        };
        let batch_max = i64::from(self.config.release.batch_max);
        let pauses = tx.hold_pauses().await?;
        tx.open_catalogue(&mut self.catalogue, &[], false).await?;
        let (claimed, holds) = tx
            .claim_due(horizon, batch_max, &mut self.catalogue)
            .await?;
        let step = if claimed == 0 {
            let closed = close(&mut tx, horizon, batch_max).await?;
            Step {
                closed,
                ..Step::default()
            }
        } else {
            let clock = Clock {
                now,
                gate: Some(horizon),
                not_before: self.not_before,
            };
            let (paused, holds): (Vec<DueHold>, Vec<DueHold>) =
                holds.into_iter().partition(|due| {
                    pauses
                        .over(&due.claim.merchant, due.claim.currency)
                        .is_some()
                });
            keep(&mut tx, &paused).await?;
            let releases = self.release(&mut tx, holds, clock).await?;
            Step {
                claimed,
                releases,
                closed: 0,
            }
        };
        if step == Step::default() {
            tx.rollback().await?;
        } else {
            tx.commit().await?;
        }
        Ok(step)
    }

    /// How far the gate lets releases pass at this moment.
    async fn passage(&self, tx: &mut Tx) -> Result<Passage, StoreError> {
        let topics = self.config.topics.inputs().map(str::to_owned);
        let gate = tx.gate(&topics).await?;
        let mut passage = passage(tx.now, gate, &self.config.release);
        if is_planted(Bug::ForgetGate) {
            passage.until = Some(tx.now);
        }
        telemetry::gate(
            passage.until.is_some(),
            passage
                .gate
                .moment
                .and_then(|moment| age(passage.now, moment).try_into().ok()),
        );
        Ok(passage)
    }

    async fn release(
        &mut self,
        tx: &mut Tx,
        mut holds: Vec<DueHold>,
        clock: Clock,
    ) -> Result<usize, StoreError> {
        let mut lines = Lines::default();
        let mut hints = Vec::new();
        let mut judged = Vec::with_capacity(holds.len());
        for due in &mut holds {
            if self.is_outdated(due) {
                let soon = clock.now.timestamp() + RECOMPUTED_SOON;
                hints.push(hint(due, Instant::new(soon)));
                judged.push(None);
            } else {
                if is_planted(Bug::IgnoreBlocks) {
                    due.claim.hold.blocked = Amount::zero(due.claim.currency);
                }
                judged.push(Some(release::judge(&due.claim, clock)));
            }
        }
        let skipped = self.under_minimum(tx, &holds, &judged, clock.now).await?;
        for (key, entry) in &skipped {
            lines.add(&key.0, entry.clone(), None);
        }
        let calendars = self.catalogue.calendars();
        let mut releases = 0;
        for (due, judgement) in holds.iter_mut().zip(judged) {
            let Some(judgement) = judgement else {
                continue;
            };
            let merchant = due.claim.merchant.clone();
            let carried = carry_out(&mut due.claim, &judgement, &skipped, &calendars, clock.now);
            if is_planted(Bug::DecideTwice) {
                lines.add(&merchant, carried.entries.clone(), None);
            }
            lines.add(&merchant, carried.entries, None);
            releases += carried.releases;
            if judgement.limit_alert {
                tracing::warn!(alarm = "limit_reached", merchant = %merchant, order = %due.claim.order, "a hold is past its limit and waits for a person");
                lines.add(
                    &merchant,
                    [release::limit_reached(&mut due.claim, clock.now)],
                    None,
                );
            }
            if let Some(wake_at) = carried.wake_at {
                hints.push(hint(due, wake_at));
            }
        }
        tx.save_due(&holds).await?;
        tx.hint(&hints).await?;
        let before = holds.iter().map(|due| (&due.claim, &due.before));
        book(tx, &mut lines, &settled_at(before)).await?;
        Ok(releases)
    }

    /// A hold whose dates stem from an older calendar waits until it is recomputed.
    fn is_outdated(&self, due: &DueHold) -> bool {
        let current = due.claim.agreement.calendar.as_ref().and_then(|id| {
            self.catalogue
                .calendars()
                .get(id)
                .map(|calendar| calendar.version)
        });
        due.claim.hold.calendar_version.is_some()
            && current.is_some()
            && due.claim.hold.calendar_version != current
    }
}

/// What became of a judgement.
pub(crate) struct Carried {
    /// Releases, and moves to the next settlement.
    pub(crate) entries: Vec<Entry>,
    pub(crate) releases: usize,
    /// When to look at the hold again.
    pub(crate) wake_at: Option<Instant>,
}

/// Releases what may go, or moves it on where its settlement is skipped. The settlement's part is
/// not known here: it is 0 until the release is booked.
pub(crate) fn carry_out(
    claim: &mut Claim,
    judgement: &Judgement,
    skipped: &BTreeMap<SettlementKey, Option<Entry>>,
    calendars: &Calendars,
    now: Instant,
) -> Carried {
    let mut carried = Carried {
        entries: Vec::with_capacity(judgement.portions.len()),
        releases: 0,
        wake_at: judgement.wake_at,
    };
    for portion in &judgement.portions {
        let key = settlement_of(claim, portion);
        let moved = key
            .as_ref()
            .filter(|key| skipped.contains_key(*key))
            .and_then(|_| release::carry_over(claim, portion, calendars));
        if let Some(entry) = moved {
            carried.entries.push(entry);
            carried.wake_at = release::wake_at(&claim.hold);
            continue;
        }
        let part = key.map(|(merchant, currency, day)| SettlementPart {
            id: SettlementId::of(&merchant, currency, day),
            part: 0,
        });
        let entry = release::issue(claim, portion, part, now);
        carried.entries.push(entry);
        carried.releases += 1;
    }
    carried
}

fn hint(due: &DueHold, due_at: Instant) -> Hint {
    Hint {
        due_at,
        merchant: due.claim.merchant.clone(),
        order: due.claim.order.clone(),
        term_no: due.claim.hold.term_no,
        currency: due.claim.currency,
    }
}

/// Keeps holds that are paused from being looked at until the pause ends; they go by their own dates
/// then.
async fn keep(tx: &mut Tx, paused: &[DueHold]) -> Result<(), StoreError> {
    let wake_at = |due: &DueHold| release::wake_at(&due.claim.hold).unwrap_or(tx.now);
    let left = paused.iter().filter(|due| !due.claim.hold.left.is_zero());
    let hints: Vec<Hint> = left.map(|due| hint(due, wake_at(due))).collect();
    tx.hint_paused(&hints).await
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

fn age(now: Instant, moment: Instant) -> SignedDuration {
    now.timestamp().duration_since(moment.timestamp())
}

/// Releases until stopped.
pub async fn run(
    mut release: Release,
    readiness: Arc<Readiness>,
    heartbeat: Heartbeat,
    stop: CancellationToken,
) {
    while !stop.is_cancelled() {
        heartbeat.beat();
        let began = Moment::now();
        match release.release_once().await {
            Ok(step) => {
                readiness.set("release", Ok(()));
                if step != Step::default() {
                    telemetry::release_batch(
                        u64::try_from(step.releases).unwrap_or(u64::MAX),
                        began.elapsed(),
                    );
                    continue;
                }
            }
            Err(error) => {
                if !error.passes() {
                    readiness.set("release", Err(error.to_string()));
                }
                tracing::warn!(
                    error = telemetry::chain(&error),
                    "a release step failed and is tried again"
                );
            }
        }
        tokio::select! {
            () = stop.cancelled() => {}
            () = tokio::time::sleep(PAUSE) => {}
        }
    }
}
