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
use crate::rules::order::{Closing, Dispute, Noted, Order};
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

/// What keeps one hold, and what there is to know about it.
pub(super) struct Kept<'a> {
    pub(super) order: &'a Order,
    pub(super) sale: &'a Completed,
    pub(super) claim: &'a Claim,
    pub(super) obstacles: &'a [Obstacle],
    pub(super) clock: Clock,
    pub(super) circumstances: &'a Circumstances,
}

impl Kept<'_> {
    /// Everything that can be done about it, in the order of the tests.
    pub(super) fn ways(&self) -> Vec<Way> {
        if self.claim.hold.left.is_zero() {
            return Vec::new();
        }
        let mut ways = Vec::new();
        if self.circumstances.paused.is_some() {
            ways.push(way(Who::Operator, None, None, Then::TestedAgain));
        }
        if self.obstacles.contains(&Obstacle::Gate) {
            let behind = self.circumstances.behind.clone();
            ways.push(way(Who::Operator, None, behind, Then::TestedAgain));
        }
        self.clear_blocks(&mut ways);
        for dispute in &self.order.disputes {
            self.settle_dispute(dispute, &mut ways);
        }
        self.find_dates(&mut ways);
        ways
    }

    fn clear_blocks(&self, ways: &mut Vec<Way>) {
        let blocks = self.order.blocks.iter();
        for block in blocks.filter(|it| it.cleared_at.is_none()) {
            let mut without = self.order.clone();
            let blocks = without.blocks.iter_mut();
            for cleared in blocks.filter(|it| it.reference == block.reference) {
                cleared.cleared_at = Some(self.clock.now);
            }
            let about = Some(block.reference.clone());
            ways.push(way(Who::Operator, None, about, self.freed(&without)));
        }
    }

    fn settle_dispute(&self, dispute: &Dispute, ways: &mut Vec<Way>) {
        let about = Some(dispute.id.to_string());
        let named = self.order.named(&dispute.id, self.sale.currency);
        if let Some(closing) = &dispute.closed {
            let charged = named.max(dispute.lost_chargeback(self.sale.amount));
            let expected = closing.value.refund_expected.unwrap_or(charged);
            let up_to = less(expected, charged);
            if !up_to.is_zero() {
                let message = Some("refund.succeeded.v1");
                let then = Then::Consumed { up_to };
                ways.push(way(Who::RefundSystem, message, about, then));
            }
            return;
        }
        let message = Some("dispute.closed.v1");
        if !self.claim.hold.blocked.is_zero() {
            let mut without = self.order.clone();
            let disputes = without.disputes.iter_mut();
            for closed in disputes.filter(|it| it.id == dispute.id) {
                closed.closed = Some(withdrawn(self.clock.now));
            }
            let then = self.freed(&without);
            ways.push(way(Who::DisputeSystem, message, about.clone(), then));
        }
        if dispute.kind == DisputeKind::Chargeback {
            let up_to = less(dispute.amount.unwrap_or(self.sale.amount), named);
            let then = Then::Consumed { up_to };
            ways.push(way(Who::DisputeSystem, message, about, then));
        }
    }

    fn find_dates(&self, ways: &mut Vec<Way>) {
        if self.obstacles.contains(&Obstacle::Pending) {
            let message = match self.claim.term().map(|term| term.anchor) {
                Some(Anchor::Confirmed) => "order.confirmed.v1",
                _ => "order.delivered.v1",
            };
            let then = Then::ClockStarts;
            ways.push(way(Who::OrderSystem, Some(message), None, then));
        }
        if self.obstacles.contains(&Obstacle::NoCalendar) {
            let calendar = self.claim.agreement.calendar.as_ref();
            let calendar = calendar.map(ToString::to_string);
            let message = Some("calendar.published.v1");
            ways.push(way(Who::CalendarSystem, message, calendar, Then::Dated));
        }
    }

    /// What of the hold is free in the order without one of its blocks, and when it goes.
    fn freed(&self, without: &Order) -> Then {
        let hold = &self.claim.hold;
        let mut holds = self.order.holds.iter();
        let position = holds.position(|it| it.id == hold.id);
        let blocked = without.blocked(self.sale);
        let blocked = position.and_then(|position| blocked.get(position).copied());
        let amount = less(hold.blocked, blocked.unwrap_or(hold.blocked));
        if amount.is_zero() {
            return Then::StillBlocked;
        }
        let on = settles_on(self.claim, self.clock.now, self.circumstances);
        Then::Released { amount, on }
    }
}

fn way(who: Who, message: Option<&'static str>, about: Option<String>, then: Then) -> Way {
    Way {
        who,
        message,
        about,
        then,
    }
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
    let mut parts = hold.parts();
    let part = parts.find(|part| !part.blocked.is_zero())?;
    part.dates.map(|dates| dates.eligible_at)
}
