//! Disputes and blocks: what of an order may not go, and when cleared money goes instead.

use super::super::entry::{Event, HoldBlocked, HoldUnblocked, RescheduleReason};
use super::super::fact::{ContentHash, DisputeClosed, DisputeOpened, DisputeUpdated};
use super::super::hold::{Dates, Kept};
use super::super::ids::DisputeId;
use super::super::money::{Amount, Currency, MoneyError, less};
use super::super::order::{Block, BlockKind, Closing, Dispute, Noted, Order};
use super::super::time::Instant;
use super::{Before, Refusal, Step, Terms, charge, settlement};

/// The block that an event names.
pub(super) struct By {
    block: &'static str,
    reference: String,
    reason: Option<String>,
}

impl By {
    pub(super) fn block(block: &Block) -> Self {
        Self {
            block: block.kind.name(),
            reference: block.reference.clone(),
            // Why the law keeps it is not for everybody who reads events.
            reason: (block.kind != BlockKind::Legal).then(|| block.reason.clone()),
        }
    }

    fn dispute(dispute: &Dispute) -> Self {
        Self {
            block: "dispute",
            reference: dispute.id.to_string(),
            reason: Some(dispute.kind.name().to_owned()),
        }
    }

    /// The first that keeps money of the order now.
    pub(super) fn first(order: &Order) -> Option<Self> {
        let mut blocks = order.blocks.iter();
        let block = blocks.find(|block| block.cleared_at.is_none());
        block
            .map(Self::block)
            .or_else(|| order.first_blocking().map(Self::dispute))
    }

    /// This dispute while it is open, else the first that keeps money.
    pub(super) fn named(order: &Order, dispute: Option<&DisputeId>) -> Option<Self> {
        let open = dispute
            .and_then(|id| order.dispute(id))
            .filter(|found| found.closed.is_none());
        open.map(Self::dispute).or_else(|| Self::first(order))
    }
}

pub(super) fn open(
    step: &mut Step<'_>,
    terms: &Terms,
    it: &DisputeOpened,
    content: ContentHash,
) -> Result<(), Refusal> {
    let before = step.before();
    let dispute = Dispute::of(it, content, terms.sale.currency)?;
    let by = By::dispute(&dispute);
    step.order.disputes.push(dispute);
    renew(step, terms, &before, Some(by), None);
    Ok(())
}

impl Dispute {
    /// As it was opened.
    pub(super) fn of(
        it: &DisputeOpened,
        content: ContentHash,
        currency: Currency,
    ) -> Result<Self, MoneyError> {
        let zero = Amount::zero(currency);
        Ok(Self {
            id: it.dispute.clone(),
            kind: it.kind,
            kind_version: 0,
            amount: it.amount.map(|it| Amount::new(it, currency)).transpose()?,
            version: 0,
            opened_at: it.at,
            opened: content,
            updates: Vec::new(),
            closed: None,
            charged: zero,
            from_reversed: zero,
            from_holds: zero,
            from_deposit: zero,
            from_receivable: zero,
        })
    }

    /// The highest version counts, for kind and amount each among those that name it: an update that
    /// leaves one out does not change it.
    pub(super) fn update(
        &mut self,
        it: &DisputeUpdated,
        content: ContentHash,
        currency: Currency,
    ) -> Result<(), MoneyError> {
        let amount = it.amount.map(|it| Amount::new(it, currency)).transpose()?;
        self.updates.push((it.version, content));
        if amount.is_some() && it.version > self.version {
            self.amount = amount;
            self.version = it.version;
        }
        if let Some(kind) = it.kind.filter(|_| it.version > self.kind_version) {
            self.kind = kind;
            self.kind_version = it.version;
        }
        Ok(())
    }

    /// It is closed.
    pub(super) fn close(
        &mut self,
        it: &DisputeClosed,
        content: ContentHash,
        currency: Currency,
    ) -> Result<(), MoneyError> {
        let expected = it.refund_expected.map(|it| Amount::new(it, currency));
        let value = Closing {
            outcome: it.outcome,
            at: it.at,
            refund_expected: expected.transpose()?,
        };
        self.closed = Some(Noted { value, content });
        Ok(())
    }
}

pub(super) fn update(
    step: &mut Step<'_>,
    terms: &Terms,
    it: &DisputeUpdated,
    content: ContentHash,
) -> Result<(), Refusal> {
    let before = step.before();
    let dispute = find(step.order, &it.dispute);
    dispute.update(it, content, terms.sale.currency)?;
    let by = By::dispute(dispute);
    let at = it.at.max(dispute.opened_at);
    let cleared_at = dispute.cleared_at().map_or(at, |closed| closed.max(at));
    if dispute.closed.is_some() {
        charge::dispute(step, terms, &it.dispute, it.at)?;
        narrow(step, terms);
    }
    renew(step, terms, &before, Some(by), Some(cleared_at));
    Ok(())
}

