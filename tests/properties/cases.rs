//! Agreements and facts about one order, generated from small numbers.

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;

use holdback::rules::agreement::{
    Agreement, Anchor, AtLimit, Basis, Confirmation, Count, Cycle, DayKind, DepositTerms, Excess,
    Free, RefundFees, RefundSource, RefundTerms, Roll, SettlementTerms, Term,
};
use holdback::rules::fact::{
    Completed, ConfirmedBy, ContentHash, DisputeClosed, DisputeKind, DisputeOpened, DisputeOutcome,
    DisputeUpdated, OrderEvent, OrderFact, Refunded, ReviewAnswered, ReviewDecided, ReviewRequest,
};
use holdback::rules::ids::{
    AgreementId, DisputeId, MerchantId, OrderId, RefundId, ReviewId, TermName,
};
use holdback::rules::money::{Amount, Currency};
use holdback::rules::review::{Decision, ReviewTerms};
use holdback::rules::time::Instant;
use jiff::Timestamp;
use jiff::civil::Time;
use proptest::prelude::*;
use rust_decimal::Decimal;
use sha2::{Digest, Sha256};

pub const DAY: i64 = 86_400;

pub fn cny() -> Currency {
    Currency::from_code("CNY").unwrap()
}

pub fn cents(units: i64) -> Amount {
    Amount::new(Decimal::new(units, 2), cny()).unwrap()
}

pub fn units(amount: Amount) -> i64 {
    i64::try_from(amount.decimal().mantissa()).unwrap()
}

/// Seconds after the start of 1 May 2026 in UTC.
pub fn at(seconds: i64) -> Instant {
    let start: Timestamp = "2026-05-01T00:00:00Z".parse().unwrap();
    Instant::new(Timestamp::from_second(start.as_second() + seconds).unwrap())
}

/// A case: an agreement, and what happens to one order under it.
#[derive(Debug, Clone)]
pub struct Case {
    pub agreement: Arc<Agreement>,
    pub amount: i64,
    pub fees: i64,
    pub facts: Vec<OrderFact>,
}

pub fn fact(what: OrderEvent) -> OrderFact {
    let digest = Sha256::digest(format!("{what:?}"));
    OrderFact {
        merchant: MerchantId::parse("M").unwrap(),
        order: OrderId::parse("O").unwrap(),
        content: ContentHash(digest[..16].try_into().unwrap()),
        traceparent: None,
        recorded_at: None,
        what,
    }
}

pub fn term(name: usize, (rate_bps, days, anchor): (u32, u32, Anchor)) -> Term {
    Term {
        name: TermName::parse(&format!("t{name}")).unwrap(),
        basis: Basis::Gross,
        rate_bps,
        fixed: Decimal::ZERO,
        minimum: Decimal::ZERO,
        maximum: None,
        when: BTreeMap::new(),
        anchor,
        days,
        day_kind: DayKind::Calendar,
        count: Count::EndOfDay,
        limit_days: 180,
        at_limit: AtLimit::Alert,
    }
}

pub fn agreements() -> impl Strategy<Value = Arc<Agreement>> {
    let terms = prop::collection::vec(
        (
            prop::sample::select(vec![0, 333, 1000, 3333, 6000, 10_000]),
            prop::sample::select(vec![0_u32, 2, 7, 30]),
            prop::sample::select(vec![
                Anchor::Completed,
                Anchor::Delivered,
                Anchor::Confirmed,
            ]),
        ),
        1..4,
    );
    let cycle = prop::sample::select(vec![
        Cycle::Daily,
        Cycle::Weekly {
            weekdays: vec![1, 4],
            every: 1,
        },
    ]);
    let source = prop::sample::select(vec![
        RefundSource::HoldFirst,
        RefundSource::Proportional,
        RefundSource::MerchantFirst,
    ]);
    let fees = prop::sample::select(vec![RefundFees::Kept, RefundFees::Returned]);
    let free = prop::sample::select(vec![Free::Receivable, Free::Outside]);
    (terms, cycle, source, fees, free, any::<bool>()).prop_map(
        |(terms, cycle, source, fees, free, required)| {
            Arc::new(Agreement {
                agreement_id: AgreementId::parse("AG").unwrap(),
                version: 1,
                merchant_id: MerchantId::parse("M").unwrap(),
                effective_from: at(-100 * DAY),
                effective_until: None,
                currency: None,
                time_zone: "Asia/Shanghai".to_owned(),
                calendar: None,
                terms: (0..).zip(terms).map(|(name, it)| term(name, it)).collect(),
                confirmation: Confirmation {
                    required,
                    auto_after_hours: 240,
                },
                review: ReviewTerms::default(),
                settlement: SettlementTerms {
                    cycle,
                    cut_off: Time::midnight(),
                    roll: Roll::Following,
                    minimum: Decimal::ZERO,
                    minimum_max_days: 90,
                },
                refund: RefundTerms {
                    source,
                    excess: Excess::Receivable,
                    fees,
                    free,
                },
                deposit: DepositTerms::default(),
            })
        },
    )
}

