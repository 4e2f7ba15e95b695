//! Messages that can't be accepted: dead letters byte for byte, money kept, good messages unharmed.

use serde_json::json;

use crate::harness::facts::{
    Fact, agreement, closed, confirmed, opened, order, paid, refund, updated,
};
use crate::harness::{Holdback, Seen, eventually, raw};

#[tokio::test(flavor = "multi_thread")]
#[expect(clippy::too_many_lines, reason = "a table of what can be wrong")]
async fn bad_messages_between_good_ones_become_dead_letters_byte_for_byte() {
    let hb = Holdback::start("poison", "11-03 12:00").await;
    hb.send(agreement("*", "AG-1"));
    hb.applied().await;
    let typed = |name: &'static str| [("ce_type", name), ("ce_specversion", "1.0")];
    let large = format!(
        "{{\"merchant_id\":\"M-1\",\"order_id\":\"O-L\",\"x\":\"{}\"}}",
        "y".repeat(1 << 20)
    );
    let bad: Vec<(&str, &str, Vec<u8>)> = vec![
        (
            "malformed",
            "order.completed.v1",
            b"{\"merchant_id\":\"M-1\",\"order_id\":\"O-0\"".to_vec(),
        ),
        (
            "malformed",
            "order.completed.v1",
            b"\xff\xfe not UTF-8".to_vec(),
        ),
        ("malformed", "order.completed.v1", b"".to_vec()),
        ("schema", "refund.succeeded.v1", b"[1]".to_vec()),
        ("unknown_type", "order.shipped.v1", b"{}".to_vec()),
        (
            "text",
            "order.cancelled.v1",
            json!({
            "merchant_id": "M-1", "order_id": "O-0", "cancelled_at": "2025-11-03T00:00:00Z",
            "reason": "nul \u{0}" })
            .to_string()
            .into_bytes(),
        ),
        (
            "money",
            "order.completed.v1",
            order("M-1", "O-0", "1e2", "11-03")
                .data
                .to_string()
                .into_bytes(),
        ),
        (
            "value",
            "order.completed.v1",
            order("M-1", "O-0", "1", "11-03")
                .with(json!({ "currency": "XXA" }))
                .data
                .to_string()
                .into_bytes(),
        ),
        (
            "too_large",
            "order.completed.v1",
            large.clone().into_bytes(),
        ),
    ];
    for (n, (_, type_name, value)) in bad.iter().enumerate() {
        hb.send_to(
            "order-completed",
            order("M-good", &format!("O-{n}"), "10", "11-03"),
        );
        hb.write("order-completed", &typed(type_name), value);
    }
    hb.send_to("order-completed", order("M-good", "O-last", "10", "11-03"));
    hb.applied().await;
    let good = "SELECT count(*) FROM holds WHERE merchant_id = 'M-good'";
    assert_eq!(hb.number(good).await, i64::try_from(bad.len()).unwrap() + 1);
    let letters = hb.dead_letters().await;
    assert_eq!(letters.len(), bad.len());
    for (reason, type_name, value) in &bad {
        let letter = letters.iter().find(|letter| {
            letter.headers["ce_type"] == *type_name
                && (letter.value == *value || letter.headers["holdback_reason"] == "too_large")
                && letter.headers["holdback_reason"] == *reason
        });
        let letter =
            letter.unwrap_or_else(|| panic!("{reason} {type_name}: {:#?}", told(&letters)));
        assert_eq!(letter.headers["ce_specversion"], "1.0");
        assert_eq!(
            letter.headers["holdback_topic"],
            hb.bed.topic("order-completed")
        );
        assert_eq!(letter.headers["holdback_at"], "2025-11-03T12:00:00Z");
        assert!(!letter.headers["holdback_detail"].is_empty());
        if *reason == "too_large" {
            assert_eq!(letter.value, large.as_bytes()[..65_536]);
            assert_eq!(letter.headers["holdback_size"], large.len().to_string());
            assert_eq!(letter.headers["holdback_sha256"].len(), 64);
        }
    }
    hb.checked_end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refused_message_about_money_keeps_its_orders_holds() {
    let mut hb = Holdback::start("review", "11-03 12:00").await;
    hb.send(agreement("*", "AG-1"));
    hb.applied().await;
    let unfit = json!({ "currency": "USD" });
    let orders = (0..10).map(|n| order(&format!("M-{n}"), &format!("O-{n}"), "100", "11-03"));
    hb.send_all(orders);
    hb.applied().await;
    let bad: Vec<Fact> = vec![
        // Too much, another currency, an unreadable amount, a wrong time.
        refund("M-0", "O-0", "R-0", "100.01", "11-03"),
        refund("M-1", "O-1", "R-1", "1", "11-03").with(unfit),
        opened("M-2", "O-2", "D-2", "return", "11-03").with(json!({ "amount": "x" })),
        closed("M-3", "O-3", "D-3", "perhaps", "11-03"),
        updated("M-4", "O-4", "D-4", 0, "11-03"),
        // A sale in conflict.
        order("M-5", "O-5", "99", "11-03"),
        // Of these nothing is about to leave: a confirmation, a payout result.
        confirmed("M-6", "O-6", "yesterday"),
        paid("M-7", "release_id", "not-a-uuid", "11-03"),
        // For an order that is yet to come.
        refund("M-8", "O-late", "R-8", "1.001", "11-03"),
    ];
    hb.send_all(bad);
    hb.applied().await;
    hb.send(order("M-8", "O-late", "50", "11-03"));
    hb.pass_to("11-10").await;
    let released: Vec<String> =
        sqlx::query_scalar("SELECT order_id FROM journal WHERE event = 12 ORDER BY order_id")
            .fetch_all(hb.pool())
            .await
            .unwrap();
    assert_eq!(released, ["O-6", "O-7", "O-8", "O-9"]);
    hb.tells(
        "M-8",
        "
        O-8 sale holds 100.00 until 11-10
        O-late sale holds 50.00 until 11-10
        O-late blocked 50.00 of 50.00 by review
        O-8 releases 100.00 due 11-10/1
        closed 11-10/1: 1 with 100.00
    ",
    )
    .await;
    assert_eq!(
        hb.reasons().await,
        [
            "conflict",
            "mismatch",
            "money",
            "money",
            "refund_exceeds_order",
            "schema",
            "schema",
            "schema",
            "schema",
        ]
    );
    hb.checked_end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_kept_fact_that_is_refused_when_its_order_comes_is_a_dead_letter_with_its_own_bytes() {
    let mut hb = Holdback::start("kept-refused", "11-03 12:00").await;
    hb.send(agreement("*", "AG-1"));
    let too_much = refund("M-1", "O-1", "R-1", "100.01", "11-03 02:00");
    hb.send(too_much.clone());
    hb.send(refund("M-1", "O-1", "R-2", "30", "11-03 03:00"));
    hb.applied().await;
    assert_eq!(hb.number("SELECT count(*) FROM dead_letters").await, 0);
    hb.send(order("M-1", "O-1", "100", "11-03"));
    hb.pass_to("11-10").await;
    hb.tells(
        "M-1",
        "
        O-1 sale holds 100.00 until 11-10
        O-1 gives 30.00 to R-2, left 70.00
        O-1 R-2 takes hold 30.00
        O-1 blocked 70.00 of 70.00 by review
    ",
    )
    .await;
    let letters = hb.dead_letters().await;
    assert_eq!(letters.len(), 1, "{:#?}", told(&letters));
    assert_eq!(letters[0].json(), too_much.data);
    assert_eq!(
        letters[0].headers["holdback_reason"],
        "refund_exceeds_order"
    );
    assert_eq!(letters[0].headers["holdback_topic"], hb.bed.topic("refund"));
    assert_eq!(letters[0].headers["ce_source"], "/test");
    // It is refused for good, and again when it comes again.
    hb.send(too_much);
    hb.applied().await;
    assert_eq!(hb.reasons().await, ["refund_exceeds_order"; 2]);
    hb.checked_end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_kept_fact_that_is_refused_when_an_agreement_comes_is_a_dead_letter_and_keeps_the_order()
{
    let mut hb = Holdback::start("kept-resumed", "11-03 12:00").await;
    let too_much = refund("M-1", "O-1", "R-1", "100.01", "11-03 02:00");
    hb.send(too_much.clone());
    hb.send(order("M-1", "O-1", "100", "11-03"));
    hb.applied().await;
    assert_eq!(hb.number("SELECT count(*) FROM holds").await, 0);
    assert_eq!(hb.number("SELECT count(*) FROM dead_letters").await, 0);
    hb.send(agreement("*", "AG-1"));
    hb.applied().await;
    eventually("the sale is applied", async || {
        let holds = hb.number("SELECT count(*) FROM holds").await;
        (holds == 1)
            .then_some(())
            .ok_or_else(|| format!("{holds} holds"))
    })
    .await;
    hb.pass_to("11-10").await;
    hb.tells(
        "M-1",
        "
        O-1 sale holds 100.00 until 11-10
        O-1 blocked 100.00 of 100.00 by review
    ",
    )
    .await;
    let letters = hb.dead_letters().await;
    assert_eq!(letters.len(), 1, "{:#?}", told(&letters));
    assert_eq!(letters[0].json(), too_much.data);
    hb.checked_end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_business_time_far_from_kafkas_frees_no_money_but_keeps_it() {
    let mut hb = Holdback::start("times", "11-03 12:00").await;
    hb.send(agreement("*", "AG-1"));
    hb.applied().await;
    hb.send(order("M-1", "O-1", "100", "11-03"));
    hb.send(order("M-1", "O-2", "100", "11-03"));
    hb.applied().await;
    // These keep money: applied, with an alarm. First, since topics are read in no order.
    hb.send(refund("M-1", "O-1", "R-1", "10", "11-05"));
    let inquiry = opened("M-1", "O-2", "D-2", "inquiry", "2024-09-20T00:00:00Z");
    hb.send(inquiry);
    hb.applied().await;
    hb.send_all([
        // A day ahead is allowed, a second more is not; so are 400 days behind.
        order("M-1", "O-3", "100", "11-04 12:00"),
        order("M-1", "O-4", "100", "2025-11-04T12:00:01Z"),
        order("M-1", "O-5", "100", "2024-09-20T00:00:00Z"),
        confirmed("M-1", "O-1", "11-05"),
        closed("M-1", "O-1", "D-1", "won", "11-05"),
        // Older than any key is kept.
        refund("M-1", "O-2", "R-2", "10", "2023-01-01T00:00:00Z"),
    ]);
    hb.applied().await;
    assert_eq!(
        hb.reasons().await,
        ["time", "time", "time", "time", "too_old"]
    );
    let mut told = hb.story("M-1").await;
    told.sort_unstable();
    assert_eq!(
        told[..3],
        [
            "O-1 R-1 takes hold 10.00",
            "O-1 blocked 90.00 of 90.00 by review",
            "O-1 gives 10.00 to R-1, left 90.00",
        ],
        "{told:#?}"
    );
    assert!(
        told.contains(&"O-2 blocked 100.00 of 100.00 by dispute D-2".to_owned()),
        "{told:#?}"
    );
    assert!(
        told.contains(&"O-3 sale holds 100.00 until 11-11".to_owned()),
        "{told:#?}"
    );
    hb.pass_to("11-11").await;
    hb.checked_end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_header_whose_name_is_no_text_is_a_dead_letter_and_no_crash() {
    let hb = Holdback::start("header-name", "11-03 12:00").await;
    hb.send(agreement("*", "AG-1"));
    hb.applied().await;
    let value = order("M-1", "O-1", "100", "11-03").data.to_string();
    let (broker, topic) = (
        hb.bed.brokers.clone(),
        hb.bed.topic("order-completed").to_owned(),
    );
    let bytes = value.clone().into_bytes();
    let at = hb.now().timestamp().as_millisecond();
    let header: (&[u8], &[u8]) = (b"ce_\xff\xfe", b"1");
    tokio::task::block_in_place(|| raw::produce(&broker, &topic, at, header, &bytes));
    hb.send(order("M-1", "O-2", "100", "11-03"));
    hb.applied().await;
    hb.tells("M-1", "O-2 sale holds 100.00 until 11-10").await;
    let letters = hb.dead_letters().await;
    assert_eq!(told(&letters), [" text a header's name is not UTF-8"]);
    assert_eq!(letters[0].value, value.as_bytes());
    hb.checked_end().await;
}

fn told(letters: &[Seen]) -> Vec<String> {
    let header = |letter: &Seen, name: &str| letter.headers.get(name).cloned().unwrap_or_default();
    let told = letters.iter().map(|letter| {
        let why = ["ce_type", "holdback_reason", "holdback_detail"];
        why.map(|name| header(letter, name)).join(" ")
    });
    told.collect()
}
