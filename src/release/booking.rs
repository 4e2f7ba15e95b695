//! Settlements: which releases add to which part, when a part is complete, and which settlement is
//! under its minimum and waits for the next date.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use super::Release;
use crate::planted::{Bug, is_planted};
use crate::rules::calendar::Calendars;
use crate::rules::entry::{
    Entry, Event, ReleaseIssued, ReleaseReason, SettlementClosed, SettlementSkipped,
};
use crate::rules::hold::Hold;
use crate::rules::ids::{MerchantId, SettlementId};
use crate::rules::money::{Amount, Currency, MoneyError};
use crate::rules::release::{self, Claim, Judgement, Portion};
use crate::rules::shadow::Mode;
use crate::rules::time::Instant;
use crate::store::due::DueHold;
use crate::store::journal::Lines;
use crate::store::settlements::{Addition, ClosedPart, SettlementKey, Skip};
use crate::store::{StoreError, Tx};

impl Release {
    /// The settlements among these that are under their minimum at their first pass and may wait,
    /// each with the event that says so.
    pub(super) async fn under_minimum(
        &self,
        tx: &mut Tx,
        holds: &[DueHold],
        judged: &[Option<Judgement>],
        now: Instant,
    ) -> Result<BTreeMap<SettlementKey, Option<Entry>>, StoreError> {
        let calendars = self.catalogue.calendars();
        let judged = holds.iter().zip(judged);
        let judged = judged.filter_map(|(due, judgement)| Some((&due.claim, judgement.as_ref()?)));
        let mut groups = with_minimum(judged, &calendars);
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

/// The settlements among these that have a minimum, and nothing that may not wait, each with what
/// is due of it.
pub(crate) fn with_minimum<'a>(
    judged: impl Iterator<Item = (&'a Claim, &'a Judgement)>,
    calendars: &Calendars,
) -> BTreeMap<SettlementKey, Group> {
    let mut groups: BTreeMap<SettlementKey, Group> = BTreeMap::new();
    for (claim, judgement) in judged {
        for portion in &judgement.portions {
            let Some(key) = settlement_of(claim, portion) else {
                continue;
            };
            let currency = claim.currency;
            let minimum = Amount::from_plain(claim.agreement.settlement.minimum, currency)
                .unwrap_or_else(|_| Amount::zero(currency));
            let group = groups.entry(key).or_insert_with(|| Group::empty(currency));
            group.due = group.due.plus(portion.amount).unwrap_or(group.due);
            group.minimum = group.minimum.max(minimum);
            if !minimum.is_zero() || !group.minimum.is_zero() {
                let mut trial = claim.clone();
                let waits = release::carry_over(&mut trial, portion, calendars).is_some();
                group.may_wait &= waits;
            }
        }
    }
    groups.retain(|_, group| !group.minimum.is_zero() && group.may_wait);
    groups
}

/// What is due of one settlement.
pub(crate) struct Group {
    pub(crate) due: Amount,
    pub(crate) minimum: Amount,
    may_wait: bool,
}

impl Group {
    fn empty(currency: Currency) -> Self {
        Self {
            due: Amount::zero(currency),
            minimum: Amount::zero(currency),
            may_wait: true,
        }
    }
}

/// The settlement that a portion belongs to; none for releases by limit.
pub(super) fn settlement_of(claim: &Claim, portion: &Portion) -> Option<SettlementKey> {
    let dates = portion
        .dates
        .filter(|_| portion.reason == ReleaseReason::Due)?;
    Some((claim.merchant.clone(), claim.currency, dates.settlement_on))
}

/// Says that a settlement is under its minimum.
pub(crate) fn skipped(key: &SettlementKey, group: &Group) -> Entry {
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

/// When each settlement among these holds, as they were before the release, is settled.
pub(crate) fn settled_at<'a>(
    holds: impl Iterator<Item = (&'a Claim, &'a Hold)>,
) -> HashMap<SettlementKey, Instant> {
    let mut instants: HashMap<SettlementKey, Instant> = HashMap::new();
    for (claim, hold) in holds {
        let tails = hold.tails.iter().filter_map(|tail| tail.dates);
        for dates in hold.dates.into_iter().chain(tails) {
            let key = (claim.merchant.clone(), claim.currency, dates.settlement_on);
            let at = instants.entry(key).or_insert(dates.release_at);
            *at = (*at).max(dates.release_at);
        }
    }
    instants
}

/// Numbers the lines, adds the releases among them to their settlements, and writes them with the
/// parts that they came into.
pub(super) async fn book(
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
        let given = numbers.get(merchant);
        let sequences = given.into_iter().flat_map(|given| given.sequences());
        for (sequence, line) in sequences.zip(lines.iter()) {
            let settled = settled_by(merchant, &line.entry);
            let Some((sequence, (key, release))) = sequence.zip(settled) else {
                continue;
            };
            let settled_at = settled_at.get(&key).copied().unwrap_or(tx.now);
            let zero = Amount::zero(key.1);
            let addition = additions.entry(key).or_insert_with(|| Addition {
                settled_at,
                releases: 0,
                gross: zero,
                recovered: zero,
                to_deposit: zero,
                first_sequence: sequence,
                last_sequence: sequence,
            });
            addition.releases += 1;
            let plus = |sum: Amount, more| {
                sum.plus(more)
                    .map_err(|error| StoreError::Unreadable(error.to_string()))
            };
            addition.gross = plus(addition.gross, release.gross)?;
            addition.recovered = plus(addition.recovered, release.recovered)?;
            addition.to_deposit = plus(addition.to_deposit, release.to_deposit)?;
            addition.last_sequence = sequence;
        }
    }
    let parts = tx.add_to_settlements(&additions).await?;
    for (merchant, lines) in lines.iter_mut() {
        for line in lines {
            let key = settled_by(merchant, &line.entry).map(|(key, _)| key);
            if let Some(part) = key.and_then(|key| parts.get(&key))
                && let Event::ReleaseIssued(release) | Event::ReleaseShadowed(release) =
                    &mut line.entry.event
            {
                release.settlement_part = Some(*part);
            }
        }
    }
    tx.append(lines, &numbers).await
}

