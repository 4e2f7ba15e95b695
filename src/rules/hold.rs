//! A hold: a sum of one merchant's money kept back for one order under one term.
//! `original = left + consumed + released + reversed` at all times, none negative.
//!
//! The money in it has parts: its own, under its own dates, then its tails, each later than the
//! one before. Blocks and refunds take from the own part first, then from the tails in turn.

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
    /// Dates of the money that no block kept, and of a wholly blocked hold after its clearing.
    pub dates: Option<Dates>,
    /// Money that a block kept past the hold's own release: it goes later than the rest.
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

/// A part of a hold with dates of its own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tail {
    pub amount: Amount,
    pub dates: Dates,
}

/// A part of what is left in a hold, with the dates under which it goes; `None` while unknown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Part {
    pub amount: Amount,
    pub blocked: Amount,
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
    #[must_use]
    pub fn parts(&self) -> Vec<Part> {
        self.parts_if_blocked(self.blocked)
    }

    fn parts_if_blocked(&self, blocked: Amount) -> Vec<Part> {
        let own = (self.own(), self.dates);
        let tails = self
            .tails
            .iter()
            .map(|tail| (tail.amount, Some(tail.dates)));
        let mut rest = blocked;
        std::iter::once(own)
            .chain(tails)
            .map(|(amount, dates)| {
                let blocked = rest.min(amount);
                rest = less(rest, blocked);
                Part {
                    amount,
                    blocked,
                    dates,
                }
            })
            .collect()
    }

    /// When the last block of the own part was cleared, if that is what made it wait.
    #[must_use]
    pub fn cleared_at(&self) -> Option<Instant> {
        let dates = self.dates?;
        let unblocked = dates.window_ends_at.max(self.anchor_at?);
        (dates.eligible_at > unblocked).then_some(dates.eligible_at)
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

    /// Takes what goes out of the part with these dates (`None`: out of all parts in turn).
    pub(super) fn release(&mut self, amount: Amount, release_at: Option<Instant>) {
        if let Some(release_at) = release_at {
            let mut rest = amount;
            if self.dates.is_some_and(|own| own.release_at == release_at) {
                rest = less(rest, self.own());
            }
            for tail in &mut self.tails {
                if tail.dates.release_at == release_at {
                    let taken = rest.min(tail.amount);
                    tail.amount = less(tail.amount, taken);
                    rest = less(rest, taken);
                }
            }
        }
        self.left = less(self.left, amount);
        self.released = within(self.released, amount);
        self.releases = self.releases.saturating_add(1);
        self.shrink();
    }

    /// Takes free money out of the parts in turn, at most what is free.
    pub(super) fn release_free(&mut self, amount: Amount) {
        let mut rest = amount;
        let mut staying = Vec::new();
        for part in self.parts() {
            let taken = rest.min(less(part.amount, part.blocked));
            rest = less(rest, taken);
            staying.extend(part.dates.map(|dates| (less(part.amount, taken), dates)));
        }
        self.left = less(self.left, amount);
        self.released = within(self.released, amount);
        self.releases = self.releases.saturating_add(1);
        if self.dates.is_some() {
            self.arrange(staying);
        }
    }

    /// Moves what a block had kept to its clearing, if that is later than its own date: a part
    /// goes on under new dates, or as a whole when all of it was kept. `settle` finds the
    /// settlement; when it knows none the whole hold waits without dates. Answers the sum that
    /// moved; its dates are `None` when they are unknown now.
    pub(super) fn clear(
        &mut self,
        kept: Kept,
        cleared_at: Instant,
        settle: impl FnOnce(Instant) -> Option<(Instant, Date)>,
    ) -> Option<(Amount, Option<Dates>)> {
        self.dates?;
        let now = self.parts();
        let before = match kept {
            Kept::All => None,
            Kept::Blocked { before } => Some(self.parts_if_blocked(before)),
        };
        let freed = |position: usize, part: &Part| match &before {
            None => part.amount,
            Some(before) => less(before[position].blocked, part.blocked),
        };
        let early = |part: &Part| part.dates.is_some_and(|it| it.eligible_at < cleared_at);
        let moves = now.iter().enumerate().any(|(position, part)| {
            early(part) && (before.is_none() || !freed(position, part).is_zero())
        });
        if !moves {
            return None;
        }
        let Some((release_at, settlement_on)) = settle(cleared_at) else {
            self.dates = None;
            self.tails.clear();
            return Some((self.left, None));
        };
        let mut moved = less(self.left, self.left);
        let mut moved_to = None;
        let mut parts = Vec::with_capacity(now.len() + 1);
        for (position, part) in now.iter().enumerate() {
            let Some(dates) = part.dates else { continue };
            let new = Dates {
                eligible_at: cleared_at,
                release_at,
                settlement_on,
                ..dates
            };
            let same = !matches!(kept, Kept::All) && release_at == dates.release_at;
            let going = freed(position, part);
            if !early(part) || same || (before.is_some() && going.is_zero()) {
                parts.push((part.amount, dates));
                continue;
            }
            moved = within(moved, going);
            moved_to = Some(new);
            let staying = less(part.amount, going);
            if !staying.is_zero() {
                parts.push((staying, dates));
            }
            parts.push((going, new));
        }
        self.arrange(parts);
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
            parts.push((less(part.amount, going), dates));
            if !going.is_zero() {
                let new = Dates {
                    release_at,
                    settlement_on,
                    ..dates
                };
                moved = moved.or(Some(new));
                parts.push((going, new));
            }
        }
        self.arrange(parts);
        moved
    }

    /// Takes new own dates after the anchor or the calendar changed; `window_ends_at` is the same
    /// for all parts.
    pub(super) fn date(&mut self, dates: Option<Dates>, tails: Vec<Tail>) {
        let Some(own) = dates else {
            self.dates = None;
            self.tails.clear();
            return;
        };
        let parts = std::iter::once((self.own(), own))
            .chain(tails.into_iter().map(|tail| (tail.amount, tail.dates)))
            .collect();
        self.arrange(parts);
    }

    /// Lays out the parts anew, the earliest that has money as the hold's own.
    fn arrange(&mut self, parts: Vec<(Amount, Dates)>) {
        let fallback = parts.first().map(|(_, dates)| *dates);
        let mut laid: Vec<Tail> = Vec::with_capacity(parts.len());
        for (amount, dates) in parts {
            if amount.is_zero() {
                continue;
            }
            match laid.iter_mut().find(|tail| tail.dates == dates) {
                Some(tail) => tail.amount = within(tail.amount, amount),
                None => laid.push(Tail { amount, dates }),
            }
        }
        laid.sort_by_key(|tail| (tail.dates.release_at, tail.dates.eligible_at));
        if laid.is_empty() {
            self.dates = fallback;
            self.tails = laid;
        } else {
            self.dates = Some(laid.remove(0).dates);
            self.tails = laid;
        }
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
        if self.own().is_zero() && !self.tails.is_empty() {
            self.dates = Some(self.tails.remove(0).dates);
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
        let ordered = self.dates.is_some() || self.tails.is_empty();
        let tails_fit = self.tails.is_empty() || !tails.is_zero();
        sum == self.original && self.blocked <= self.left && ordered && tails_fit
    }
}

/// The sum of amounts that are parts of one greater amount that exists.
fn within(one: Amount, other: Amount) -> Amount {
    one.plus(other)
        .expect("parts of an amount that exists add up to no more")
}
