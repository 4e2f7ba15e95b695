//! Sections 3, 4, 6 and 7 of the contract over a whole history: every answer is reached anew from
//! all facts and from what the clocks before have released; nothing else is carried on.
//! Money is in whole minor units.

use std::collections::{BTreeMap, BTreeSet};

use holdback::rules::agreement::{
    Agreement, AtLimit, Basis, Excess, Free, RefundFees, RefundSource, Term,
};
use holdback::rules::calendar::Calendar;
use holdback::rules::fact::{
    Completed, DisputeClosed, DisputeKind, DisputeOpened, DisputeOutcome, DisputeUpdated,
    OrderEvent, Refunded,
};
use holdback::rules::money::{Amount, Currency};
use jiff::Timestamp;
use jiff::tz::TimeZone;
use rust_decimal::Decimal;

use super::dates::{self, Days, Due};
use super::history::Step;

/// Sums in minor units.
pub type Units = i128;

/// Orders by their ids, as they stand after a history.
pub type World = BTreeMap<String, OrderView>;

/// What is known of an order that has been applied.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OrderView {
    pub holds: Vec<HoldView>,
    /// What the merchant owes for it.
    pub owes: Units,
}

/// One hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HoldView {
    pub term: String,
    pub original: Units,
    pub left: Units,
    pub released: Units,
    /// Consumed, reversed: which of the two is a matter of what came first, not their sum.
    pub gone: Units,
    pub blocked: Units,
    pub window_ends_at: Option<Timestamp>,
    pub limit_at: Timestamp,
    /// What isn't blocked, by the date on which it goes; in order of dates.
    pub free: Vec<(Option<Due>, Units)>,
}

/// A sum that a clock has released.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Released {
    pub order: String,
    pub term: String,
    pub amount: Units,
}

/// The orders after these steps.
pub fn after(steps: &[Step]) -> World {
    let mut released = Vec::new();
    for (position, step) in steps.iter().enumerate() {
        if let Step::Clock(now) = step {
            let due = due(&steps[..position], &released, *now);
            released.extend(due);
        }
    }
    world(steps, &released)
}

/// What a clock at that time releases.
fn due(steps: &[Step], released: &[Released], now: Timestamp) -> Vec<Released> {
    let mut due = Vec::new();
    for (order, view) in world(steps, released) {
        let facts = Facts::of(steps, &order);
        let (agreement, _) = facts.agreement(steps).expect("it has been applied");
        for hold in view.holds {
            let term = agreement.terms.iter().find(|it| it.name.as_str() == hold.term);
            let at_limit = term.expect("its term").at_limit;
            let amount = if at_limit == AtLimit::Release && hold.limit_at <= now {
                hold.left
            } else {
                let ripe = |(due, _): &&(Option<Due>, Units)| due.is_some_and(|it| it.release_at <= now);
                hold.free.iter().filter(ripe).map(|(_, amount)| amount).sum()
            };
            if amount > 0 {
                let (order, term) = (order.clone(), hold.term);
                due.push(Released { order, term, amount });
            }
        }
    }
    due
}

fn world(steps: &[Step], released: &[Released]) -> World {
    let mut orders = BTreeSet::new();
    for step in steps {
        if let Step::Order(fact) = step {
            orders.insert(fact.order.to_string());
        }
    }
    let mut world = World::new();
    for order in orders {
        let facts = Facts::of(steps, &order);
        if let Some((agreement, applied_at)) = facts.agreement(steps) {
            let released: Vec<&Released> = released.iter().filter(|it| it.order == order).collect();
            world.insert(order, view(&facts, agreement, applied_at, steps, &released));
        }
    }
    world
}

