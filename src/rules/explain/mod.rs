//! The answer of `holdback explain`: one order with its holds, how each amount and date was
//! reached, what keeps the money, and when it is expected to go.
//!
//! Pure: the same order at the same moment is explained the same way. As JSON it is the types below;
//! [`words`] says it in English and in Chinese.

mod findings;
mod hold;
mod reviews;
mod ways;
pub mod words;

use std::collections::BTreeMap;

use jiff::civil::Date;
use serde::Serialize;

use super::agreement::{Anchor, Count, DayKind};
use super::calendar::Calendars;
use super::fact::{Completed, DisputeOutcome};
use super::ids::{HoldId, TermName};
use super::money::Amount;
use super::order::Order;
use super::pause::Pause;
use super::payout::Payout;
use super::release::Clock;
use super::time::Instant;

pub use findings::{Finding, Test};
pub use reviews::ReviewExplained;
pub use ways::{Then, Way, Who};

/// What is known besides the order.
#[derive(Debug, Clone, Default)]
pub struct Circumstances {
    /// Why the order's releases are paused, if they are.
    pub paused: Option<Pause>,
    /// The partition that keeps the gate's moment back.
    pub behind: Option<String>,
    pub calendars: Calendars,
    /// What is due of the merchant and currency on a settlement date that is not under its minimum
    /// for good: the free money of all holds.
    pub due: BTreeMap<Date, Amount>,
    /// The message that caused it (`topic/partition/offset`), by the event's subject: `sale`,
    /// `clock`, `block …`, `cleared …`, `refund …`, `dispute …`.
    pub messages: BTreeMap<String, String>,
    /// What the payout system has answered of the order's releases.
    pub payouts: Vec<Payout>,
}

/// One order, explained at one moment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Explanation {
    pub merchant_id: String,
    pub order_id: String,
    /// `unknown`, `waiting`, `held`, `finished` or `cancelled`.
    pub state: &'static str,
    pub at: Instant,
    pub sale: Option<Sale>,
    pub holds: Vec<HoldExplained>,
    /// Everything that keeps money back or did, oldest first.
    pub blocks: Vec<BlockExplained>,
    pub reviews: Vec<ReviewExplained>,
    pub refunds: Vec<Charged>,
    /// What the merchant owes because of this order.
    pub owed: Vec<Owed>,
    /// What the payout system has answered of the order's releases, oldest answer first.
    pub payouts: Vec<Payout>,
    /// Keys of the facts that wait for the order, an agreement or their dispute.
    pub parked: Vec<String>,
}

/// The sale and the agreement that it is held under.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Sale {
    pub amount: Amount,
    pub fees: Amount,
    pub currency: String,
    /// What no term holds; null while no agreement is in force.
    pub free: Option<Amount>,
    pub agreement: Option<String>,
    pub time_zone: Option<String>,
    pub completed_at: Instant,
    /// The message that said so: topic, partition, offset.
    pub message: Option<String>,
    pub delivered_at: Option<Instant>,
    pub confirmed_at: Option<Instant>,
    pub cancelled_at: Option<Instant>,
}

/// One hold: its sums, its clocks, and the tests that a release has to pass.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct HoldExplained {
    pub hold_id: HoldId,
    pub term: TermName,
    /// `pending`, `held`, `due`, `blocked`, `released`, `consumed` or `reversed`.
    pub state: &'static str,
    pub original: Amount,
    pub calculation: Option<String>,
    pub left: Amount,
    pub consumed: Amount,
    pub released: Amount,
    pub reversed: Amount,
    pub blocked: Amount,
    pub clock: TermClock,
    pub limit_at: Option<Instant>,
    /// The parts of what is left, the earliest first.
    pub parts: Vec<PartExplained>,
    /// The tests of a release in their order.
    pub tests: Vec<Test>,
    /// The first of them that fails: why the money is still here.
    pub first_failing: Option<&'static str>,
    /// The settlement date on which the next money goes if nothing else happens.
    pub expected_on: Option<Date>,
    /// Who can act, and what would happen then.
    pub ways: Vec<Way>,
}

/// How the hold's dates are counted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct TermClock {
    pub anchor: Anchor,
    /// Since when it runs; null: it has not started.
    pub anchor_at: Option<Instant>,
    /// The message that started it, where that is not the sale's.
    pub message: Option<String>,
    pub days: u32,
    pub day_kind: DayKind,
    pub count: Count,
    pub time_zone: String,
    pub calendar: Option<String>,
    /// The version that the dates were computed with.
    pub calendar_version: Option<u64>,
}

/// Money of a hold that has the same dates; null while they are unknown.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct PartExplained {
    pub amount: Amount,
    pub blocked: Amount,
    pub window_ends_at: Option<Instant>,
    pub eligible_at: Option<Instant>,
    pub release_at: Option<Instant>,
    pub settlement_date: Option<Date>,
}

/// A dispute or another block, and since when.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct BlockExplained {
    pub block: &'static str,
    pub reference: String,
    pub reason: String,
    /// The hold that it lies on; null: all of the order's.
    pub hold_id: Option<HoldId>,
    /// What is contested or kept; null: all.
    pub amount: Option<Amount>,
    pub opened_at: Instant,
    /// The message that put it there.
    pub message: Option<String>,
    pub cleared_at: Option<Instant>,
    /// The message that cleared it.
    pub cleared_by: Option<String>,
    pub outcome: Option<DisputeOutcome>,
}

/// A refund or lost chargeback and what paid it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Charged {
    pub cause: Cause,
    pub message: Option<String>,
    pub charged: Amount,
    pub from_reversed: Amount,
    pub from_holds: Amount,
    pub from_deposit: Amount,
    pub from_receivable: Amount,
    /// When it turned out not to have gone through; what it had charged went back.
    pub reversed_at: Option<Instant>,
}

