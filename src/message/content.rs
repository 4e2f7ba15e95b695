//! Digests of what messages say: the fields that the contract names, as parsed.
//!
//! Equal for every spelling of the same content (`100.0` and `100.00`, one instant under two offsets, absent, null
//! and the default, sets in any order), different for any other.
//!
//! Digests are kept for years: a field that is added later must not be fed while it has its
//! default, so that old messages keep theirs.

use std::fmt::Display;

use jiff::civil::Date;
use rust_decimal::Decimal;
use serde::Serialize;
use sha2::{Digest, Sha256};

use super::import::Owed;
use crate::rules::adjustment::Adjustment;
use crate::rules::agreement::{Agreement, Cycle, Term};
use crate::rules::calendar::Calendar;
use crate::rules::decide::{Imported, ImportedHold};
use crate::rules::deposit::DepositFact;
use crate::rules::fact::{ContentHash, IndirectFact, OrderEvent, PayoutResult, PayoutSubject};
use crate::rules::ids::{MerchantId, OrderId};
use crate::rules::review::ReviewTerms;

/// Feeds named values into a digest so that no two sequences of them look alike.
pub(super) struct Content(Sha256);

impl Content {
    fn of(kind: &str) -> Self {
        let mut content = Self(Sha256::new());
        content.bytes(kind);
        content
    }

    fn bytes(&mut self, text: &str) {
        self.0
            .update(u64::try_from(text.len()).unwrap_or(u64::MAX).to_be_bytes());
        self.0.update(text);
    }

    fn field(&mut self, name: &str, value: impl Display) {
        self.bytes(name);
        self.bytes(&value.to_string());
    }

    fn optional(&mut self, name: &str, value: Option<impl Display>) {
        if let Some(value) = value {
            self.field(name, value);
        }
    }

    fn number(&mut self, name: &str, value: Decimal) {
        self.field(name, value.normalize());
    }

    /// A word of a fixed vocabulary, as the wire spells it.
    fn word(&mut self, name: &str, value: impl Serialize) {
        let word = serde_json::to_string(&value).expect("a unit variant is a JSON string");
        self.field(name, word);
    }

    fn done(self) -> ContentHash {
        let digest: [u8; 32] = self.0.finalize().into();
        let [first, _] = *digest.as_chunks::<16>().0 else {
            unreachable!("32 bytes are two times 16");
        };
        ContentHash(first)
    }
}

/// The digest of a message about an order.
#[must_use]
pub fn of_order_event(merchant: &MerchantId, order: &OrderId, event: &OrderEvent) -> ContentHash {
    let mut content = Content::of(match event {
        OrderEvent::Completed(_) => "order.completed",
        OrderEvent::Confirmed { .. } => "order.confirmed",
        OrderEvent::Delivered { .. } => "order.delivered",
        OrderEvent::Cancelled { .. } => "order.cancelled",
        OrderEvent::Refunded(_) => "refund.succeeded",
        OrderEvent::RefundReversed(_) => "refund.reversed",
        OrderEvent::DisputeOpened(_) => "dispute.opened",
        OrderEvent::DisputeUpdated(_) => "dispute.updated",
        OrderEvent::DisputeClosed(_) => "dispute.closed",
        OrderEvent::ReviewRequested(_) => "review.requested",
        OrderEvent::ReviewAnswered(_) => "review.answered",
        OrderEvent::ReviewDecided(_) => "review.decided",
    });
    content.field("merchant_id", merchant);
    content.field("order_id", order);
    match event {
        OrderEvent::Completed(sale) => {
            content.number("amount", sale.amount.decimal());
            content.number("fees", sale.fees.decimal());
            content.field("currency", sale.currency);
            content.field("completed_at", sale.at);
            for (name, value) in &sale.attributes {
                content.field("attribute", name);
                content.field("is", value);
            }
        }
        OrderEvent::Confirmed { at, by } => {
            content.field("confirmed_at", at);
            content.word("by", by);
        }
        OrderEvent::Delivered { at } => content.field("delivered_at", at),
        OrderEvent::Cancelled { at, reason } => {
            content.field("cancelled_at", at);
            content.optional("reason", reason.as_deref());
        }
        OrderEvent::ReviewRequested(_)
        | OrderEvent::ReviewAnswered(_)
        | OrderEvent::ReviewDecided(_) => feed_review(&mut content, event),
        _ => money_leaves(&mut content, event),
    }
    content.done()
}