/// The settlement that a journal line adds to, and the release that it is.
pub(crate) fn settled_by<'a>(
    merchant: &MerchantId,
    entry: &'a Entry,
) -> Option<(SettlementKey, &'a ReleaseIssued)> {
    let (Event::ReleaseIssued(release) | Event::ReleaseShadowed(release)) = &entry.event else {
        return None;
    };
    let key = (merchant.clone(), entry.currency?, release.settlement_date?);
    release.settlement_id?;
    Some((key, release))
}

/// Closes the parts that nothing due waits for.
pub(super) async fn close(
    tx: &mut Tx,
    horizon: Instant,
    limit: i64,
    mode: Mode,
) -> Result<usize, StoreError> {
    let parts = tx.close_parts(horizon, limit).await?;
    let mut lines = Lines::default();
    for part in &parts {
        let end = closed(part);
        let mut end = end.map_err(|error| StoreError::Unreadable(error.to_string()))?;
        mode.cast_end(&mut end);
        lines.add(&part.key.0, [end], None);
    }
    tx.write(&lines).await?;
    Ok(parts.len())
}

/// Says that a part is complete.
pub(crate) fn closed(part: &ClosedPart) -> Result<Entry, MoneyError> {
    let rest = part.gross.minus(part.recovered)?;
    let amount = rest.minus(part.to_deposit)?;
    let event = Event::SettlementClosed(SettlementClosed {
        settlement_id: part.id,
        part: part.part,
        settlement_date: part.key.2,
        releases: part.releases + u64::from(is_planted(Bug::MiscountSettlement)),
        gross: part.gross,
        recovered: part.recovered,
        to_deposit: part.to_deposit,
        amount,
    });
    Ok(of_settlement(&part.key, event, part.part.to_string()))
}