/// The facts of one order, each once, with the positions of their arrival.
#[derive(Default)]
struct Facts<'a> {
    merchant: String,
    completed: Option<(usize, &'a Completed)>,
    delivered: Option<Timestamp>,
    confirmed: Option<Timestamp>,
    cancelled: bool,
    refunds: Vec<(usize, &'a Refunded)>,
    opened: BTreeMap<&'a str, &'a DisputeOpened>,
    updated: Vec<&'a DisputeUpdated>,
    closed: BTreeMap<&'a str, &'a DisputeClosed>,
}

impl<'a> Facts<'a> {
    fn of(steps: &'a [Step], order: &str) -> Self {
        let mut facts = Self::default();
        for (position, step) in steps.iter().enumerate() {
            let Step::Order(fact) = step else { continue };
            if fact.order.as_str() != order {
                continue;
            }
            facts.merchant = fact.merchant.to_string();
            match &fact.what {
                OrderEvent::Completed(it) => {
                    facts.completed.get_or_insert((position, it));
                }
                OrderEvent::Delivered { at } => facts.delivered = Some(*at),
                OrderEvent::Confirmed { at, .. } => facts.confirmed = Some(*at),
                OrderEvent::Cancelled { .. } => facts.cancelled = true,
                OrderEvent::Refunded(it) => {
                    let known = facts.refunds.iter().any(|(_, other)| other.refund == it.refund);
                    if !known {
                        facts.refunds.push((position, it));
                    }
                }
                OrderEvent::DisputeOpened(it) => {
                    facts.opened.insert(it.dispute.as_str(), it);
                }
                OrderEvent::DisputeUpdated(it) => facts.updated.push(it),
                OrderEvent::DisputeClosed(it) => {
                    facts.closed.insert(it.dispute.as_str(), it);
                }
            }
        }
        facts
    }

    /// The agreement under which the order stands, and the position in the history at which there
    /// was one.
    fn agreement(&self, steps: &'a [Step]) -> Option<(&'a Agreement, usize)> {
        let (completed_at, sale) = self.completed?;
        let mut known: Vec<&Agreement> = Vec::new();
        for (position, step) in steps.iter().enumerate() {
            if let Step::Agreement(it) = step {
                known.push(it);
            }
            if position < completed_at {
                continue;
            }
            let covering = known.iter().filter(|it| {
                let mine = [self.merchant.as_str(), "*"].contains(&it.merchant_id.as_str());
                let currency = it.currency.is_none_or(|only| only == sale.currency);
                let begun = it.effective_from <= sale.at;
                let ended = it.effective_until.is_some_and(|until| until < sale.at);
                mine && currency && begun && !ended
            });
            let best = covering.max_by_key(|it| {
                let own = it.merchant_id.as_str() != "*";
                let id = it.agreement_id.as_str();
                (own, it.currency.is_some(), it.effective_from, it.version, id)
            });
            if let Some(best) = best {
                return Some((best, position));
            }
        }
        None
    }

    /// Refunds in the order in which they are applied: those that came too early by business time
    /// and id, the others as they came; without those that the agreement refuses.
    fn accepted(&self, agreement: &Agreement, applied_at: usize) -> Vec<&'a Refunded> {
        let sale = self.completed.expect("applied").1;
        let mut early: Vec<_> = self.refunds.iter().filter(|it| it.0 < applied_at).collect();
        early.sort_by_key(|(_, it)| (it.at, it.refund.as_str()));
        let late = self.refunds.iter().filter(|it| it.0 >= applied_at);
        let mut accepted: Vec<&Refunded> = Vec::new();
        for (_, refund) in early.into_iter().chain(late) {
            let so_far: Units = accepted.iter().map(|it| units(it.amount, sale.currency)).sum();
            let fits = so_far + units(refund.amount, sale.currency) <= units(sale.amount, sale.currency);
            if fits || agreement.refund.excess == Excess::Receivable {
                accepted.push(refund);
            }
        }
        accepted
    }
}

pub fn units(amount: Amount, currency: Currency) -> Units {
    plain_units(amount.to_string().parse().expect("a decimal"), currency)
}

/// A plain number in minor units, half up.
fn plain_units(value: Decimal, currency: Currency) -> Units {
    let (mantissa, scale) = (value.mantissa(), value.scale());
    divide(mantissa * 10_i128.pow(currency.exponent()), 10_i128.pow(scale))
}

/// Half up.
fn divide(part: Units, whole: Units) -> Units {
    (2 * part + whole).div_euclid(2 * whole)
}

fn originals<'a>(agreement: &'a Agreement, sale: &Completed) -> Vec<(&'a Term, Units)> {
    let gross = units(sale.amount, sale.currency);
    let net = gross - units(sale.fees, sale.currency);
    let mut room = net;
    let mut holds = Vec::new();
    for term in &agreement.terms {
        let matches = |(name, allowed): (&String, &Vec<String>)| {
            sale.attributes.get(name).is_some_and(|it| allowed.contains(it))
        };
        if !term.when.iter().all(matches) {
            continue;
        }
        let basis = match term.basis {
            Basis::Gross => gross,
            Basis::Net => net,
        };
        let plain = |value| plain_units(value, sale.currency);
        let wanted = divide(basis * Units::from(term.rate_bps), 10_000) + plain(term.fixed);
        let raised = wanted.max(plain(term.minimum));
        let cut = term.maximum.map_or(raised, |it| raised.min(plain(it)));
        let original = cut.min(room);
        room -= original;
        if original > 0 {
            holds.push((term, original));
        }
    }
    holds
}

