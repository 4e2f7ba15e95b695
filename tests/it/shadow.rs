//! A deployment beside another system: it decides and keeps releases that the other one pays, and takes over
//! on a settlement date, so that nothing is paid twice and nothing by nobody.

use holdback::clock::{Clock, ManualClock};
use holdback::service::Service;
use holdback::store::deployment::GoingLive;
use serde_json::json;

use crate::harness::Holdback;
use crate::harness::facts::{agreement, opened, order, paid, refund};

const SHADOW: [(&str, &str); 1] = [("RELEASE_MODE", "shadow")];

/// What the topic for payout systems holds.
fn published(hb: &Holdback) -> Vec<String> {
    let events = hb.events().into_iter();
    let releases = events.filter(|event| event.topic == "holdback-releases");
    releases.map(|event| event.line()).collect()
}

/// Why the service would not start with the settings as they are.
async fn refused(hb: &Holdback) -> String {
    let clock = Clock::Manual(ManualClock::at(hb.now()));
    let refused = Service::prepare(hb.config(), clock).await;
    refused.expect_err("refused").to_string()
}

#[tokio::test(flavor = "multi_thread")]
#[expect(clippy::too_many_lines, reason = "one story, told line by line")]
async fn a_shadow_decides_and_keeps_and_publishes_no_release_until_it_goes_live() {
    let mut hb = Holdback::start_with("shadow", "11-03 12:00", &SHADOW).await;
    hb.send(agreement("*", "AG-1"));
    hb.applied().await;
    for (id, when) in [("O-1", "11-03"), ("O-2", "11-04"), ("O-3", "11-06")] {
        hb.set(&format!("{when} 12:00"));
        hb.send(order("M-1", id, "100", when));
    }
    hb.applied().await;
    // Its block moves it to the day on which holdback pays.
    hb.send(opened("M-1", "O-2", "D-1", "return", "11-05").with(json!({ "amount": "40" })));
    hb.pass_to("11-10").await;
    assert_eq!(published(&hb), [""; 0]);
    // The rules go on as if it had been paid: what is refunded now is a debt.
    hb.send(refund("M-1", "O-1", "R-1", "30", "11-10"));
    hb.applied().await;
    hb.stop().await;
    hb.setting("RELEASE_MODE", "live");
    let why = refused(&hb).await;
    assert!(why.contains("set release.live_from"), "{why}");
    hb.setting("RELEASE_LIVE_FROM", "2025-11-10");
    let why = refused(&hb).await;
    assert!(why.contains("later than 2025-11-10"), "{why}");
    // Put off once, before it comes.
    hb.setting("RELEASE_LIVE_FROM", "2025-11-11");
    hb.run().await;
    hb.stop().await;
    hb.setting("RELEASE_LIVE_FROM", "2025-11-12");
    hb.run().await;
    hb.pass_to("11-11").await;
    assert_eq!(published(&hb), [""; 0]);
    hb.send(crate::harness::facts::closed(
        "M-1",
        "O-2",
        "D-1",
        "won",
        "11-11 12:00",
    ));
    hb.set("11-11 13:00");
    hb.applied().await;
    hb.pass_to("11-12").await;
    hb.pass_to("11-13").await;
    let live = [
        "O-2 releases 40.00 due 11-12/1",
        "closed 11-12/1: 1 with 40.00",
        "O-3 releases 100.00 due 11-13/1",
        "closed 11-13/1: 1 with 100.00",
    ];
    assert_eq!(published(&hb), live);
    hb.tells(
        "M-1",
        "
        O-1 sale holds 100.00 until 11-10
        O-2 sale holds 100.00 until 11-11
        O-3 sale holds 100.00 until 11-13
        O-2 blocked 40.00 of 100.00 by dispute D-1
        O-1 shadows 100.00 due 11-10/1
        shadowed 11-10/1: 1 with 100.00
        O-1 owes 30.00 for R-1
        O-1 R-1 takes receivable 30.00
        O-2 shadows 30.00 of 60.00 due 11-11/1
        O-1 owes 30.00 less by release, left 0.00
        shadowed 11-11/1: 1 with 30.00 of 60.00
        O-2 unblocked 0.00 of 40.00 by dispute D-1
        O-2 moves 40.00 to 11-12: unblocked
        O-2 releases 40.00 due 11-12/1
        closed 11-12/1: 1 with 40.00
        O-3 releases 100.00 due 11-13/1
        closed 11-13/1: 1 with 100.00
    ",
    )
    .await;
    hb.stop().await;
    hb.setting("RELEASE_LIVE_FROM", "2025-11-20");
    let why = refused(&hb).await;
    assert!(why.contains("live since 2025-11-12"), "{why}");
    hb.settings.remove("RELEASE_LIVE_FROM");
    hb.run().await;
    hb.stop().await;
    hb.setting("RELEASE_MODE", "shadow");
    let why = refused(&hb).await;
    assert!(
        why.contains("goes live on settlement date 2025-11-12"),
        "{why}"
    );
    let paid: i64 = hb
        .number("SELECT sum(CASE WHEN credit = 7 THEN amount ELSE -amount END)::bigint FROM journal WHERE 7 IN (debit, credit)")
        .await;
    assert_eq!(paid, 130, "what the other system paid");
    hb.checked_end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_process_that_was_started_as_a_shadow_goes_live_with_the_others() {
    let mut hb = Holdback::start_with("takeover", "11-03 12:00", &SHADOW).await;
    hb.send(agreement("*", "AG-1"));
    hb.applied().await;
    hb.send(order("M-1", "O-1", "100", "11-02"));
    hb.send(order("M-1", "O-2", "100", "11-03"));
    hb.applied().await;
    // What another process does when it starts with the new settings.
    let from = "2025-11-10".parse().expect("a date");
    let set = hb.store.go_live(from).await.expect("an answer");
    assert_eq!(set, GoingLive::Set);
    hb.pass_to("11-09").await;
    hb.pass_to("11-10").await;
    hb.tells(
        "M-1",
        "
        O-1 sale holds 100.00 until 11-09
        O-2 sale holds 100.00 until 11-10
        O-1 shadows 100.00 due 11-09/1
        shadowed 11-09/1: 1 with 100.00
        O-2 releases 100.00 due 11-10/1
        closed 11-10/1: 1 with 100.00
    ",
    )
    .await;
    // The answer of a payout system is about the release, never about a shadow.
    for event in hb.events() {
        if matches!(event.kind.as_str(), "release.issued" | "release.shadowed") {
            hb.send(paid(
                "M-1",
                "release_id",
                &event.field("release_id"),
                "11-10",
            ));
        }
    }
    hb.applied().await;
    let told = hb.story("M-1").await;
    assert_eq!(told.last().map(String::as_str), Some("O-2 paid 100.00"));
    assert_eq!(told.len(), 7, "{told:#?}");
    hb.checked_end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deployment_that_has_released_never_becomes_a_shadow() {
    let mut hb = Holdback::start("nevershadow", "11-03 12:00").await;
    hb.stop().await;
    hb.setting("RELEASE_LIVE_FROM", "2025-12-01");
    let why = refused(&hb).await;
    assert!(
        why.contains("for a deployment that began as a shadow"),
        "{why}"
    );
    hb.settings.remove("RELEASE_LIVE_FROM");
    hb.setting("RELEASE_MODE", "shadow");
    let why = refused(&hb).await;
    assert!(why.contains("can't become a shadow"), "{why}");
}
