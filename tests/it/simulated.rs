//! What `simulate` foretells is what the service does: the same messages, the same events, apart
//! from the times at which they were issued.

use std::collections::BTreeSet;

use holdback::simulate::{JsonLines, Reader, Simulation};
use serde_json::Value;

use crate::harness::{Holdback, eventually};

/// The story that `tests/simulate` tells.
const STORY: &str = include_str!("../simulate/story.jsonl");
/// Reviews by amount and by message: answered, decided, passed over in silence.
const REVIEWS: &str = include_str!("../simulate/reviews.jsonl");
/// Debts that releases, a deposit, a cancellation and a smaller chargeback pay; a deposit in and out.
const DEBTS: &str = include_str!("../simulate/debts.jsonl");
/// Limits that let blocked money go, and parts that are cleared before their dates are known.
const LIMITS: &str = include_str!("../simulate/limits.jsonl");
/// Adjustments: what they take and give, with and without an order, kept by a review.
const ADJUSTMENTS: &str = include_str!("../simulate/adjustments.jsonl");
const UNTIL: &str = "2025-12-05T00:00:00Z";

/// What an event says, without the times of its issue.
fn essence(mut event: Value) -> Value {
    for name in ["occurred_at", "issued_at"] {
        event["data"].as_object_mut().expect("fields").remove(name);
    }
    let attributes = event.as_object_mut().expect("attributes");
    attributes.remove("time");
    event
}

fn simulated(story: &str, deployment: &str) -> Vec<Value> {
    let mut out = Vec::new();
    let sink = JsonLines::new(&mut out, std::io::sink(), deployment);
    let mut simulation = Simulation::new(sink, 730);
    let mut reader = Reader::default();
    for (line, text) in (1..).zip(story.lines()) {
        let read = reader.read(text.as_bytes()).expect("a message");
        simulation.take(line, read).expect("taken");
    }
    let until = holdback::rules::time::Instant::new(UNTIL.parse().expect("an instant"));
    simulation.finish(Some(until)).expect("an end");
    let text = String::from_utf8(out).expect("UTF-8");
    let events = text.lines();
    events
        .map(|line| serde_json::from_str(line).expect("JSON"))
        .collect()
}

/// What a reader of both topics sees, in structured form.
fn published(hb: &Holdback) -> Vec<Value> {
    let topics = ["holdback-releases", "holdback-events"];
    let records = topics.into_iter().flat_map(|topic| hb.bed.read_all(topic));
    records
        // Sums for who reconciles: a simulation has no days of booking.
        .filter(|seen| seen.headers["ce_type"] != "holdback.control.daily.v1")
        .map(|seen| {
            let mut event = serde_json::json!({ "data": seen.json() });
            for (name, value) in &seen.headers {
                let name = match name.as_str() {
                    "content-type" => "datacontenttype",
                    other => other.strip_prefix("ce_").unwrap_or(other),
                };
                event[name] = Value::from(value.as_str());
            }
            event
        })
        .collect()
}

/// The business time of a message; `None` for agreements and calendars.
fn business_at(message: &Value) -> Option<String> {
    let data = message.get("data").unwrap_or(message);
    let mut fields = data.as_object()?.iter();
    let (_, at) = fields.find(|(name, _)| name.ends_with("_at") || *name == "at")?;
    Some(at.as_str()?.to_owned())
}

/// By merchant and sequence: how the topics' partitions lie to each other means nothing.
fn sorted(events: Vec<Value>) -> Vec<Value> {
    let mut events: Vec<Value> = events.into_iter().map(essence).collect();
    events.sort_by_key(|event| {
        let data = &event["data"];
        let merchant = data["merchant_id"].as_str().unwrap_or_default();
        (merchant.to_owned(), data["sequence"].as_i64())
    });
    events
}

/// Waits until the service has said as much as was foretold by that time.
async fn said_by(hb: &Holdback, foretold: &[Value], time: &str) {
    let events = foretold.iter();
    let by_then = events.filter(|event| event["time"].as_str() <= Some(time));
    let by_then = i64::try_from(by_then.count()).expect("few");
    eventually("everything foretold is said", async || {
        let said = hb
            .number("SELECT count(*) FROM journal WHERE event <> 50")
            .await;
        (said == by_then)
            .then_some(())
            .ok_or_else(|| format!("{said} of {by_then} by {time}"))
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_service_says_what_was_foretold() {
    foretells(STORY).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_service_says_what_was_foretold_of_reviews() {
    foretells(REVIEWS).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_service_says_what_was_foretold_of_debts() {
    foretells(DEBTS).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_service_says_what_was_foretold_of_limits_and_clearings() {
    foretells(LIMITS).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_service_says_what_was_foretold_of_adjustments() {
    foretells(ADJUSTMENTS).await;
}

async fn foretells(story: &str) {
    let mut hb = Holdback::start("simulated", "2025-11-03T08:00:00Z").await;
    let foretold = simulated(story, &hb.bed.name);
    let ahead: BTreeSet<String> = foretold
        .iter()
        .map(|event| event["time"].as_str().expect("a time").to_owned())
        .collect();
    let mut now = "2025-11-03T08:00:00Z".to_owned();
    for line in story.lines() {
        let message: Value = serde_json::from_str(line).expect("JSON");
        if let Some(at) = business_at(&message).filter(|at| *at > now) {
            said_by(&hb, &foretold, &now).await;
            for time in ahead.range(now..at.clone()) {
                hb.pass_to(time).await;
            }
            hb.pass_to(&at).await;
            now = at;
        }
        let structured = [("content-type", "application/cloudevents+json")];
        let headers = if message.get("specversion").is_some() {
            &structured[..]
        } else {
            &[]
        };
        hb.write("order-completed", headers, line.as_bytes());
        hb.applied().await;
    }
    said_by(&hb, &foretold, &now).await;
    for time in ahead.iter().filter(|time| **time > now) {
        hb.pass_to(time).await;
    }
    hb.pass_to(UNTIL).await;
    said_by(&hb, &foretold, UNTIL).await;
    let (said, foretold) = (sorted(published(&hb)), sorted(foretold));
    for (said, foretold) in said.iter().zip(&foretold) {
        assert_eq!(said, foretold);
    }
    assert_eq!(said.len(), foretold.len());
    hb.checked_end().await;
}
