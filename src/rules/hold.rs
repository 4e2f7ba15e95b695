//! A hold: a sum of one merchant's money kept back for one order under one term.
//! `original = left + consumed + released + reversed` at all times, none negative.
//!
//! The money in it has parts: its own, then its tails, each later than the one before or kept by
//! a block until later. Blocks and refunds take from the own part first, then from the tails in turn.
//! A part remembers when its last block was cleared, also while it has no dates.

use jiff::civil::Date;
use serde::{Deserialize, Serialize};

use super::entry::{HoldRescheduled, RescheduleReason};
use super::ids::{HoldId, TermName};
use super::money::{Amount, less};
use super::time::Instant;

/// One hold as it stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hold {
    pub id: HoldId,
    /// Position of its term in the agreement, from 0: the order in which refunds take.
    pub term_no: u16,
    pub term: TermName,
    pub original: Amount,
    pub left: Amount,
    pub consumed: Amount,
    pub released: Amount,
    pub reversed: Amount,
    /// The part of `left` that may not go now; at most `left`.
    pub blocked: Amount,
    /// A legal, review or bad-message block lies on it or on a part: the limit releases nothing.
    pub barred: bool,
    /// The term's anchor, once known. Unknown: the hold is pending.
    pub anchor_at: Option<Instant>,
    /// When the last block of the own part was cleared, or until when a person has put it off.
    pub cleared_at: Option<Instant>,
    /// Dates of the money that no block kept, and of a wholly blocked hold after its clearing.
    pub dates: Option<Dates>,
    /// Money that a block kept for longer than the own part: it goes with that or later.
    pub tails: Vec<Tail>,
    pub limit_at: Option<Instant>,
    /// When the limit was last announced, for `at_limit: alert`.
    pub limit_alerted_at: Option<Instant>,
    /// The calendar version that the dates were computed with, 0 while the calendar is not there;
    /// `None` without a calendar.
    pub calendar_version: Option<u64>,
    /// Releases so far: the next one is number `releases + 1`.
    pub releases: u32,
}

/// When a sum goes, if nothing stands in the way.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Dates {
    pub window_ends_at: Instant,
    pub eligible_at: Instant,
    pub release_at: Instant,
    pub settlement_on: Date,
}

/// A part of a hold with a clearing and dates of its own; it has dates when the own part has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tail {
    pub amount: Amount,
    pub cleared_at: Option<Instant>,
    pub dates: Option<Dates>,
}

/// A part of what is left in a hold, with the dates under which it goes; `None` while unknown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Part {
    pub amount: Amount,
    pub blocked: Amount,
    pub cleared_at: Option<Instant>,
    pub dates: Option<Dates>,
}

/// Which money a cleared block had kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kept {
    /// All of it: a block of the whole order.
    All,
    /// What was blocked before and no longer is.
    Blocked { before: Amount },
}

impl Hold {
    /// Left and not blocked.
    #[must_use]
    pub fn free(&self) -> Amount {
        less(self.left, self.blocked)
    }

    /// What is left under the hold's own dates.
    #[must_use]
    pub fn own(&self) -> Amount {
        self.tails
            .iter()
            .fold(self.left, |own, tail| less(own, tail.amount))
    }

    /// The own part, then the tails, with what is blocked of each.
    pub fn parts(&self) -> impl Iterator<Item = Part> {
        self.parts_if_blocked(self.blocked)
    }

    fn parts_if_blocked(&self, blocked: Amount) -> impl Iterator<Item = Part> {
        let tails = self.tails.iter();
        let tails = tails.map(|tail| (tail.amount, tail.cleared_at, tail.dates));
        let mut rest = blocked;
        std::iter::once((self.own(), self.cleared_at, self.dates))
            .chain(tails)
            .map(move |(amount, cleared_at, dates)| {
                let blocked = rest.min(amount);
                rest = less(rest, blocked);
                Part {
                    amount,
                    blocked,
                    cleared_at,
                    dates,
                }
            })
    }

    /// Takes money out for a refund, at most what is left.
    pub(super) fn consume(&mut self, amount: Amount) {
        self.left = less(self.left, amount);
        self.consumed = within(self.consumed, amount);
        self.shrink();
    }

    /// Brings back what a refund had taken, under the hold's own dates.
    pub(super) fn restore(&mut self, amount: Amount) {
        self.left = within(self.left, amount);
        self.consumed = less(self.consumed, amount);
    }

