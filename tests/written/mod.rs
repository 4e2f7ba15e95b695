//! One sample of every event that holdback writes, for the examples in `schemas/examples/output`.

use holdback::rules::entry::{
    AgreementAccepted, CreditOpened, DepositChanged, Direction, Entry, Event, HoldBlocked,
    HoldConsumed, HoldCreated, HoldLimitReached, HoldRescheduled, HoldRestored, HoldReversed,
    HoldUnblocked, OrderAccepted, PayoutSettled, ReceivableOpened, ReceivableRecovered,
    ReceivableWrittenOff, RefundApplied, RefundReversed, ReleaseIssued, ReleaseReason,
    RescheduleReason, ReviewClosed, ReviewOverdue, ReviewReminded, ReviewRequested,
    SettlementClosed, SettlementSkipped, Source, SourceKind,
};
use holdback::rules::ids::{
    AgreementId, CreditId, DisputeId, HoldId, MerchantId, OrderId, ReceivableId, RefundId,
    ReleaseId, ReviewId, SettlementId, TermName, TransactionId,
};
use holdback::rules::money::{Amount, Currency};
use holdback::rules::review::{ClosedBy, OnSilence};
use holdback::rules::time::Instant;
use jiff::civil::{Date, date};

const ON: Date = date(2026, 5, 9);

pub fn merchant() -> MerchantId {
    MerchantId::parse("M-1").unwrap()
}

pub fn at(text: &str) -> Instant {
    Instant::new(text.parse().unwrap())
}

fn cny() -> Currency {
    Currency::from_code("CNY").unwrap()
}

fn yuan(text: &str) -> Amount {
    Amount::parse(text, cny()).unwrap()
}

fn order() -> OrderId {
    OrderId::parse("O-1001").unwrap()
}

fn hold() -> HoldId {
    HoldId::of(&merchant(), &order(), &TermName::parse("sale").unwrap())
}

fn release() -> ReleaseId {
    ReleaseId::of(hold(), 1)
}

fn settlement() -> SettlementId {
    SettlementId::of(&merchant(), cny(), ON)
}

fn refund() -> Option<RefundId> {
    Some(RefundId::parse("R-501").unwrap())
}

fn dispute() -> DisputeId {
    DisputeId::parse("D-77").unwrap()
}

fn receivable() -> ReceivableId {
    ReceivableId::of(&merchant(), "refund", "R-501")
}

fn agreement() -> AgreementId {
    AgreementId::parse("AG-1").unwrap()
}

/// One entry per type of event.
pub fn entries() -> Vec<Entry> {
    let of_hold = |event| entry(event, Some(hold()), Some(order()));
    let of_order = |event| entry(event, None, Some(order()));
    let of_merchant = |event| entry(event, None, None);
    let mut entries: Vec<Entry> = holds().into_iter().map(of_hold).collect();
    entries.extend(payouts().into_iter().map(of_hold));
    let of_orders = orders().into_iter().chain(debts()).chain(reviews());
    entries.extend(of_orders.map(of_order));
    entries.extend(merchants().into_iter().map(of_merchant));
    for entry in &mut entries {
        if matches!(entry.event, Event::AgreementAccepted(_)) {
            entry.currency = None;
        }
    }
    entries
}

fn entry(event: Event, hold: Option<HoldId>, order: Option<OrderId>) -> Entry {
    Entry {
        event,
        order,
        hold,
        currency: Some(cny()),
        transfer: None,
        cause: "refund:R-501".to_owned(),
        traceparent: None,
    }
}

fn holds() -> Vec<Event> {
    let (blocked, left) = (yuan("59.90"), yuan("259.90"));
    vec![
        Event::HoldCreated(Box::new(HoldCreated {
            term: TermName::parse("sale").unwrap(),
            order_amount: yuan("259.90"),
            fees: yuan("0"),
            free: yuan("0"),
            original: yuan("259.90"),
            agreement_id: agreement(),
            agreement_version: 1,
            anchor_at: Some(at("2026-05-01T04:00:00Z")),
            window_ends_at: Some(at("2026-05-08T16:00:00Z")),
            eligible_at: Some(at("2026-05-08T16:00:00Z")),
            release_at: Some(at("2026-05-08T16:00:00Z")),
            settlement_date: Some(ON),
            limit_at: Some(at("2026-10-27T16:00:00Z")),
            calculation: "259.90 × 10000/10000 = 259.90".to_owned(),
        })),
        Event::HoldRescheduled(HoldRescheduled {
            amount: yuan("259.90"),
            anchor_at: None,
            window_ends_at: None,
            eligible_at: None,
            release_at: None,
            settlement_date: None,
            limit_at: Some(at("2026-10-27T16:00:00Z")),
            reason: RescheduleReason::Calendar,
        }),
        Event::HoldBlocked(HoldBlocked {
            block: "dispute",
            reference: "D-77".to_owned(),
            reason: Some("return".to_owned()),
            blocked,
            left,
        }),
        Event::HoldUnblocked(HoldUnblocked {
            block: "dispute",
            reference: "D-77".to_owned(),
            blocked: yuan("0"),
            left,
        }),
        Event::HoldConsumed(HoldConsumed {
            amount: blocked,
            left: yuan("200.00"),
            refund_id: refund(),
            dispute_id: None,
        }),
        Event::HoldRestored(HoldRestored {
            amount: blocked,
            left,
            refund_id: None,
            dispute_id: Some(dispute()),
        }),
        Event::HoldReversed(HoldReversed {
            amount: left,
            left: yuan("0"),
        }),
        Event::HoldLimitReached(HoldLimitReached {
            limit_at: at("2026-10-27T16:00:00Z"),
            left,
        }),
    ]
}

