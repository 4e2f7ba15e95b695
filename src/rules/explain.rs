//! The answer of `holdback explain`: one order with its holds, how each amount and date was
//! reached, what keeps the money, and when it is expected to go.
//!
//! Pure: the same order at the same moment is explained the same way.

use std::sync::Arc;

use jiff::civil::Date;
use serde::Serialize;

use super::agreement::Agreement;
use super::fact::{Completed, DisputeOutcome};
use super::hold::Hold;
use super::ids::{HoldId, TermName};
use super::money::Amount;
use super::order::Order;
use super::release::{self, Claim, Clock, Judgement, Obstacle};
use super::term;
use super::time::Instant;

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
    pub refunds: Vec<Charged>,
    /// What the merchant owes because of this order.
    pub owed: Vec<Owed>,
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
    pub anchor_at: Option<Instant>,
    pub limit_at: Option<Instant>,
    /// The parts of what is left, the earliest first.
    pub parts: Vec<PartExplained>,
    /// The tests of a release in their order.
    pub tests: Vec<Test>,
    /// The first of them that fails: why the money is still here.
    pub first_failing: Option<&'static str>,
    /// The settlement date on which the next money goes if nothing else happens.
    pub expected_on: Option<Date>,
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

/// One test of section 6 of the contract.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Test {
    pub name: &'static str,
    pub passes: bool,
    pub says: String,
}

/// A dispute or another block, and since when.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct BlockExplained {
    pub block: &'static str,
    pub reference: String,
    pub reason: String,
    /// What is contested; null: the whole order.
    pub amount: Option<Amount>,
    pub opened_at: Instant,
    pub cleared_at: Option<Instant>,
    pub outcome: Option<DisputeOutcome>,
}

/// A refund or lost chargeback and what paid it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Charged {
    pub cause: String,
    pub charged: Amount,
    pub from_reversed: Amount,
    pub from_holds: Amount,
    pub from_deposit: Amount,
    pub from_receivable: Amount,
}

/// A receivable that this order opened.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Owed {
    pub cause: String,
    pub original: Amount,
    pub left: Amount,
    pub opened_at: Instant,
}