/// A closed dispute may turn out to have been about a part only: then its closing was no clearing
/// of the whole. Only where the settlement stays the same, so that nothing goes earlier.
fn narrow(step: &mut Step<'_>, terms: &Terms) {
    for position in 0..step.order.holds.len() {
        let hold = &step.order.holds[position];
        let cleared_at = step.order.whole_cleared_at(hold.id);
        let Some((old, anchor_at)) = hold.dates.zip(hold.anchor_at) else {
            continue;
        };
        let term = &terms.agreement.terms[usize::from(hold.term_no)];
        let calendars = step.world.calendars;
        let new = settlement::dates(&terms.agreement, term, anchor_at, cleared_at, calendars);
        let Some(new) = new else { continue };
        let same = |it: &Dates| new.release_at == it.release_at;
        let mut hold = hold.clone();
        hold.date(|part| {
            part.dates
                .map(|dates| if same(&dates) { new } else { dates })
        });
        let own = hold.own();
        step.order.holds[position] = hold;
        if new != old && same(&old) && !own.is_zero() {
            step.say_moved(position, (own, Some(new)), RescheduleReason::Unblocked);
        }
    }
}

pub(super) fn close(
    step: &mut Step<'_>,
    terms: &Terms,
    it: &DisputeClosed,
    content: ContentHash,
) -> Result<(), Refusal> {
    let before = step.before();
    let dispute = find(step.order, &it.dispute);
    dispute.close(it, content, terms.sale.currency)?;
    let by = By::dispute(dispute);
    let cleared_at = dispute.cleared_at();
    charge::dispute(step, terms, &it.dispute, it.at)?;
    renew(step, terms, &before, Some(by), cleared_at);
    Ok(())
}

fn find<'a>(order: &'a mut Order, id: &DisputeId) -> &'a mut Dispute {
    let mut disputes = order.disputes.iter_mut();
    disputes
        .find(|dispute| dispute.id == *id)
        .expect("what belongs to a dispute is parked until that is opened")
}

/// Brings the holds' blocked parts to what all blocks keep now, and moves what is no longer kept
/// to `cleared_at` where that is later than its own date. A block of the whole order kept all of
/// it; any other, what was blocked and is free now.
pub(super) fn renew(
    step: &mut Step<'_>,
    terms: &Terms,
    before: &[Before],
    by: Option<By>,
    cleared_at: Option<Instant>,
) {
    let by = by.or_else(|| By::first(step.order));
    let blocked = step.order.blocked(&terms.sale);
    let calendars = step.world.calendars;
    let settle = |at| settlement::settle(&terms.agreement, at, calendars);
    for (position, (blocked, before)) in blocked.into_iter().zip(before).enumerate() {
        let id = step.order.holds[position].id;
        let barred = step.order.blocks.iter().any(|block| {
            let strong = matches!(block.kind, BlockKind::Review | BlockKind::Legal);
            strong && block.cleared_at.is_none() && block.lies_on(id)
        });
        let whole_cleared_at = step.order.whole_cleared_at(id);
        let hold = &mut step.order.holds[position];
        // As if only money had moved: what of the hold the blocks kept until now.
        let kept = less(hold.left, before.free);
        hold.blocked = blocked;
        hold.barred = barred;
        let mut moved = whole_cleared_at.and_then(|at| hold.clear(Kept::All, at, settle));
        if moved.is_none() && kept > blocked {
            let at = cleared_at.max(whole_cleared_at);
            moved = at.and_then(|at| hold.clear(Kept::Blocked { before: kept }, at, settle));
        }
        if let Some(by) = &by {
            say_blocked(step, position, before.blocked, by);
        }
        if let Some((amount, dates)) = moved {
            if dates.is_none() {
                step.alarms.push("calendar_missing");
            }
            if !amount.is_zero() && !step.has_moved(position) {
                step.say_moved(position, (amount, dates), RescheduleReason::Unblocked);
            }
        }
    }
}

fn say_blocked(step: &mut Step<'_>, position: usize, before: Amount, by: &By) {
    let hold = &step.order.holds[position];
    let (blocked, left) = (hold.blocked, hold.left);
    let (block, reference) = (by.block, by.reference.clone());
    let event = if blocked > before {
        Event::HoldBlocked(HoldBlocked {
            block,
            reference,
            reason: by.reason.clone(),
            blocked,
            left,
        })
    } else if blocked < before {
        Event::HoldUnblocked(HoldUnblocked {
            block,
            reference,
            blocked,
            left,
        })
    } else {
        return;
    };
    step.say(Some(position), event, None);
}