/// Refunds and disputes.
fn money_leaves(content: &mut Content, event: &OrderEvent) {
    match event {
        OrderEvent::Refunded(refund) => {
            content.field("refund_id", &refund.refund);
            content.number("amount", refund.amount.decimal());
            content.field("currency", refund.currency);
            content.field("refunded_at", refund.at);
            content.optional("reason", refund.reason.as_deref());
            content.optional("dispute_id", refund.dispute.as_ref());
        }
        OrderEvent::DisputeOpened(opened) => {
            content.field("dispute_id", &opened.dispute);
            content.word("kind", opened.kind);
            content.optional("amount", opened.amount.map(|amount| amount.normalize()));
            content.field("opened_at", opened.at);
        }
        OrderEvent::DisputeUpdated(updated) => {
            content.field("dispute_id", &updated.dispute);
            content.field("version", updated.version);
            if let Some(kind) = updated.kind {
                content.word("kind", kind);
            }
            content.optional("amount", updated.amount.map(|amount| amount.normalize()));
            content.field("at", updated.at);
        }
        OrderEvent::DisputeClosed(closed) => {
            content.field("dispute_id", &closed.dispute);
            content.word("outcome", closed.outcome);
            content.field("closed_at", closed.at);
            let expected = closed.refund_expected.map(|amount| amount.normalize());
            content.optional("refund_expected", expected);
        }
        _ => {}
    }
}

/// The digest of an answer, a decision or a refund's reversal; its `content` is not looked at.
#[must_use]
pub fn of_indirect(fact: &IndirectFact) -> ContentHash {
    let mut content = Content::of(fact.kind().name());
    content.field("merchant_id", &fact.merchant);
    match &fact.what {
        OrderEvent::RefundReversed(reversed) => {
            content.field("refund_id", &reversed.refund);
            content.field("reversed_at", reversed.at);
        }
        other => feed_review(&mut content, other),
    }
    content.done()
}

fn feed_review(content: &mut Content, event: &OrderEvent) {
    match event {
        OrderEvent::ReviewRequested(request) => {
            content.field("review_id", &request.review);
            content.field("reason", &request.reason);
            content.optional("respond_by", request.respond_by);
            content.field("at", request.at);
        }
        OrderEvent::ReviewAnswered(answered) => {
            content.field("review_id", &answered.review);
            content.field("answer", &answered.answer);
            for url in &answered.evidence {
                content.field("evidence", url);
            }
            content.field("answered_at", answered.at);
        }
        OrderEvent::ReviewDecided(decided) => {
            content.field("review_id", &decided.review);
            content.word("decision", decided.decision);
            content.field("decided_by", &decided.decided_by);
            content.optional("reason", decided.reason.as_deref());
            content.field("decided_at", decided.at);
        }
        _ => {}
    }
}

/// The digest of a payout result; its `content` is not looked at.
#[must_use]
pub fn of_payout(result: &PayoutResult) -> ContentHash {
    let mut content = Content::of(if result.paid {
        "payout.paid"
    } else {
        "payout.failed"
    });
    content.field("merchant_id", &result.merchant);
    match result.subject {
        PayoutSubject::Release(id) => content.field("release_id", id),
        PayoutSubject::Settlement(id) => content.field("settlement_id", id),
    }
    content.field("attempt", result.attempt);
    content.field("at", result.at);
    content.optional("reason", result.reason.as_deref());
    content.done()
}

/// The digest of a payment into a deposit or out of it.
#[must_use]
pub fn of_deposit(fact: &DepositFact) -> ContentHash {
    let mut content = Content::of(fact.kind());
    content.field("merchant_id", &fact.merchant);
    content.field("transaction_id", &fact.transaction);
    content.number("amount", fact.amount.decimal());
    content.field("currency", fact.currency);
    content.field("at", fact.at);
    content.done()
}

/// The digest of an order that an earlier system hands over.
#[must_use]
pub fn of_imported(it: &Imported) -> ContentHash {
    let mut content = Content::of("import.order");
    content.field("sale", format_args!("{:?}", it.sale.content.0));
    content.optional("delivered_at", it.delivered.as_ref().map(|it| it.value));
    let confirmed = it.confirmed.as_ref();
    content.optional(
        "confirmed",
        confirmed.map(|it| format!("{:?}", it.content.0)),
    );
    let mut holds: Vec<&ImportedHold> = it.holds.iter().collect();
    holds.sort_by(|one, other| one.term.cmp(&other.term));
    for hold in holds {
        content.field("term", &hold.term);
        content.number("left", hold.left.decimal());
        content.optional("not_before", hold.not_before);
    }
    content.done()
}

/// The digest of a debt that an earlier system hands over.
#[must_use]
pub fn of_owed(it: &Owed) -> ContentHash {
    let mut content = Content::of("import.receivable");
    content.field("merchant_id", &it.merchant);
    content.field("receivable_id", &it.id);
    content.number("amount", it.amount.decimal());
    content.field("currency", it.currency);
    content.field("opened_at", it.opened_at);
    content.done()
}

