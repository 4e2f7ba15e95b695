//! Releases that were published and that the database had lost: they are final, so the money leaves the
//! hold by what they say and not by a decision of now (see [`crate::reconcile`]).
//!
//! They go as soon as their hold exists, before any other fact: then a refund, a dispute or a
//! cancellation that came after the release finds the hold as it was, and one that came before it takes
//! from the rest, as it did. A release with more money than the hold has stays foretold.

use super::super::entry::{Account, Entry, Event, ReleaseIssued, ReleaseReason, Transfer};
use super::super::hold::{Hold, Part};
use super::super::ids::ReleaseId;
use super::super::money::less;
use super::super::order::Order;
use super::super::time::Instant;

/// Takes the foretold releases out of the order's holds, as far as these exist.
pub fn issue(order: &mut Order) -> Vec<Entry> {
    let mut entries = Vec::new();
    for foretold in std::mem::take(&mut order.foretold) {
        let release = &foretold.release;
        let currency = order.sale.as_ref().map(|noted| noted.value.currency);
        let hold = order.holds.iter_mut().find(|it| it.id == foretold.hold);
        let Some(hold) = hold.filter(|it| follows(it, release)) else {
            order.foretold.push(foretold);
            continue;
        };
        hold.release(release.gross, due_at(hold, release));
        entries.push(Entry {
            event: Event::ReleaseIssued(release.clone()),
            order: Some(order.id.clone()),
            hold: Some(hold.id),
            currency,
            transfer: Some(Transfer {
                debit: Account::Held,
                credit: Account::Payable,
                amount: release.gross,
            }),
            cause: release.attempt.to_string(),
            traceparent: order.traceparent.clone(),
        });
    }
    entries
}

/// Whether it is the hold's next release, and the hold has the money.
fn follows(hold: &Hold, release: &ReleaseIssued) -> bool {
    let next = ReleaseId::of(hold.id, hold.releases.saturating_add(1));
    next == release.release_id && release.gross <= hold.left
}

/// The date of the part that it was; `None` where no part can be told, or it is blocked by now.
fn due_at(hold: &Hold, release: &ReleaseIssued) -> Option<Instant> {
    let on = release
        .settlement_date
        .filter(|_| release.reason == ReleaseReason::Due)?;
    let mut parts = hold.parts();
    let was = |part: &Part| {
        part.dates.is_some_and(|it| it.settlement_on == on)
            && release.gross <= less(part.amount, part.blocked)
    };
    let dates = parts.find(was)?.dates?;
    Some(dates.release_at)
}
