//! A hold: a sum of one merchant's money kept back for one order under one term.
//! `original = left + consumed + released + reversed` at all times, none negative.

use jiff::civil::Date;
use serde::{Deserialize, Serialize};

use super::ids::{HoldId, TermName};
use super::money::Amount;
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
    /// A legal, review or bad-message block lies on the whole hold: not even the limit releases it.
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
    /// The calendar version that the dates were computed with; `None` without a calendar.
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
