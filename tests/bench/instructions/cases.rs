//! What is measured: each input type, with the state in which such a message normally meets its
//! order, and a release.

use std::collections::HashMap;
use std::sync::Arc;

use holdback::message::Record;
use holdback::message::incoming::InputType;
use holdback::rules::agreement::{Agreement, Anchor};
use holdback::rules::calendar::{Calendar, Calendars};
use holdback::rules::decide;
use holdback::rules::fact::{Fact, OrderFact, PayoutSubject};
use holdback::rules::ids::{MerchantId, OrderId};
use holdback::rules::money::{Amount, Currency};
use holdback::rules::order::Order;
use holdback::rules::payout::{Payout, PayoutState};
use holdback::rules::recovery::Purse;
use holdback::rules::release::Claim;
use holdback::rules::review::Approval;

use super::messages::{at, fact, record};
use super::stages::{Before, Books};

/// One line of the table.
pub struct Case {
    pub name: String,
    /// `None` for what the clock does.
    pub record: Option<Record>,
    pub books: Books,
    pub before: Before,
}

const COMPLETED: &str = "order.completed.v1--full";
const DELIVERED: &str = "order.delivered.v1--minimal";
const CONFIRMED: &str = "order.confirmed.v1--by-buyer";
const REFUND: &str = "refund.succeeded.v1--minimal";
const OPENED: &str = "dispute.opened.v1--part";
const REQUESTED: &str = "review.requested.v1--full";
const ANSWERED: &str = "review.answered.v1--full";

/// Messages about an order, each with those that came before it.
const OF_ORDERS: [(&str, &[&str]); 13] = [
    (COMPLETED, &[]),
    (DELIVERED, &[COMPLETED]),
    (CONFIRMED, &[COMPLETED, DELIVERED]),
    ("order.cancelled.v1--full", &[COMPLETED]),
    (REFUND, &[COMPLETED, DELIVERED]),
    (
        "refund.reversed.v1--minimal",
        &[COMPLETED, DELIVERED, REFUND],
    ),
    (OPENED, &[COMPLETED, DELIVERED]),
    ("dispute.updated.v1--full", &[COMPLETED, DELIVERED, OPENED]),
    (
        "dispute.closed.v1--minimal",
        &[COMPLETED, DELIVERED, OPENED],
    ),
    ("dispute.closed.v1--lost", &[COMPLETED, DELIVERED, OPENED]),
    (REQUESTED, &[COMPLETED]),
    (ANSWERED, &[COMPLETED, REQUESTED]),
    (
        "review.decided.v1--minimal",
        &[COMPLETED, REQUESTED, ANSWERED],
    ),
];

/// Everything that is measured, in the order of the table.
pub fn all() -> Vec<Case> {
    let mut cases: Vec<Case> = OF_ORDERS.iter().map(|it| of_order(it.0, it.1)).collect();
    cases.extend([agreement(), calendar()]);
    let purses = [
        "deposit.credited.v1--minimal",
        "deposit.withdrawn.v1--minimal",
        "adjustment.posted.v1--credit",
        "adjustment.posted.v1--debit-of-an-order",
    ];
    cases.extend(purses.map(of_purse));
    cases.extend(["payout.paid.v1--release", "payout.failed.v1--release"].map(of_payout));
    cases.push(release());
    for input in InputType::ALL {
        let measured = cases.iter().any(|it| it.name.starts_with(input.as_str()));
        assert!(measured, "{} is not measured", input.as_str());
    }
    cases
}

fn of_order(example: &str, before: &[&str]) -> Case {
    let (record, books) = (record(example, &[]), books());
    let order = order(before, &books);
    let fact = of_the_order(fact(&record));
    Case {
        name: example.to_owned(),
        before: Before::Order(Box::new(order), fact),
        record: Some(record),
        books,
    }
}

/// An agreement that an order waits for.
fn agreement() -> Case {
    let books = books();
    let unknown = Books {
        agreements: Vec::new(),
        ..books.clone()
    };
    Case {
        name: AGREEMENT.0.to_owned(),
        record: Some(record(AGREEMENT.0, &AGREEMENT.1)),
        before: Before::Waiting(Box::new(order(&[COMPLETED], &unknown))),
        books,
    }
}

