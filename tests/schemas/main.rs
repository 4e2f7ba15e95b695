//! Schemas, examples, parser and renderer say the same.
//!
//! Every valid example passes its schema and the parser; every invalid one is refused by the
//! parser for exactly the reason in its name, and by the schema wherever a schema can see it.
//! Examples of what holdback writes are what it really writes.

#![expect(clippy::unwrap_used, reason = "a test's helpers fail as tests do")]

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use holdback::message::incoming::{self, InputType, Limits};
use holdback::message::outgoing::EventType;
use holdback::message::{Reason, Record, Rejection};
use serde_json::{Value, json};

mod examples;

/// Invalid examples that only the parser can tell from valid ones: currencies, calendars and zones
/// are not in a schema, nor is one field's relation to another, nor how a number was spelled.
const ONLY_THE_PARSER_SEES: &[&str] = &[
    "agreement.published.v1--value--business-days-without-calendar",
    "agreement.published.v1--value--ends-before-it-begins",
    "agreement.published.v1--value--minimum-above-maximum",
    "agreement.published.v1--value--two-terms-of-one-name",
    "agreement.published.v1--value--unknown-zone",
    "calendar.published.v1--value--holiday-that-works",
    "calendar.published.v1--value--never-works",
    "calendar.published.v1--value--no-such-day",
    "order.completed.v1--malformed--key-twice",
    "order.completed.v1--malformed--too-deep",
    "order.completed.v1--money--decimals-of-yen",
    "order.completed.v1--money--exponent",
    "order.completed.v1--money--fees-above-amount",
    "order.completed.v1--money--three-decimals",
    "order.completed.v1--value--no-such-day",
    "order.completed.v1--value--unknown-currency",
    "order.completed.v1--value--year-3000",
    "refund.succeeded.v1--money--three-decimals",
    "refund.succeeded.v1--value--metal",
];

fn schemas() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("schemas")
}

/// Names without the ending, with contents, in order.
fn files(folder: &str, ending: &str) -> Vec<(String, Vec<u8>)> {
    let mut found: Vec<_> = fs::read_dir(schemas().join(folder))
        .unwrap()
        .map(|entry| entry.unwrap())
        .filter_map(|entry| {
            let name = entry.file_name().into_string().unwrap();
            let name = name.strip_suffix(ending)?.to_owned();
            Some((name, fs::read(entry.path()).unwrap()))
        })
        .collect();
    found.sort();
    assert!(!found.is_empty(), "{folder} has no {ending}");
    found
}