/// Explains an order at the moment of the clock; `paused`: why its releases are paused, if so.
#[must_use]
pub fn explain(order: &Order, clock: Clock, paused: Option<&str>) -> Explanation {
    let settled = order.settled();
    let holds = settled.iter().flat_map(|(sale, agreement)| {
        let holds = order.holds.iter();
        holds.map(|hold| explain_hold(order, sale, agreement, hold, clock, paused))
    });
    Explanation {
        merchant_id: order.merchant.to_string(),
        order_id: order.id.to_string(),
        state: state(order),
        at: clock.now,
        sale: order.sale.as_ref().map(|noted| sale(order, &noted.value)),
        holds: holds.collect(),
        blocks: blocks(order),
        refunds: charges(order),
        owed: owed(order),
        parked: order
            .parked
            .iter()
            .map(|fact| fact.key().to_string())
            .collect(),
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

fn sale(order: &Order, sale: &Completed) -> Sale {
    let agreement = order.agreement.as_ref();
    Sale {
        amount: sale.amount,
        fees: sale.fees,
        currency: sale.currency.code().to_owned(),
        free: order.free,
        agreement: agreement.map(|it| format!("{} version {}", it.agreement_id, it.version)),
        time_zone: agreement.map(|it| it.time_zone.clone()),
        completed_at: sale.at,
        delivered_at: order.delivered.as_ref().map(|noted| noted.value),
        confirmed_at: order.confirmed.as_ref().map(|noted| noted.value),
        cancelled_at: order.cancelled.as_ref().map(|noted| noted.value),
    }
}

fn explain_hold(
    order: &Order,
    sale: &Completed,
    agreement: &Arc<Agreement>,
    hold: &Hold,
    clock: Clock,
    paused: Option<&str>,
) -> HoldExplained {
    let claim = Claim {
        merchant: order.merchant.clone(),
        order: order.id.clone(),
        currency: sale.currency,
        agreement: agreement.clone(),
        hold: hold.clone(),
        traceparent: None,
    };
    let judgement = release::judge(&claim, clock);
    let tests = tests(hold, &judgement, clock, paused);
    let first_failing = tests.iter().find(|test| !test.passes).map(|test| test.name);
    let amounts = term::hold_amounts(agreement, sale).ok();
    let calculation = amounts.and_then(|amounts| {
        let mut holds = amounts.holds.into_iter();
        let own = holds.find(|(position, ..)| *position == usize::from(hold.term_no));
        own.map(|(_, _, calculation)| calculation)
    });
    let parts = hold.parts().into_iter().map(|part| PartExplained {
        amount: part.amount,
        blocked: part.blocked,
        window_ends_at: part.dates.map(|dates| dates.window_ends_at),
        eligible_at: part.dates.map(|dates| dates.eligible_at),
        release_at: part.dates.map(|dates| dates.release_at),
        settlement_date: part.dates.map(|dates| dates.settlement_on),
    });
    let parts: Vec<PartExplained> = parts.filter(|part| !part.amount.is_zero()).collect();
    let unblocked = parts.iter().find(|part| part.blocked < part.amount);
    HoldExplained {
        hold_id: hold.id,
        term: hold.term.clone(),
        state: hold_state(hold, &judgement),
        original: hold.original,
        calculation,
        left: hold.left,
        consumed: hold.consumed,
        released: hold.released,
        reversed: hold.reversed,
        blocked: hold.blocked,
        anchor_at: hold.anchor_at,
        limit_at: hold.limit_at,
        expected_on: unblocked.and_then(|part| part.settlement_date),
        parts,
        tests,
        first_failing,
    }
}

fn hold_state(hold: &Hold, judgement: &Judgement) -> &'static str {
    if hold.left.is_zero() {
        let ends = [
            (hold.released, "released"),
            (hold.reversed, "reversed"),
            (hold.consumed, "consumed"),
        ];
        let mut ends = ends.iter();
        return ends
            .find(|end| !end.0.is_zero())
            .map_or("consumed", |end| end.1);
    }
    if hold.free().is_zero() {
        "blocked"
    } else if hold.anchor_at.is_none() {
        "pending"
    } else if judgement.portions.is_empty() {
        "held"
    } else {
        "due"
    }
}

fn tests(hold: &Hold, judgement: &Judgement, clock: Clock, paused: Option<&str>) -> Vec<Test> {
    let stands = |obstacle: &Obstacle| judgement.obstacles.contains(obstacle);
    let test = |name, passes, says: String| Test { name, passes, says };
    let gate = clock
        .gate
        .map_or_else(|| "closed".to_owned(), |at| format!("open up to {at}"));
    let limit = hold
        .limit_at
        .map_or_else(|| "unknown".to_owned(), |at| at.to_string());
    let later = judgement
        .obstacles
        .iter()
        .find_map(|obstacle| match obstacle {
            Obstacle::NotYet(at) => Some(format!("not before {at}")),
            Obstacle::Pending => Some("the clock of the term has not started".to_owned()),
            Obstacle::NoCalendar => Some("the calendar does not know the dates".to_owned()),
            Obstacle::BeforeStart => {
                Some("due before release.not_before: needs a person".to_owned())
            }
            _ => None,
        });
    let passed = hold.limit_at.is_some_and(|at| at <= clock.now);
    let limit = format!("{limit}, {}", if passed { "passed" } else { "not reached" });
    let barred = if hold.barred { "in place" } else { "none" };
    vec![
        test(
            "left",
            !hold.left.is_zero(),
            format!("{} is left", hold.left),
        ),
        test(
            "pause",
            paused.is_none(),
            paused.unwrap_or("not paused").to_owned(),
        ),
        test("gate", !stands(&Obstacle::Gate), gate),
        test(
            "legal or review block",
            !stands(&Obstacle::Barred),
            barred.to_owned(),
        ),
        test("limit", true, limit),
        test(
            "other blocks",
            !stands(&Obstacle::Blocked),
            format!("{} of {} blocked", hold.blocked, hold.left),
        ),
        test(
            "release date",
            later.is_none(),
            later.unwrap_or_else(|| "reached".to_owned()),
        ),
    ]
}

fn blocks(order: &Order) -> Vec<BlockExplained> {
    let disputes = order.disputes.iter().map(|dispute| BlockExplained {
        block: "dispute",
        reference: dispute.id.to_string(),
        reason: dispute.kind.name().to_owned(),
        amount: dispute.amount,
        opened_at: dispute.opened_at,
        cleared_at: dispute.cleared_at(),
        outcome: dispute.closed.as_ref().map(|closing| closing.value.outcome),
    });
    let blocks = order.blocks.iter().map(|block| BlockExplained {
        block: block.kind.name(),
        reference: block.reference.clone(),
        reason: block.reason.clone(),
        amount: None,
        opened_at: block.opened_at,
        cleared_at: block.cleared_at,
        outcome: None,
    });
    let mut all: Vec<BlockExplained> = disputes.chain(blocks).collect();
    all.sort_by_key(|block| block.opened_at);
    all
}

fn charges(order: &Order) -> Vec<Charged> {
    let refunds = order.refunds.iter().map(|it| Charged {
        cause: format!("refund {} of {}", it.id, it.amount),
        charged: it.charged,
        from_reversed: it.from_reversed,
        from_holds: it.from_holds,
        from_deposit: it.from_deposit,
        from_receivable: it.from_receivable,
    });
    let disputes = order.disputes.iter().map(|it| Charged {
        cause: format!("lost chargeback {}", it.id),
        charged: it.charged,
        from_reversed: it.from_reversed,
        from_holds: it.from_holds,
        from_deposit: it.from_deposit,
        from_receivable: it.from_receivable,
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
            opened_at: it.opened_at,
        })
        .collect()
}
