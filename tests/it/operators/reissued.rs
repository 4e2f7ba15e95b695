//! Releases whose payout has failed, issued again: by a person and by themselves, once per attempt.

use holdback::operator::Request;
use holdback::rules::ids::ReleaseId;
use holdback::rules::pause::Scope;
use serde_json::json;

use super::{merchant, why};
use crate::harness::facts::{agreement, failed, order, paid};
use crate::harness::process::{holdback, run_to_end};
use crate::harness::story::Event;
use crate::harness::{Holdback, eventually};

/// One order of 100 EUR, released and failed; its release.
async fn start(name: &str, settings: &[(&str, &str)]) -> (Holdback, String) {
    let mut hb = Holdback::start_with(name, "11-03 12:00", settings).await;
    hb.send(agreement("*", "AG-1"));
    hb.applied().await;
    hb.send(order("M-1", "O-1", "100", "11-03"));
    hb.pass_to("11-10").await;
    let release = issues(&hb)[0].field("release_id");
    hb.send(failed("M-1", "release_id", &release, "11-10 01:00"));
    hb.applied().await;
    (hb, release)
}

/// What the topic of releases says of them, attempt by attempt.
fn issues(hb: &Holdback) -> Vec<Event> {
    let mut events = hb.events();
    events.retain(|event| event.kind == "release.issued");
    events
}

