//! Ids: the published vectors, computed with another language's UUIDv5, are what the code makes.

#![expect(
    clippy::unwrap_used,
    reason = "what a test starts from is right by construction"
)]

use std::collections::BTreeSet;

use holdback::rules::ids::{
    CreditId, EventId, HoldId, MerchantId, NAMESPACE, OrderId, ReceivableId, ReleaseId, ReviewId,
    SettlementId, TermName,
};
use holdback::rules::money::Currency;
use serde::Deserialize;
use uuid::Uuid;

#[derive(Deserialize)]
struct Published {
    namespace: Namespace,
    separator: String,
    vectors: Vec<Vector>,
}

#[derive(Deserialize)]
struct Namespace {
    of: String,
    r#in: Uuid,
    id: Uuid,
}

#[derive(Deserialize)]
struct Vector {
    parts: Vec<String>,
    id: String,
}

fn published() -> Published {
    serde_json::from_str(include_str!("../schemas/ids.json")).unwrap()
}

fn derived(parts: &[String]) -> String {
    let merchant = |text: &str| MerchantId::parse(text).unwrap();
    let parts: Vec<&str> = parts.iter().map(String::as_str).collect();
    match parts[..] {
        ["hold", of, order, term] => {
            let order = OrderId::parse(order).unwrap();
            HoldId::of(&merchant(of), &order, &TermName::parse(term).unwrap()).to_string()
        }
        ["release", hold, n] => {
            ReleaseId::of(HoldId(hold.parse().unwrap()), n.parse().unwrap()).to_string()
        }
        ["credit", of, cause] => CreditId::of(&merchant(of), cause).to_string(),
        ["settlement", of, currency, date] => {
            let currency = Currency::from_code(currency).unwrap();
            SettlementId::of(&merchant(of), currency, date.parse().unwrap()).to_string()
        }
        ["receivable", of, cause_type, cause_id] => {
            ReceivableId::of(&merchant(of), cause_type, cause_id).to_string()
        }
        ["review", of, order] => {
            ReviewId::by_amount(&merchant(of), &OrderId::parse(order).unwrap()).to_string()
        }
        ["event", type_, subject, cause] => EventId::of(type_, subject, cause).to_string(),
        _ => panic!("no such kind of id: {parts:?}"),
    }
}

#[test]
fn every_published_vector_is_what_the_code_makes() {
    let published = published();
    let mut kinds = BTreeSet::new();
    for vector in &published.vectors {
        assert_eq!(derived(&vector.parts), vector.id, "{:?}", vector.parts);
        kinds.insert(vector.parts[0].as_str());
    }
    let all = [
        "credit",
        "event",
        "hold",
        "receivable",
        "release",
        "review",
        "settlement",
    ];
    assert_eq!(kinds, BTreeSet::from(all));
}

#[test]
fn the_namespace_and_the_separator_are_the_published_ones() {
    let published = published();
    assert_eq!(published.namespace.r#in, Uuid::NAMESPACE_URL);
    assert_eq!(published.namespace.id, NAMESPACE);
    assert_eq!(
        Uuid::new_v5(&Uuid::NAMESPACE_URL, published.namespace.of.as_bytes()),
        NAMESPACE
    );
    assert_eq!(published.separator, "\u{1f}");
}

#[test]
fn parts_never_run_together() {
    let ids: BTreeSet<String> = published()
        .vectors
        .into_iter()
        .map(|vector| vector.id)
        .collect();
    assert_eq!(ids.len(), published().vectors.len());
    assert!(OrderId::parse("O\u{1f}1").is_err());
}

#[test]
fn the_platform_is_a_merchant_of_its_own() {
    assert_eq!(MerchantId::platform(), MerchantId::parse("*").unwrap());
    assert!(MerchantId::platform().is_platform());
    assert!(!MerchantId::parse("M-1").unwrap().is_platform());
}

#[test]
fn an_id_has_1_to_128_characters_and_none_of_control() {
    assert!(OrderId::parse(&"订".repeat(128)).is_ok());
    for wrong in [
        String::new(),
        "订".repeat(129),
        "a\nb".to_owned(),
        "a\0".to_owned(),
    ] {
        assert!(OrderId::parse(&wrong).is_err(), "{wrong:?}");
    }
}
