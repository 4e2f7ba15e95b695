//! The clock meets the holds: what is due is released, in bounded batches, once.
//!
//! Any number of processes may do it. Guarantees that nothing goes while the freshness gate is closed or behind the
//! release date, that what fell due in an outage goes on recovery under its own settlement date,
//! and that a settlement's part closes after its last release.
//!
//! [`Release::release_once`] is the bounded step that the loop and the tests call.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;
use std::time::{Duration, Instant as Moment};

use jiff::SignedDuration;
use tokio_util::sync::CancellationToken;

use crate::config::{self, Config};
use crate::http::{Heartbeat, Readiness};
use crate::rules::entry::{Entry, Event, ReleaseReason, SettlementClosed, SettlementSkipped};
use crate::rules::ids::{MerchantId, SettlementId};
use crate::rules::money::Amount;
use crate::rules::release::{self, Clock, Judgement, Portion, SettlementPart};
use crate::rules::time::Instant;
use crate::store::agreements::Catalogue;
use crate::store::due::{DueHold, Hint};
use crate::store::journal::Lines;
use crate::store::positions::Gate;
use crate::store::settlements::{Addition, ClosedPart, SettlementKey, Skip};
use crate::store::{Store, StoreError, Tx};
use crate::telemetry;

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
        let batch_max = i64::from(self.config.release.batch_max);
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
                now: tx.now,
                gate: Some(horizon),
                not_before: self.not_before,
            };
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
        let passage = passage(tx.now, gate, &self.config.release);
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
        for due in &holds {
            if self.is_outdated(due) {
                let soon = clock.now.timestamp() + RECOMPUTED_SOON;
                hints.push(hint(due, Instant::new(soon)));
                judged.push(None);
            } else {
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
            let mut wake_at = judgement.wake_at;
            for portion in &judgement.portions {
                let key = settlement_of(due, portion);
                let carried = key
                    .as_ref()
                    .filter(|key| skipped.contains_key(*key))
                    .and_then(|_| release::carry_over(&mut due.claim, portion, &calendars));
                if let Some(entry) = carried {
                    lines.add(&merchant, [entry], None);
                    wake_at = release::wake_at(&due.claim.hold);
                    continue;
                }
                // The part's number is known only once the settlement's row is locked.
                let part = key.map(|(merchant, currency, day)| SettlementPart {
                    id: SettlementId::of(&merchant, currency, day),
                    part: 0,
                });
                let entry = release::issue(&mut due.claim, portion, part, clock.now);
                lines.add(&merchant, [entry], None);
                releases += 1;
            }
            if judgement.limit_alert {
                tracing::warn!(alarm = "limit_reached", merchant = %merchant, order = %due.claim.order, "a hold is past its limit and waits for a person");
                lines.add(
                    &merchant,
                    [release::limit_reached(&mut due.claim, clock.now)],
                    None,
                );
            }
            if let Some(wake_at) = wake_at {
                hints.push(hint(due, wake_at));
            }
        }
        tx.save_due(&holds).await?;
        tx.hint(&hints).await?;
        book(tx, &mut lines, &settled_at(&holds)).await?;
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

    /// The settlements among these that are under their minimum at their first pass and may wait,
    /// each with the event that says so.
    async fn under_minimum(
        &self,
        tx: &mut Tx,
        holds: &[DueHold],
        judged: &[Option<Judgement>],
        now: Instant,
    ) -> Result<BTreeMap<SettlementKey, Option<Entry>>, StoreError> {
        let mut groups: BTreeMap<SettlementKey, Group> = BTreeMap::new();
        let calendars = self.catalogue.calendars();
        for (due, judgement) in holds.iter().zip(judged) {
            for portion in judgement.iter().flat_map(|judgement| &judgement.portions) {
                let Some(key) = settlement_of(due, portion) else {
                    continue;
                };
                let currency = due.claim.currency;
                let minimum = Amount::from_plain(due.claim.agreement.settlement.minimum, currency)
                    .unwrap_or_else(|_| Amount::zero(currency));
                let group = groups.entry(key).or_insert_with(|| Group::empty(currency));
                group.due = group.due.plus(portion.amount).unwrap_or(group.due);
                group.minimum = group.minimum.max(minimum);
                if !minimum.is_zero() || !group.minimum.is_zero() {
                    let mut trial = due.claim.clone();
                    let waits = release::carry_over(&mut trial, portion, &calendars).is_some();
                    group.may_wait &= waits;
                }
            }
        }
        groups.retain(|_, group| !group.minimum.is_zero() && group.may_wait);
        if groups.is_empty() {
            return Ok(BTreeMap::new());
        }
        let merchants: BTreeSet<MerchantId> = groups.keys().map(|key| key.0.clone()).collect();
        let merchants: Vec<MerchantId> = merchants.into_iter().collect();
        for (key, more) in tx.still_due(&merchants, now).await? {
            if let Some(group) = groups.get_mut(&key)
                && let Ok(more) = Amount::new(more, key.1)
            {
                group.due = group.due.plus(more).unwrap_or(group.due);
            }
        }
        groups.retain(|_, group| group.due < group.minimum);
        let keys: Vec<(SettlementKey, Instant)> =
            groups.keys().map(|key| (key.clone(), now)).collect();
        let answers = tx.skip_settlements(&keys).await?;
        Ok(groups
            .into_iter()
            .filter_map(|(key, group)| match answers.get(&key)? {
                Skip::Begun => None,
                Skip::Again => Some((key, None)),
                Skip::First => {
                    let entry = skipped(&key, &group);
                    Some((key, Some(entry)))
                }
            })
            .collect())
    }
}

