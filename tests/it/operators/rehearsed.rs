//! What a settlement date would release, asked before it comes; then it comes.

use holdback::operator::Request;
use holdback::rules::order::BlockKind;
use holdback::rules::pause::Scope;
use rust_decimal::Decimal;
use serde_json::{Value, json};

use super::{merchant, order_id};
use crate::harness::Holdback;
use crate::harness::facts::{agreement, opened, order};
use crate::harness::process::{holdback, run_to_end};

/// What the command answers about 10 November.
fn asked(hb: &Holdback, more: &[&str]) -> Value {
    let words = ["release", "--dry-run", "--on", "2025-11-10", "--json"];
    let ended = run_to_end(holdback(&hb.bed, &[&words, more].concat(), &[]));
    assert_eq!(ended.code, Some(0), "{}", ended.said);
    let json = ended.said.find("{\n").expect("JSON");
    serde_json::from_str(&ended.said[json..]).expect("JSON")
}

fn row(who: &str, fields: Value) -> Value {
    let mut row = json!({
        "merchant_id": who, "currency": "EUR", "holds": 0, "gross": "0.00", "blocked": "0.00",
        "barred": "0.00", "before_start": "0.00", "under_minimum": "0.00", "paused": "0.00",
        "earlier": "0.00",
    });
    let (Value::Object(into), Value::Object(fields)) = (&mut row, fields) else {
        panic!("objects");
    };
    into.extend(fields);
    row
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dry_run_says_what_a_date_will_release_and_what_stays_and_why() {
    let settings = [("RELEASE_NOT_BEFORE", "2025-11-10T00:00:00Z")];
    let mut hb = Holdback::start_with("rehearsed", "11-03 12:00", &settings).await;
    hb.send(agreement("*", "AG-1"));
    let minimum = json!({ "settlement": { "cycle": "daily", "minimum": "150" } });
    hb.send(agreement("M-min", "AG-2").with(minimum.clone()));
    hb.send(agreement("M-enough", "AG-3").with(minimum));
    let limit = json!({ "terms": [{ "name": "sale", "rate_bps": 10000, "days": 7, "count": "date",
                                    "limit_days": 7, "at_limit": "release" }] });
    hb.send(agreement("M-limit", "AG-4").with(limit));
    hb.applied().await;
    for (who, id, amount, when) in [
        ("M-1", "O-1", "100", "11-03"),
        ("M-1", "O-2", "50", "11-03"),
        ("M-1", "O-3", "30", "11-03"),
        ("M-1", "O-4", "20", "11-02"),
        ("M-min", "O-1", "100", "11-03"),
        ("M-enough", "O-1", "100", "11-03"),
        ("M-enough", "O-2", "50", "11-03"),
        ("M-paused", "O-1", "70", "11-03"),
        ("M-limit", "O-1", "60", "11-03"),
    ] {
        hb.send(order(who, id, amount, when));
    }
    hb.applied().await;
    hb.set("11-04 12:00");
    hb.send(order("M-1", "O-5", "500", "11-04"));
    hb.send(opened("M-1", "O-2", "D-1", "return", "11-04").with(json!({ "amount": "20" })));
    hb.send(opened("M-limit", "O-1", "D-1", "return", "11-04"));
    hb.applied().await;
    let legal = Request::Block {
        merchant: merchant("M-1"),
        order: order_id("O-3"),
        hold: None,
        amount: None,
        block: BlockKind::Legal,
    };
    hb.done(&legal).await;
    let scope = || Scope::Merchant(merchant("M-paused"));
    hb.done(&Request::Pause { scope: scope() }).await;
    let lines = hb.number("SELECT count(*) FROM journal").await;
    let expected = [
        row(
            "M-1",
            json!({ "holds": 2, "gross": "130.00", "blocked": "20.00", "barred": "30.00",
                           "earlier": "20.00" }),
        ),
        row("M-enough", json!({ "holds": 2, "gross": "150.00" })),
        row("M-limit", json!({ "holds": 1, "gross": "60.00" })),
        row("M-min", json!({ "under_minimum": "100.00" })),
        row("M-paused", json!({ "paused": "70.00" })),
    ];
    let all = asked(&hb, &[]);
    assert_eq!(all["settlements"], json!(expected));
    assert_eq!(all["pauses"].as_array().map(Vec::len), Some(1), "{all}");
    let one = asked(&hb, &["--merchant", "M-1"]);
    assert_eq!(one["settlements"], json!([expected[0]]));
    assert_eq!(hb.number("SELECT count(*) FROM journal").await, lines);
    // It comes.
    hb.pass_to("11-10").await;
    for row in &expected {
        let who = row["merchant_id"].as_str().expect("an id");
        let events = hb.events().into_iter();
        let gone = events.filter(|it| it.merchant == who && it.kind == "release.issued");
        let gone: Decimal = gone
            .map(|it| it.field("gross").parse::<Decimal>().expect("a sum"))
            .sum();
        let foretold = row["gross"].as_str().expect("a sum");
        assert_eq!(gone, foretold.parse::<Decimal>().expect("a sum"), "{who}");
    }
    hb.done(&Request::Resume { scope: scope() }).await;
    hb.due_done().await;
    hb.checked_end().await;
}
