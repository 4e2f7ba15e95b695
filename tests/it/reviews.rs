//! Reviews: asked for by amount and by message, their deadlines through outages and by several
//! processes, answers that come before or late, and who may decide.

use holdback::operator::{By, Request};
use holdback::rules::ids::{MerchantId, OrderId, ReviewId};
use holdback::rules::review::Decision;
use serde_json::json;

use crate::harness::facts::{Fact, agreement, answered, decided, order, refund, requested};
use crate::harness::process::Process;
use crate::harness::{Holdback, eventually};

/// Orders of 100 or more are reviewed.
fn reviewing(merchant: &str, id: &str, on_silence: &str) -> Fact {
    agreement(merchant, id)
        .with(json!({ "review": { "threshold": "100", "on_silence": on_silence } }))
}

fn by_amount(merchant: &str, order: &str) -> ReviewId {
    let merchant = MerchantId::parse(merchant).expect("an id");
    ReviewId::by_amount(&merchant, &OrderId::parse(order).expect("an id"))
}

fn decide(merchant: &str, review: ReviewId, decision: Decision) -> Request {
    Request::Decide {
        merchant: MerchantId::parse(merchant).expect("an id"),
        review,
        decision,
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_review_goes_its_whole_way_by_amount_and_by_message() {
    let mut hb = Holdback::start("reviewed", "11-03 12:00").await;
    hb.send(reviewing("*", "AG-1", "escalate"));
    hb.applied().await;
    hb.send(order("M-1", "O-1", "100", "11-03"));
    hb.send(order("M-2", "O-1", "99.99", "11-03"));
    hb.applied().await;
    hb.send(requested("M-2", "O-1", "V-1", "11-03"));
    hb.pass_to("11-04 12:00").await;
    let id = by_amount("M-1", "O-1");
    hb.send(answered("M-1", id.as_str(), "11-04 12:00"));
    hb.send(answered("M-1", id.as_str(), "11-04 12:00"));
    hb.send(answered("M-2", "V-1", "11-04 12:00"));
    hb.pass_to("11-06").await;
    hb.send(decided("M-1", id.as_str(), "passed", "11-06"));
    hb.send(decided("M-2", "V-1", "rejected", "11-06"));
    hb.pass_to("11-10").await;
    hb.send(refund("M-2", "O-1", "R-1", "99.99", "11-10"));
    hb.applied().await;
    hb.tells(
        "M-1",
        "
        O-1 sale holds 100.00 until 11-10
        O-1 review by threshold: answer by 11-05 12:00
        O-1 blocked 100.00 of 100.00 by review
        O-1 review: reminded
        O-1 review passed by event
        O-1 unblocked 0.00 of 100.00 by review
        O-1 releases 100.00 due 11-10/1
        closed 11-10/1: 1 with 100.00
    ",
    )
    .await;
    hb.tells(
        "M-2",
        "
        O-1 sale holds 99.99 until 11-10
        O-1 review by requested: answer by 11-05 12:00
        O-1 blocked 99.99 of 99.99 by review
        O-1 review: reminded
        O-1 review rejected by event
        O-1 gives 99.99 to R-1, left 0.00
        O-1 R-1 takes hold 99.99
        O-1 unblocked 0.00 of 0.00 by review
    ",
    )
    .await;
    let kept: (String, Vec<String>) =
        sqlx::query_as("SELECT answer, evidence FROM reviews WHERE review_id = 'V-1'")
            .fetch_one(hb.pool())
            .await
            .unwrap();
    let evidence = vec!["https://m.example/1".to_owned()];
    assert_eq!(kept, ("it is not".to_owned(), evidence));
    hb.checked_end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn answers_and_decisions_that_come_before_their_review_wait_for_it() {
    let hb = Holdback::start("before-review", "11-03 12:00").await;
    hb.send(agreement("*", "AG-1"));
    hb.send(decided("M-1", "V-1", "passed", "11-03 04:00"));
    hb.applied().await;
    hb.send(answered("M-1", "V-1", "11-03 03:00"));
    hb.send(answered("M-1", "V-1", "11-03 03:00"));
    hb.send(answered("M-1", "V-1", "11-03 03:30"));
    hb.applied().await;
    assert_eq!(hb.reasons().await, ["conflict"]);
    assert_eq!(hb.number("SELECT count(*) FROM strays").await, 2);
    // The review itself waits for its order, and what waits for it waits there too.
    hb.send(requested("M-1", "O-1", "V-1", "11-03 02:00"));
    hb.applied().await;
    assert_eq!(hb.number("SELECT count(*) FROM strays").await, 0);
    assert_eq!(hb.number("SELECT count(*) FROM parked").await, 3);
    hb.send(answered("M-1", "V-1", "11-03 03:30"));
    hb.send(requested("M-1", "O-2", "V-1", "11-03 02:00"));
    hb.applied().await;
    assert_eq!(hb.reasons().await, ["conflict"; 3]);
    hb.send(order("M-1", "O-1", "100", "11-03"));
    hb.applied().await;
    hb.tells(
        "M-1",
        "
        O-1 sale holds 100.00 until 11-10
        O-1 review by requested: answer by 11-05 12:00
        O-1 blocked 100.00 of 100.00 by review
        O-1 review passed by event
        O-1 unblocked 0.00 of 100.00 by review
    ",
    )
    .await;
    // A sale that waits for its agreement: the review by its amount is not there yet either.
    hb.send(reviewing("M-2", "AG-2", "escalate").with(json!({ "currency": "JPY" })));
    let yen = order("M-2", "O-1", "100", "11-03").with(json!({ "currency": "JPY" }));
    let id = by_amount("M-2", "O-1");
    hb.send(decided("M-2", id.as_str(), "passed", "11-03 04:00"));
    hb.applied().await;
    hb.send(yen);
    hb.applied().await;
    let told = hb.story("M-2").await;
    assert_eq!(
        told.last().map(String::as_str),
        Some("O-1 unblocked 0 of 100 by review")
    );
    hb.checked_end().await;
}

#[tokio::test(flavor = "multi_thread")]
#[expect(clippy::too_many_lines, reason = "one story, told line by line")]
async fn deadlines_that_pass_in_an_outage_come_to_what_they_would_have_come_to() {
    let mut hb = Holdback::start("review-outage", "11-03 12:00").await;
    for (merchant, on_silence) in [
        ("M-stays", "escalate"),
        ("M-passes", "pass"),
        ("M-rejects", "reject"),
        ("M-heard", "pass"),
    ] {
        hb.send(reviewing(merchant, &format!("AG-{merchant}"), on_silence));
    }
    hb.applied().await;
    for merchant in ["M-stays", "M-passes", "M-rejects", "M-heard"] {
        hb.send(order(merchant, "O-1", "100", "11-03"));
    }
    hb.applied().await;
    hb.stop().await;
    // Answered in time, read only after the outage.
    hb.set("11-05 11:00");
    let id = by_amount("M-heard", "O-1");
    hb.send(answered("M-heard", id.as_str(), "11-05 11:00"));
    hb.set("11-09 13:00");
    hb.run().await;
    hb.applied().await;
    hb.due_done().await;
    let asked = [
        "O-1 sale holds 100.00 until 11-10",
        "O-1 review by threshold: answer by 11-05 12:00",
        "O-1 blocked 100.00 of 100.00 by review",
    ];
    let silent = [
        "O-1 review: reminded",
        "O-1 review: no answer by 11-05 12:00",
    ];
    let rest = |story: Vec<String>| story[3..].to_vec();
    let stays = hb.story("M-stays").await;
    assert_eq!(stays[..3], asked);
    assert_eq!(stays[3..5], silent);
    // Late by a day and an hour: told once, not once per day.
    assert_eq!(stays[5..], ["O-1 review: no decision by 11-08 12:00"]);
    let passes = [
        silent[0],
        silent[1],
        "O-1 review passed by silence",
        "O-1 unblocked 0.00 of 100.00 by review",
    ];
    assert_eq!(rest(hb.story("M-passes").await), passes);
    let rejects = [silent[0], silent[1], "O-1 review rejected by silence"];
    assert_eq!(rest(hb.story("M-rejects").await), rejects);
    let heard = ["O-1 review: no decision by 11-08 11:00"];
    assert_eq!(rest(hb.story("M-heard").await), heard);
    // From there on daily.
    hb.pass_to("11-10 12:00").await;
    let again = rest(hb.story("M-stays").await);
    assert_eq!(again[3..], ["O-1 review: no decision by 11-10 12:00"]);
    // A person clears what silence rejected, and decides what it left open; not twice.
    let operator = hb.operator();
    let by = By::new("Ann", "looked at it").unwrap();
    for merchant in ["M-rejects", "M-stays"] {
        let passed = decide(merchant, by_amount(merchant, "O-1"), Decision::Passed);
        let answer = operator.submit(&passed, &by).await.unwrap();
        assert!(!answer.proposed, "{answer:?}");
        let twice = operator.submit(&passed, &by).await.unwrap_err();
        assert!(twice.to_string().contains("has ended"), "{twice}");
    }
    let nobodys = ReviewId::parse("V-0").unwrap();
    let unknown = decide("M-stays", nobodys, Decision::Passed);
    let unknown = operator.submit(&unknown, &by).await.unwrap_err();
    assert_eq!(unknown.to_string(), "merchant M-stays has no review V-0");
    hb.pass_to("11-11").await;
    let cleared = rest(hb.story("M-rejects").await);
    assert_eq!(
        cleared[3..],
        [
            "O-1 review cleared by person",
            "O-1 unblocked 0.00 of 100.00 by review",
            "O-1 moves 100.00 to 11-11: unblocked",
            "O-1 releases 100.00 due 11-11/1",
            "closed 11-11/1: 1 with 100.00",
        ]
    );
    let by: String = sqlx::query_scalar(
        "SELECT closed_name || ': ' || closed_reason FROM reviews WHERE merchant_id = 'M-stays'",
    )
    .fetch_one(hb.pool())
    .await
    .unwrap();
    assert_eq!(by, "Ann: looked at it");
    hb.checked_end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn above_the_limit_a_message_decides_only_where_messages_are_trusted() {
    let limit = [("APPROVAL_ABOVE_EUR", "99.99")];
    let mut hb = Holdback::start_with("approval", "11-03 12:00", &limit).await;
    hb.send(agreement("*", "AG-1"));
    hb.applied().await;
    hb.send(order("M-1", "O-1", "100", "11-03"));
    hb.send(order("M-2", "O-1", "99.99", "11-03"));
    hb.applied().await;
    hb.send(requested("M-1", "O-1", "V-1", "11-03"));
    hb.send(requested("M-2", "O-1", "V-1", "11-03"));
    hb.applied().await;
    hb.send(decided("M-1", "V-1", "passed", "11-03 06:00"));
    hb.send(decided("M-2", "V-1", "passed", "11-03 06:00"));
    hb.applied().await;
    assert_eq!(hb.reasons().await, ["approval"]);
    let asked = [
        "O-1 sale holds 100.00 until 11-10",
        "O-1 review by requested: answer by 11-05 12:00",
        "O-1 blocked 100.00 of 100.00 by review",
    ];
    assert_eq!(hb.story("M-1").await, asked);
    assert!(hb.story("M-2").await[3..].contains(&"O-1 review passed by event".to_owned()));
    hb.stop().await;
    hb.setting("REVIEWS_TRUST_EVENTS", "true");
    hb.run().await;
    hb.send(decided("M-1", "V-1", "passed", "11-03 06:00"));
    hb.applied().await;
    let told = hb.story("M-1").await;
    assert_eq!(
        told[3..],
        [
            "O-1 review passed by event",
            "O-1 unblocked 0.00 of 100.00 by review"
        ]
    );
    hb.checked_end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn two_processes_and_one_that_is_killed_tell_each_deadline_once() {
    const ORDERS: i64 = 300;
    let hb = Holdback::stopped("review-race", "11-03 12:00", &[]).await;
    let small = [("HOLDBACK_RELEASE_BATCH_MAX", "7")];
    let roles = "ingest,release,publish";
    let first = Process::start(&hb.bed, roles, &small);
    let _second = Process::start(&hb.bed, roles, &small);
    hb.send(reviewing("*", "AG-1", "pass"));
    for n in 0..ORDERS {
        let (merchant, id) = (format!("M-{}", n % 5), format!("O-{n}"));
        hb.send(order(&merchant, &id, "100", "11-03"));
    }
    // Their deadlines lie a year back: all are due as soon as the orders are held.
    let ended = async || {
        hb.number("SELECT count(*) FROM reviews WHERE closed_at IS NOT NULL")
            .await
    };
    eventually("reviews have begun to end", async || {
        let ended = ended().await;
        (ended > 0).then_some(()).ok_or_else(|| format!("{ended}"))
    })
    .await;
    first.kill();
    eventually("all reviews have ended", async || {
        let ended = ended().await;
        (ended == ORDERS)
            .then_some(())
            .ok_or_else(|| format!("{ended} of {ORDERS}"))
    })
    .await;
    eventually("all holds are released", async || {
        let left = hb
            .number("SELECT count(*) FROM holds WHERE left_now > 0")
            .await;
        let open = hb
            .number("SELECT count(*) FROM settlements WHERE releases > 0")
            .await;
        (left + open == 0)
            .then_some(())
            .ok_or_else(|| format!("{left} left, {open} open"))
    })
    .await;
    hb.published().await;
    let events = hb.events();
    for kind in ["requested", "reminded", "overdue", "closed"] {
        let kind = format!("review.{kind}");
        let told = events.iter().filter(|event| event.kind == kind).count();
        assert_eq!(i64::try_from(told).unwrap(), ORDERS, "{kind}");
    }
    hb.checked_end().await;
}
