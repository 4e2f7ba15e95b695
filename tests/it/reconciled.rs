//! A database that went back in time is brought up to what was published: the same story, nothing twice,
//! and a person for what only a person knows.

use std::sync::Arc;

use holdback::operator::{By, Request};
use holdback::reconcile::command::{accept, import};
use holdback::rules::ids::{HoldId, MerchantId, OrderId, ReleaseId, TermName};
use holdback::rules::order::BlockKind;
use serde_json::json;

use crate::harness::backup::{back_up, restore};
use crate::harness::facts::{
    adjusted, agreement, closed, deposit, failed, opened, order, paid, refund,
};
use crate::harness::{Holdback, eventually};

fn ann() -> By {
    By::new("Ann", "restored").expect("a name and a reason")
}

fn merchant() -> MerchantId {
    MerchantId::parse("M-1").expect("an id")
}

impl Holdback {
    /// Ends the service, forgets what came after the copy, and takes over what was published.
    async fn back_to(&mut self, copy: &str) -> usize {
        self.stop().await;
        restore(&self.bed, copy).await;
        let config = Arc::new(self.config());
        let imported = import(&self.store, &config, &ann()).await;
        imported.expect("imported")
    }

    async fn seen_to(&self) -> u64 {
        let accepted = accept(&self.store, &self.config(), &ann()).await;
        accepted.expect("accepted")
    }

    async fn still_published(&self) -> i64 {
        self.number("SELECT count(*) FROM published_elsewhere WHERE NOT taken")
            .await
    }

    async fn decided_again(&self) {
        eventually("what was published is decided again", async || {
            let left = self.store.still_published(100).await;
            let left = left.map_err(|error| error.to_string())?;
            left.is_empty()
                .then_some(())
                .ok_or_else(|| format!("{left:#?}"))
        })
        .await;
    }

    async fn issue_again(&self, release: &str) {
        let again = Request::Reissue {
            merchant: merchant(),
            release: ReleaseId(release.parse().expect("a UUID")),
        };
        self.operator().submit(&again, &ann()).await.expect("done");
    }