/// What is due of one settlement.
struct Group {
    due: Amount,
    minimum: Amount,
    may_wait: bool,
}

impl Group {
    fn empty(currency: crate::rules::money::Currency) -> Self {
        Self {
            due: Amount::zero(currency),
            minimum: Amount::zero(currency),
            may_wait: true,
        }
    }
}

/// The settlement that a portion belongs to; none for releases by limit.
fn settlement_of(due: &DueHold, portion: &Portion) -> Option<SettlementKey> {
    let dates = portion
        .dates
        .filter(|_| portion.reason == ReleaseReason::Due)?;
    let claim = &due.claim;
    Some((claim.merchant.clone(), claim.currency, dates.settlement_on))
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

fn skipped(key: &SettlementKey, group: &Group) -> Entry {
    let id = SettlementId::of(&key.0, key.1, key.2);
    let event = Event::SettlementSkipped(SettlementSkipped {
        settlement_id: id,
        settlement_date: key.2,
        due: group.due,
        minimum: group.minimum,
    });
    of_settlement(key, event, "skipped".to_owned())
}

fn of_settlement(key: &SettlementKey, event: Event, cause: String) -> Entry {
    Entry {
        event,
        order: None,
        hold: None,
        currency: Some(key.1),
        transfer: None,
        cause,
        traceparent: None,
    }
}

/// When each settlement among these holds is settled.
fn settled_at(holds: &[DueHold]) -> HashMap<SettlementKey, Instant> {
    let mut instants: HashMap<SettlementKey, Instant> = HashMap::new();
    for due in holds {
        let claim = &due.claim;
        let tails = due.before.tails.iter().map(|tail| tail.dates);
        for dates in due.before.dates.into_iter().chain(tails) {
            let key = (claim.merchant.clone(), claim.currency, dates.settlement_on);
            let at = instants.entry(key).or_insert(dates.release_at);
            *at = (*at).max(dates.release_at);
        }
    }
    instants
}

/// Numbers the lines, adds the releases among them to their settlements, and writes them with the
/// parts that they came into.
async fn book(
    tx: &mut Tx,
    lines: &mut Lines,
    settled_at: &HashMap<SettlementKey, Instant>,
) -> Result<(), StoreError> {
    if lines.is_empty() {
        return Ok(());
    }
    let numbers = tx.number_lines(lines).await?;
    let mut additions: BTreeMap<SettlementKey, Addition> = BTreeMap::new();
    for (merchant, lines) in lines.iter_mut() {
        let first = numbers.get(merchant).map_or(0, |given| given.first);
        for (sequence, line) in (first..).zip(lines.iter()) {
            let Some((key, gross)) = settled_by(merchant, &line.entry) else {
                continue;
            };
            let settled_at = settled_at.get(&key).copied().unwrap_or(tx.now);
            let addition = additions.entry(key).or_insert_with(|| Addition {
                settled_at,
                releases: 0,
                gross: Amount::zero(gross.1),
                first_sequence: sequence,
                last_sequence: sequence,
            });
            addition.releases += 1;
            addition.gross = addition
                .gross
                .plus(gross.0)
                .map_err(|error| StoreError::Unreadable(error.to_string()))?;
            addition.last_sequence = sequence;
        }
    }
    let parts = tx.add_to_settlements(&additions).await?;
    for (merchant, lines) in lines.iter_mut() {
        for line in lines {
            let key = settled_by(merchant, &line.entry).map(|(key, _)| key);
            if let Some(part) = key.and_then(|key| parts.get(&key))
                && let Event::ReleaseIssued(release) = &mut line.entry.event
            {
                release.settlement_part = Some(*part);
            }
        }
    }
    tx.append(lines, &numbers).await
}

/// The settlement that a journal line adds to, and how much.
fn settled_by(
    merchant: &MerchantId,
    entry: &Entry,
) -> Option<(SettlementKey, (Amount, crate::rules::money::Currency))> {
    let Event::ReleaseIssued(release) = &entry.event else {
        return None;
    };
    let currency = entry.currency?;
    let key = (merchant.clone(), currency, release.settlement_date?);
    release.settlement_id?;
    Some((key, (release.gross, currency)))
}

/// Closes the parts that nothing due waits for.
async fn close(tx: &mut Tx, horizon: Instant, limit: i64) -> Result<usize, StoreError> {
    let parts = tx.close_parts(horizon, limit).await?;
    let mut lines = Lines::default();
    for part in &parts {
        lines.add(&part.key.0, [closed(part)?], None);
    }
    if !lines.is_empty() {
        let numbers = tx.number_lines(&lines).await?;
        tx.append(&lines, &numbers).await?;
    }
    Ok(parts.len())
}

fn closed(part: &ClosedPart) -> Result<Entry, StoreError> {
    let amount = part
        .gross
        .minus(part.recovered)
        .and_then(|rest| rest.minus(part.to_deposit))
        .map_err(|error| StoreError::Unreadable(error.to_string()))?;
    let event = Event::SettlementClosed(SettlementClosed {
        settlement_id: part.id,
        part: part.part,
        settlement_date: part.key.2,
        releases: part.releases,
        gross: part.gross,
        recovered: part.recovered,
        to_deposit: part.to_deposit,
        amount,
    });
    Ok(of_settlement(&part.key, event, part.part.to_string()))
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
