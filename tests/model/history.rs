//! Random histories of one merchant: agreements, calendars, facts of two orders and clocks, from
//! small numbers and times near changes of summer time, so that amounts meet and times collide.

use std::collections::{BTreeMap, HashMap};

use holdback::rules::agreement::Agreement;
use holdback::rules::calendar::Calendar;
use holdback::rules::fact::{
    Completed, ConfirmedBy, ContentHash, DisputeClosed, DisputeKind, DisputeOpened, DisputeOutcome,
    DisputeUpdated, OrderEvent, OrderFact, Refunded,
};
use holdback::rules::ids::{CalendarId, DisputeId, MerchantId, OrderId, RefundId};
use holdback::rules::money::{Amount, Currency};
use holdback::rules::time::Instant;
use jiff::Timestamp;
use proptest::prelude::*;
use proptest::sample::select;
use rust_decimal::Decimal;
use sha2::{Digest, Sha256};

use super::agreements::agreements;

/// One thing that holdback learns, in the order in which it learns it.
#[derive(Debug, Clone)]
pub enum Step {
    Agreement(Agreement),
    Calendar(Calendar),
    Order(OrderFact),
    /// The release loop looks, with an open gate.
    Clock(Timestamp),
}

/// Facts happen within so many hours.
const HOURS: i64 = 30 * 24;

/// Summer time begins or ends in some of the zones soon after these.
const STARTS: [&str; 3] = [
    "2026-03-20T00:00:00Z",
    "2026-04-16T00:00:00Z",
    "2026-10-15T00:00:00Z",
];

pub fn at(start: usize, hours: i64) -> Timestamp {
    let start: Timestamp = STARTS[start].parse().unwrap();
    start + jiff::SignedDuration::from_hours(hours)
}

pub fn currency(code: &str) -> Currency {
    Currency::from_code(code).unwrap()
}

fn money(units: i64, currency: Currency) -> Amount {
    Amount::new(Decimal::new(units, currency.exponent()), currency).unwrap()
}

/// A history, whole: two orders, at most one fact of each key.
pub fn histories() -> impl Strategy<Value = Vec<Step>> {
    let code = select(vec!["CNY", "CNY", "JPY", "KWD"]);
    (0..STARTS.len(), code).prop_flat_map(|(start, code)| {
        let first = agreements(start, currency(code));
        let more = prop::collection::vec(agreements(start, currency(code)), 0..2);
        let calendars = prop::collection::vec(calendar(start), 0..3);
        let facts = prop::collection::vec((0..100_u8, happening(start, currency(code))), 0..16);
        let clocks = prop::collection::vec((0..100_u8, 1..HOURS * 2), 0..4);
        let late = (0..40_u8, 0..10_u8);
        (
            first,
            more,
            calendars,
            facts,
            clocks,
            late,
            sales(start, currency(code)),
        )
            .prop_map(
                move |(first, more, calendars, facts, clocks, late, sales)| {
                    let mut steps: Vec<(u8, Step)> = Vec::new();
                    let late_agreement = if late.1 == 0 { late.0 } else { 0 };
                    steps.push((late_agreement, Step::Agreement(first)));
                    steps.extend(calendars.into_iter().map(|it| (0, Step::Calendar(it))));
                    steps.extend(more.into_iter().map(|it| (late.0, Step::Agreement(it))));
                    steps.extend(sales.into_iter().map(|(p, it)| (p, Step::Order(it))));
                    steps.extend(facts.into_iter().map(|(p, it)| (p, Step::Order(it))));
                    steps.sort_by_key(|(position, _)| *position);
                    with_clocks(steps, clocks, start)
                },
            )
    })
}

/// Clocks go forward; calendars and agreements of one id and version come once.
fn with_clocks(steps: Vec<(u8, Step)>, clocks: Vec<(u8, i64)>, start: usize) -> Vec<Step> {
    let (mut places, mut hours): (Vec<u8>, Vec<i64>) = clocks.into_iter().unzip();
    places.sort_unstable();
    hours.sort_unstable();
    let mut clocks = places.into_iter().zip(hours).peekable();
    let mut known: HashMap<String, ContentHash> = HashMap::new();
    let mut laid = Vec::new();
    for (place, mut step) in steps {
        while let Some((_, hours)) = clocks.next_if(|(at, _)| *at < place) {
            laid.push(Step::Clock(at(start, hours)));
        }
        let fits = match &mut step {
            Step::Order(fact) => {
                let key = format!("{} {}", fact.order, fact.key());
                *known.entry(key).or_insert(fact.content) == fact.content
            }
            Step::Agreement(it) => {
                let earlier = laid.iter().filter(|it| matches!(it, Step::Agreement(_)));
                it.version = u64::try_from(earlier.count()).unwrap() + 1;
                true
            }
            Step::Calendar(it) => {
                let earlier = laid.iter().filter(|it| matches!(it, Step::Calendar(_)));
                it.version = u64::try_from(earlier.count()).unwrap() + 1;
                true
            }
            Step::Clock(_) => true,
        };
        if fits {
            laid.push(step);
        }
    }
    laid.extend(clocks.map(|(_, hours)| Step::Clock(at(start, hours))));
    laid
}

fn calendar(start: usize) -> impl Strategy<Value = Calendar> {
    let days = || prop::collection::btree_set(0..60_i64, 0..6);
    (
        days(),
        days(),
        0..8_i64,
        select(vec![vec![6, 7], vec![7], vec![5, 6]]),
    )
        .prop_map(move |(idle, extra, until, weekend)| {
            let date = |day: &i64| at(start, day * 24).to_zoned(jiff::tz::TimeZone::UTC).date();
            let holidays: std::collections::BTreeSet<_> = idle.iter().map(date).collect();
            let extra = extra.iter().map(date).filter(|day| !holidays.contains(day));
            Calendar {
                calendar: CalendarId::parse("C").unwrap(),
                version: 1,
                weekend: weekend.into_iter().collect(),
                working_days: extra.collect(),
                holidays,
                from: None,
                until: (until < 2).then(|| date(&(30 + until * 30))),
            }
        })
}