/// One dispute that has been opened.
struct Dispute {
    /// What it keeps blocked now.
    blocks: Units,
    /// What it has given free, and when.
    cleared: Option<(Timestamp, Units)>,
    /// A lost chargeback: what it costs more than the refunds that name it.
    costs_more: Units,
}

fn dispute(facts: &Facts<'_>, id: &str, sale: &Completed, refunds: &[&Refunded]) -> Dispute {
    let plain = |value: Decimal| plain_units(value, sale.currency);
    let opened = facts.opened[id];
    let (mut kind, mut amount) = (opened.kind, opened.amount);
    let mut updates: Vec<_> = facts.updated.iter().filter(|it| it.dispute.as_str() == id).collect();
    updates.sort_by_key(|it| it.version);
    for update in updates {
        kind = update.kind.unwrap_or(kind);
        amount = update.amount.or(amount);
    }
    let contested = amount.map_or_else(|| units(sale.amount, sale.currency), plain);
    let naming = refunds.iter().filter(|it| it.dispute.as_ref().is_some_and(|it| it.as_str() == id));
    let refunded: Units = naming.map(|it| units(it.amount, sale.currency)).sum();
    let Some(closed) = facts.closed.get(id) else {
        let blocks = (contested - refunded).max(0);
        return Dispute { blocks, cleared: None, costs_more: 0 };
    };
    let lost = closed.outcome == DisputeOutcome::Lost && kind == DisputeKind::Chargeback;
    let costs_more = if lost { (contested - refunded).max(0) } else { 0 };
    let expected = closed.refund_expected.map_or(0, plain);
    let blocks = (expected - refunded).max(0);
    let kept = (contested - refunded - costs_more - blocks).max(0);
    let cleared = Some((closed.at.max(opened.at), kept));
    Dispute { blocks, cleared, costs_more }
}

/// What the merchant bears of all that was refunded: of the order, and beyond its amount.
fn charge(agreement: &Agreement, sale: &Completed, held: Units, debt: Units) -> (Units, Units) {
    let amount = units(sale.amount, sale.currency);
    let fees = units(sale.fees, sale.currency);
    let within = debt.min(amount);
    let beyond = debt - within;
    let less_fees = match agreement.refund.fees {
        RefundFees::Kept => within,
        RefundFees::Returned => within - divide(fees * within, amount),
    };
    let charged = match agreement.refund.free {
        Free::Receivable => less_fees,
        Free::Outside => less_fees.min(divide(within * held, amount)),
    };
    (charged, beyond)
}

/// Units one by one to whom they are due most: least (2 × part + 1) / weight, first on ties.
fn split(sum: Units, weights: &[Units]) -> Vec<Units> {
    let mut parts = vec![0; weights.len()];
    for _ in 0..sum {
        let mut best = 0;
        for next in 1..weights.len() {
            if (2 * parts[next] + 1) * weights[best] < (2 * parts[best] + 1) * weights[next] {
                best = next;
            }
        }
        parts[best] += 1;
    }
    parts
}

/// Pours a sum into vessels, the first first.
fn pour(mut sum: Units, vessels: &[Units]) -> Vec<Units> {
    let mut taken = Vec::new();
    for vessel in vessels {
        let part = sum.min(*vessel);
        sum -= part;
        taken.push(part);
    }
    taken
}

