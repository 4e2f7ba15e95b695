//! The number of SQL statements of a batch does not depend on how many messages are in it.

use serde_json::json;

use crate::harness::Bench;
use crate::harness::facts::{
    Fact, adjusted, agreement, answered, calendar, cancelled, closed, confirmed, decided,
    delivered, deposit, failed, opened, order, paid, refund, refund_reversed, requested, updated,
};

impl Bench {
    /// The statements of a batch of which half the orders are known, of the same batch again, and of
    /// the sales that the other half waited for.
    async fn first_and_again(
        &mut self,
        kind: &str,
        run: &str,
        size: usize,
    ) -> (usize, usize, usize) {
        self.apply((0..size / 2).map(|n| sold(run, n * 2)).collect())
            .await;
        if kind == "dispute.updated" || kind == "dispute.closed" {
            let open = |n| make("dispute.opened", run, n);
            self.apply((0..size / 4).map(|n| open(n * 2)).collect())
                .await;
        }
        if kind == "review.answered" || kind == "review.decided" {
            let ask = |n| make("review.requested", run, n);
            self.apply((0..size / 4).map(|n| ask(n * 2)).collect())
                .await;
        }
        let first = self
            .apply((0..size).map(|n| make(kind, run, n)).collect())
            .await;
        let again = self
            .apply((0..size).map(|n| make(kind, run, n)).collect())
            .await;
        let bad = kind == "malformed" || kind == "refund too large";
        assert_eq!(first.1 > 0, bad, "{kind}: dead letters");
        let late = self
            .apply((0..size / 2).map(|n| sold(run, n * 2 + 1)).collect())
            .await;
        (first.0, again.0, late.0)
    }
}

/// Kinds of batches: every input type, and what is refused. Those that change the catalogue come
/// last, since what is remembered of it is read anew after them.
const KINDS: [&str; 21] = [
    "order.completed",
    "order.confirmed",
    "order.delivered",
    "order.cancelled",
    "refund.succeeded",
    "refund too large",
    "dispute.opened",
    "dispute.updated",
    "dispute.closed",
    "refund.reversed",
    "deposit.credited",
    "deposit.withdrawn",
    "adjustment.posted",
    "review.requested",
    "review.answered",
    "review.decided",
    "payout.paid",
    "payout.failed",
    "malformed",
    "calendar.published",
    "agreement.published",
];

/// Message number `n` of a run; runs share no orders.
fn make(kind: &str, run: &str, n: usize) -> Fact {
    let (merchant, id) = (&merchant(n), &id(run, n));
    match kind {
        "order.completed" => sold(run, n),
        "order.confirmed" => confirmed(merchant, id, "11-03"),
        "order.delivered" => delivered(merchant, id, "11-03"),
        "order.cancelled" => cancelled(merchant, id, "11-03"),
        "refund.succeeded" => refund(merchant, id, id, "1", "11-03"),
        "refund too large" => refund(merchant, id, id, "999", "11-03"),
        "dispute.opened" => opened(merchant, id, id, "chargeback", "11-03"),
        "dispute.updated" => updated(merchant, id, id, 1, "11-03"),
        "dispute.closed" => closed(merchant, id, id, "lost", "11-03"),
        "refund.reversed" => refund_reversed(merchant, id, "11-03"),
        // Of merchants of their own, so that every withdrawal is more than there is.
        "deposit.credited" => deposit(id, false, id, "1", "11-03"),
        "deposit.withdrawn" => deposit(id, true, id, "1", "11-03"),
        // A debit and a credit for each merchant: a debt that is paid, and a rest.
        "adjustment.posted" => match n % 2 {
            0 => adjusted(&self::id(run, n / 2), id, "debit", "1", "11-03"),
            _ => adjusted(&self::id(run, n / 2), id, "credit", "3", "11-03"),
        },
        "review.requested" => requested(merchant, id, id, "11-03"),
        "review.answered" => answered(merchant, id, "11-03"),
        "review.decided" => decided(merchant, id, "passed", "11-03"),
        "payout.paid" => paid(merchant, "release_id", &uuid(run, n), "11-03"),
        "payout.failed" => failed(merchant, "settlement_id", &uuid(run, n), "11-03"),
        "malformed" => sold(run, n).with(json!({ "amount": "1.001" })),
        "calendar.published" => calendar(id, 1),
        "agreement.published" => agreement(id, id),
        other => panic!("{other}"),
    }
}

fn merchant(n: usize) -> String {
    format!("M-{}", n % 7)
}

fn id(run: &str, n: usize) -> String {
    format!("{run}-{n}")
}

/// Every input type, and kinds of batches that mix what is known, new, wrong and waiting.
fn sold(run: &str, n: usize) -> Fact {
    order(&merchant(n), &id(run, n), "100", "11-03")
}

fn uuid(run: &str, n: usize) -> String {
    let run = run.len();
    format!("6f2c0a1e-77a5-5e0c-9d51-{run:04x}{n:08x}")
}

#[tokio::test]
async fn a_thousand_messages_take_as_many_statements_as_ten() {
    let mut bench = Bench::new("statements").await;
    bench.apply(vec![agreement("*", "AG-1")]).await;
    // The catalogue of these merchants is read once.
    bench.apply((0..7).map(|n| sold("warm", n)).collect()).await;
    let mut counted = Vec::new();
    for kind in KINDS {
        let mut counts = Vec::new();
        for size in [10, 1000] {
            let run = format!("{kind}{size}");
            counts.push(bench.first_and_again(kind, &run, size).await);
        }
        counted.push(format!("{kind}: {counts:?}"));
        assert_eq!(counts[0], counts[1], "10 against 1000: {counted:#?}");
        assert!(counts[0].0 > 3, "statements are counted: {counted:#?}");
    }
    let audit = bench.store.audit().await.unwrap();
    assert_eq!(audit.differences, []);
}
