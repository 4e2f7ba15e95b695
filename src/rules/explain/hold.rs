//! One hold of an explained order.

use std::sync::Arc;

use super::{Circumstances, HoldExplained, PartExplained, TermClock, findings, ways};
use crate::rules::agreement::{Agreement, Anchor, Count, DayKind};
use crate::rules::fact::Completed;
use crate::rules::forecast;
use crate::rules::hold::Hold;
use crate::rules::order::Order;
use crate::rules::release::{self, Claim, Clock, Judgement, Obstacle};
use crate::rules::term;

/// What a hold's explanation looks at.
#[derive(Clone, Copy)]
pub(super) struct OfOrder<'a> {
    pub(super) order: &'a Order,
    pub(super) sale: &'a Completed,
    pub(super) agreement: &'a Arc<Agreement>,
    pub(super) clock: Clock,
    pub(super) circumstances: &'a Circumstances,
}

impl OfOrder<'_> {
    pub(super) fn explain(&self, hold: &Hold) -> HoldExplained {
        let (order, sale, clock) = (self.order, self.sale, self.clock);
        let claim = Claim {
            merchant: order.merchant.clone(),
            order: order.id.clone(),
            currency: sale.currency,
            agreement: self.agreement.clone(),
            hold: hold.clone(),
            traceparent: None,
        };
        let judgement = release::judge(&claim, clock);
        let obstacles = &judgement.obstacles;
        let tests = findings::tests(&claim, &judgement, clock, self.circumstances);
        // Under the minimum it moves on, until enough has come together: nobody knows when.
        let pays = tests.last().is_none_or(|test| test.passes);
        let first_failing = tests.iter().find(|test| !test.passes).map(|test| test.name);
        let kept = ways::Kept {
            order,
            sale,
            claim: &claim,
            obstacles,
            clock,
            circumstances: self.circumstances,
        };
        HoldExplained {
            hold_id: hold.id,
            term: hold.term.clone(),
            state: state(hold, &judgement),
            original: hold.original,
            calculation: self.calculation(hold),
            left: hold.left,
            consumed: hold.consumed,
            released: hold.released,
            reversed: hold.reversed,
            blocked: hold.blocked,
            clock: self.term_clock(&claim),
            limit_at: hold.limit_at,
            parts: parts(hold),
            expected_on: expected_on(&claim, obstacles).filter(|_| pays),
            ways: kept.ways(),
            tests,
            first_failing,
        }
    }

    fn calculation(&self, hold: &Hold) -> Option<String> {
        let amounts = term::hold_amounts(self.agreement, self.sale).ok()?;
        let mut holds = amounts.holds.into_iter();
        let own = holds.find(|(position, ..)| *position == usize::from(hold.term_no));
        own.map(|(_, _, calculation)| calculation)
    }

    fn term_clock(&self, claim: &Claim) -> TermClock {
        let term = claim.term();
        let anchor = term.map_or(Anchor::Completed, |term| term.anchor);
        let message = match anchor {
            Anchor::Completed => None,
            Anchor::Delivered | Anchor::Confirmed => self.circumstances.message("clock"),
        };
        TermClock {
            anchor,
            anchor_at: claim.hold.anchor_at,
            message,
            days: term.map_or(0, |term| term.days),
            day_kind: term.map_or(DayKind::Calendar, |term| term.day_kind),
            count: term.map_or(Count::EndOfDay, |term| term.count),
            time_zone: self.agreement.time_zone.clone(),
            calendar: self.agreement.calendar.as_ref().map(ToString::to_string),
            calendar_version: claim.hold.calendar_version,
        }
    }
}

fn parts(hold: &Hold) -> Vec<PartExplained> {
    let parts = hold.parts();
    let parts = parts.filter(|part| !part.amount.is_zero());
    parts
        .map(|part| PartExplained {
            amount: part.amount,
            blocked: part.blocked,
            window_ends_at: part.dates.map(|dates| dates.window_ends_at),
            eligible_at: part.dates.map(|dates| dates.eligible_at),
            release_at: part.dates.map(|dates| dates.release_at),
            settlement_date: part.dates.map(|dates| dates.settlement_on),
        })
        .collect()
}

/// The date of the next free part, or that of the limit where it releases and comes first.
fn expected_on(claim: &Claim, obstacles: &[Obstacle]) -> Option<jiff::civil::Date> {
    let hold = &claim.hold;
    if hold.barred || hold.left.is_zero() || obstacles.contains(&Obstacle::BeforeStart) {
        return None;
    }
    let next = findings::next_free(hold).and_then(|part| part.dates);
    let next = next.map(|dates| (dates.release_at, dates.settlement_on));
    let expected = forecast::earliest(next, forecast::limit(claim));
    expected.map(|(_, date)| date)
}

fn state(hold: &Hold, judgement: &Judgement) -> &'static str {
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
