//! Credits that wait for a person, and receivables that two persons write off.

use holdback::operator::Request;
use holdback::rules::ids::{CreditId, ReceivableId};
use serde_json::json;

use super::{merchant, why};
use crate::bookkeeping::{says, says_json};
use crate::harness::Holdback;
use crate::harness::facts::{
    adjusted, agreement, cancelled, decided, deposit, order, refund, requested,
};
use crate::harness::process::{holdback, run_to_end};

/// A credit of merchant M-1, by the adjustment that gives it.
fn credit(adjustment: &str) -> Request {
    let cause = format!("adjustment.posted:{adjustment}");
    Request::ReleaseCredit {
        merchant: merchant("M-1"),
        credit: CreditId::of(&merchant("M-1"), &cause),
    }
}

fn write_off(kind: &str, cause: &str, amount: &str) -> Request {
    Request::WriteOff {
        merchant: merchant("M-1"),
        receivable: ReceivableId::of(&merchant("M-1"), kind, cause),
        amount: amount.to_owned(),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_credit_from_before_going_live_waits_for_a_person() {
    let start = [("RELEASE_NOT_BEFORE", "2025-11-03T00:00:00Z")];
    let mut hb = Holdback::start_with("oldcredits", "11-03 12:00", &start).await;
    hb.send(agreement("*", "AG-1"));
    hb.applied().await;
    hb.send(order("M-1", "O-1", "100", "11-03"));
    hb.applied().await;
    hb.send(requested("M-1", "O-1", "V-1", "11-03"));
    hb.send(adjusted("M-1", "A-1", "credit", "5", "11-02"));
    let named = json!({ "order_id": "O-1" });
    hb.send(adjusted("M-1", "A-2", "credit", "6", "11-02").with(named));
    hb.send(adjusted("M-1", "A-3", "credit", "7", "11-03"));
    hb.pass_to("11-04").await;
    let waiting = "SELECT sum(amount)::bigint FROM credits";
    assert_eq!(hb.number(waiting).await, 11);
    let ahead = says_json(&hb, &["forecast", "--merchant", "M-1", "--json"]);
    assert_eq!(ahead["currencies"][0]["before_start"], "11.00");
    let asked = hb.operator().before_start(&merchant("M-1")).await;
    assert_eq!(asked.expect("requests"), [credit("A-1"), credit("A-2")]);
    let answer = hb.done(&credit("A-1")).await;
    assert_eq!(answer.says, "5.00 EUR of the credit are released");
    let gone = hb.refused(&credit("A-1")).await;
    assert!(gone.starts_with("no credit"), "{gone}");
    let kept = hb.refused(&credit("A-2")).await;
    assert!(kept.ends_with("is blocked"), "{kept}");
    hb.send(decided("M-1", "V-1", "passed", "11-04"));
    hb.applied().await;
    assert_eq!(hb.number(waiting).await, 6, "the clock leaves it");
    hb.done(&credit("A-2")).await;
    let told = hb.story("M-1").await;
    let released: Vec<&String> = told.iter().filter(|it| it.contains("releases")).collect();
    assert_eq!(
        released,
        [
            "- releases 7.00 adjustment -/-",
            "- releases 5.00 adjustment -/-",
            "O-1 releases 6.00 adjustment -/-"
        ]
    );
    hb.checked_end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pause_and_the_limit_of_one_person_hold_for_credits_too() {
    let settings = [
        ("APPROVAL_ABOVE_EUR", "50.00"),
        ("RELEASE_NOT_BEFORE", "2025-11-03T00:00:00Z"),
    ];
    let hb = Holdback::start_with("creditlimits", "11-03 12:00", &settings).await;
    hb.send(adjusted("M-1", "A-1", "credit", "51", "11-02"));
    hb.applied().await;
    let scope = holdback::rules::pause::Scope::All;
    let pause = Request::Pause {
        scope: scope.clone(),
    };
    hb.done(&pause).await;
    let paused = hb.refused(&credit("A-1")).await;
    assert!(paused.contains("paused"), "{paused}");
    hb.done(&Request::Resume { scope }).await;
    let asked = hb.done(&credit("A-1")).await;
    assert!(asked.proposed);
    assert_eq!(hb.number("SELECT count(*) FROM credits").await, 1);
    let approved = hb.operator().approve(asked.operation, "Bob").await;
    assert_eq!(
        approved.expect("approved").says,
        "51.00 EUR of the credit are released"
    );
    assert_eq!(hb.number("SELECT count(*) FROM credits").await, 0);
    hb.checked_end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_receivable_is_written_off_by_two_persons_whatever_its_size() {
    let mut hb = Holdback::start("writeoff", "11-03 12:00").await;
    let first = json!({ "refund": { "source": "merchant_first" } });
    hb.send(agreement("*", "AG-1").with(first));
    hb.applied().await;
    hb.send(order("M-1", "O-1", "100", "11-03"));
    hb.applied().await;
    hb.send(refund("M-1", "O-1", "R-1", "30", "11-03"));
    hb.applied().await;
    let much = hb.refused(&write_off("refund", "R-1", "30.01")).await;
    assert!(much.starts_with("30.00 EUR are left"), "{much}");
    let none = hb.refused(&write_off("refund", "R-9", "1")).await;
    assert!(none.contains("has no receivable"), "{none}");
    let asked = hb.done(&write_off("refund", "R-1", "30")).await;
    assert!(asked.proposed);
    let waiting = hb.store.proposals().await.expect("proposals");
    let text = waiting[0].to_string();
    let what = "write_off 30.00 EUR of order O-1 of merchant M-1";
    assert!(text.contains(what), "{text}");
    // What is paid meanwhile is not written off.
    hb.send(adjusted("M-1", "A-1", "credit", "10", "11-03"));
    hb.applied().await;
    let alone = why(hb.operator().approve(asked.operation, "Ann").await);
    assert!(alone.contains("another must approve it"), "{alone}");
    let listed = says_json(&hb, &["receivable", "list", "--json"]);
    assert_eq!(listed[0]["left"], "20.00");
    assert_eq!(listed[0]["cause_id"], "R-1");
    let approved = hb.operator().approve(asked.operation, "Bob").await;
    let approved = approved.expect("approved").says;
    assert!(
        approved.starts_with("20.00 EUR of receivable"),
        "{approved}"
    );
    assert!(says(&hb, &["receivable", "list"]).contains("nothing is owed"));
    hb.send(cancelled("M-1", "O-1", "11-03"));
    hb.set("11-04");
    hb.applied().await;
    hb.due_done().await;
    hb.tells(
        "M-1",
        "
        O-1 sale holds 100.00 until 11-10
        O-1 owes 30.00 for R-1
        O-1 R-1 takes receivable 30.00
        O-1 owes 10.00 less by adjustment, left 20.00
        O-1 20.00 written off by operator, left 0.00, borne 20.00
        O-1 reversed 100.00, left 0.00
        O-1 20.00 back to the platform by cancellation, left 0.00, borne 0.00
        O-1 gets 10.00 back by cancellation
        O-1 releases 10.00 adjustment -/-
    ",
    )
    .await;
    let period = ["--from", "2025-11-01", "--to", "2025-12-01"];
    let one = ["statement", "--merchant", "M-1", "--format", "json"];
    let statement = says_json(&hb, &[&one[..], &period].concat());
    assert_eq!(statement[0]["closing"]["receivable"], "0.00");
    assert_eq!(statement[0]["closing"]["payable"], "10.00");
    hb.checked_end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_withdrawals_debt_is_written_off_by_what_is_typed() {
    let hb = Holdback::start("typedoff", "11-03 12:00").await;
    hb.send(deposit("M-1", true, "T-1", "30", "11-03"));
    hb.applied().await;
    let id = ReceivableId::of(&merchant("M-1"), "withdrawal", "T-1").to_string();
    let listed = says(&hb, &["receivable", "list", "--merchant", "M-1"]);
    let line = format!("{id}  merchant M-1 owes 30.00 EUR of 30.00, by withdrawal T-1, since ");
    assert!(listed.contains(&line), "{listed}");
    let by = ["--actor", "Ann", "--reason", "bankrupt"];
    let off = ["receivable", "write-off", "--merchant", "M-1"];
    let said = says(&hb, &[&off[..], &["--receivable", &id], &by].concat());
    assert!(said.contains("this needs a second person"), "{said}");
    let waiting = hb.store.proposals().await.expect("proposals");
    let waiting = waiting[0].id.to_string();
    says(&hb, &["approve", &waiting, "--actor", "Bob"]);
    let now = says_json(&hb, &["balances", "--merchant", "M-1", "--json"]);
    assert_eq!(now["currencies"][0]["receivable"], "0.00");
    let ended = [&off[..], &["--receivable", &id], &by].concat();
    let ended = run_to_end(holdback(&hb.bed, &ended, &[]));
    assert_eq!(ended.code, Some(1), "{}", ended.said);
    hb.checked_end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_may_be_withdrawn_is_above_what_is_required_and_owed() {
    let hb = Holdback::start("withdrawable", "11-03 12:00").await;
    let required = |amount: &str| json!({ "deposit": { "required": amount } });
    hb.send(agreement("*", "AG-1").with(required("30")));
    hb.send(agreement("M-2", "AG-2").with(required("10")));
    hb.send(deposit("M-1", false, "T-1", "100", "11-03"));
    hb.send(deposit("M-2", false, "T-1", "5", "11-03"));
    hb.applied().await;
    let free = |merchant: &str| {
        let said = says_json(&hb, &["balances", "--merchant", merchant, "--json"]);
        said["currencies"][0]["withdrawable"].clone()
    };
    assert_eq!(free("M-1"), "70.00");
    assert_eq!(
        free("M-2"),
        "0.00",
        "its own agreement, and never below zero"
    );
    hb.send(deposit("M-2", false, "T-2", "20", "11-03"));
    hb.applied().await;
    assert_eq!(free("M-2"), "15.00");
    let said = says(&hb, &["balances", "--merchant", "M-1"]);
    let line = said.lines().find(|line| line.starts_with("withdrawable"));
    assert!(
        line.is_some_and(|line| line.ends_with(" 70.00 EUR")),
        "{said}"
    );
    hb.checked_end().await;
}