fn fact(order: &str, what: OrderEvent) -> OrderFact {
    let digest = Sha256::digest(format!("{what:?}"));
    OrderFact {
        merchant: MerchantId::parse("M1").unwrap(),
        order: OrderId::parse(order).unwrap(),
        content: ContentHash(digest[..16].try_into().unwrap()),
        traceparent: None,
        recorded_at: None,
        what,
    }
}

fn sales(start: usize, currency: Currency) -> impl Strategy<Value = Vec<(u8, OrderFact)>> {
    let amounts = select(vec![1_i64, 10, 101, 1000, 4999, 10_000]);
    let sale = (0..60_u8, amounts, 0..11_i64, 0..72_i64, 0..3_u8, 0..4_u8);
    prop::collection::vec(sale, 1..3).prop_map(move |sales| {
        let mut facts = Vec::new();
        for (order, (place, amount, fees, hours, category, late)) in ["O1", "O2"].iter().zip(sales)
        {
            let category = ["phone", "tablet", ""][usize::from(category)];
            let attributes = match category {
                "" => BTreeMap::new(),
                category => BTreeMap::from([("category".to_owned(), category.to_owned())]),
            };
            let sale = OrderEvent::Completed(Completed {
                amount: money(amount, currency),
                fees: money(amount * fees / 20, currency),
                currency,
                at: Instant::new(at(start, hours)),
                attributes,
            });
            facts.push((if late == 0 { place } else { 0 }, fact(order, sale)));
        }
        facts
    })
}

/// Something about one of the orders.
fn happening(start: usize, currency: Currency) -> impl Strategy<Value = OrderFact> {
    let order = select(vec![1_u8, 1, 2]);
    (order, 0..HOURS).prop_flat_map(move |(order, hours)| {
        let at = Instant::new(at(start, hours));
        let what = prop_oneof![
            4 => refund(order, at, currency),
            4 => opened(order, at, currency),
            2 => updated(order, at, currency),
            4 => closed(order, at, currency),
            3 => simple(at),
        ];
        what.prop_map(move |what| fact(&format!("O{order}"), what))
    })
}

fn dispute(order: u8, n: u8) -> DisputeId {
    DisputeId::parse(&format!("D{order}{n}")).unwrap()
}

fn sum(currency: Currency) -> impl Strategy<Value = Decimal> {
    let units = select(vec![1_i64, 7, 30, 100, 999, 2500, 6000]);
    units.prop_map(move |units| Decimal::new(units, currency.exponent()))
}

fn refund(order: u8, at: Instant, currency: Currency) -> BoxedStrategy<OrderEvent> {
    (1..5_u8, sum(currency), prop::option::of(1..4_u8))
        .prop_map(move |(n, amount, of)| {
            OrderEvent::Refunded(Refunded {
                refund: RefundId::parse(&format!("R{order}{n}")).unwrap(),
                amount: Amount::new(amount, currency).unwrap(),
                currency,
                at,
                reason: None,
                dispute: of.map(|of| dispute(order, of)),
            })
        })
        .boxed()
}

fn kind() -> impl Strategy<Value = DisputeKind> {
    select(vec![
        DisputeKind::Chargeback,
        DisputeKind::Chargeback,
        DisputeKind::Complaint,
        DisputeKind::Return,
        DisputeKind::Exchange,
        DisputeKind::Inquiry,
    ])
}

fn opened(order: u8, at: Instant, currency: Currency) -> BoxedStrategy<OrderEvent> {
    (1..4_u8, kind(), prop::option::weighted(0.7, sum(currency)))
        .prop_map(move |(n, kind, amount)| {
            let dispute = dispute(order, n);
            OrderEvent::DisputeOpened(DisputeOpened {
                dispute,
                kind,
                amount,
                at,
            })
        })
        .boxed()
}

fn updated(order: u8, at: Instant, currency: Currency) -> BoxedStrategy<OrderEvent> {
    (
        1..4_u8,
        1..4_u64,
        prop::option::of(kind()),
        prop::option::of(sum(currency)),
    )
        .prop_map(move |(n, version, kind, amount)| {
            let dispute = dispute(order, n);
            OrderEvent::DisputeUpdated(DisputeUpdated {
                dispute,
                version,
                kind,
                amount,
                at,
            })
        })
        .boxed()
}

fn closed(order: u8, at: Instant, currency: Currency) -> BoxedStrategy<OrderEvent> {
    let outcome = select(vec![
        DisputeOutcome::Won,
        DisputeOutcome::Withdrawn,
        DisputeOutcome::Resolved,
        DisputeOutcome::Lost,
        DisputeOutcome::Lost,
    ]);
    (1..4_u8, outcome, prop::option::weighted(0.3, sum(currency)))
        .prop_map(move |(n, outcome, refund_expected)| {
            let dispute = dispute(order, n);
            OrderEvent::DisputeClosed(DisputeClosed {
                dispute,
                outcome,
                at,
                refund_expected,
            })
        })
        .boxed()
}

fn simple(at: Instant) -> BoxedStrategy<OrderEvent> {
    (0..5_u8)
        .prop_map(move |what| match what {
            0 | 1 => OrderEvent::Delivered { at },
            2 | 3 => OrderEvent::Confirmed {
                at,
                by: ConfirmedBy::Buyer,
            },
            _ => OrderEvent::Cancelled { at, reason: None },
        })
        .boxed()
}
