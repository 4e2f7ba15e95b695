//! What the events say of each hold's money, followed one by one, and whether the tables say the same.

use std::collections::BTreeMap;

use super::Complaints;
use super::books::HoldRow;
use super::topics::Topics;

/// A hold by its events; cents.
#[derive(Debug, Clone, Default)]
pub struct Hold {
    original: i64,
    left: i64,
    blocked: i64,
    released: i64,
    reversed: i64,
}

/// Follows every hold through its events, in each merchant's order over both topics.
pub fn fold(topics: &Topics, complaints: &mut Complaints) -> BTreeMap<String, Hold> {
    let mut events: Vec<_> = topics.events.iter().collect();
    events.sort_by_key(|event| (&event.merchant, event.sequence));
    let mut holds: BTreeMap<String, Hold> = BTreeMap::new();
    for event in events {
        let id = event.text("hold_id");
        if id.is_empty() {
            continue;
        }
        let amount = event.cents("amount");
        if event.kind == "hold.created" {
            let original = event.cents("original");
            let hold = Hold {
                original,
                left: original,
                ..Hold::default()
            };
            let before = holds.insert(id.to_owned(), hold);
            complaints.unless(before.is_none(), "conservation", || {
                format!("{} makes a hold again", event.place())
            });
            continue;
        }
        let Some(hold) = holds.get_mut(id) else {
            complaints.add("conservation", &format!("{} is of no hold", event.place()));
            continue;
        };
        match event.kind.as_str() {
            "hold.consumed" => {
                hold.left -= amount;
                // A refund takes the place of the block of the dispute that it names.
                if !event.text("dispute_id").is_empty() {
                    hold.blocked -= amount.min(hold.blocked);
                }
            }
            "hold.restored" => hold.left += amount,
            "hold.reversed" => {
                hold.left -= amount;
                hold.reversed += amount;
            }
            "hold.blocked" | "hold.unblocked" => hold.blocked = event.cents("blocked"),
            "release.issued" => {
                let gross = event.cents("gross");
                let free = hold.left - hold.blocked.min(hold.left);
                complaints.unless(gross > 0 && gross <= free, "blocked", || {
                    format!("{} lets {gross} go of {hold:?}", event.place())
                });
                hold.left -= gross;
                hold.released += gross;
            }
            _ => continue,
        }
        hold.blocked = hold.blocked.min(hold.left);
        let said = event.text("left");
        complaints.unless(
            hold.left >= 0 && (said.is_empty() || event.cents("left") == hold.left),
            "conservation",
            || format!("{} says left {said}, its events {hold:?}", event.place()),
        );
    }
    holds
}

/// The tables hold the same holds with the same money.
pub fn compare(
    folded: &BTreeMap<String, Hold>,
    rows: &BTreeMap<String, HoldRow>,
    complaints: &mut Complaints,
) {
    for (id, row) in rows {
        let whole = row.left + row.consumed + row.released + row.reversed;
        complaints.unless(whole == row.original, "conservation", || format!("{row:?}"));
        let Some(hold) = folded.get(id) else {
            complaints.add("state", &format!("no event tells of {row:?}"));
            continue;
        };
        let same = (hold.original, hold.left, hold.released, hold.reversed)
            == (row.original, row.left, row.released, row.reversed);
        complaints.unless(same, "state", || format!("events {hold:?}, table {row:?}"));
    }
    complaints.unless(folded.len() == rows.len(), "state", || {
        format!(
            "{} holds by their events, {} in the table",
            folded.len(),
            rows.len()
        )
    });
}
