//! What a merchant owes is recovered from later releases, once, whoever makes them; and what was
//! recovered wrongly comes back.

use serde_json::json;

use crate::harness::Holdback;
use crate::harness::facts::{agreement, cancelled, closed, opened, order, paid, refund, updated};

#[tokio::test(flavor = "multi_thread")]
async fn a_debt_is_recovered_from_the_next_releases_and_their_settlement_says_so() {
    let mut hb = Holdback::start("debt", "11-03 12:00").await;
    hb.send(agreement("*", "AG-1"));
    hb.applied().await;
    hb.send(order("M-1", "O-1", "100", "11-03"));
    hb.pass_to("11-10").await;
    hb.send(refund("M-1", "O-1", "R-1", "70", "11-10"));
    hb.send(order("M-1", "O-2", "50", "11-04"));
    hb.send(order("M-1", "O-3", "50", "11-05"));
    // Another currency and another merchant pay nothing.
    let yen = order("M-1", "O-4", "100", "11-04").with(json!({ "currency": "JPY" }));
    hb.send(yen);
    hb.send(order("M-2", "O-2", "50", "11-04"));
    hb.pass_to("11-11").await;
    hb.pass_to("11-12").await;
    let told = hb.story("M-1").await;
    let recovered: Vec<&str> = told
        .iter()
        .map(String::as_str)
        .filter(|line| line.contains("owes") || line.contains("11-11/") || line.contains("11-12/"))
        .collect();
    assert_eq!(
        recovered,
        [
            "O-1 owes 70.00 for R-1",
            "O-2 releases 0.00 of 50.00 due 11-11/1",
            "O-1 owes 50.00 less by release, left 20.00",
            "O-4 releases 100 due 11-11/1",
            "closed 11-11/1: 1 with 0.00 of 50.00",
            "closed 11-11/1: 1 with 100",
            "O-3 releases 30.00 of 50.00 due 11-12/1",
            "O-1 owes 20.00 less by release, left 0.00",
            "closed 11-12/1: 1 with 30.00 of 50.00",
        ],
        "{told:#?}"
    );
    // The payout of such a release is that of its amount.
    let events = hb.events();
    let release = events
        .iter()
        .find(|event| event.kind == "release.issued" && event.field("order_id") == "O-3")
        .expect("a release");
    hb.send(paid(
        "M-1",
        "release_id",
        &release.field("release_id"),
        "11-12",
    ));
    hb.applied().await;
    let told = hb.story("M-1").await;
    assert_eq!(told.last().map(String::as_str), Some("O-3 paid 30.00"));
    hb.checked_end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_recovered_wrongly_is_released_as_an_adjustment() {
    let mut hb = Holdback::start("credit", "11-03 12:00").await;
    let terms = json!({ "refund": { "source": "merchant_first" } });
    hb.send(agreement("*", "AG-1").with(terms));
    hb.applied().await;
    hb.send(order("M-1", "O-1", "10", "11-03"));
    hb.send(order("M-1", "O-2", "100", "11-04"));
    hb.applied().await;
    hb.send(refund("M-1", "O-2", "R-1", "30", "11-04"));
    hb.pass_to("11-10").await;
    hb.send(cancelled("M-1", "O-2", "11-10"));
    hb.applied().await;
    hb.due_done().await;
    let told = hb.story("M-1").await;
    assert_eq!(
        told[2..],
        [
            "O-2 owes 30.00 for R-1",
            "O-2 R-1 takes receivable 30.00",
            "O-1 releases 0.00 of 10.00 due 11-10/1",
            "O-2 owes 10.00 less by release, left 20.00",
            "closed 11-10/1: 1 with 0.00 of 10.00",
            "O-2 reversed 100.00, left 0.00",
            "O-2 owes 20.00 less by cancellation, left 0.00",
            "O-2 gets 10.00 back by cancellation",
            "O-2 releases 10.00 adjustment -/-",
        ],
        "{told:#?}"
    );
    hb.checked_end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_credit_waits_while_its_order_is_under_review() {
    let mut hb = Holdback::start("credit-waits", "11-03 12:00").await;
    hb.send(agreement("*", "AG-1"));
    hb.applied().await;
    hb.send(order("M-1", "O-1", "100", "11-03"));
    hb.pass_to("11-10").await;
    hb.send(opened("M-1", "O-1", "D-1", "chargeback", "11-10"));
    hb.applied().await;
    hb.send(closed("M-1", "O-1", "D-1", "lost", "11-10"));
    hb.send(order("M-1", "O-2", "100", "11-04"));
    hb.pass_to("11-11").await;
    // It was recovered whole; then a message about O-1 that can't be read, and the lower claim.
    hb.send(refund("M-1", "O-1", "R-1", "1.001", "11-11"));
    hb.applied().await;
    let smaller = json!({ "amount": "40" });
    hb.send(updated("M-1", "O-1", "D-1", 1, "11-11").with(smaller));
    hb.applied().await;
    hb.set("11-12");
    hb.read().await;
    assert_eq!(hb.number("SELECT count(*) FROM credits").await, 1);
    hb.stop().await;
    assert_eq!(hb.release_by(2, "10").await, [0, 0]);
    sqlx::query("UPDATE blocks SET cleared_at = now()")
        .execute(hb.pool())
        .await
        .expect("cleared");
    let made = hb.release_by(2, "10").await;
    assert_eq!(made.iter().sum::<usize>(), 1);
    hb.run().await;
    let told = hb.story("M-1").await;
    assert_eq!(
        told[told.len() - 3..],
        [
            "O-1 gets 60.00 back by dispute",
            "O-1 D-1 takes nothing more",
            "O-1 releases 60.00 adjustment -/-"
        ],
        "{told:#?}"
    );
    hb.checked_end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn many_processes_recover_many_debts_of_one_merchant_once() {
    let mut hb = Holdback::start("debts", "11-03 12:00").await;
    hb.send(agreement("*", "AG-1"));
    hb.applied().await;
    for n in 1..=40 {
        hb.send(order("M-1", &format!("O-{n}"), "10", "11-03"));
    }
    hb.pass_to("11-10").await;
    // 40 debts of 7.00, and 60 holds of 4.00 that fall due at one instant.
    for n in 1..=40 {
        hb.send(refund(
            "M-1",
            &format!("O-{n}"),
            &format!("R-{n}"),
            "7",
            "11-10",
        ));
    }
    for n in 101..=160 {
        hb.send(order("M-1", &format!("O-{n}"), "4", "11-04"));
    }
    hb.applied().await;
    hb.stop().await;
    assert_eq!(
        hb.number("SELECT sum(left_now)::bigint FROM receivables")
            .await,
        280
    );
    hb.set("11-11");
    let made = hb.release_by(4, "7").await;
    assert_eq!(made.iter().sum::<usize>(), 60, "{made:?}");
    assert_eq!(
        hb.number("SELECT sum(left_now)::bigint FROM receivables")
            .await,
        40
    );
    let open = "SELECT count(*) FROM receivables WHERE left_now > 0 AND left_now < original";
    assert!(
        hb.number(open).await <= 1,
        "one after the other, oldest first"
    );
    hb.run().await;
    hb.due_done().await;
    let events = hb.events();
    let cents = |event: &crate::harness::story::Event, field: &str| -> i64 {
        event.field(field).replace('.', "").parse().expect("cents")
    };
    let of = |kind: &'static str| {
        events
            .iter()
            .filter(move |event| event.kind == kind)
            .cloned()
    };
    let recovered: i64 = of("receivable.recovered")
        .map(|it| cents(&it, "amount"))
        .sum();
    let kept: i64 = of("release.issued").map(|it| cents(&it, "recovered")).sum();
    let closed: i64 = of("settlement.closed")
        .map(|it| cents(&it, "recovered"))
        .sum();
    assert_eq!((recovered, kept, closed), (24_000, 24_000, 24_000));
    hb.checked_end().await;
}