fn payouts() -> Vec<Event> {
    vec![
        Event::ReleaseIssued(ReleaseIssued {
            release_id: release(),
            attempt: 1,
            gross: yuan("200.00"),
            recovered: yuan("0"),
            to_deposit: yuan("0"),
            amount: yuan("200.00"),
            settlement_id: Some(settlement()),
            settlement_part: Some(1),
            settlement_date: Some(ON),
            reason: ReleaseReason::Due,
            issued_at: at("2026-05-09T00:00:00.250Z"),
        }),
        Event::PayoutSettled(PayoutSettled {
            release_id: release(),
            attempt: 1,
            result: "paid",
            amount: yuan("200.00"),
            at: at("2026-05-11T02:00:00Z"),
        }),
    ]
}

fn orders() -> Vec<Event> {
    vec![
        Event::OrderAccepted(OrderAccepted {
            order_amount: yuan("259.90"),
            fees: yuan("0"),
            free: yuan("259.90"),
            agreement_id: agreement(),
            agreement_version: 1,
        }),
        Event::RefundApplied(RefundApplied {
            refund_id: refund(),
            dispute_id: Some(dispute()),
            amount: yuan("59.90"),
            charged: yuan("59.90"),
            sources: vec![
                Source {
                    kind: SourceKind::Hold,
                    hold_id: Some(hold()),
                    receivable_id: None,
                    amount: yuan("50.00"),
                },
                Source {
                    kind: SourceKind::Receivable,
                    hold_id: None,
                    receivable_id: Some(receivable()),
                    amount: yuan("9.90"),
                },
            ],
        }),
        Event::RefundReversed(RefundReversed {
            refund_id: refund().expect("one"),
            amount: yuan("59.90"),
            returned: yuan("59.90"),
            sources: vec![
                Source {
                    kind: SourceKind::Hold,
                    hold_id: Some(hold()),
                    receivable_id: None,
                    amount: yuan("50.00"),
                },
                Source {
                    kind: SourceKind::Credit,
                    hold_id: None,
                    receivable_id: None,
                    amount: yuan("9.90"),
                },
            ],
        }),
    ]
}

fn debts() -> Vec<Event> {
    vec![
        Event::ReceivableOpened(ReceivableOpened {
            receivable_id: receivable(),
            amount: yuan("9.90"),
            refund_id: refund(),
            dispute_id: None,
            transaction_id: None,
            adjustment_id: None,
        }),
        Event::ReceivableRecovered(ReceivableRecovered {
            receivable_id: receivable(),
            amount: yuan("9.90"),
            left: yuan("0"),
            by: "cancellation",
            release_id: None,
            adjustment_id: None,
        }),
        Event::ReceivableWrittenOff(ReceivableWrittenOff {
            receivable_id: receivable(),
            amount: yuan("9.90"),
            left: yuan("0"),
            written_off: yuan("9.90"),
            made_good: false,
            by: "operator",
        }),
        Event::CreditOpened(CreditOpened {
            credit_id: CreditId::of(&merchant(), "order.cancelled:O-1001"),
            amount: yuan("9.90"),
            by: "cancellation",
            adjustment_id: None,
        }),
    ]
}

fn reviews() -> Vec<Event> {
    let review_id = || ReviewId::by_amount(&merchant(), &order());
    let respond_by = at("2026-05-03T04:00:00Z");
    vec![
        Event::ReviewRequested(ReviewRequested {
            review_id: review_id(),
            cause: "threshold",
            respond_by,
            remind_at: at("2026-05-02T04:00:00Z"),
        }),
        Event::ReviewReminded(ReviewReminded {
            review_id: review_id(),
            respond_by,
        }),
        Event::ReviewOverdue(ReviewOverdue {
            review_id: review_id(),
            awaited: "answer",
            due_at: respond_by,
            answered: false,
            on_silence: OnSilence::Escalate,
        }),
        Event::ReviewClosed(ReviewClosed {
            review_id: review_id(),
            result: "passed",
            by: ClosedBy::Person,
            answered: true,
        }),
    ]
}

fn merchants() -> Vec<Event> {
    vec![
        Event::SettlementClosed(SettlementClosed {
            settlement_id: settlement(),
            part: 1,
            settlement_date: ON,
            releases: 1,
            gross: yuan("200.00"),
            recovered: yuan("0"),
            to_deposit: yuan("0"),
            amount: yuan("200.00"),
        }),
        Event::DepositChanged(DepositChanged {
            amount: yuan("1000.00"),
            direction: Direction::Credit,
            deposit: yuan("1500.00"),
            by: "credited",
            transaction_id: Some(TransactionId::parse("T-9").unwrap()),
            adjustment_id: None,
            release_id: None,
            refund_id: None,
            dispute_id: None,
        }),
        Event::SettlementSkipped(SettlementSkipped {
            settlement_id: settlement(),
            settlement_date: ON,
            due: yuan("0.90"),
            minimum: yuan("10.00"),
        }),
        Event::AgreementAccepted(AgreementAccepted {
            agreement_id: agreement(),
            agreement_version: 1,
            effective_from: at("2025-12-31T16:00:00Z"),
            late_for: 0,
        }),
    ]
}
