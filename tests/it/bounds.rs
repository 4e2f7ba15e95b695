//! What one order and one process may take: facts per order, waiting bytes per order, and what is
//! remembered of agreements.

use holdback::rules::ids::MerchantId;
use holdback::store::agreements::Catalogue;
use serde_json::json;

use crate::harness::facts::{agreement, closed, opened, order, refund};
use crate::harness::{Bench, Holdback};

#[tokio::test(flavor = "multi_thread")]
async fn an_order_takes_only_so_many_facts_and_its_money_stays() {
    let limit = [("INGEST_FACTS_PER_ORDER", "5")];
    let mut hb = Holdback::start_with("toomany", "11-03 12:00", &limit).await;
    hb.send(agreement("*", "AG-1"));
    hb.applied().await;
    hb.send(order("M-1", "O-1", "100", "11-03"));
    hb.send(opened("M-1", "O-1", "D-1", "return", "11-03"));
    hb.applied().await;
    let refunds = |from: u32, to: u32| {
        (from..to).map(|n| refund("M-1", "O-1", &format!("R-{n}"), "1", "11-03"))
    };
    hb.send_all(refunds(0, 4));
    hb.applied().await;
    assert_eq!(hb.number("SELECT count(*) FROM refunds").await, 4);
    // Known ones are still known, what is there can still end, and there is one block for all the rest.
    hb.send_all(refunds(0, 8));
    hb.send(closed("M-1", "O-1", "D-1", "won", "11-03 11:00"));
    hb.applied().await;
    assert_eq!(hb.reasons().await, ["too_many"; 4]);
    assert_eq!(hb.number("SELECT count(*) FROM refunds").await, 4);
    let blocks = "SELECT count(*) FROM blocks WHERE cleared_at IS NULL";
    assert_eq!(hb.number(blocks).await, 1);
    let kept = "SELECT count(*) FROM holds WHERE blocked = left_now AND left_now = 96";
    assert_eq!(hb.number(kept).await, 1);
    hb.pass_to("11-10").await;
    assert_eq!(
        hb.number("SELECT count(*) FROM journal WHERE event = 12")
            .await,
        0
    );
    // Others are not touched by it.
    hb.send(order("M-1", "O-2", "100", "11-03"));
    hb.applied().await;
    assert_eq!(hb.number("SELECT count(*) FROM holds").await, 2);
    hb.checked_end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn only_so_many_bytes_wait_for_one_order() {
    let hb = Holdback::start("toolong", "11-03 12:00").await;
    hb.send(agreement("*", "AG-1"));
    hb.applied().await;
    let long = "x".repeat(900 << 10);
    let waiting = (0..6).map(|n| {
        refund("M-1", "O-1", &format!("R-{n}"), "1", "11-03").with(json!({ "reason": long }))
    });
    hb.send_all(waiting);
    hb.applied().await;
    assert_eq!(hb.number("SELECT count(*) FROM parked").await, 4);
    assert_eq!(hb.reasons().await, ["too_many"; 2]);
    // The order comes, is blocked for what was refused, and takes what waited.
    hb.send(order("M-1", "O-1", "100", "11-03"));
    hb.applied().await;
    assert_eq!(hb.number("SELECT count(*) FROM parked").await, 0);
    assert_eq!(hb.number("SELECT count(*) FROM refunds").await, 4);
    let blocks = "SELECT count(*) FROM blocks WHERE cleared_at IS NULL";
    assert_eq!(hb.number(blocks).await, 2);
    hb.checked_end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn agreements_and_calendars_of_many_merchants_are_remembered_up_to_a_limit() {
    let mut bench = Bench::new("remembered").await;
    let values: Vec<String> = (0..4_000).map(|n| format!("category-{n:010}")).collect();
    let of = |n: usize| {
        agreement(&format!("M-{n}"), &format!("AG-{n}")).with(json!({
            "calendar": format!("C-{n}"),
            "terms": [{ "name": "sale", "rate_bps": 10000, "days": 7, "when": { "category": values } }],
        }))
    };
    for first in (0..400).step_by(40) {
        let (_, refused) = bench.apply((first..first + 40).map(of).collect()).await;
        assert_eq!(refused, 0);
    }
    let mut catalogue = Catalogue::default();
    let mut seen = Vec::new();
    for first in (0..400).step_by(10) {
        let merchants: Vec<MerchantId> = (first..first + 10)
            .map(|n| MerchantId::parse(&format!("M-{n}")).expect("an id"))
            .collect();
        let mut tx = bench.store.begin().await.expect("begun");
        tx.open_catalogue(&mut catalogue, &merchants, false)
            .await
            .expect("opened");
        tx.rollback().await.expect("rolled back");
        for merchant in &merchants {
            assert_eq!(catalogue.of(merchant).len(), 1, "{merchant}");
        }
        seen.push(catalogue.bytes());
    }
    // 40 MiB in all; what is remembered stays below 16 MiB and what one transaction adds.
    let most = seen.iter().max().expect("some");
    assert!((12 << 20..18 << 20).contains(most), "{seen:?}");
    assert!(!seen.is_sorted(), "it starts afresh: {seen:?}");
}