    async fn release_of(&self, order: &str) -> String {
        let events = self.events();
        let released = events
            .iter()
            .find(|event| event.kind == "release.issued" && event.field("order_id") == order);
        released.expect("a release").field("release_id")
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn debts_deposits_credits_payouts_and_early_releases_come_to_the_same_again() {
    let mut hb = Holdback::start("again", "11-03 12:00").await;
    hb.send(agreement("*", "AG-1"));
    let terms = json!({ "deposit": { "required": "25", "top_up_bps": 1000 } });
    hb.send(agreement("M-2", "AG-2").with(terms));
    hb.applied().await;
    hb.send(order("M-1", "O-1", "100", "11-03"));
    hb.send(order("M-1", "O-2", "50", "11-04"));
    hb.pass_to("11-10").await;
    hb.stop().await;
    let copy = back_up(&hb.bed).await;
    hb.run().await;
    let release = hb.release_of("O-1").await;
    hb.send(paid("M-1", "release_id", &release, "11-10"));
    hb.applied().await;
    hb.send(refund("M-1", "O-1", "R-1", "70", "11-10"));
    hb.send_all([
        order("M-1", "O-3", "50", "11-05"),
        order("M-1", "O-4", "40", "11-06"),
    ]);
    hb.write("refund", &[("ce_type", "refund.succeeded.v1")], b"nonsense");
    hb.applied().await;
    hb.pass_to("11-11").await;
    // A refund before its release, one after it, and a dispute that is over by then.
    hb.send(refund("M-1", "O-3", "R-3", "5", "11-11"));
    hb.send(opened("M-1", "O-4", "D-1", "complaint", "11-11"));
    hb.applied().await;
    hb.send(closed("M-1", "O-4", "D-1", "resolved", "11-11"));
    hb.send(adjusted("M-2", "A-1", "credit", "80", "11-11"));
    hb.pass_to("11-12").await;
    hb.send(refund("M-1", "O-3", "R-4", "5", "11-12"));
    let release = hb.release_of("O-3").await;
    hb.send(failed("M-1", "release_id", &release, "11-12"));
    hb.applied().await;
    hb.due_done().await;
    hb.issue_again(&release).await;
    let second = json!({ "attempt": 2 });
    hb.send(paid("M-1", "release_id", &release, "11-12 01:00").with(second));
    hb.applied().await;
    let term = TermName::parse("sale").expect("a name");
    let order_id = OrderId::parse("O-4").expect("an id");
    let early = Request::Release {
        merchant: merchant(),
        hold: HoldId::of(&merchant(), &order_id, &term),
        amount: Some("7.00".to_owned()),
    };
    hb.operator().submit(&early, &ann()).await.expect("done");
    hb.pass_to("11-14").await;
    let before = hb.story("M-1").await;
    let of_another = hb.story("M-2").await;
    let recovered = before
        .iter()
        .filter(|line| line.contains("less by release"));
    assert!(recovered.count() > 0, "{before:#?}");
    let imported = hb.back_to(&copy).await;
    assert!(imported > 20, "{imported}");

    hb.run().await;
    hb.decided_again().await;
    hb.applied().await;
    assert_eq!(hb.story("M-1").await, before);
    assert_eq!(hb.story("M-2").await, of_another);
    assert_eq!(hb.reasons().await, ["malformed"]);
    // It goes on, and what it knows is right.
    hb.send(order("M-1", "O-9", "30", "11-14"));
    hb.pass_to("11-21").await;
    let after = hb.story("M-1").await;
    assert_eq!(after[..before.len()], before);
    let more: Vec<&str> = after[before.len()..].iter().map(String::as_str).collect();
    assert!(more[0].starts_with("O-9 sale holds 30.00"), "{more:#?}");
    assert!(more[1].starts_with("O-9 releases "), "{more:#?}");
    hb.checked_end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_only_a_person_knows_keeps_everything_until_a_person_has_seen_to_it() {
    let mut hb = Holdback::start("unknown", "11-03 12:00").await;
    hb.send(agreement("*", "AG-1"));
    hb.applied().await;
    hb.send_all(["O-1", "O-2"].map(|id| order("M-1", id, "100", "11-03")));
    hb.applied().await;
    hb.stop().await;
    let copy = back_up(&hb.bed).await;
    hb.run().await;
    let block = Request::Block {
        merchant: merchant(),
        order: OrderId::parse("O-1").expect("an id"),
        hold: None,
        amount: None,
        block: BlockKind::Manual,
    };
    hb.operator().submit(&block, &ann()).await.expect("done");
    hb.applied().await;
    assert_eq!(hb.back_to(&copy).await, 1);

    hb.set("11-10");
    hb.run().await;
    hb.read().await;
    eventually("the gate says why it is closed", async || {
        let reasons = hb.not_ready();
        let gate = reasons.get("gate").cloned().unwrap_or_default();
        let says = gate.contains("1 events of theirs are still to be decided again");
        says.then_some(()).ok_or(gate)
    })
    .await;
    assert_eq!(hb.still_published().await, 1);
    // Ann blocks the order again before she says so.
    hb.operator().submit(&block, &ann()).await.expect("done");
    assert_eq!(hb.seen_to().await, 1);
    hb.due_done().await;
    let told = hb.story("M-1").await;
    let released: Vec<&String> = told.iter().filter(|it| it.contains("releases")).collect();
    assert_eq!(released, ["O-2 releases 100.00 due 11-10/1"], "{told:#?}");
    hb.checked_end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_credit_that_was_released_with_another_sum_is_accepted_and_the_difference_made_up_for() {
    let mut hb = Holdback::start("othersum", "11-03 12:00").await;
    hb.send(agreement("*", "AG-1"));
    hb.applied().await;
    hb.send(order("M-2", "O-2", "70", "11-03"));
    hb.pass_to("11-10").await;
    hb.stop().await;
    let copy = back_up(&hb.bed).await;
    hb.run().await;
    // A credit that goes whole, before a debt; and one that pays a debt before it goes.
    hb.send(adjusted("M-1", "A-1", "credit", "50", "11-10"));
    hb.send(refund("M-2", "O-2", "R-2", "70", "11-10"));
    hb.pass_to("11-11").await;
    hb.send(deposit("M-1", true, "T-1", "10", "11-11"));
    hb.send(adjusted("M-2", "A-2", "credit", "100", "11-11"));
    hb.pass_to("11-12").await;
    hb.tells(
        "M-1",
        "
        - gets 50.00 back by adjustment
        - releases 50.00 adjustment -/-
        - owes 10.00 for T-1
    ",
    )
    .await;
    // The same in one batch, and the merchants' topic first: the debt of M-1 comes before its credit, that
    // of M-2 after it.
    hb.back_to(&copy).await;
    let early = accept(&hb.store, &hb.config(), &ann()).await;
    let early = early.expect_err("nothing is read yet").to_string();
    assert!(early.contains("not all input has been read"), "{early}");
    hb.run().await;
    hb.applied().await;
    eventually("only a person can go on", async || {
        let left = hb.store.still_published(100).await;
        let left = left.map_err(|error| error.to_string())?;
        let kinds = left.iter().map(|it| (&*it.merchant_id, it.event));
        // Days are summed up when the rest is settled.
        let kinds: Vec<_> = kinds.filter(|(merchant, _)| *merchant != "*").collect();
        // M-1: credit.opened, release.issued. M-2: receivable.recovered, credit.opened, release.issued.
        let expected = [
            ("M-1", 30),
            ("M-1", 12),
            ("M-2", 11),
            ("M-2", 30),
            ("M-2", 12),
        ];
        (kinds == expected)
            .then_some(())
            .ok_or_else(|| format!("{left:#?}"))
    })
    .await;
    assert!(hb.seen_to().await >= 5);
    assert_eq!(hb.still_published().await, 0);
    hb.pass_to("11-13").await;
    // M-1 was paid 50 and owes 10 of A-1 and nothing more of T-1, which A-1 has paid now.
    let owed = "SELECT sum(left_now)::bigint FROM receivables WHERE merchant_id = 'M-1'";
    assert_eq!(hb.number(owed).await, 10);
    // M-2 was paid 30 of 100; the other 70 pay what it owes.
    let owed = "SELECT sum(left_now)::bigint FROM receivables WHERE merchant_id = 'M-2'";
    assert_eq!(hb.number(owed).await, 0);
    for (merchant, line) in [
        ("M-1", "- owes 10.00 for "),
        ("M-2", "- gets 70.00 back by reconcile"),
        ("M-2", "- releases 0.00 of 70.00 adjustment -/-"),
    ] {
        let told = hb.story(merchant).await;
        assert!(told.iter().any(|it| it == line), "{line}: {told:#?}");
    }
    hb.checked_end().await;
}
