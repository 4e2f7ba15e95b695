//! The clock meets the holds: what is due is released, in bounded batches, once.
//!
//! Any number of processes may do it. Guarantees that nothing goes while the freshness gate is closed or behind the
//! release date, that what fell due in an outage goes on recovery under its own settlement date,
//! and that a settlement's part closes after its last release.
//!
//! [`Release::release_once`] is the bounded step that the loop and the tests call.

pub(crate) mod booking;
mod gate;
mod limit;
pub(crate) mod recovery;
pub mod rehearsal;
mod reissue;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::{Duration, Instant as Moment};

use jiff::SignedDuration;
use tokio_util::sync::CancellationToken;

use crate::config::Config;
use crate::http::{Heartbeat, Readiness};
use crate::ingest::Rules;
use crate::planted::{Bug, is_planted};
use crate::rules::calendar::Calendars;
use crate::rules::entry::Entry;
use crate::rules::ids::SettlementId;
use crate::rules::money::Amount;
use crate::rules::pause::Pauses;
use crate::rules::recovery::Purse;
use crate::rules::release::{self, Claim, Clock, Judgement, SettlementPart};
use crate::rules::shadow::Mode;
use crate::rules::time::Instant;
use crate::store::agreements::Catalogue;
use crate::store::cases::OrderKey;
use crate::store::due::{DueHold, Hint};
use crate::store::journal::Lines;
use crate::store::recovery::PurseKey;
use crate::store::settlements::SettlementKey;
use crate::store::{Store, StoreError, Tx};
use crate::telemetry;

use booking::{book, close, settled_at, settlement_of};
use gate::age;
use limit::{Overruns, judge};

pub use gate::{Passage, passage};

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
    rules: Arc<Rules>,
    /// Orders of which a limit lets blocked money go: the next step is theirs.
    overrun: BTreeSet<OrderKey>,
    /// Who pays what the step under way releases.
    mode: Mode,
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

impl Release {
    /// A step over this store; `not_before` is the deployment's.
    #[must_use]
    pub fn new(store: Store, config: Arc<Config>, not_before: Instant) -> Self {
        Self {
            store,
            rules: Arc::new(Rules::of(&config)),
            config,
            not_before,
            catalogue: Catalogue::default(),
            overrun: BTreeSet::new(),
            mode: Mode::Live,
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
        let clock = Clock {
            now,
            gate: Some(horizon),
            not_before: self.not_before,
        };
        let pauses = tx.hold_pauses().await?;
        self.mode = tx.release_mode().await?;
        let credits = self.release_credits(&mut tx, horizon, batch_max).await?;
        let apart = if credits > 0 {
            credits
        } else {
            self.reissue_failed(&mut tx, horizon, batch_max).await?
        };
        let step = if apart > 0 {
            Step {
                claimed: apart,
                releases: apart,
                closed: 0,
            }
        } else {
            self.release_due(&mut tx, &pauses, clock, batch_max).await?
        };
        if step == Step::default() {
            tx.rollback().await?;
        } else {
            tx.commit().await?;
        }
        Ok(step)
    }

    /// Releases what holds have due by the gate's moment; when none has, closes settlements.
    async fn release_due(
        &mut self,
        tx: &mut Tx,
        pauses: &Pauses,
        clock: Clock,
        limit: i64,
    ) -> Result<Step, StoreError> {
        let horizon = clock.gate.unwrap_or(clock.now);
        tx.open_catalogue(&mut self.catalogue, &[], false).await?;
        if !self.overrun.is_empty() {
            return self.overrun_once(tx, pauses, clock).await;
        }
        let (claimed, holds) = tx.claim_due(horizon, limit, &mut self.catalogue).await?;
        if claimed == 0 {
            let closed = close(tx, horizon, limit, self.mode).await?;
            return Ok(Step {
                closed,
                ..Step::default()
            });
        }
        let (paused, holds): (Vec<DueHold>, Vec<DueHold>) = holds.into_iter().partition(|due| {
            let claim = &due.claim;
            pauses.over(&claim.merchant, claim.currency).is_some()
        });
        keep(tx, &paused).await?;
        let overruns = self.overruns(tx, &holds, clock).await?;
        let releases = self.release(tx, holds, &overruns, clock).await?;
        self.overrun = overruns.into_keys().collect();
        Ok(Step {
            claimed,
            releases,
            closed: 0,
        })
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
        overruns: &Overruns,
        clock: Clock,
    ) -> Result<usize, StoreError> {
        let mut lines = Lines::default();
        let mut hints = Vec::new();
        let mut judged = Vec::with_capacity(holds.len());
        for due in &mut holds {
            if self.is_outdated(&due.claim) {
                let soon = clock.now.timestamp() + RECOMPUTED_SOON;
                hints.push(hint(due, Instant::new(soon)));
                judged.push(None);
            } else {
                if is_planted(Bug::IgnoreBlocks) {
                    due.claim.hold.blocked = Amount::zero(due.claim.currency);
                }
                judged.push(Some(judge(&due.claim, overruns, clock)));
            }
        }
        let sums = holds.iter().zip(&judged).flat_map(|(due, judgement)| {
            let portions = judgement.iter().flat_map(|it| &it.portions);
            portions.map(|portion| (purse(due), portion.amount))
        });
        let mut purses = recovery::lock(tx, sums.collect()).await?;
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
            let purse = purses.of(&purse(due));
            let mut carried = carry_out(
                &mut due.claim,
                &judgement,
                &skipped,
                &calendars,
                purse,
                clock.now,
            );
            self.mode.cast(&due.claim, &mut carried.entries, clock.now);
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
        tx.save_purses(&mut purses).await?;
        tx.hint(&hints).await?;
        let before = holds.iter().map(|due| (&due.claim, &due.before));
        book(tx, &mut lines, &settled_at(before)).await?;
        Ok(releases)
    }

    /// A hold whose dates stem from an older calendar waits until it is recomputed.
    fn is_outdated(&self, claim: &Claim) -> bool {
        let current = claim.agreement.calendar.as_ref().and_then(|id| {
            self.catalogue
                .calendars()
                .get(id)
                .map(|calendar| calendar.version)
        });
        claim.hold.calendar_version.is_some()
            && current.is_some()
            && claim.hold.calendar_version != current
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
    purse: &mut Purse,
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
        let entries = release::issue(claim, portion, part, purse, now);
        carried.entries.extend(entries);
        carried.releases += 1;
    }
    carried
}

fn purse(due: &DueHold) -> PurseKey {
    (due.claim.merchant.clone(), due.claim.currency)
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
