//! Any bytes and any JSON are answered, never with a panic; digits survive.

use proptest::prelude::*;
use serde_json::Value;

use super::super::Reason;
use super::super::incoming::{InputType, Limits, parse};
use super::{COMPLETED, read, record, refund, sale, with};
use crate::rules::fact::{Fact, OrderEvent};

/// JSON that looks like ours, with anything anywhere.
fn any_json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        ".{0,12}".prop_map(Value::from),
        "[0-9]{1,17}(\\.[0-9]{0,5})?".prop_map(Value::from),
        prop::sample::select(vec![
            "EUR",
            "daily",
            "mon",
            "2026-05-01T00:00:00Z",
            "2026-05-01",
            "UTC",
            "buyer"
        ])
        .prop_map(Value::from),
    ];
    leaf.prop_recursive(4, 40, 8, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..5).prop_map(Value::from),
            prop::collection::btree_map(field_name(), inner, 0..9)
                .prop_map(|fields| Value::Object(fields.into_iter().collect())),
        ]
    })
}

fn field_name() -> impl Strategy<Value = String> {
    let known = [
        "order_id",
        "merchant_id",
        "amount",
        "fees",
        "currency",
        "completed_at",
        "attributes",
        "terms",
        "settlement",
        "cycle",
        "name",
        "rate_bps",
        "days",
        "when",
        "version",
        "weekend",
        "data",
        "type",
        "at",
    ];
    prop_oneof![
        prop::sample::select(known.to_vec()).prop_map(str::to_owned),
        ".{0,4}"
    ]
}

fn any_name() -> impl Strategy<Value = &'static str> {
    prop::sample::select(InputType::ALL.to_vec()).prop_map(|input| input.as_str())
}

proptest! {
    #[test]
    fn no_bytes_make_parsing_panic(
        bytes in prop::collection::vec(any::<u8>(), 0..300), name in any_name(), structured: bool,
    ) {
        let headers = [("ce_type", name), ("content-type", "application/cloudevents+json")];
        let headers = if structured { &headers[..] } else { &headers[..1] };
        drop(parse(&record(headers, bytes), None, &Limits::default()));
    }

    #[test]
    fn no_json_makes_parsing_panic(value in any_json(), name in any_name(), structured: bool) {
        let headers = [("ce_type", name), ("content-type", "application/cloudevents+json")];
        let headers = if structured { &headers[..] } else { &headers[..1] };
        drop(parse(&record(headers, value.to_string()), None, &Limits::default()));
    }

    #[test]
    fn a_message_cut_anywhere_is_malformed_and_its_order_found_once_it_was_said(at in 1_usize..150) {
        let text = refund().to_string();
        let whole = text.len();
        let cut = text.get(..at.min(whole - 1)).unwrap();
        let refused = read(&record(&[("ce_type", "refund.succeeded.v1")], cut), None).unwrap_err();
        prop_assert_eq!(refused.reason, Reason::Malformed);
        let said = cut.contains(r#""M-1""#) && cut.contains(r#""O-1""#);
        prop_assert_eq!(refused.about.is_some(), said, "{}", cut);
    }

    #[test]
    fn an_amount_keeps_its_digits_as_text_and_as_number(whole in 0_u64..1_000_000_000_000_000, cents in 1_u32..100) {
        let digits = format!("{whole}.{cents:02}");
        let text = with(sale(), "amount", digits.as_str()).to_string();
        let number = text.replace(&format!("\"{digits}\""), &digits);
        for message in [text, number] {
            let accepted = read(&record(&[], message), COMPLETED).unwrap();
            let Fact::Order(order) = accepted.fact else { panic!("an order was sent") };
            let OrderEvent::Completed(sale) = order.what else { panic!("a sale was sent") };
            prop_assert_eq!(sale.amount.to_string(), digits.clone());
        }
    }
}
