//! Equal content has one digest, other content another, and digests stay what they are.

use serde_json::{Value, json};

use super::super::content;
use super::{named, refund, sale, with};
use crate::rules::fact::{ContentHash, Fact};

fn content_of(name: &str, value: &Value) -> ContentHash {
    named(name, value).unwrap().content
}

#[test]
fn equal_content_has_one_digest_however_it_is_spelled() {
    let plain = content_of("order.completed.v1", &sale());
    let spellings = [
        with(sale(), "amount", "100.0"),
        with(sale(), "amount", "0100"),
        with(sale(), "amount", 100),
        with(sale(), "completed_at", "2026-05-01T04:00:00.0000004Z"),
        with(sale(), "fees", "0.00"),
        with(sale(), "fees", Value::Null),
        with(sale(), "attributes", json!({})),
        with(sale(), "attributes", json!({ "absent": null })),
        with(sale(), "unknown", "field"),
    ];
    for spelling in spellings {
        assert_eq!(
            content_of("order.completed.v1", &spelling),
            plain,
            "{spelling}"
        );
    }
}

#[test]
fn other_content_has_another_digest() {
    let changes = [
        sale(),
        with(sale(), "amount", "100.01"),
        with(sale(), "fees", "0.01"),
        with(sale(), "currency", "USD"),
        with(sale(), "completed_at", "2026-05-01T12:00:00.000001+08:00"),
        with(sale(), "merchant_id", "M-2"),
        with(sale(), "order_id", "O-2"),
        with(sale(), "attributes", json!({ "a": "b" })),
        with(sale(), "attributes", json!({ "a": "b", "c": "" })),
        with(sale(), "attributes", json!({ "ab": "" })),
    ];
    let mut digests: Vec<_> = changes
        .iter()
        .map(|c| content_of("order.completed.v1", c).0)
        .collect();
    digests.sort_unstable();
    digests.dedup();
    assert_eq!(digests.len(), changes.len());
}

#[test]
fn digests_stay_the_same_over_the_years() {
    let hex = |hash: ContentHash| {
        hash.0
            .iter()
            .map(|byte| format!("{byte:02x}"))
            .collect::<String>()
    };
    assert_eq!(
        hex(content_of("order.completed.v1", &sale())),
        "07ac43f27784dccff110a52164ee92cf"
    );
    assert_eq!(
        hex(content_of("refund.succeeded.v1", &refund())),
        "078ab8faa5acce688be8fa05ee6f27c5"
    );
}

fn agreement(term: &Value, settlement: &Value) -> Value {
    json!({ "agreement_id": "AG-1", "version": 1, "merchant_id": "*", "time_zone": "Europe/Berlin",
            "effective_from": "2026-01-01T00:00:00+01:00", "terms": [term], "settlement": settlement })
}

#[test]
fn an_agreements_defaults_and_sets_do_not_change_its_digest() {
    let term = json!({ "name": "sale", "rate_bps": 1000, "days": 7, "when": { "a": ["x", "y"] } });
    let weekly = json!({ "cycle": "weekly", "weekdays": ["mon", "thu"] });
    let short = agreement(&term, &weekly);
    let term_in_full = with(term.clone(), "when", json!({ "a": ["y", "x", "y"] }));
    let weekly_in_full = with(weekly.clone(), "weekdays", json!(["thu", "mon"]));
    let mut long = agreement(
        &with(term_in_full, "limit_days", 180),
        &with(weekly_in_full, "minimum", "0.00"),
    );
    long["refund"] = json!({ "source": "hold_first", "fees": "kept" });
    long["confirmation"] = json!({ "required": false });
    long["review"] = json!({ "respond_within_hours": 48 });
    let name = "agreement.published.v1";
    assert_eq!(content_of(name, &short), content_of(name, &long));
    for other in [
        agreement(&with(term.clone(), "days", 8), &weekly),
        agreement(&with(term.clone(), "maximum", "5"), &weekly),
        agreement(&term, &with(weekly.clone(), "every", 2)),
        agreement(&term, &json!({ "cycle": "daily" })),
    ] {
        assert_ne!(
            content_of(name, &short),
            content_of(name, &other),
            "{other}"
        );
    }
}

#[test]
fn a_calendars_digest_knows_no_order_of_days() {
    let calendar = |holidays: Value, weekend: Value| json!({ "calendar": "DE", "version": 1, "weekend": weekend, "holidays": holidays });
    let name = "calendar.published.v1";
    let one = calendar(json!(["2026-05-01", "2026-12-25"]), json!(["sat", "sun"]));
    let same = calendar(
        json!(["2026-12-25", "2026-05-01"]),
        json!(["sun", "sat", "sun"]),
    );
    let works = with(
        calendar(json!([]), json!(["sat", "sun"])),
        "working_days",
        json!(["2026-05-01", "2026-12-25"]),
    );
    assert_eq!(content_of(name, &one), content_of(name, &same));
    assert_ne!(content_of(name, &one), content_of(name, &works));
}

#[test]
fn a_payouts_digest_takes_the_first_attempt_for_granted() {
    let paid = json!({ "merchant_id": "M-1", "release_id": "5f0c6d1e-52a1-5b2e-9b0a-0d7a3f3f9a10",
                       "at": "2026-05-01T00:00:00Z" });
    let name = "payout.paid.v1";
    assert_eq!(
        content_of(name, &paid),
        content_of(name, &with(paid.clone(), "attempt", 1))
    );
    assert_ne!(
        content_of(name, &paid),
        content_of(name, &with(paid.clone(), "attempt", 2))
    );
    let accepted = named(name, &paid).unwrap();
    let Fact::Payout(result) = accepted.fact else {
        panic!("a payout was sent")
    };
    assert_eq!(content::of_payout(&result), accepted.content);
}
