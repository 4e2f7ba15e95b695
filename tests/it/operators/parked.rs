//! Messages that wait for what never comes: listed, and dropped.

use holdback::operator::Request;
use holdback::store::replays::Wanted as Letters;
use holdback::store::waiting::{Waiting, Wanted};

use super::{by, why};
use crate::harness::Holdback;
use crate::harness::facts::{agreement, closed, delivered, opened, order, refund, refund_reversed};
use crate::harness::process::{holdback, run_to_end};

async fn waiting(hb: &Holdback) -> Vec<Waiting> {
    let listed = hb.store.waiting(&Wanted::default(), 100).await;
    listed.expect("listed")
}

async fn drop_of(hb: &Holdback, key: &str) -> Request {
    let all = waiting(hb).await;
    let mut all = all.into_iter();
    let found = all.find(|it| it.key().to_string() == key);
    let place = found.unwrap_or_else(|| panic!("{key} waits")).place;
    Request::DropParked { place }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_waits_is_listed_with_what_it_waits_for() {
    let hb = Holdback::start("waits", "11-03 12:00").await;
    hb.send(agreement("M-1", "AG-1"));
    hb.applied().await;
    hb.send(order("M-1", "O-1", "100", "11-03"));
    hb.send(order("M-2", "O-2", "100", "11-03"));
    hb.applied().await;
    hb.send(closed("M-1", "O-1", "D-1", "won", "11-03 11:00"));
    hb.send(refund("M-2", "O-2", "R-2", "10", "11-03"));
    hb.send(refund("M-1", "O-3", "R-3", "10", "11-03"));
    hb.send(refund_reversed("M-1", "R-4", "11-03"));
    hb.applied().await;
    let mut told: Vec<String> = waiting(&hb)
        .await
        .iter()
        .map(|it| format!("{} {} {}", it.merchant_id, it.key(), it.waits_for))
        .collect();
    told.sort();
    assert_eq!(
        told,
        [
            "M-1 dispute.closed:D-1 dispute",
            "M-1 refund.reversed:R-4 refund",
            "M-1 refund:R-3 order",
            "M-2 refund:R-2 agreement",
        ]
    );
    let typed = |words: &[&str]| {
        let ended = run_to_end(holdback(&hb.bed, words, &[]));
        assert_eq!(ended.code, Some(0), "{}", ended.said);
        ended.said
    };
    let json = typed(&["parked", "list", "--merchant", "M-2", "--json"]);
    let line = json.lines().find(|line| line.starts_with('{'));
    let line: serde_json::Value = serde_json::from_str(line.expect("a line")).expect("JSON");
    assert_eq!(line["kind"], "refund");
    assert_eq!(line["waits_for"], "agreement");
    assert_eq!(line["order_id"], "O-2");
    let text = typed(&["parked", "list", "--kind", "dispute.closed"]);
    assert!(text.contains("waits for its dispute since"), "{text}");
    assert!(!text.contains("R-3"), "{text}");
    // The commands go by the database's time, which is long after the hand's.
    let late = typed(&["parked", "list", "--late", "--order", "O-3"]);
    assert!(late.contains("refund:R-3 about order O-3"), "{late}");
    assert!(late.contains("for too long"), "{late}");
    assert!(typed(&["parked", "list", "--order", "O-9"]).contains("nothing waits"));
    hb.checked_end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dropped_message_is_a_dead_letter_and_a_replay_puts_it_back() {
    let mut hb = Holdback::start("dropped", "11-03 12:00").await;
    hb.send(agreement("*", "AG-1"));
    hb.applied().await;
    hb.send(refund("M-1", "O-1", "R-1", "10", "11-03"));
    hb.send(refund("M-1", "O-1", "R-2", "20", "11-03"));
    hb.send(refund_reversed("M-1", "R-9", "11-03"));
    hb.applied().await;
    let drop = drop_of(&hb, "refund:R-1").await;
    let answer = hb.done(&drop).await;
    assert!(
        answer
            .says
            .contains("refund:R-1 of merchant M-1 is dropped")
    );
    assert!(
        hb.refused(&drop)
            .await
            .contains("nothing waits that lay at")
    );
    hb.done(&drop_of(&hb, "refund.reversed:R-9").await).await;
    assert_eq!(hb.reasons().await, ["dropped"; 2]);
    let kept = "SELECT count(*) FROM operations
                WHERE kind = 'drop_parked' AND actor = 'Ann' AND reason = 'because'";
    assert_eq!(hb.number(kept).await, 2);
    // The order comes: only what still waits is charged, and what was dropped blocks nothing.
    hb.send(order("M-1", "O-1", "100", "11-03"));
    hb.applied().await;
    let left = "SELECT left_now::bigint FROM holds WHERE blocked = 0";
    assert_eq!(hb.number(left).await, 80);
    // It was a mistake.
    let letters = hb.store.dead_letters(&Letters::default(), 10).await;
    let letters = letters.expect("listed");
    let letter = letters.iter().find(|it| it.order_id.is_some());
    let letter = letter.expect("the refund");
    let replayed = hb.operator().replay(letter, Some(&by("Bob"))).await;
    replayed.expect("replayed");
    assert_eq!(hb.number(left).await, 70);
    hb.pass_to("11-10").await;
    hb.checked_end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_may_keep_money_back_is_dropped_by_two_persons_above_the_limit() {
    let above = [("APPROVAL_ABOVE_EUR", "50.00")];
    let hb = Holdback::start_with("droptwo", "11-03 12:00", &above).await;
    hb.send(agreement("*", "AG-1"));
    hb.applied().await;
    hb.send(refund("M-1", "O-1", "R-1", "50", "11-03"));
    hb.send(refund("M-1", "O-2", "R-2", "50.01", "11-03"));
    hb.send(opened("M-1", "O-3", "D-3", "return", "11-03"));
    hb.send(delivered("M-1", "O-4", "11-03"));
    hb.applied().await;
    assert!(!hb.done(&drop_of(&hb, "refund:R-1").await).await.proposed);
    // Whatever it is about: it lets nothing go.
    assert!(
        !hb.done(&drop_of(&hb, "order.delivered:O-4").await)
            .await
            .proposed
    );
    let large = hb.done(&drop_of(&hb, "refund:R-2").await).await;
    assert!(large.proposed);
    // Nobody knows yet how much a dispute about an unknown order keeps.
    assert!(
        hb.done(&drop_of(&hb, "dispute.opened:D-3").await)
            .await
            .proposed
    );
    assert_eq!(waiting(&hb).await.len(), 2);
    let same = hb.operator().approve(large.operation, "Ann").await;
    assert!(why(same).contains("another must approve it"));
    let answer = hb.operator().approve(large.operation, "Bob").await;
    assert!(answer.expect("approved").says.contains("is dropped"));
    assert_eq!(waiting(&hb).await.len(), 1);
    assert_eq!(hb.reasons().await, ["dropped"; 3]);
    // Applied before the second person agrees: there is nothing to drop any more.
    let proposed = hb.done(&drop_of(&hb, "dispute.opened:D-3").await).await;
    hb.send(order("M-1", "O-3", "100", "11-03"));
    hb.applied().await;
    let late = hb.operator().approve(proposed.operation, "Bob").await;
    assert!(why(late).contains("nothing waits that lay at"));
    let blocked = "SELECT count(*) FROM holds WHERE blocked = left_now";
    assert_eq!(hb.number(blocked).await, 1);
    hb.checked_end().await;
}
