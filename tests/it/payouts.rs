//! What the payout system answers: by release and by settlement, more than once, and in one batch.

use serde_json::json;

use crate::harness::Holdback;
use crate::harness::facts::{agreement, failed, order, paid};
use crate::harness::story::Event;

/// Two orders released in one settlement, and their `(release ids, settlement id)`.
async fn released(hb: &mut Holdback) -> ([String; 2], String) {
    hb.send(agreement("*", "AG-1"));
    hb.applied().await;
    hb.send_all(["O-1", "O-2"].map(|id| order("M-1", id, "100", "11-03")));
    hb.pass_to("11-10").await;
    let events = hb.events();
    let mut releases: Vec<&Event> = events
        .iter()
        .filter(|event| event.kind == "release.issued")
        .collect();
    releases.sort_by_key(|event| event.field("order_id"));
    let ids = [0, 1].map(|n| releases[n].field("release_id"));
    (ids, releases[0].field("settlement_id"))
}

/// The lines that tell of payouts, sorted.
async fn told(hb: &Holdback) -> Vec<String> {
    hb.applied().await;
    let told = hb.story("M-1").await;
    let mut told: Vec<String> = told.into_iter().skip(5).collect();
    told.sort_unstable();
    told
}

#[tokio::test(flavor = "multi_thread")]
async fn a_payout_is_paid_fails_and_comes_back() {
    let mut hb = Holdback::start("payout", "11-03 12:00").await;
    let ([first, second], settlement) = released(&mut hb).await;
    hb.send(failed("M-1", "release_id", &first, "11-10 01:00"));
    assert_eq!(told(&hb).await, ["O-1 failed 100.00"]);
    // The settlement's answer is that of each of its releases, where it is newer.
    hb.send(paid("M-1", "settlement_id", &settlement, "11-10 02:00"));
    assert_eq!(
        told(&hb).await,
        ["O-1 failed 100.00", "O-1 paid 100.00", "O-2 paid 100.00"]
    );
    // The money came back; and an older answer that comes late changes nothing.
    hb.send(failed("M-1", "release_id", &second, "11-10 03:00"));
    assert_eq!(told(&hb).await.len(), 4);
    hb.send(paid("M-1", "release_id", &second, "11-10 01:30"));
    // Another attempt than the current, a release of nobody's.
    hb.send(paid("M-1", "release_id", &second, "11-10 04:00").with(json!({ "attempt": 2 })));
    hb.send(paid("M-2", "release_id", &second, "11-10 04:00"));
    assert_eq!(
        told(&hb).await,
        [
            "O-1 failed 100.00",
            "O-1 paid 100.00",
            "O-2 paid 100.00",
            "O-2 returned 100.00"
        ]
    );
    assert_eq!(
        hb.number("SELECT count(*) FROM payout_results WHERE NOT known")
            .await,
        1
    );
    assert_eq!(hb.number("SELECT count(*) FROM dead_letters").await, 0);
    hb.checked_end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_release_answered_for_by_itself_and_by_its_settlement_is_paid_once() {
    let mut hb = Holdback::start("paid-once", "11-03 12:00").await;
    let ([first, _], settlement) = released(&mut hb).await;
    // Stopped, so that all three come in one batch.
    hb.stop().await;
    hb.send_all([
        paid("M-1", "release_id", &first, "11-10 01:00"),
        paid("M-1", "settlement_id", &settlement, "11-10 02:00"),
        failed("M-1", "release_id", &first, "11-10 03:00"),
    ]);
    hb.set("11-10 04:00");
    hb.run().await;
    assert_eq!(
        told(&hb).await,
        ["O-1 paid 100.00", "O-1 returned 100.00", "O-2 paid 100.00"]
    );
    hb.checked_end().await;
}