fn schema(type_name: &str) -> Value {
    let path = schemas().join(format!("events/{type_name}.schema.json"));
    let bytes = fs::read(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    serde_json::from_slice(&bytes).unwrap()
}

fn validator(type_name: &str) -> jsonschema::Validator {
    jsonschema::validator_for(&schema(type_name)).unwrap()
}

fn parse(type_name: &str, value: &[u8]) -> Result<incoming::Parsed, Rejection> {
    let record = Record {
        topic: "merchant".into(),
        partition: 0,
        offset: 0,
        timestamp: None,
        key: None,
        headers: vec![
            ("ce_specversion".to_owned(), Some(b"1.0".to_vec())),
            ("ce_type".to_owned(), Some(type_name.as_bytes().to_vec())),
        ],
        value: Some(value.to_vec()),
    };
    incoming::parse(&record, None, &Limits::default())
}

fn type_of(example: &str) -> &str {
    example.split("--").next().unwrap()
}

#[test]
fn every_schema_is_itself_valid_2020_12_and_belongs_to_one_type() {
    let named: BTreeSet<String> = files("events", ".schema.json")
        .into_iter()
        .map(|(name, bytes)| {
            let schema: Value = serde_json::from_slice(&bytes).unwrap();
            assert_eq!(
                schema["$schema"], "https://json-schema.org/draft/2020-12/schema",
                "{name}"
            );
            assert_eq!(schema["$id"], format!("urn:holdback:schema:{name}"));
            jsonschema::meta::validate(&schema).unwrap_or_else(|e| panic!("{name}: {e}"));
            name
        })
        .collect();
    let types: BTreeSet<String> = InputType::ALL
        .iter()
        .map(|input| input.as_str())
        .chain(EventType::ALL.iter().map(|output| output.as_str()))
        .map(str::to_owned)
        .collect();
    assert_eq!(named, types);
}

#[test]
fn a_definition_of_one_name_is_the_same_in_every_schema() {
    let mut seen = serde_json::Map::new();
    for (name, bytes) in files("events", ".schema.json") {
        let schema: Value = serde_json::from_slice(&bytes).unwrap();
        for (definition, body) in schema["$defs"].as_object().unwrap() {
            let first = seen
                .entry(definition.clone())
                .or_insert_with(|| body.clone());
            assert_eq!(first, body, "{name}: {definition}");
        }
    }
}

#[test]
fn every_valid_example_passes_its_schema_and_the_parser() {
    let mut types = BTreeSet::new();
    for (name, bytes) in files("examples/valid", ".json") {
        let value: Value = serde_json::from_slice(&bytes).unwrap();
        let outcome = validator(type_of(&name))
            .validate(&value)
            .map_err(|e| e.to_string());
        assert_eq!(outcome, Ok(()), "{name}");
        let parsed = parse(type_of(&name), &bytes);
        assert!(
            matches!(parsed, Ok(incoming::Parsed::Fact(_))),
            "{name}: {parsed:?}"
        );
        types.insert(type_of(&name).to_owned());
    }
    for input in InputType::ALL {
        assert!(
            types.contains(input.as_str()),
            "{} has no valid example",
            input.as_str()
        );
    }
}

#[test]
fn every_invalid_example_is_refused_for_the_reason_in_its_name() {
    let mut types = BTreeSet::new();
    for (name, bytes) in files("examples/invalid", ".json") {
        let reason = name.split("--").nth(1).unwrap();
        let rejection = parse(type_of(&name), &bytes).expect_err(&name);
        assert_eq!(
            rejection.reason.as_str(),
            reason,
            "{name}: {}",
            rejection.detail
        );
        types.insert(type_of(&name).to_owned());
    }
    for input in InputType::ALL {
        assert!(
            types.contains(input.as_str()),
            "{} has no invalid example",
            input.as_str()
        );
    }
}

#[test]
fn schemas_refuse_every_invalid_example_that_a_schema_can_see() {
    let mut unseen = Vec::new();
    for (name, bytes) in files("examples/invalid", ".json") {
        let Ok(value) = serde_json::from_slice::<Value>(&bytes) else {
            continue;
        };
        if name.contains("--unknown_type--") {
            continue;
        }
        if validator(type_of(&name)).is_valid(&value) {
            unseen.push(name);
        }
    }
    assert_eq!(unseen, ONLY_THE_PARSER_SEES);
}

/// Everything that may stand in a JSON document, wrong wherever it is put, or nearly right.
fn intruders() -> Vec<Value> {
    vec![
        Value::Null,
        json!(true),
        json!(0),
        json!(-1),
        json!(1),
        json!(2.0),
        json!(7.5),
        json!(99_999_999_999_u64),
        json!(""),
        json!("x"),
        json!("x\u{7f}"),
        json!("0"),
        json!("12.345"),
        json!("2026-05-01"),
        json!("2026-13-01"),
        json!("2026-05-01T10:00:00Z"),
        json!("2026-05-01 10:00:00Z"),
        json!("5f0c6d1e-52a1-5b2e-9b0a-0d7a3f3f9a10"),
        json!("5f0c6d1e52a15b2e9b0a0d7a3f3f9a10"),
        json!("weekly"),
        json!("10:30"),
        json!([]),
        json!(["mon"]),
        json!([3, -1]),
        json!({}),
        json!({ "x": ["y"] }),
    ]
}

/// JSON pointers of everything inside.
fn pointers(value: &Value, at: &str, found: &mut Vec<String>) {
    let children: Vec<(String, &Value)> = match value {
        Value::Object(fields) => fields.iter().map(|(k, v)| (k.clone(), v)).collect(),
        Value::Array(items) => items
            .iter()
            .enumerate()
            .map(|(n, v)| (n.to_string(), v))
            .collect(),
        _ => Vec::new(),
    };
    for (name, child) in children {
        let pointer = format!("{at}/{name}");
        pointers(child, &pointer, found);
        found.push(pointer);
    }
}

fn without(value: &Value, pointer: &str) -> Value {
    let mut changed = value.clone();
    let (parent, name) = pointer.rsplit_once('/').unwrap();
    match changed.pointer_mut(parent).unwrap() {
        Value::Object(fields) => drop(fields.remove(name)),
        Value::Array(items) => drop(items.remove(name.parse().unwrap())),
        _ => unreachable!("only objects and lists have children"),
    }
    changed
}

#[test]
fn schema_and_parser_agree_on_every_change_of_every_field() {
    let mut compared = 0;
    for (name, bytes) in files("examples/valid", ".json") {
        let validator = validator(type_of(&name));
        let value: Value = serde_json::from_slice(&bytes).unwrap();
        let mut at = Vec::new();
        pointers(&value, "", &mut at);
        for pointer in at {
            let mut changes = vec![without(&value, &pointer)];
            changes.extend(intruders().into_iter().map(|intruder| {
                let mut changed = value.clone();
                *changed.pointer_mut(&pointer).unwrap() = intruder;
                changed
            }));
            for changed in changes {
                let by_schema = validator.is_valid(&changed);
                let by_parser = parse(type_of(&name), &serde_json::to_vec(&changed).unwrap());
                let agree = match &by_parser {
                    Ok(_) => by_schema,
                    Err(refused) => match refused.reason {
                        Reason::Schema | Reason::Text => !by_schema,
                        // Only the parser knows currencies, zones, calendars and relations.
                        Reason::Money | Reason::Value => true,
                        _ => false,
                    },
                };
                assert!(
                    agree,
                    "{name} {pointer}: {changed} schema {by_schema}, parser {by_parser:?}"
                );
                compared += 1;
            }
        }
    }
    assert!(compared > 3_000, "only {compared} changes were compared");
}

#[test]
fn without_a_required_field_both_refuse() {
    for input in InputType::ALL {
        let (name, validator) = (input.as_str(), validator(input.as_str()));
        let schema = schema(name);
        for (example, bytes) in files("examples/valid", ".json") {
            if type_of(&example) != name {
                continue;
            }
            let value: Value = serde_json::from_slice(&bytes).unwrap();
            for field in schema["required"].as_array().unwrap() {
                let field = field.as_str().unwrap();
                let mut null = value.clone();
                null[field] = Value::Null;
                for changed in [without(&value, &format!("/{field}")), null] {
                    let refused = parse(name, &serde_json::to_vec(&changed).unwrap()).unwrap_err();
                    assert_eq!(refused.reason, Reason::Schema, "{example} without {field}");
                    assert!(refused.detail.contains(field), "{}", refused.detail);
                    assert!(!validator.is_valid(&changed), "{example} without {field}");
                }
            }
        }
    }
}

#[test]
fn what_holdback_writes_is_what_its_schemas_say_and_its_examples_show() {
    let (story, again) = (examples::story(), examples::REWRITE);
    for written in &story.written {
        let name = written.event_type.as_str();
        let outcome = validator(name)
            .validate(&written.value)
            .map_err(|e| e.to_string());
        assert_eq!(outcome, Ok(()), "{name}: {:#}", written.value);
        assert_nothing_is_unnamed(&schema(name), &written.value, name);
    }
    let made: BTreeMap<String, String> = story
        .examples()
        .into_iter()
        .map(|(name, value)| (name, format!("{value:#}\n")))
        .collect();
    if examples::rewrites() {
        examples::rewrite(&schemas().join("examples/output"), &made);
    }
    let mut kept: BTreeMap<String, String> = files("examples/output", ".json")
        .into_iter()
        .map(|(name, bytes)| (name, String::from_utf8(bytes).unwrap()))
        .collect();
    for (name, text) in &made {
        let kept = kept.remove(name).unwrap_or_default();
        assert_eq!(&kept, text, "{name} has changed: {again}");
    }
    assert!(
        kept.is_empty(),
        "{:?} come out of no scenario: {again}",
        kept.keys()
    );
    let shown: BTreeSet<&str> = made.keys().map(|name| type_of(name)).collect();
    let all: BTreeSet<&str> = EventType::ALL.iter().map(|known| known.as_str()).collect();
    assert_eq!(
        shown, all,
        "every type comes out of schemas/examples/scenario.jsonl"
    );
}

/// An output schema lists every field that is written.
fn assert_nothing_is_unnamed(schema: &Value, value: &Value, name: &str) {
    for field in value.as_object().unwrap().keys() {
        assert!(
            schema["properties"].get(field).is_some(),
            "{name}: {field} is not in the schema"
        );
    }
}

#[test]
fn asyncapi_names_every_schema_and_no_other() {
    let text = fs::read_to_string(schemas().join("asyncapi.yaml")).unwrap();
    let named: BTreeSet<String> = text
        .split("./events/")
        .skip(1)
        .map(|rest| rest.split(".schema.json").next().unwrap().to_owned())
        .collect();
    let present: BTreeSet<String> = files("events", ".schema.json")
        .into_iter()
        .map(|(name, _)| name)
        .collect();
    assert_eq!(named, present);
}