    /// Takes all that is left because the order is cancelled.
    pub(super) fn reverse(&mut self) -> Amount {
        let amount = self.left;
        self.left = less(self.left, amount);
        self.reversed = within(self.reversed, amount);
        self.shrink();
        amount
    }

    /// Takes what goes out of the free money that is due then; `None`: out of all that is left.
    pub(super) fn release(&mut self, amount: Amount, release_at: Option<Instant>) {
        match release_at {
            Some(at) => {
                self.release_parts(amount, |it| it.dates.is_some_and(|it| it.release_at == at));
            }
            None => {
                self.count_released(amount);
                self.shrink();
            }
        }
    }

    /// Takes free money out of the parts in turn, at most what is free.
    pub(super) fn release_free(&mut self, amount: Amount) {
        self.release_parts(amount, |_| true);
    }

    fn release_parts(&mut self, amount: Amount, goes: impl Fn(&Part) -> bool) {
        let mut rest = amount;
        let mut staying = Vec::new();
        for part in self.parts() {
            let free = less(part.amount, part.blocked);
            let taken = rest.min(if goes(&part) { free } else { less(free, free) });
            rest = less(rest, taken);
            staying.push(part.of(less(part.amount, taken)));
        }
        self.count_released(amount);
        self.arrange(staying);
    }

    fn count_released(&mut self, amount: Amount) {
        self.left = less(self.left, amount);
        self.released = within(self.released, amount);
        self.releases = self.releases.saturating_add(1);
    }

    /// Notes of the money that a block had kept when it was cleared, and moves it there where that
    /// is later than its own date: a part goes on under new dates, or as a whole when all of it was
    /// kept. `settle` finds the settlement; when it knows none the whole hold waits without dates.
    /// Answers the sum that moved; its dates are `None` when they are unknown now.
    pub(super) fn clear(
        &mut self,
        kept: Kept,
        cleared_at: Instant,
        settle: impl FnOnce(Instant) -> Option<(Instant, Date)>,
    ) -> Option<(Amount, Option<Dates>)> {
        let before = match kept {
            Kept::All => None,
            Kept::Blocked { before } => Some(self.parts_if_blocked(before).collect::<Vec<_>>()),
        };
        let freed = |position: usize, part: &Part| match &before {
            None => part.amount,
            Some(before) => less(before[position].blocked, part.blocked),
        };
        let goes = |going: Amount| before.is_none() || !going.is_zero();
        let early = |part: &Part| part.dates.is_some_and(|it| it.eligible_at < cleared_at);
        let parts: Vec<Part> = self.parts().collect();
        let mut going = parts.iter().enumerate();
        let moves = going.any(|(position, part)| early(part) && goes(freed(position, part)));
        let settled = if moves { settle(cleared_at) } else { None };
        let mut moved = less(self.left, self.left);
        let mut moved_to = None;
        let mut laid = Vec::with_capacity(2 * parts.len());
        for (position, part) in parts.iter().enumerate() {
            let going = freed(position, part);
            let mut new = part.of(going);
            if goes(going) {
                new.cleared_at = part.cleared_at.max(Some(cleared_at));
            }
            if let Some(((release_at, settlement_on), dates)) = settled.zip(part.dates)
                && early(part)
                && goes(going)
                && (before.is_none() || release_at != dates.release_at)
            {
                new.dates = Some(Dates {
                    eligible_at: cleared_at,
                    release_at,
                    settlement_on,
                    ..dates
                });
                moved = within(moved, going);
                moved_to = new.dates;
            }
            laid.push(new);
            laid.push(part.of(less(part.amount, going)));
        }
        let lost = moves && settled.is_none();
        if lost {
            laid.iter_mut().for_each(|part| part.dates = None);
        }
        self.arrange(laid);
        if lost {
            return Some((self.left, None));
        }
        moved_to.map(|dates| (moved, Some(dates)))
    }

    /// Moves free money that is due at `from` to a later settlement; answers its new dates.
    pub(super) fn carry(
        &mut self,
        amount: Amount,
        from: Instant,
        (release_at, settlement_on): (Instant, Date),
    ) -> Option<Dates> {
        let mut rest = amount;
        let mut moved = None;
        let mut parts = Vec::new();
        for part in self.parts() {
            let dates = part.dates?;
            let free = less(part.amount, part.blocked);
            let going = if dates.release_at == from {
                rest.min(free)
            } else {
                less(free, free)
            };
            rest = less(rest, going);
            parts.push(part.of(less(part.amount, going)));
            if !going.is_zero() {
                let dates = Some(Dates {
                    release_at,
                    settlement_on,
                    ..dates
                });
                moved = moved.or(dates);
                parts.push(Tail {
                    dates,
                    ..part.of(going)
                });
            }
        }
        self.arrange(parts);
        moved
    }