fn again(release: &str) -> Request {
    Request::Reissue {
        merchant: merchant("M-1"),
        release: ReleaseId(release.parse().expect("a UUID")),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failed_payout_is_issued_again_with_the_same_release_and_amount() {
    let (mut hb, release) = start("reissue", &[]).await;
    let done = hb.done(&again(&release)).await;
    assert_eq!(done.says, "100.00 EUR are released again, attempt 2");
    let refused = hb.refused(&again(&release)).await;
    assert!(
        refused.ends_with("its attempt 2 has not failed"),
        "{refused}"
    );
    hb.published().await;
    let told = issues(&hb);
    assert_eq!(told.len(), 2);
    for name in [
        "release_id",
        "hold_id",
        "order_id",
        "gross",
        "recovered",
        "to_deposit",
        "amount",
        "settlement_id",
        "settlement_part",
        "settlement_date",
        "reason",
        "currency",
    ] {
        assert_eq!(told[0].field(name), told[1].field(name), "{name}");
    }
    assert_eq!([0, 1].map(|n| told[n].field("attempt")), ["1", "2"]);
    // The first attempt's answers change nothing any more, whatever they say; the second's count.
    hb.send(paid("M-1", "release_id", &release, "11-10 02:00"));
    hb.applied().await;
    let paid_in = "SELECT count(*) FROM payouts WHERE state = 2";
    assert_eq!(hb.number(paid_in).await, 0);
    let second = json!({ "attempt": 2 });
    hb.send(paid("M-1", "release_id", &release, "11-10 03:00").with(second));
    hb.applied().await;
    assert_eq!(hb.number(paid_in).await, 1);
    let refused = hb.refused(&again(&release)).await;
    assert!(
        refused.ends_with("its attempt 2 has not failed"),
        "{refused}"
    );
    hb.set("11-10 04:00");
    hb.checked_end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn two_who_issue_a_release_again_at_once_make_one_attempt() {
    let (hb, release) = start("reissuetwice", &[]).await;
    let request = again(&release);
    let (operator, other) = (hb.operator(), hb.operator());
    let (ann, bob) = (super::by("Ann"), super::by("Bob"));
    let (one, two) = tokio::join!(
        operator.submit(&request, &ann),
        other.submit(&request, &bob)
    );
    let (done, late) = if one.is_ok() { (one, two) } else { (two, one) };
    assert!(done.is_ok(), "{done:?}");
    let late = why(late);
    assert!(late.ends_with("its attempt 2 has not failed"), "{late}");
    hb.published().await;
    assert_eq!(issues(&hb).len(), 2);
    hb.checked_end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_unknown_not_failed_paused_or_used_up_is_not_issued_again() {
    let settings = [("PAYOUT_MAX_ATTEMPTS", "2")];
    let (hb, release) = start("reissuenot", &settings).await;
    let nobodys = again("4b8cbd3f-6a83-5a34-8c3b-1d4a36c65b0b");
    let refused = hb.refused(&nobodys).await;
    assert!(refused.starts_with("no payout of a release"), "{refused}");
    let pause = Request::Pause { scope: Scope::All };
    hb.done(&pause).await;
    let refused = hb.refused(&again(&release)).await;
    assert!(refused.contains("paused"), "{refused}");
    hb.done(&Request::Resume { scope: Scope::All }).await;
    hb.done(&again(&release)).await;
    let second = json!({ "attempt": 2 });
    hb.send(failed("M-1", "release_id", &release, "11-10 02:00").with(second));
    hb.applied().await;
    let refused = hb.refused(&again(&release)).await;
    assert!(refused.contains("payout.max_attempts"), "{refused}");
    hb.published().await;
    assert_eq!(issues(&hb).len(), 2);
    hb.checked_end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn more_than_one_person_may_issue_again_waits_for_another() {
    let (hb, release) = start("reissueabove", &[("APPROVAL_ABOVE_EUR", "99.99")]).await;
    let asked = hb.done(&again(&release)).await;
    assert!(asked.proposed);
    hb.published().await;
    assert_eq!(issues(&hb).len(), 1);
    let done = hb.operator().approve(asked.operation, "Bob").await;
    assert_eq!(
        done.expect("approved").says,
        "100.00 EUR are released again, attempt 2"
    );
    hb.published().await;
    assert_eq!(issues(&hb).len(), 2);
    hb.checked_end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failed_payout_is_issued_again_by_itself_after_the_hours_that_are_set() {
    let settings = [
        ("PAYOUT_REISSUE_AFTER_HOURS", "24"),
        ("PAYOUT_MAX_ATTEMPTS", "2"),
    ];
    let (mut hb, release) = start("reissueitself", &settings).await;
    let all = Request::Pause { scope: Scope::All };
    hb.done(&all).await;
    hb.pass_to("11-11 02:00").await;
    hb.published().await;
    assert_eq!(issues(&hb).len(), 1, "a pause keeps it");
    hb.done(&Request::Resume { scope: Scope::All }).await;
    let attempts = "SELECT attempt::bigint FROM payouts";
    eventually("it is issued again", async || {
        match hb.number(attempts).await {
            2 => Ok(()),
            other => Err(format!("attempt {other}")),
        }
    })
    .await;
    let second = json!({ "attempt": 2 });
    hb.send(failed("M-1", "release_id", &release, "11-11 03:00").with(second));
    // Whatever is due after a month has been done: its attempts are used up.
    hb.send(order("M-1", "O-2", "50", "11-05"));
    hb.pass_to("12-20").await;
    hb.published().await;
    let told = issues(&hb);
    let told: Vec<_> = told
        .iter()
        .map(|it| (it.field("order_id"), it.field("attempt")))
        .collect();
    let expected = [("O-1", "1"), ("O-1", "2"), ("O-2", "1")];
    assert_eq!(
        told,
        expected.map(|(order, n)| (order.to_owned(), n.to_owned()))
    );
    hb.checked_end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn failed_payouts_are_listed_and_issued_again_by_command() {
    let (mut hb, release) = start("reissuetyped", &[]).await;
    hb.stop().await;
    let typed = |words: &[&str]| {
        let ended = run_to_end(holdback(&hb.bed, words, &[]));
        (ended.code, ended.said)
    };
    let (code, said) = typed(&["payout", "list"]);
    assert_eq!(code, Some(0), "{said}");
    let line = format!(
        "{release}  merchant M-1: 100.00 EUR of order O-1, attempt 1 failed at 2025-11-10T01:00:00Z"
    );
    assert!(said.contains(&line), "{said}");
    let (code, said) = typed(&["payout", "list", "--merchant", "M-2"]);
    assert_eq!((code, said.trim()), (Some(0), "no payout has failed"));
    let (_, said) = typed(&["payout", "list", "--json"]);
    assert!(said.contains("\"state\": \"failed\""), "{said}");
    let (_, said) = typed(&["explain", "--merchant", "M-1", "O-1"]);
    assert!(said.contains("The payout of 100.00 failed at"), "{said}");
    // Nothing reads the input any more, and nothing is issued again past what may lie there.
    let by = ["--actor", "Ann", "--reason", "new account"];
    let words = ["payout", "reissue", "--merchant", "M-1", "--release"];
    let words = [&words[..], &[release.as_str()], &by].concat();
    let impatient = [("HOLDBACK_RELEASE_MAX_STALENESS_SECONDS", "1")];
    let ended = run_to_end(holdback(&hb.bed, &words, &impatient));
    assert_eq!(ended.code, Some(1), "{}", ended.said);
    assert!(
        ended.said.contains("the freshness gate is closed"),
        "{}",
        ended.said
    );
}
