//! Random histories of one merchant: two or three orders with all that may come to them, deposits,
//! adjustments and payout results, from small sums, mostly as it happened, some of it late.

use std::collections::BTreeSet;

use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use proptest::sample::select;

use super::words::{Cents, Seconds, Source, Step, Terms, What};

/// A history in the order of its arrival.
#[derive(Debug, Clone)]
pub struct History {
    pub terms: Terms,
    pub steps: Vec<Step>,
    /// Keys of another order of arrival.
    pub shuffle: Vec<u16>,
}

/// Facts happen within so many hours.
const HOURS: i64 = 24 * 24;
/// Facts of a history, at most.
const FACTS: usize = 18;
/// Seconds between what may happen in one hour; together under an hour.
const APART: Seconds = 100;

fn terms() -> impl Strategy<Value = Terms> {
    let rate = select(vec![1000_i64, 3333, 5000, 10_000]);
    let term = (rate, select(vec![0_i64, 1, 3, 7, 15]));
    let source = select(vec![
        Source::HoldFirst,
        Source::Proportional,
        Source::MerchantFirst,
    ]);
    let deposit = (
        select(vec![0, 500, 20_000]),
        select(vec![0, 1000, 3333, 10_000]),
    );
    let refund = (source, any::<bool>(), any::<bool>(), any::<bool>());
    (vec(term, 1..3), refund, deposit).prop_map(|(terms, refund, deposit)| Terms {
        terms,
        source: refund.0,
        fees_returned: refund.1,
        free_outside: refund.2,
        excess_receivable: refund.3,
        required: deposit.0,
        top_up_bps: deposit.1,
    })
}

fn cents() -> impl Strategy<Value = Cents> {
    select(vec![1_i64, 7, 50, 333, 1000, 2500, 6000, 10_000])
}

/// Something that happens at an hour, and how much later it arrives.
#[derive(Debug, Clone)]
struct Happening {
    hour: i64,
    late: i64,
    what: Kind,
}

#[derive(Debug, Clone)]
enum Kind {
    Refund(u8, u8, Cents, Option<u8>),
    Reversal(u8, u8),
    Cancellation(u8),
    /// Closed so many hours later; one of a part of the order at once.
    Chargeback(u8, u8, Option<Cents>, bool, i64),
    Deposit(bool, Cents),
    Adjustment(bool, Cents),
    Payout(usize, bool),
}

fn kind() -> impl Strategy<Value = Kind> {
    let order = || 0..3_u8;
    let refund = (order(), 0..4_u8, cents(), option::weighted(0.3, 0..2_u8));
    let chargeback = (
        order(),
        0..2_u8,
        option::of(cents()),
        prop::bool::weighted(0.8),
        1..100_i64,
    );
    prop_oneof![
        6 => refund.prop_map(|(order, id, sum, of)| Kind::Refund(order, id, sum, of)),
        4 => (order(), 0..4_u8).prop_map(|(order, id)| Kind::Reversal(order, id)),
        1 => order().prop_map(Kind::Cancellation),
        3 => chargeback.prop_map(|(order, id, sum, lost, hours)|
            Kind::Chargeback(order, id, sum, lost, hours)),
        4 => (prop::bool::weighted(0.6), cents()).prop_map(|(credit, sum)| Kind::Deposit(credit, sum)),
        4 => (any::<bool>(), cents()).prop_map(|(credit, sum)| Kind::Adjustment(credit, sum)),
        4 => (0..8_usize, prop::bool::weighted(0.6)).prop_map(|(pick, paid)| Kind::Payout(pick, paid)),
    ]
}

/// Mostly at once.
fn lateness() -> impl Strategy<Value = i64> {
    prop_oneof![5 => Just(0), 1 => 1..150_i64]
}

pub fn histories() -> impl Strategy<Value = History> {
    let sale = (
        0..120_i64,
        lateness(),
        select(vec![1_i64, 100, 999, 3001, 10_000]),
        0..11_i64,
    );
    let happening = (0..HOURS, lateness(), kind()).prop_map(|(hour, late, what)| Happening {
        hour,
        late,
        what,
    });
    let shuffle = vec(any::<u16>(), 2 * FACTS + 3);
    (terms(), vec(sale, 2..4), vec(happening, 0..FACTS), shuffle).prop_map(
        |(terms, sales, happenings, shuffle)| {
            let mut laid: Vec<(i64, Step)> = Vec::new();
            for (order, (hour, late, amount, twentieths)) in (0..).zip(sales) {
                let what = What::Completed {
                    amount,
                    fees: amount * twentieths / 20,
                };
                let at = hour * 3600 + Seconds::from(order) + 1;
                laid.push((hour + late, Step::Order { order, at, what }));
            }
            let orders = u8::try_from(laid.len()).expect("two or three");
            let mut known = BTreeSet::new();
            for (n, happening) in (1..).zip(happenings) {
                lay(&mut laid, &mut known, orders, n, &happening);
            }
            laid.sort_by_key(|(arrives, step)| (*arrives, step.at()));
            let steps = laid.into_iter().map(|(_, step)| step).collect();
            History {
                terms,
                steps,
                shuffle,
            }
        },
    )
}

/// Adds what happens, unless there is something of its key. What frees money of an order is never
/// late, and if it is of a part comes only once the order is known: of holds whose money may go at
/// several times the ledger knows nothing.
fn lay(
    laid: &mut Vec<(i64, Step)>,
    known: &mut BTreeSet<(&'static str, u8, u8)>,
    orders: u8,
    n: u8,
    happening: &Happening,
) {
    let Happening { hour, late, what } = happening;
    let at = hour * 3600 + APART * Seconds::from(n);
    let arrives = hour + late;
    let sold: Vec<i64> = laid[..usize::from(orders)].iter().map(|it| it.0).collect();
    let mut of_order = |kind, order: u8, id, arrives, at, what| {
        let order = order % orders;
        if known.insert((kind, order, id)) {
            laid.push((arrives, Step::Order { order, at, what }));
            return true;
        }
        false
    };
    match what.clone() {
        Kind::Refund(order, id, amount, dispute) => {
            let what = What::Refunded {
                id,
                amount,
                dispute,
            };
            of_order("refund", order, id, arrives, at, what);
        }
        Kind::Reversal(order, id) => {
            if sold[usize::from(order % orders)] < *hour {
                of_order("reversal", order, id, *hour, at, What::Reversed { id });
            }
        }
        Kind::Cancellation(order) => {
            of_order("cancellation", order, 0, arrives, at, What::Cancelled);
        }
        Kind::Chargeback(order, dispute, amount, lost, hours) => {
            let amount = amount.filter(|_| sold[usize::from(order % orders)] < *hour);
            let opened = What::Opened { dispute, amount };
            let hours = if amount.is_some() { 0 } else { hours };
            if of_order("chargeback", order, dispute, *hour, at, opened) {
                let closed = What::Closed { dispute, lost };
                let at = at + hours * 3600 + 1;
                of_order("closing", order, dispute, hour + hours, at, closed);
            }
        }
        Kind::Deposit(credited, amount) => laid.push((
            arrives,
            Step::Deposit {
                id: n,
                at,
                credited,
                amount,
            },
        )),
        Kind::Adjustment(credit, amount) => laid.push((
            arrives,
            Step::Adjustment {
                id: n,
                at,
                credit,
                amount,
            },
        )),
        Kind::Payout(pick, paid) => laid.push((arrives, Step::Payout { pick, at, paid })),
    }
}