fn view(
    facts: &Facts<'_>,
    agreement: &Agreement,
    applied_at: usize,
    steps: &[Step],
    released: &[&Released],
) -> OrderView {
    let sale = facts.completed.expect("applied").1;
    let terms = originals(agreement, sale);
    let original: Vec<Units> = terms.iter().map(|(_, original)| *original).collect();
    let released: Vec<Units> = terms
        .iter()
        .map(|(term, _)| {
            let its = released.iter().filter(|it| it.term == term.name.as_str());
            its.map(|it| it.amount).sum()
        })
        .collect();
    let available: Vec<Units> = original.iter().zip(&released).map(|(all, gone)| all - gone).collect();

    let refunds = facts.accepted(agreement, applied_at);
    let disputes: Vec<Dispute> =
        facts.opened.keys().map(|id| dispute(facts, id, sale, &refunds)).collect();
    let refunded: Units = refunds.iter().map(|it| units(it.amount, sale.currency)).sum();
    let debt = refunded + disputes.iter().map(|it| it.costs_more).sum::<Units>();
    let held: Units = original.iter().sum();
    let (charged, beyond) = charge(agreement, sale, held, debt);

    let gone = if facts.cancelled {
        available.clone()
    } else {
        match agreement.refund.source {
            RefundSource::HoldFirst => pour(charged, &available),
            RefundSource::MerchantFirst => vec![0; terms.len()],
            RefundSource::Proportional => {
                let amount = units(sale.amount, sale.currency);
                let given = divide(debt.min(amount) * held, amount).min(charged);
                let shares = split(given, &original);
                shares.iter().zip(&available).map(|(share, most)| *share.min(most)).collect()
            }
        }
    };
    let left: Vec<Units> = available.iter().zip(&gone).map(|(all, gone)| all - gone).collect();
    let owes = (charged - gone.iter().sum::<Units>()).max(0) + beyond;

    let blocks: Units = disputes.iter().map(|it| it.blocks).sum();
    let mut cleared: Vec<(Timestamp, Units)> = disputes.iter().filter_map(|it| it.cleared).collect();
    cleared.sort_by_key(|(at, _)| std::cmp::Reverse(*at));
    let layers = layers(&left, blocks, &cleared);

    let zone = TimeZone::get(&agreement.time_zone).expect("a known zone");
    let days = calendar(agreement, steps);
    let mut holds = Vec::new();
    for (n, (term, original)) in terms.iter().enumerate() {
        let anchor = dates::anchor(agreement, term, sale.at, facts.delivered, facts.confirmed);
        let window_ends_at = anchor.and_then(|at| dates::window_ends_at(term, &zone, days, at));
        let due = |cleared: Option<Timestamp>| {
            let window = window_ends_at?;
            let eligible_at = window.max(anchor?).max(cleared.unwrap_or(window));
            dates::settlement(agreement, &zone, days, eligible_at)
        };
        let mut free: BTreeMap<Option<Due>, Units> = BTreeMap::new();
        for (cleared, parts) in &layers[1..] {
            if parts[n] > 0 {
                *free.entry(due(*cleared)).or_default() += parts[n];
            }
        }
        holds.push(HoldView {
            term: term.name.to_string(),
            original: *original,
            left: left[n],
            released: released[n],
            gone: gone[n],
            blocked: layers[0].1[n],
            window_ends_at,
            limit_at: dates::limit_at(term, &zone, anchor.unwrap_or(sale.at)),
            free: free.into_iter().collect(),
        });
    }
    OrderView { holds, owes }
}

/// Blocks lie where a refund would take; above them what the last of the closed ones gave free,
/// then the one before it …; at last what no block ever kept. Each part of a hold is in one layer.
fn layers(
    left: &[Units],
    blocks: Units,
    cleared: &[(Timestamp, Units)],
) -> Vec<(Option<Timestamp>, Vec<Units>)> {
    let mut room = left.to_vec();
    let mut layers = Vec::new();
    let all: Units = left.iter().sum();
    let wanted = [(None, blocks)].into_iter();
    let wanted = wanted.chain(cleared.iter().map(|(at, sum)| (Some(*at), *sum)));
    for (at, sum) in wanted.chain([(None, all)]) {
        let parts = pour(sum, &room);
        for (room, part) in room.iter_mut().zip(&parts) {
            *room -= part;
        }
        layers.push((at, parts));
    }
    layers
}

fn calendar<'a>(agreement: &Agreement, steps: &'a [Step]) -> Days<'a> {
    let Some(wanted) = &agreement.calendar else {
        return Days::All;
    };
    let mut newest: Option<&Calendar> = None;
    for step in steps {
        if let Step::Calendar(it) = step
            && it.calendar == *wanted
            && newest.is_none_or(|newest| newest.version < it.version)
        {
            newest = Some(it);
        }
    }
    newest.map_or(Days::NotThere, Days::Of)
}
