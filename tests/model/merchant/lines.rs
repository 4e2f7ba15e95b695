//! A merchant's history as lines for `holdback simulate`.

use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use super::words::{Cents, Seconds, Source, Step, Terms, What};

pub const CURRENCY: &str = "EUR";
const MERCHANT: &str = "M-1";

pub fn instant(at: Seconds) -> Timestamp {
    let start: Timestamp = "2026-06-01T00:00:00Z".parse().expect("an instant");
    start + SignedDuration::from_secs(at)
}

pub fn money(sum: Cents) -> String {
    format!("{}.{:02}", sum / 100, sum % 100)
}

pub fn order_id(order: u8) -> String {
    format!("O{order}")
}

fn line(kind: &str, data: Value) -> String {
    let mut event = json!({ "specversion": "1.0", "id": "1", "source": "/model", "type": kind });
    event["data"] = data;
    event["data"]["merchant_id"] = MERCHANT.into();
    event.to_string()
}

pub fn agreement(it: &Terms) -> String {
    let terms = (1..).zip(&it.terms).map(|(n, (rate, days))| {
        json!({ "name": format!("t{n}"), "rate_bps": rate, "days": days, "count": "date" })
    });
    let source = match it.source {
        Source::HoldFirst => "hold_first",
        Source::Proportional => "proportional",
        Source::MerchantFirst => "merchant_first",
    };
    let either = |which, yes: &'static str, no| if which { yes } else { no };
    line(
        "agreement.published.v1",
        json!({
            "agreement_id": "AG-1",
            "version": 1,
            "effective_from": "2026-01-01T00:00:00Z",
            "time_zone": "Etc/UTC",
            "terms": terms.collect::<Vec<_>>(),
            "settlement": { "cycle": "daily" },
            "refund": {
                "source": source,
                "excess": either(it.excess_receivable, "receivable", "reject"),
                "fees": either(it.fees_returned, "returned", "kept"),
                "free": either(it.free_outside, "outside", "receivable"),
            },
            "deposit": { "required": money(it.required), "top_up_bps": it.top_up_bps },
        }),
    )
}

/// A step; a payout result is for the release of that id.
pub fn step(step: &Step, release: Option<&str>) -> String {
    let at = instant(step.at()).to_string();
    match step {
        Step::Order { order, what, .. } => of_order(*order, &at, what),
        Step::Deposit {
            id,
            credited,
            amount,
            ..
        } => {
            let kind = if *credited { "credited" } else { "withdrawn" };
            let data = json!({
                "transaction_id": format!("W{id}"), "amount": money(*amount),
                "currency": CURRENCY, "at": at,
            });
            line(&format!("deposit.{kind}.v1"), data)
        }
        Step::Adjustment {
            id, credit, amount, ..
        } => {
            let data = json!({
                "adjustment_id": format!("A{id}"), "amount": money(*amount),
                "currency": CURRENCY, "direction": if *credit { "credit" } else { "debit" },
                "reason": "model", "actor": "model", "at": at,
            });
            line("adjustment.posted.v1", data)
        }
        Step::Payout { paid, .. } => {
            let kind = if *paid { "paid" } else { "failed" };
            let data = json!({ "release_id": release, "at": at });
            line(&format!("payout.{kind}.v1"), data)
        }
    }
}

fn of_order(order: u8, at: &str, what: &What) -> String {
    let (kind, mut data) = match what {
        What::Completed { amount, fees } => (
            "order.completed.v1",
            json!({
                "amount": money(*amount), "fees": money(*fees), "currency": CURRENCY,
                "completed_at": at,
            }),
        ),
        What::Cancelled => ("order.cancelled.v1", json!({ "cancelled_at": at })),
        What::Refunded {
            id,
            amount,
            dispute,
        } => (
            "refund.succeeded.v1",
            json!({
                "refund_id": format!("R{order}{id}"), "amount": money(*amount),
                "currency": CURRENCY, "refunded_at": at,
                "dispute_id": dispute.map(|id| format!("D{order}{id}")),
            }),
        ),
        What::Reversed { id } => {
            let data = json!({ "refund_id": format!("R{order}{id}"), "reversed_at": at });
            return line("refund.reversed.v1", data);
        }
        What::Opened { dispute, amount } => (
            "dispute.opened.v1",
            json!({
                "dispute_id": format!("D{order}{dispute}"), "kind": "chargeback",
                "amount": amount.map(money), "opened_at": at,
            }),
        ),
        What::Closed { dispute, lost } => (
            "dispute.closed.v1",
            json!({
                "dispute_id": format!("D{order}{dispute}"),
                "outcome": if *lost { "lost" } else { "won" }, "closed_at": at,
            }),
        ),
    };
    data["order_id"] = order_id(order).into();
    line(kind, data)
}