/// The digest of an adjustment.
#[must_use]
pub fn of_adjustment(fact: &Adjustment) -> ContentHash {
    let mut content = Content::of(Adjustment::KIND);
    content.field("merchant_id", &fact.merchant);
    content.field("adjustment_id", &fact.adjustment);
    content.field("currency", fact.currency);
    content.number("amount", fact.amount.decimal());
    content.word("direction", fact.direction);
    content.optional("order_id", fact.order.as_ref());
    content.field("reason", &fact.reason);
    content.field("actor", &fact.actor);
    content.field("at", fact.at);
    content.done()
}

/// The digest of an agreement version, defaults filled in.
#[must_use]
pub fn of_agreement(agreement: &Agreement) -> ContentHash {
    let mut content = Content::of("agreement.published");
    content.field("agreement_id", &agreement.agreement_id);
    content.field("version", agreement.version);
    content.field("merchant_id", &agreement.merchant_id);
    content.field("effective_from", agreement.effective_from);
    content.optional("effective_until", agreement.effective_until);
    content.optional("currency", agreement.currency);
    content.field("time_zone", &agreement.time_zone);
    content.optional("calendar", agreement.calendar.as_ref());
    for term in &agreement.terms {
        feed_term(&mut content, term);
    }
    content.field("confirmation.required", agreement.confirmation.required);
    content.field("auto_after_hours", agreement.confirmation.auto_after_hours);
    feed_review_terms(&mut content, &agreement.review);
    feed_settlement(&mut content, agreement);
    content.word("refund.source", agreement.refund.source);
    content.word("excess", agreement.refund.excess);
    content.word("refund.fees", agreement.refund.fees);
    content.word("free", agreement.refund.free);
    let deposit = &agreement.deposit;
    let required = Some(deposit.required).filter(|required| !required.is_zero());
    content.optional("deposit.required", required.map(|it| it.normalize()));
    let top_up = Some(deposit.top_up_bps).filter(|bps| *bps > 0);
    content.optional("top_up_bps", top_up);
    content.done()
}

/// Only what differs from the default: versions digested before there were reviews keep theirs.
fn feed_review_terms(content: &mut Content, terms: &ReviewTerms) {
    let usual = ReviewTerms::default();
    let threshold = terms.threshold.map(|amount| amount.normalize());
    content.optional("review.threshold", threshold);
    if terms.respond_within_hours != usual.respond_within_hours {
        content.field("respond_within_hours", terms.respond_within_hours);
    }
    if terms.on_silence != usual.on_silence {
        content.word("on_silence", terms.on_silence);
    }
    if terms.decide_within_hours != usual.decide_within_hours {
        content.field("decide_within_hours", terms.decide_within_hours);
    }
}

fn feed_term(content: &mut Content, term: &Term) {
    content.field("term", &term.name);
    content.word("basis", term.basis);
    content.field("rate_bps", term.rate_bps);
    content.number("fixed", term.fixed);
    content.number("minimum", term.minimum);
    content.optional("maximum", term.maximum.map(|maximum| maximum.normalize()));
    for (attribute, values) in &term.when {
        content.field("when", attribute);
        for value in sorted(values) {
            content.field("is", value);
        }
    }
    content.word("anchor", term.anchor);
    content.field("days", term.days);
    content.word("day_kind", term.day_kind);
    content.word("count", term.count);
    content.field("limit_days", term.limit_days);
    content.word("at_limit", term.at_limit);
}

fn feed_settlement(content: &mut Content, agreement: &Agreement) {
    let settlement = &agreement.settlement;
    match &settlement.cycle {
        Cycle::Daily => content.field("cycle", "daily"),
        Cycle::Weekly { weekdays, every } => {
            content.field("cycle", "weekly");
            content.field("every", every);
            sorted(weekdays)
                .iter()
                .for_each(|day| content.field("weekday", day));
        }
        Cycle::Monthly { days_of_month } => {
            content.field("cycle", "monthly");
            sorted(days_of_month)
                .iter()
                .for_each(|day| content.field("day", day));
        }
    }
    content.field("cut_off", settlement.cut_off);
    content.word("roll", settlement.roll);
    content.number("settlement.minimum", settlement.minimum);
    content.field("minimum_max_days", settlement.minimum_max_days);
}

/// The digest of a calendar version.
#[must_use]
pub fn of_calendar(calendar: &Calendar) -> ContentHash {
    let mut content = Content::of("calendar.published");
    content.field("calendar", &calendar.calendar);
    content.field("version", calendar.version);
    calendar
        .weekend
        .iter()
        .for_each(|day| content.field("weekend", day));
    let mut days = |name, dates: &std::collections::BTreeSet<Date>| {
        dates.iter().for_each(|day| content.field(name, day));
    };
    days("holiday", &calendar.holidays);
    days("working_day", &calendar.working_days);
    content.optional("from", calendar.from);
    content.optional("until", calendar.until);
    content.done()
}

/// A list that is a set: sorted, each item once.
fn sorted<T: Ord + Clone>(items: &[T]) -> Vec<T> {
    let mut items = items.to_vec();
    items.sort();
    items.dedup();
    items
}