/// What becomes of one of three disputes.
fn disputes(latest: i64) -> impl Strategy<Value = OrderEvent> {
    let seconds = 1..latest;
    let dispute = prop::sample::select(vec!["D1", "D2", "D3"]);
    let contested = prop::option::of(prop::sample::select(vec![1_i64, 30, 500, 2500, 12_000]));
    let kind = prop::sample::select(vec![
        DisputeKind::Complaint,
        DisputeKind::Chargeback,
        DisputeKind::Chargeback,
        DisputeKind::Return,
    ]);
    let outcome = prop::sample::select(vec![
        DisputeOutcome::Won,
        DisputeOutcome::Lost,
        DisputeOutcome::Lost,
    ]);
    let id = |text: &str| DisputeId::parse(text).unwrap();
    let plain = |units: Option<i64>| units.map(|it| Decimal::new(it, 2));
    let opened = (
        dispute.clone(),
        kind.clone(),
        contested.clone(),
        seconds.clone(),
    )
        .prop_map(move |(dispute, kind, amount, seconds)| {
            OrderEvent::DisputeOpened(DisputeOpened {
                dispute: id(dispute),
                kind,
                amount: plain(amount),
                at: at(seconds),
            })
        });
    let updated = (
        dispute.clone(),
        1..4_u64,
        prop::option::of(kind),
        contested.clone(),
        seconds.clone(),
    )
        .prop_map(move |(dispute, version, kind, amount, seconds)| {
            OrderEvent::DisputeUpdated(DisputeUpdated {
                dispute: id(dispute),
                version,
                kind,
                amount: plain(amount),
                at: at(seconds),
            })
        });
    let closed = (dispute, outcome, contested, seconds.clone()).prop_map(
        move |(dispute, outcome, expected, seconds)| {
            OrderEvent::DisputeClosed(DisputeClosed {
                dispute: id(dispute),
                outcome,
                at: at(seconds),
                refund_expected: plain(expected),
            })
        },
    );
    prop_oneof![3 => opened, 2 => updated, 2 => closed]
}

/// What becomes of one of two reviews.
fn reviews(latest: i64) -> impl Strategy<Value = OrderEvent> {
    (prop::sample::select(vec!["V1", "V2"]), 0..4_u8, 1..latest).prop_map(
        |(review, kind, seconds)| {
            let review = ReviewId::parse(review).unwrap();
            let at = at(seconds);
            match kind {
                0 => OrderEvent::ReviewRequested(ReviewRequest {
                    review,
                    reason: "looks odd".to_owned(),
                    respond_by: None,
                    at,
                }),
                1 => OrderEvent::ReviewAnswered(ReviewAnswered {
                    review,
                    answer: "it is not".to_owned(),
                    evidence: Vec::new(),
                    at,
                }),
                _ => OrderEvent::ReviewDecided(ReviewDecided {
                    review,
                    decision: if kind == 2 {
                        Decision::Rejected
                    } else {
                        Decision::Passed
                    },
                    decided_by: "Ann".to_owned(),
                    reason: None,
                    at,
                }),
            }
        },
    )
}

/// Something after the sale, with the second at which it happened.
pub fn happening(latest: i64) -> impl Strategy<Value = OrderEvent> {
    let seconds = 1..latest;
    let dispute = prop::sample::select(vec!["D1", "D2", "D3"]);
    let id = |text: &str| DisputeId::parse(text).unwrap();
    let refund = (
        1..6_u8,
        prop::sample::select(vec![1_i64, 7, 100, 999, 3000]),
        seconds.clone(),
        prop::option::of(dispute.clone()),
    )
        .prop_map(move |(number, amount, seconds, dispute)| {
            OrderEvent::Refunded(Refunded {
                refund: RefundId::parse(&format!("R{number}")).unwrap(),
                amount: cents(amount),
                currency: cny(),
                at: at(seconds),
                reason: None,
                dispute: dispute.map(id),
            })
        });
    let simple = (0..12_u8, seconds).prop_map(|(kind, seconds)| match kind {
        0..5 => OrderEvent::Delivered { at: at(seconds) },
        5..10 => OrderEvent::Confirmed {
            at: at(seconds),
            by: ConfirmedBy::Buyer,
        },
        _ => OrderEvent::Cancelled {
            at: at(seconds),
            reason: None,
        },
    });
    prop_oneof![3 => refund, 7 => disputes(latest), 2 => simple, 3 => reviews(latest)]
}

/// A case whose facts happen within so many seconds of the sale; one fact per key.
pub fn cases(latest: i64) -> impl Strategy<Value = Case> {
    (
        agreements(),
        prop::sample::select(vec![1_i64, 10, 101, 4999, 10_000]),
        0..11_i64,
        prop::collection::vec(happening(latest), 0..14),
    )
        .prop_map(|(agreement, amount, fees, happenings)| {
            let fees = amount * fees / 20;
            let sale = OrderEvent::Completed(Completed {
                amount: cents(amount),
                fees: cents(fees),
                currency: cny(),
                at: at(0),
                attributes: BTreeMap::new(),
            });
            let mut keys = HashSet::new();
            let facts = std::iter::once(sale).chain(happenings).map(fact);
            Case {
                agreement,
                amount,
                fees,
                facts: facts.filter(|fact| keys.insert(fact.key())).collect(),
            }
        })
}

/// The case, and its facts in any other order.
pub fn shuffled(latest: i64) -> impl Strategy<Value = (Case, Vec<OrderFact>)> {
    cases(latest).prop_flat_map(|case| {
        let facts = Just(case.facts.clone()).prop_shuffle();
        (Just(case), facts)
    })
}
