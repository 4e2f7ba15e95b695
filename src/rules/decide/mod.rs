//! The fold: one fact meets one order.
//!
//! What a fact changes follows from all facts that are applied by then, not from their order:
//! `charge` moves the holds to what refunds and lost chargebacks claim together, `block` to
//! what disputes and blocks keep together. That is what makes the order of arrival irrelevant.

mod ahead;
mod block;
mod charge;
mod foretold;
mod give_back;
mod import;
mod outcome;
mod reapply;
mod review;
mod sale;
mod sources;

use std::sync::Arc;

use super::agreement::{Agreement, in_force};
use super::calendar::Calendars;
use super::entry::{Account, Entry, Event, RescheduleReason, Transfer};
use super::fact::{Completed, FactKind, OrderEvent, OrderFact};
use super::hold::{Dates, Hold};
use super::ids::HoldId;
use super::money::Amount;
use super::order::{Block, Noted, Order};
use super::review::Approval;
use super::settlement;
use super::time::Instant;

pub use ahead::{Ahead, Said, charge, chargeable};
pub use foretold::issue as issue_foretold;
pub use import::{Imported, ImportedHold, import};
pub use outcome::{Outcome, Refusal, Verdict};
pub use reapply::{Stays, reapply};
pub use review::{rule, watch};

/// What the rules may look at besides the order.
#[derive(Debug, Clone, Copy)]
pub struct World<'a> {
    /// Agreements of the order's merchant and of `*`, every version.
    pub agreements: &'a [Arc<Agreement>],
    pub calendars: &'a Calendars,
    /// The database's time.
    pub now: Instant,
    pub approval: &'a Approval,
}

/// Applies one fact, then every parked fact whose turn has come, in order of business time, then
/// id. The order is changed only when the answer is `Ok`.
///
/// # Errors
/// [`Refusal`] when the fact can't be accepted; the order is as it was.
pub fn apply(order: &mut Order, fact: OrderFact, world: World<'_>) -> Result<Outcome, Refusal> {
    let mut outcome = Outcome::new(Verdict::Kept);
    if let Some(known) = order.known(&fact) {
        if known != fact.content {
            let key = fact.key();
            return Err(Refusal::Conflict(format!(
                "{key} is known with other content"
            )));
        }
        outcome.verdict = Verdict::Duplicate;
        return Ok(outcome);
    }
    if order.keeps_waiting(&fact) {
        order.parked.push(fact);
        return Ok(outcome);
    }
    outcome.verdict = step(order, &fact, world, &mut outcome)?;
    unpark(order, world, &mut outcome);
    Ok(outcome)
}

/// Looks again at an order whose sale waits for an agreement.
///
/// # Errors
/// [`Refusal::Money`] when the sale can't be held under the agreement that is now in force.
pub fn resume(order: &mut Order, world: World<'_>) -> Result<Outcome, Refusal> {
    let mut outcome = Outcome::new(Verdict::Kept);
    let Some(noted) = order.sale.clone().filter(|_| order.agreement.is_none()) else {
        return Ok(outcome);
    };
    let fact = OrderFact {
        merchant: order.merchant.clone(),
        order: order.id.clone(),
        content: noted.content,
        traceparent: order.traceparent.clone(),
        // Nobody could be asked before there was an agreement.
        recorded_at: Some(world.now),
        what: OrderEvent::Completed(noted.value),
    };
    outcome.verdict = step(order, &fact, world, &mut outcome)?;
    unpark(order, world, &mut outcome);
    Ok(outcome)
}

/// Puts a review, legal or manual block on the order's holds, now or when they come. The same
/// reference twice does nothing.
pub fn block(order: &mut Order, block: Block, world: World<'_>) -> Vec<Entry> {
    if order
        .blocks
        .iter()
        .any(|known| known.reference == block.reference)
    {
        return Vec::new();
    }
    let cause = format!("block:{}", block.reference);
    let by = block::By::block(&block);
    order.blocks.push(block);
    reblock(order, world, cause, Some(by), None)
}

/// Clears such a block at `cleared_at`, not before its opening. Unknown or cleared: nothing.
pub fn unblock(
    order: &mut Order,
    reference: &str,
    cleared_at: Instant,
    world: World<'_>,
) -> Vec<Entry> {
    let mut open = order.blocks.iter_mut();
    let Some(block) = open.find(|it| it.reference == reference && it.cleared_at.is_none()) else {
        return Vec::new();
    };
    let cleared_at = cleared_at.max(block.opened_at);
    block.cleared_at = Some(cleared_at);
    let cause = format!("unblock:{reference}");
    let by = block::By::block(block);
    reblock(order, world, cause, Some(by), Some(cleared_at))
}