/// What charged the merchant.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Cause {
    Refund { id: String, amount: Amount },
    LostChargeback { id: String },
}

/// A receivable that this order opened.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Owed {
    pub cause: String,
    pub original: Amount,
    pub left: Amount,
    /// What the platform bears of it.
    pub written_off: Amount,
    pub opened_at: Instant,
}

/// Explains an order at the moment of the clock.
#[must_use]
pub fn explain(order: &Order, clock: Clock, circumstances: &Circumstances) -> Explanation {
    let settled = order.settled();
    let holds = settled.iter().flat_map(|(sale, agreement)| {
        let of_order = hold::OfOrder {
            order,
            sale,
            agreement,
            clock,
            circumstances,
        };
        order.holds.iter().map(move |hold| of_order.explain(hold))
    });
    let sale = order.sale.as_ref();
    Explanation {
        merchant_id: order.merchant.to_string(),
        order_id: order.id.to_string(),
        state: state(order),
        at: clock.now,
        sale: sale.map(|noted| self::sale(order, &noted.value, circumstances)),
        holds: holds.collect(),
        blocks: blocks(order, circumstances),
        reviews: reviews::reviews(order),
        refunds: charges(order, circumstances),
        owed: owed(order),
        payouts: circumstances.payouts.clone(),
        parked: order
            .parked
            .iter()
            .map(|fact| fact.key().to_string())
            .collect(),
    }
}

impl Circumstances {
    fn message(&self, of: &str) -> Option<String> {
        self.messages.get(of).cloned()
    }
}

fn state(order: &Order) -> &'static str {
    if order.sale.is_none() {
        "unknown"
    } else if order.agreement.is_none() {
        "waiting"
    } else if order.cancelled.is_some() {
        "cancelled"
    } else if order.holds.iter().all(|hold| hold.left.is_zero()) {
        "finished"
    } else {
        "held"
    }
}

fn sale(order: &Order, sale: &Completed, circumstances: &Circumstances) -> Sale {
    let agreement = order.agreement.as_ref();
    Sale {
        amount: sale.amount,
        fees: sale.fees,
        currency: sale.currency.code().to_owned(),
        free: order.free,
        agreement: agreement.map(|it| format!("{} version {}", it.agreement_id, it.version)),
        time_zone: agreement.map(|it| it.time_zone.clone()),
        completed_at: sale.at,
        message: circumstances.message("sale"),
        delivered_at: order.delivered.as_ref().map(|noted| noted.value),
        confirmed_at: order.confirmed.as_ref().map(|noted| noted.value),
        cancelled_at: order.cancelled.as_ref().map(|noted| noted.value),
    }
}

fn blocks(order: &Order, circumstances: &Circumstances) -> Vec<BlockExplained> {
    let opened = |reference: &str| circumstances.message(&format!("block {reference}"));
    let cleared = |reference: &str| circumstances.message(&format!("cleared {reference}"));
    let disputes = order.disputes.iter().map(|dispute| BlockExplained {
        block: "dispute",
        reference: dispute.id.to_string(),
        reason: dispute.kind.name().to_owned(),
        hold_id: None,
        amount: dispute.amount,
        opened_at: dispute.opened_at,
        message: opened(dispute.id.as_str()),
        cleared_at: dispute.cleared_at(),
        cleared_by: cleared(dispute.id.as_str()).filter(|_| dispute.closed.is_some()),
        outcome: dispute.closed.as_ref().map(|closing| closing.value.outcome),
    });
    let blocks = order.blocks.iter().map(|block| BlockExplained {
        block: block.kind.name(),
        reference: block.reference.clone(),
        reason: block.reason.clone(),
        hold_id: block.hold,
        amount: block.amount,
        opened_at: block.opened_at,
        message: opened(&block.reference),
        cleared_at: block.cleared_at,
        cleared_by: cleared(&block.reference).filter(|_| block.cleared_at.is_some()),
        outcome: None,
    });
    let mut all: Vec<BlockExplained> = disputes.chain(blocks).collect();
    all.sort_by_key(|block| block.opened_at);
    all
}

fn charges(order: &Order, circumstances: &Circumstances) -> Vec<Charged> {
    let refunds = order.refunds.iter().map(|it| Charged {
        cause: Cause::Refund {
            id: it.id.to_string(),
            amount: it.amount,
        },
        message: circumstances.message(&format!("refund {}", it.id)),
        charged: it.charged,
        from_reversed: it.from_reversed,
        from_holds: it.from_holds,
        from_deposit: it.from_deposit,
        from_receivable: it.from_receivable,
        reversed_at: it.reversed.as_ref().map(|noted| noted.value),
    });
    let disputes = order.disputes.iter().map(|it| Charged {
        cause: Cause::LostChargeback {
            id: it.id.to_string(),
        },
        message: circumstances.message(&format!("dispute {}", it.id)),
        charged: it.charged,
        from_reversed: it.from_reversed,
        from_holds: it.from_holds,
        from_deposit: it.from_deposit,
        from_receivable: it.from_receivable,
        reversed_at: None,
    });
    refunds
        .chain(disputes.filter(|it| !it.charged.is_zero()))
        .collect()
}

fn owed(order: &Order) -> Vec<Owed> {
    let receivables = order.receivables.iter();
    receivables
        .map(|it| Owed {
            cause: format!("{} {}", it.cause.0, it.cause.1),
            original: it.original,
            left: it.left,
            written_off: it.written_off,
            opened_at: it.opened_at,
        })
        .collect()
}
