//! A limit that lets blocked money go (`at_limit: release`): what the blocks kept of that hold they
//! keep of the order's other holds from that moment on.
//!
//! Guarantees that nothing of the others goes by where the blocks lay before: what was due before
//! the limit goes first, whatever falls due later waits until the blocks have moved
//! ([`super::decide::move_blocks`]).

use super::agreement::{Agreement, AtLimit};
use super::entry::ReleaseReason;
use super::order::Order;
use super::release::{self, Claim, Clock, Judgement, Portion};
use super::time::Instant;

/// A hold that goes now with money that is blocked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Overrun {
    pub limit_at: Instant,
    pub term_no: u16,
}

/// An order's holds with what their release needs; none while it is not applied.
#[must_use]
pub fn claims(order: &Order) -> Vec<Claim> {
    let holds = order.holds.iter();
    holds.filter_map(|hold| Claim::of(order, hold)).collect()
}

/// Whether orders under this agreement can come to that, and have another hold besides.
#[must_use]
pub fn may_overrun(agreement: &Agreement) -> bool {
    let mut terms = agreement.terms.iter();
    agreement.terms.len() > 1 && terms.any(|term| term.at_limit == AtLimit::Release)
}

/// The first of an order's holds that a limit lets go with blocked money.
pub fn overrun<'a>(holds: impl IntoIterator<Item = &'a Claim>, clock: Clock) -> Option<Overrun> {
    let holds = holds.into_iter().filter(|claim| {
        let blocked = !claim.hold.blocked.is_zero() && may_overrun(&claim.agreement);
        let by_limit = |it: &Portion| it.reason == ReleaseReason::Limit;
        blocked && release::judge(claim, clock).portions.iter().any(by_limit)
    });
    let overruns = holds.filter_map(|claim| {
        Some(Overrun {
            limit_at: claim.hold.limit_at?,
            term_no: claim.hold.term_no,
        })
    });
    overruns.min()
}

/// Takes out of a judgement what must wait until the blocks of its order have moved: the release by
/// limit itself, and of the other holds all that was not due before. It is looked at again at once.
pub fn put_off(claim: &Claim, judgement: &mut Judgement, overrun: Overrun) {
    let limit_at = claim.hold.limit_at;
    let portions = judgement.portions.len();
    judgement.portions.retain(|portion| {
        let dates = portion.dates;
        let due_at = match portion.reason {
            ReleaseReason::Limit => limit_at,
            _ => dates.map(|dates| dates.release_at),
        };
        if claim.hold.term_no == overrun.term_no {
            portion.reason != ReleaseReason::Limit
        } else {
            due_at.is_some_and(|at| at < overrun.limit_at)
        }
    });
    if judgement.portions.len() < portions {
        judgement.wake_at = Some(overrun.limit_at);
    }
}
