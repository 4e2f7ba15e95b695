//! Each order against what was sent of it: its holds, what is left and blocked, and that nothing went
//! early, blocked, or past an unread dispute.

use std::collections::{BTreeMap, HashMap};

use super::Complaints;
use super::books::HoldRow;
use super::topics::{Event, Topics};
use super::truth::{Agreement, Order, Term, Truth};

/// Holds every release against the truth.
pub fn releases(topics: &Topics, truth: &Truth, hangs: &[(i64, i64)], complaints: &mut Complaints) {
    let mut terms: HashMap<&str, &str> = HashMap::new();
    let created = topics
        .events
        .iter()
        .filter(|event| event.kind == "hold.created");
    for event in created {
        terms.insert(event.text("hold_id"), event.text("term"));
    }
    let mut released: BTreeMap<(String, String), i64> = BTreeMap::new();
    let mut attempts = std::collections::BTreeSet::new();
    let issued = topics
        .events
        .iter()
        .filter(|event| event.kind == "release.issued");
    for event in issued {
        let attempt = (event.text("release_id"), event.body["attempt"].as_i64());
        complaints.unless(attempts.insert(attempt), "decided once", || {
            format!("{} is issued twice", event.place())
        });
        let key = (event.merchant.clone(), event.text("order_id").to_owned());
        let term = terms
            .get(event.text("hold_id"))
            .copied()
            .unwrap_or_default();
        let agreement = truth.agreements.get(&event.merchant);
        let term = agreement.and_then(|it| it.terms.iter().find(|known| known.name == term));
        let (Some(agreement), Some(term), Some(order)) = (agreement, term, truth.orders.get(&key))
        else {
            complaints.add(
                "state",
                &format!("{} is of nothing that was sent", event.place()),
            );
            continue;
        };
        let sum = released.entry(key).or_default();
        *sum += event.cents("gross");
        release(event, (agreement, term, order), *sum, hangs, complaints);
    }
}

fn release(
    event: &Event,
    (agreement, term, order): (&Agreement, &Term, &Order),
    released: i64,
    hangs: &[(i64, i64)],
    complaints: &mut Complaints,
) {
    let at = event.instant_us("issued_at");
    let Some(due) = agreement.release_at(term, order) else {
        return complaints.add("early", &format!("{} was never confirmed", event.place()));
    };
    let due = due.as_microsecond();
    // Whatever a clock said that it was released by: the event lay in the topic at that time. Kafka's
    // time has milliseconds.
    complaints.unless(event.sent_us + 1_000 >= due, "early", || {
        format!(
            "{} sent at {}, due {due} (microseconds)",
            event.place(),
            event.sent_us
        )
    });
    complaints.unless(at >= due, "early", || {
        format!("{} at {at}, due {due} (microseconds)", event.place())
    });
    // The gate: what Kafka had before the release date counts. A step decides by what it sees, which may
    // be younger than the time that it has read first; it has decided when its event is sent.
    let at = at.max(event.sent_us);
    for (id, dispute) in &order.disputes {
        let known = dispute.opened_us.is_some_and(|opened| opened < due);
        let open = dispute.closed.is_none_or(|(closed, _)| at < closed);
        let free = order.amount - dispute.contested(order.amount);
        complaints.unless(!known || !open || released <= free, "blocked", || {
            format!(
                "{} in spite of {id}: {released} of {}",
                event.place(),
                order.amount
            )
        });
    }
    for (from, until) in hangs {
        let inside = (*from..*until).contains(&due);
        complaints.unless(!inside || at >= *until, "gate", || {
            format!("{} while an upstream transaction hung", event.place())
        });
    }
}

/// Every order has its holds, each with what must be left in it and blocked.
pub fn holds(truth: &Truth, rows: &BTreeMap<String, HoldRow>, complaints: &mut Complaints) {
    let mut by_order: BTreeMap<(&str, &str), BTreeMap<&str, &HoldRow>> = BTreeMap::new();
    for row in rows.values() {
        let key = (row.merchant.as_str(), row.order.as_str());
        by_order.entry(key).or_default().insert(&row.term, row);
    }
    for ((merchant, number), order) in &truth.orders {
        let Some(agreement) = truth.agreements.get(merchant) else {
            continue;
        };
        let found = by_order.remove(&(merchant, number)).unwrap_or_default();
        complaints.unless(found.len() == agreement.terms.len(), "state", || {
            format!("{merchant} {number} has {} holds", found.len())
        });
        for term in &agreement.terms {
            let Some(row) = found.get(term.name.as_str()) else {
                complaints.add(
                    "state",
                    &format!("{merchant} {number} has no {}", term.name),
                );
                continue;
            };
            let original = order.amount * term.rate_bps / 10_000;
            complaints.unless(row.original == original, "state", || {
                format!("{merchant} {number} {}: {row:?}, due {original}", term.name)
            });
            left(order, agreement, term, row, complaints);
        }
    }
    complaints.unless(by_order.is_empty(), "state", || {
        format!("never sent: {by_order:?}")
    });
}

fn left(
    order: &Order,
    agreement: &Agreement,
    term: &Term,
    row: &HoldRow,
    complaints: &mut Complaints,
) {
    let due_now = term.days == 0 && agreement.release_at(term, order).is_some();
    if due_now {
        // When it went is history; what stays is what an open dispute keeps.
        let kept = order.contested();
        let right = row.left == row.blocked && row.left <= kept;
        return complaints.unless(right, "drained", || {
            format!("{row:?} is due, its disputes keep {kept}: {order:?}")
        });
    }
    complaints.unless(row.released == 0, "early", || format!("{row:?} is not due"));
    if agreement.terms.len() > 1 {
        return;
    }
    let due = if order.cancelled {
        0
    } else {
        (order.amount - order.charged()).max(0)
    };
    let blocked = order.contested().min(due);
    complaints.unless((row.left, row.blocked) == (due, blocked), "state", || {
        format!("{row:?}, due {due} left and {blocked} blocked: {order:?}")
    });
}