    /// Takes new dates for every part. One part without a date keeps the whole hold: it must not go
    /// with the others.
    pub(super) fn date(&mut self, dates: impl Fn(&Part) -> Option<Dates>) {
        let dated = self.parts().map(|part| Tail {
            dates: dates(&part),
            ..part.of(part.amount)
        });
        let mut parts: Vec<Tail> = dated.collect();
        if parts.iter().any(|part| part.dates.is_none()) {
            parts.iter_mut().for_each(|part| part.dates = None);
        }
        self.arrange(parts);
    }

    /// Lays out the parts anew, the earliest that has money as the hold's own.
    fn arrange(&mut self, parts: Vec<Tail>) {
        // As nearly always: no tails, and no room for any.
        if let [own] = &parts[..] {
            self.tails = Vec::new();
            (self.cleared_at, self.dates) = (own.cleared_at, own.dates);
            return;
        }
        let fallback = parts.first().cloned();
        let mut laid: Vec<Tail> = Vec::with_capacity(parts.len());
        for part in parts.into_iter().filter(|part| !part.amount.is_zero()) {
            let alike = |it: &&mut Tail| (it.dates, it.cleared_at) == (part.dates, part.cleared_at);
            match laid.iter_mut().find(alike) {
                Some(tail) => tail.amount = within(tail.amount, part.amount),
                None => laid.push(part),
            }
        }
        laid.sort_by_key(|part| {
            let dates = part.dates.map(|it| (it.release_at, it.eligible_at));
            (dates, part.cleared_at)
        });
        self.tails = laid;
        self.take_own(fallback);
    }

    /// After money has gone: cuts blocks and tails to what is left.
    fn shrink(&mut self) {
        self.blocked = self.blocked.min(self.left);
        let nothing = less(self.left, self.left);
        let tails = self
            .tails
            .iter()
            .fold(nothing, |sum, tail| within(sum, tail.amount));
        let mut over = less(tails, self.left);
        for tail in &mut self.tails {
            let cut = over.min(tail.amount);
            tail.amount = less(tail.amount, cut);
            over = less(over, cut);
        }
        self.tails.retain(|tail| !tail.amount.is_zero());
        if self.own().is_zero() {
            self.take_own(None);
        }
    }

    /// Makes the first tail the own part, or what is given when there is none.
    fn take_own(&mut self, fallback: Option<Tail>) {
        let first = (!self.tails.is_empty()).then(|| self.tails.remove(0));
        if let Some(own) = first.or(fallback) {
            (self.cleared_at, self.dates) = (own.cleared_at, own.dates);
        }
    }

    /// The event that says that a sum in the hold has these dates now.
    pub(super) fn rescheduled(
        &self,
        amount: Amount,
        dates: Option<Dates>,
        reason: RescheduleReason,
    ) -> HoldRescheduled {
        HoldRescheduled {
            amount,
            anchor_at: self.anchor_at,
            window_ends_at: dates.map(|it| it.window_ends_at),
            eligible_at: dates.map(|it| it.eligible_at),
            release_at: dates.map(|it| it.release_at),
            settlement_date: dates.map(|it| it.settlement_on),
            limit_at: self.limit_at,
            reason,
        }
    }

    /// What must hold after every step; the database refuses anything else once more.
    #[must_use]
    pub fn check(&self) -> bool {
        let parts = [self.left, self.consumed, self.released, self.reversed];
        let mut sum = less(self.left, self.left);
        for part in parts {
            sum = within(sum, part);
        }
        let tails = self
            .tails
            .iter()
            .fold(self.left, |room, tail| less(room, tail.amount));
        let mut dates = self.tails.iter().map(|tail| tail.dates);
        let ordered = dates.all(|dates| dates.is_some() == self.dates.is_some());
        let tails_fit = self.tails.is_empty() || !tails.is_zero();
        sum == self.original && self.blocked <= self.left && ordered && tails_fit
    }
}

impl Part {
    /// So much of it.
    fn of(&self, amount: Amount) -> Tail {
        Tail {
            amount,
            cleared_at: self.cleared_at,
            dates: self.dates,
        }
    }
}

/// The sum of amounts that are parts of one greater amount that exists.
fn within(one: Amount, other: Amount) -> Amount {
    one.plus(other)
        .expect("parts of an amount that exists add up to no more")
}