/// Holidays that move a hold's date.
fn calendar() -> Case {
    let name = "calendar.published.v1--full";
    let holidays = [("2026-10-0", "2026-05-0"), ("2026-10-10", "2026-05-10")];
    let record = record(name, &holidays);
    let mut books = books();
    let order = order(&[COMPLETED, DELIVERED, CONFIRMED], &books);
    let Fact::Calendar(second) = fact(&record) else {
        panic!("{name} is a calendar");
    };
    books.calendars = calendars(*second);
    Case {
        name: name.to_owned(),
        record: Some(record),
        books,
        before: Before::Dated(Box::new(order)),
    }
}

/// A deposit that has something in it.
fn of_purse(example: &str) -> Case {
    let record = record(example, &[]);
    let fact = fact(&record);
    let currency = match &fact {
        Fact::Deposit(it) => it.currency,
        Fact::Adjustment(it) => it.currency,
        _ => panic!("{example} is about no deposit"),
    };
    Case {
        name: example.to_owned(),
        record: Some(record),
        books: books(),
        before: Before::Purse(purse(currency), fact),
    }
}

/// A release that was sent out.
fn of_payout(example: &str) -> Case {
    let record = record(example, &[]);
    let fact = fact(&record);
    let Fact::Payout(result) = &fact else {
        panic!("{example} is no payout result");
    };
    let PayoutSubject::Release(release) = result.subject else {
        panic!("{example} names no release");
    };
    let books = books();
    let order = order(&[COMPLETED], &books);
    let payout = Payout {
        merchant: order.merchant.clone(),
        release,
        order: Some(order.id.clone()),
        hold: Some(order.holds[0].id),
        currency: yuan(),
        amount: order.holds[0].left,
        attempt: 1,
        state: PayoutState::Issued,
        at: None,
    };
    Case {
        name: example.to_owned(),
        record: Some(record),
        books,
        before: Before::Payout(payout, fact),
    }
}

/// A hold that is due, of a merchant whose deposit is to grow.
fn release() -> Case {
    let mut books = books();
    let order = order(&[COMPLETED, DELIVERED], &books);
    let claim = Claim::of(&order, &order.holds[0]).expect("an order that is applied");
    books.now = at("2026-06-01T00:00:00Z");
    Case {
        name: "release".to_owned(),
        record: None,
        books,
        before: Before::Due(Box::new(claim), purse(yuan())),
    }
}

/// The example that all orders here go by: in force already, its first term counted from delivery.
const AGREEMENT: (&str, [(&str, &str); 3]) = (
    "agreement.published.v1--full",
    [
        ("2027-11-01", "2027-01-01"),
        ("2026-11-01", "2026-01-01"),
        ("\"anchor\": \"completed\"", "\"anchor\": \"delivered\""),
    ],
);

fn books() -> Books {
    let Fact::Agreement(agreement) = fact(&record(AGREEMENT.0, &AGREEMENT.1)) else {
        panic!("{} is an agreement", AGREEMENT.0);
    };
    let agreement: Agreement = *agreement;
    assert_eq!(agreement.terms[0].anchor, Anchor::Delivered);
    let Fact::Calendar(first) = fact(&record("calendar.published.v1--minimal", &[])) else {
        panic!("an example of a calendar");
    };
    Books {
        agreements: vec![Arc::new(agreement)],
        calendars: calendars(*first),
        approval: Approval::default(),
        now: at("2026-05-07T00:00:00Z"),
    }
}

fn calendars(calendar: Calendar) -> Calendars {
    let id = calendar.calendar.clone();
    Calendars(HashMap::from([(id, Arc::new(calendar))]))
}

/// The order after these messages.
fn order(before: &[&str], books: &Books) -> Order {
    let merchant = MerchantId::parse("M-1").expect("an id");
    let mut order = Order::stub(merchant, OrderId::parse("O-1001").expect("an id"));
    order.purse = Some(purse(yuan()));
    for example in before {
        let fact = of_the_order(fact(&record(example, &[])));
        decide::apply(&mut order, fact, books.world()).expect("accepted");
    }
    order
}

/// The fact about the one order that there is.
fn of_the_order(fact: Fact) -> OrderFact {
    match fact {
        Fact::Order(fact) => fact,
        Fact::Indirect(fact) => fact.about(OrderId::parse("O-1001").expect("an id")),
        other => panic!("{other:?} is about no order"),
    }
}

fn purse(currency: Currency) -> Purse {
    let mut purse = Purse::empty(currency);
    purse.deposit = Amount::parse("500.00", currency).expect("an amount");
    purse
}

fn yuan() -> Currency {
    Currency::from_code("CNY").expect("a currency")
}
