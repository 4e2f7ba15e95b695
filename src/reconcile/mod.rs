//! A database that went back in time: restored from a backup, or taken over by a replica that had not got
//! everything.
//!
//! What was published since then is final (it may be paid), and the database does not know it.
//!
//! **Found** by comparing the output topics with the journal, number by number: when a publisher begins,
//! with each read-back, and under every server that answers for the first time (`server_identity()` is
//! another one after each start of the server, each restore and each failover). Until a publisher has
//! compared, nobody writes to the journal and the gate is closed: so no number is given twice. A
//! difference is a fault: nothing is decided, published or released until `holdback reconcile --import`,
//! or until the right database is back.
//!
//! **Taken over** by the import: each event that the topics hold beyond the journal's end goes into the
//! table `published_elsewhere`, and the merchant's numbers go on behind it. The input positions are as
//! old as the database, so the same messages come again, and the same facts make events with the same
//! ids: such a line takes the number, the time and the words under which it was published, is not
//! published again, and leaves the table. Other lines get new numbers.
//!
//! **Released money** does not wait for its turn, which may come with other amounts: a published release
//! leaves its hold as it was published, as soon as the hold exists and before any other fact
//! ([`crate::rules::decide::issue_foretold`]); what it paid of debts and into the deposit follows when
//! these exist. The gate stays closed until every published event is decided again, so nothing is
//! released a second time. Settlements stand where the topics say from the start.
//!
//! **What is left** in the end: events that move no money and that nothing makes again (a block on a hold
//! whose money has gone meanwhile) stand as they were published, once all input is read that there was
//! at the import. Everything else keeps the gate closed and is shown: what people did (it is in no
//! topic: they do it again), and events that were decided with other money (`published_otherwise`). A
//! person sees to them and says so with `--accept`; a release of a hold that is not booked is never accepted,
//! one of a credit is, with what makes up for the difference.

mod accept;
pub mod command;
mod topics;

use std::collections::{BTreeMap, BTreeSet, HashMap};

use rust_decimal::Decimal;
use serde_json::Value;

use crate::message::outgoing::{EventType, OutTopic};
use crate::store::elsewhere::Published;
use crate::store::reconciliation::PublishedPart;
use crate::store::{Store, StoreError};

use topics::Found;

/// What the output topics and the database do not have in common.
#[derive(Debug, Default)]
pub struct Difference {
    /// What the topics hold beyond the journal's end, in the order of numbers.
    pub lost: BTreeMap<String, Vec<Published>>,
    /// What the topics hold under a number under which the journal has another event.
    pub other: Vec<Published>,
    /// Merchants of whose lost events some are not in the topics either, with the first one.
    pub gaps: Vec<(String, i64)>,
    /// Records that are no events of this deployment.
    pub foreign: Vec<String>,
    /// Per merchant the events of the journal that the topics do not hold yet.
    pub unpublished: BTreeMap<String, i64>,
    /// Dead letters that the topic holds.
    pub buried: Vec<(String, i32, i64)>,
}

impl Difference {
    /// Holds what was found against the journal.
    async fn of(store: &Store, found: Found) -> Result<Self, StoreError> {
        let sequences = store.sequences().await?;
        let numbers: Vec<(String, i64)> = found.events.iter().map(number).collect();
        let mut known = HashMap::new();
        for chunk in numbers.chunks(10_000) {
            known.extend(store.decided(chunk).await?);
        }
        let mut difference = Self {
            foreign: found.foreign,
            buried: found.buried,
            ..Self::default()
        };
        let mut seen: BTreeMap<String, BTreeSet<i64>> = BTreeMap::new();
        for event in found.events {
            let last = sequences.get(&event.merchant_id).map_or(0, |it| it.0);
            match known.get(&number(&event)) {
                Some((id, at)) if (*id, *at) == (event.event_id, event.occurred_at) => {
                    let seen = seen.entry(event.merchant_id).or_default();
                    seen.insert(event.sequence);
                }
                None if event.sequence > last => {
                    let lost = difference.lost.entry(event.merchant_id.clone());
                    lost.or_default().push(event);
                }
                _ => difference.other.push(event),
            }
        }
        for (merchant, lost) in &mut difference.lost {
            lost.sort_by_key(|event| event.sequence);
            lost.dedup_by_key(|event| (event.sequence, event.event_id));
            let last = sequences.get(merchant).map_or(0, |it| it.0);
            let gap = (last + 1..)
                .zip(&*lost)
                .find(|(due, it)| *due != it.sequence);
            if let Some((due, _)) = gap {
                difference.gaps.push((merchant.clone(), due));
            }
        }
        for (merchant, (last, published)) in sequences {
            let seen = seen.get(&merchant).into_iter().flatten();
            let seen = seen.filter(|sequence| **sequence > published).count();
            let missing = last - published - i64::try_from(seen).unwrap_or(i64::MAX);
            if missing > 0 {
                if difference.lost.contains_key(&merchant) {
                    difference.gaps.push((merchant.clone(), published + 1));
                }
                difference.unpublished.insert(merchant, missing);
            }
        }
        Ok(difference)
    }

