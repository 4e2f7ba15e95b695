//! Who can act for an order's money, and what would happen then.
//!
//! What a cleared block would set free is found by clearing it in a copy of the order.

use jiff::civil::Date;
use serde::Serialize;

use super::Circumstances;
use crate::rules::agreement::Anchor;
use crate::rules::fact::{Completed, ContentHash, DisputeKind, DisputeOutcome};
use crate::rules::hold::Hold;
use crate::rules::money::{Amount, less};
use crate::rules::order::{Closing, Noted, Order};
use crate::rules::release::{Claim, Clock, Obstacle};
use crate::rules::settlement;
use crate::rules::time::Instant;

/// Something that someone can do.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Way {
    pub who: Who,
    /// The message that says so; null: no message does.
    pub message: Option<&'static str>,
    /// The dispute, block or calendar that it is about.
    pub about: Option<String>,
    pub then: Then,
}

/// Who can act.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Who {
    OrderSystem,
    DisputeSystem,
    RefundSystem,
    CalendarSystem,
    /// A person of the platform.
    Operator,
}

/// What would happen then.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "is", rename_all = "snake_case")]
pub enum Then {
    /// That much of the hold goes on that date; null: once its dates are known.
    Released { amount: Amount, on: Option<Date> },
    /// Other blocks keep all of it.
    StillBlocked,
    /// The order's holds pay up to that much.
    Consumed { up_to: Amount },
    /// The clock of the term starts.
    ClockStarts,
    /// Its dates are computed.
    Dated,
    /// The tests are made again.
    TestedAgain,
}

/// Everything that can be done about what keeps this hold.
pub(super) fn ways(
    order: &Order,
    sale: &Completed,
    claim: &Claim,
    obstacles: &[Obstacle],
    clock: Clock,
    circumstances: &Circumstances,
) -> Vec<Way> {
    let hold = &claim.hold;
    if hold.left.is_zero() {
        return Vec::new();
    }
    let mut ways = Vec::new();
    let mut add = |who, message, about, then| {
        ways.push(Way {
            who,
            message,
            about,
            then,
        });
    };
    if circumstances.paused.is_some() {
        add(Who::Operator, None, None, Then::TestedAgain);
    }
    if obstacles.contains(&Obstacle::Gate) {
        let behind = circumstances.behind.clone();
        add(Who::Operator, None, behind, Then::TestedAgain);
    }
    let freed = |without: Order| {
        let position = order.holds.iter().position(|it| it.id == hold.id);
        let blocked = without.blocked(sale);
        let blocked = position.and_then(|position| blocked.get(position).copied());
        let amount = less(hold.blocked, blocked.unwrap_or(hold.blocked));
        if amount.is_zero() {
            return Then::StillBlocked;
        }
        let on = settles_on(claim, clock.now, circumstances);
        Then::Released { amount, on }
    };
    for block in order.blocks.iter().filter(|it| it.cleared_at.is_none()) {
        let mut without = order.clone();
        let blocks = without.blocks.iter_mut();
        for cleared in blocks.filter(|it| it.reference == block.reference) {
            cleared.cleared_at = Some(clock.now);
        }
        let about = Some(block.reference.clone());
        add(Who::Operator, None, about, freed(without));
    }
    for dispute in &order.disputes {
        let about = Some(dispute.id.to_string());
        let named = order.named(&dispute.id, sale.currency);
        if let Some(closing) = &dispute.closed {
            let expected = closing.value.refund_expected.unwrap_or(named);
            let up_to = less(expected, named);
            if !up_to.is_zero() {
                let message = Some("refund.succeeded.v1");
                add(Who::RefundSystem, message, about, Then::Consumed { up_to });
            }
            continue;
        }
        let mut without = order.clone();
        for closed in without.disputes.iter_mut().filter(|it| it.id == dispute.id) {
            closed.closed = Some(withdrawn(clock.now));
        }
        let message = Some("dispute.closed.v1");
        add(Who::DisputeSystem, message, about.clone(), freed(without));
        if dispute.kind == DisputeKind::Chargeback {
            let up_to = less(dispute.amount.unwrap_or(sale.amount), named);
            let then = Then::Consumed { up_to };
            add(Who::DisputeSystem, message, about, then);
        }
    }
    for obstacle in obstacles {
        match obstacle {
            Obstacle::Pending => {
                let message = match claim.term().map(|term| term.anchor) {
                    Some(Anchor::Confirmed) => "order.confirmed.v1",
                    _ => "order.delivered.v1",
                };
                add(Who::OrderSystem, Some(message), None, Then::ClockStarts);
            }
            Obstacle::NoCalendar => {
                let calendar = claim.agreement.calendar.as_ref().map(ToString::to_string);
                let message = Some("calendar.published.v1");
                add(Who::CalendarSystem, message, calendar, Then::Dated);
            }
            _ => {}
        }
    }
    ways
}

fn withdrawn(at: Instant) -> Noted<Closing> {
    Noted {
        value: Closing {
            outcome: DisputeOutcome::Withdrawn,
            at,
            refund_expected: None,
        },
        content: ContentHash([0; 16]),
    }
}

/// The settlement date of money that is cleared now, if the hold's dates are known.
fn settles_on(claim: &Claim, now: Instant, circumstances: &Circumstances) -> Option<Date> {
    let eligible = blocked_since(&claim.hold)?.max(now);
    let settled = settlement::settle(&claim.agreement, eligible, &circumstances.calendars);
    settled.map(|(_, date)| date)
}

/// When the first part that is blocked would be eligible without the block.
fn blocked_since(hold: &Hold) -> Option<Instant> {
    let mut parts = hold.parts().into_iter();
    let part = parts.find(|part| !part.blocked.is_zero())?;
    part.dates.map(|dates| dates.eligible_at)
}