fn reblock(
    order: &mut Order,
    world: World<'_>,
    cause: String,
    by: Option<block::By>,
    cleared_at: Option<Instant>,
) -> Vec<Entry> {
    let Some((sale, agreement)) = order.settled() else {
        return Vec::new();
    };
    let traceparent = order.traceparent.clone();
    let mut step = Step::new(order, world, cause, traceparent);
    let before = step.before();
    let terms = Terms { sale, agreement };
    block::renew(&mut step, &terms, &before, by, cleared_at);
    step.entries
}

/// Lays the blocks on what is left after the limit of this hold has let blocked money go.
pub fn move_blocks(order: &mut Order, from: HoldId, world: World<'_>) -> Vec<Entry> {
    let by = block::By::first(order);
    // What is given back to the hold goes by its limit again.
    let mut holds = order.holds.iter();
    let release = holds.find(|it| it.id == from).map_or(0, |it| it.releases);
    reblock(order, world, format!("limit:{from}:{release}"), by, None)
}

/// Recomputes the dates of unreleased holds after their calendar changed, never to before now.
pub fn recompute(order: &mut Order, world: World<'_>) -> Vec<Entry> {
    let Some((sale, agreement)) = order.settled() else {
        return Vec::new();
    };
    let Some(calendar) = &agreement.calendar else {
        return Vec::new();
    };
    let version = world.calendars.get(calendar).map_or(0, |it| it.version);
    let cause = format!("calendar:{calendar}:{version}");
    let traceparent = order.traceparent.clone();
    let mut step = Step::new(order, world, cause, traceparent);
    sale::redate(&mut step, &Terms { sale, agreement });
    step.entries
}

/// One fact, whole or not at all.
fn step(
    order: &mut Order,
    fact: &OrderFact,
    world: World<'_>,
    outcome: &mut Outcome,
) -> Result<Verdict, Refusal> {
    // What may be long and is not touched, or only added to, is not copied for each fact.
    let parked = std::mem::take(&mut order.parked);
    let adds = matches!(fact.what, OrderEvent::Refunded(_));
    let refunds = adds.then(|| std::mem::take(&mut order.refunds));
    let mut next = order.clone();
    let known = refunds.as_ref().map(Vec::len);
    next.refunds = refunds.unwrap_or(next.refunds);
    let cause = fact.key().to_string();
    let mut step = Step::new(&mut next, world, cause, fact.traceparent.clone());
    let answer = step.run(fact);
    if answer.is_ok() {
        outcome.entries.append(&mut step.entries);
        outcome.alarms.append(&mut step.alarms);
        debug_assert!(next.holds.iter().all(Hold::check), "{next:#?}");
        *order = next;
    } else if let Some(known) = known {
        next.refunds.truncate(known);
        order.refunds = next.refunds;
    }
    order.parked = parked;
    answer
}

/// Applies the parked facts whose turn has come until none is left: each time the earliest by business
/// time, then id.
fn unpark(order: &mut Order, world: World<'_>, outcome: &mut Outcome) {
    if order.parked.iter().all(|fact| order.keeps_waiting(fact)) {
        return;
    }
    let mut parked: Vec<_> = std::mem::take(&mut order.parked)
        .into_iter()
        .enumerate()
        .collect();
    // The earliest last, where it is taken from at no cost.
    parked.sort_by(|(_, one), (_, other)| rank(other).cmp(&rank(one)));
    while let Some(position) = parked.iter().rposition(|(_, it)| !order.keeps_waiting(it)) {
        let (_, fact) = parked.remove(position);
        match step(order, &fact, world, outcome) {
            Ok(_) => outcome.unparked.push(fact.key()),
            Err(refusal) => outcome.refused.push((fact.key(), refusal)),
        }
    }
    parked.sort_unstable_by_key(|(place, _)| *place);
    order.parked = parked.into_iter().map(|(_, fact)| fact).collect();
}

/// When it is a parked fact's turn among others.
fn rank(fact: &OrderFact) -> (Instant, &str, FactKind, u64) {
    let (kind, id, version) = fact.key_parts();
    (fact.business_at(), id, kind, version)
}

/// What an order's money goes by once it is applied.
struct Terms {
    sale: Completed,
    agreement: Arc<Agreement>,
}