    /// True when the topics hold nothing that the journal does not.
    #[must_use]
    pub fn is_none(&self) -> bool {
        self.lost.is_empty() && self.other.is_empty() && self.foreign.is_empty()
    }

    /// Why it can't be taken over, if it can't.
    #[must_use]
    pub fn obstacle(&self) -> Option<String> {
        if let Some(record) = self.foreign.first() {
            return Some(format!(
                "{record} is no event of this deployment: somebody else writes to these topics"
            ));
        }
        if let Some(event) = self.other.first() {
            return Some(format!(
                "the journal holds another event as number {} of merchant {} than the topics: two databases have published to them, or this one was written to since it was restored; restore it again",
                event.sequence, event.merchant_id
            ));
        }
        if let Some((merchant, sequence)) = self.gaps.first() {
            return Some(format!(
                "event {sequence} of merchant {merchant} is neither in the journal nor in the topics: restore a later state"
            ));
        }
        let shadow = |event: &&Published| {
            let kind = EventType::from_number(event.event);
            matches!(
                kind,
                Some(EventType::ReleaseShadowed | EventType::SettlementShadowed)
            )
        };
        let shadow = self.lost.values().flatten().find(shadow)?;
        Some(format!(
            "event {} of merchant {} is a shadow's release, which can't be taken over",
            shadow.sequence, shadow.merchant_id
        ))
    }

    /// Per merchant its last sequence, and those of the releases' and of the events' topic.
    fn last(&self) -> Vec<(String, i64, i64, i64)> {
        let lasts = self.lost.iter().map(|(merchant, events)| {
            let of = |topic: Option<OutTopic>| {
                let kind = |event: &Published| EventType::from_number(event.event);
                let events = events.iter();
                let events = events.filter(|it| {
                    topic.is_none_or(|topic| kind(it).is_some_and(|kind| kind.topic() == topic))
                });
                events.map(|it| it.sequence).max().unwrap_or_default()
            };
            let (releases, rest) = (of(Some(OutTopic::Releases)), of(Some(OutTopic::Events)));
            (merchant.clone(), of(None), releases, rest)
        });
        lasts.collect()
    }

    /// Where the lost events leave the settlements.
    fn parts(&self) -> Vec<PublishedPart> {
        let mut parts: BTreeMap<(String, String, jiff::civil::Date, i32), PublishedPart> =
            BTreeMap::new();
        for event in self.lost.values().flatten() {
            let Some(it) = part(event) else { continue };
            let key = (
                it.merchant_id.clone(),
                it.currency.clone(),
                it.settlement_on,
                it.part,
            );
            let Some(sum) = parts.get_mut(&key) else {
                parts.insert(key, it);
                continue;
            };
            sum.closed |= it.closed;
            sum.releases += it.releases;
            sum.gross += it.gross;
            sum.recovered += it.recovered;
            sum.to_deposit += it.to_deposit;
            sum.settled_at = sum.settled_at.max(it.settled_at);
            sum.last_sequence = it.last_sequence;
        }
        parts.into_values().collect()
    }
}

fn number(event: &Published) -> (String, i64) {
    (event.merchant_id.clone(), event.sequence)
}

/// What a release or a closing says of its settlement.
fn part(event: &Published) -> Option<PublishedPart> {
    let kind = EventType::from_number(event.event)?;
    let json: Value = serde_json::from_str(&event.data).ok()?;
    let text = |name: &str| json.get(name).and_then(Value::as_str);
    let whole = |name: &str| json.get(name).and_then(Value::as_i64);
    let (closed, part) = match kind {
        EventType::ReleaseIssued if whole("attempt") == Some(1) => (false, "settlement_part"),
        EventType::SettlementClosed => (true, "part"),
        _ => return None,
    };
    let sum = |name: &str| -> Option<Decimal> { text(name)?.parse().ok() };
    let releases = i64::from(!closed);
    let counted = |name: &str| {
        if closed {
            Some(Decimal::ZERO)
        } else {
            sum(name)
        }
    };
    Some(PublishedPart {
        merchant_id: event.merchant_id.clone(),
        currency: event.currency.clone()?,
        settlement_on: text("settlement_date")?.parse().ok()?,
        settlement_id: text("settlement_id")?.parse().ok()?,
        part: i32::try_from(whole(part)?).ok()?,
        closed,
        settled_at: event.occurred_at,
        releases,
        gross: counted("gross")?,
        recovered: counted("recovered")?,
        to_deposit: counted("to_deposit")?,
        first_sequence: event.sequence,
        last_sequence: event.sequence,
    })
}