/// A hold before a fact changes it.
struct Before {
    blocked: Amount,
    free: Amount,
}

/// One fact under way: what it changes and what it says.
struct Step<'a> {
    order: &'a mut Order,
    world: World<'a>,
    cause: String,
    traceparent: Option<String>,
    entries: Vec<Entry>,
    alarms: Vec<&'static str>,
}

impl<'a> Step<'a> {
    fn new(
        order: &'a mut Order,
        world: World<'a>,
        cause: String,
        traceparent: Option<String>,
    ) -> Self {
        Self {
            order,
            world,
            cause,
            traceparent,
            entries: Vec::new(),
            alarms: Vec::new(),
        }
    }

    fn run(&mut self, fact: &OrderFact) -> Result<Verdict, Refusal> {
        if let OrderEvent::Completed(sale) = &fact.what {
            return sale::complete(self, sale, fact);
        }
        let settled = self.order.settled();
        if let (OrderEvent::RefundReversed(it), None) = (&fact.what, &settled) {
            ahead::reverse(self, it, fact.content)?;
            return Ok(Verdict::Applied);
        }
        let (sale, agreement) =
            settled.expect("a fact that needs the sale is parked until it is applied");
        let terms = Terms { sale, agreement };
        let noted = |value: Instant| {
            let content = fact.content;
            Some(Noted { value, content })
        };
        match &fact.what {
            OrderEvent::Completed(_) => {}
            OrderEvent::Confirmed { at, .. } => {
                self.order.confirmed = noted(*at);
                sale::reanchor(self, &terms);
            }
            OrderEvent::Delivered { at } => {
                self.order.delivered = noted(*at);
                sale::reanchor(self, &terms);
            }
            OrderEvent::Cancelled { at, .. } => {
                self.order.cancelled = noted(*at);
                sale::cancel(self, &terms)?;
            }
            OrderEvent::Refunded(it) => charge::refund(self, &terms, it, fact.content)?,
            OrderEvent::RefundReversed(it) => {
                charge::reverse_refund(self, &terms, it, fact.content)?;
            }
            OrderEvent::DisputeOpened(it) => block::open(self, &terms, it, fact.content)?,
            OrderEvent::DisputeUpdated(it) => block::update(self, &terms, it, fact.content)?,
            OrderEvent::DisputeClosed(it) => block::close(self, &terms, it, fact.content)?,
            OrderEvent::ReviewRequested(it) => {
                review::request(self, &terms, it, fact.content, fact.counted_from())?;
            }
            OrderEvent::ReviewAnswered(it) => {
                review::answer(self, &terms, it, fact.content, fact.counted_from());
            }
            OrderEvent::ReviewDecided(it) => review::decided(self, &terms, it, fact.content)?,
        }
        Ok(Verdict::Applied)
    }

    /// What is blocked and what is free in each hold before the fact changes it.
    fn before(&self) -> Vec<Before> {
        let holds = self.order.holds.iter();
        holds
            .map(|hold| Before {
                blocked: hold.blocked,
                free: hold.free(),
            })
            .collect()
    }

    /// Writes an entry about the order, or about the hold at that position.
    fn say(&mut self, hold: Option<usize>, event: Event, transfer: Option<Transfer>) {
        self.entries.push(Entry {
            event,
            order: Some(self.order.id.clone()),
            hold: hold.map(|position| self.order.holds[position].id),
            currency: self.order.currency(),
            transfer: transfer.filter(|it| !it.amount.is_zero()),
            cause: self.cause.clone(),
            traceparent: self.traceparent.clone(),
        });
    }

    /// Whether this fact has already moved dates of the hold: one event says it.
    fn has_moved(&self, position: usize) -> bool {
        let id = self.order.holds[position].id;
        self.entries
            .iter()
            .any(|entry| entry.hold == Some(id) && matches!(entry.event, Event::HoldRescheduled(_)))
    }

    /// Says that the dates of a hold, or of a part of it, moved.
    fn say_moved(
        &mut self,
        position: usize,
        (amount, dates): (Amount, Option<Dates>),
        reason: RescheduleReason,
    ) {
        let event = self.order.holds[position].rescheduled(amount, dates, reason);
        self.say(Some(position), Event::HoldRescheduled(event), None);
    }
}

fn transfer(debit: Account, credit: Account, amount: Amount) -> Option<Transfer> {
    Some(Transfer {
        debit,
        credit,
        amount,
    })
}
