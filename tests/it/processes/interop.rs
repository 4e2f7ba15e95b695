//! Other people's clients: what kcat and Python with its CloudEvents SDK write is understood, and
//! they understand what holdback writes.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use serde_json::{Value, json};
use sqlx::Row;

use super::books;
use crate::harness::process::migrate;
use crate::harness::python::{FOLDER, output, python};
use crate::harness::{Process, TestBed};

fn kcat(bed: &TestBed, arguments: &[&str], input: &str) -> String {
    let mut command = Command::new("kcat");
    command.args(["-q", "-b", &bed.brokers]).args(arguments);
    output(&mut command, input).unwrap_or_else(|why| {
        panic!("kcat is needed (on Debian and Ubuntu: `apt-get install kcat`) and failed: {why}")
    })
}

/// One message by kcat; named types go as CloudEvents in binary mode, the others as plain JSON.
fn kcat_sends(bed: &TestBed, topic: &str, kind: Option<&str>, value: &Value) {
    let headers: Vec<String> = kind
        .into_iter()
        .flat_map(|kind| {
            [
                "ce_specversion=1.0".to_owned(),
                "ce_id=kcat-1".to_owned(),
                "ce_source=/interop/kcat".to_owned(),
                format!("ce_type={kind}"),
                "content-type=application/json".to_owned(),
            ]
        })
        .collect();
    let merchant = value["merchant_id"].as_str().expect("a merchant");
    let mut arguments = vec!["-P", "-t", bed.topic(topic), "-k", merchant];
    for header in &headers {
        arguments.extend(["-H", header]);
    }
    kcat(bed, &arguments, &value.to_string());
}

fn client(arguments: &[&str], input: &str) -> String {
    let mut command = Command::new(python("requirements.txt"));
    command.arg(Path::new(FOLDER).join("client.py"));
    let said = output(command.args(arguments), input);
    said.unwrap_or_else(|why| panic!("the Python client failed: {why}"))
}

fn agreement(merchant: &str, days: u32) -> Value {
    json!({
        "agreement_id": format!("AG-{merchant}"), "version": 1, "merchant_id": merchant,
        "effective_from": "2020-01-01T00:00:00Z", "time_zone": "Asia/Shanghai",
        "terms": [{"name": "sale", "rate_bps": 10000, "days": days, "count": "instant"}],
        "settlement": {"cycle": "daily"}
    })
}

fn order(merchant: &str, order: &str, completed_at: &str) -> Value {
    json!({
        "order_id": order, "merchant_id": merchant, "amount": "120.50", "currency": "EUR",
        "completed_at": completed_at
    })
}

/// What both clients write: agreements, orders, a refund and a dispute, in every form.
fn send_everything(bed: &TestBed, completed_at: &str) {
    kcat_sends(
        bed,
        "merchant",
        Some("agreement.published.v1"),
        &agreement("商户-1", 1),
    );
    let plain = order("商户-1", "kcat-plain", completed_at);
    kcat_sends(bed, "order-completed", None, &plain);
    let binary = order("商户-1", "kcat-binary", completed_at);
    kcat_sends(bed, "order-completed", Some("order.completed.v1"), &binary);
    let event = |topic: &str, mode: &str, kind: &str, data: Value| {
        json!({
            "topic": bed.topic(topic), "mode": mode, "type": kind,
            "key": data["merchant_id"], "data": data
        })
        .to_string()
    };
    let completed = "order.completed.v1";
    let structured = order("商户-1", "python-structured", completed_at);
    let binary = order("商户-1", "python-binary", completed_at);
    let refund = json!({
        "refund_id": "RF-1", "order_id": "python-waiting", "merchant_id": "M-2",
        "amount": "20.25", "currency": "EUR", "refunded_at": completed_at
    });
    let dispute = json!({
        "dispute_id": "D-1", "order_id": "python-waiting", "merchant_id": "M-2",
        "kind": "complaint", "amount": "50.00", "opened_at": completed_at
    });
    let waiting = order("M-2", "python-waiting", completed_at);
    let lines = [
        event(
            "merchant",
            "structured",
            "agreement.published.v1",
            agreement("M-2", 365),
        ),
        event("order-completed", "structured", completed, structured),
        event("order-completed", "binary", completed, binary),
        event("refund", "structured", "refund.succeeded.v1", refund),
        event("dispute", "binary", "dispute.opened.v1", dispute),
        event("order-completed", "binary", completed, waiting),
    ];
    client(&["produce", &bed.brokers], &lines.join("\n"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn other_peoples_clients_are_understood_and_understand_what_is_written() {
    let bed = TestBed::new("interop").await;
    migrate(&bed);
    let mut process = Process::start(&bed, "ingest,release,publish,http", &[]);
    process.ready();
    let mut connection = books::connect(&bed).await;
    let row = sqlx::query(
        "SELECT to_char((now() - interval '9 days') AT TIME ZONE 'UTC',
                        'YYYY-MM-DD\"T\"HH24:MI:SS\"Z\"')",
    )
    .fetch_one(&mut connection)
    .await;
    let completed_at: String = row.expect("a time").get(0);
    send_everything(&bed, &completed_at);
    books::settled(&bed, Duration::from_secs(60)).await;
    assert!(bed.read_all("holdback-dead-letters").is_empty());

    let releases = bed.read_all("holdback-releases");
    let count = releases.len().to_string();
    let topic = bed.topic("holdback-releases");
    let read = client(&["consume", &bed.brokers, topic, &count], "");
    let mut read: Vec<Value> = read
        .lines()
        .map(|line| serde_json::from_str(line).expect("JSON"))
        .collect();
    read.sort_by_key(|event| event["data"]["sequence"].as_i64());
    let released: Vec<&str> = read
        .iter()
        .filter(|event| event["type"] == "holdback.release.issued.v1")
        .map(|event| event["data"]["order_id"].as_str().expect("an order"))
        .collect();
    assert_eq!(released.len(), 4, "{released:?}");
    for order in [
        "kcat-plain",
        "kcat-binary",
        "python-structured",
        "python-binary",
    ] {
        assert!(released.contains(&order), "{order} in {released:?}");
    }
    assert_eq!(
        read.last().expect("events")["type"],
        "holdback.settlement.closed.v1"
    );
    let mut ours = releases;
    ours.sort_by_key(|record| record.json()["sequence"].as_i64());
    for (theirs, ours) in read.iter().zip(&ours) {
        assert_eq!(theirs["id"], ours.headers["ce_id"]);
        assert_eq!(theirs["source"], format!("/holdback/{}", bed.name));
        assert_eq!(theirs["subject"], ours.headers["ce_subject"]);
        assert_eq!(theirs["key"], "商户-1");
        assert_eq!(theirs["data"], ours.json());
    }
    kcat_reads_the_same(&bed);
    let hold =
        sqlx::query("SELECT left_now::text, blocked::text FROM holds WHERE merchant_id = 'M-2'")
            .fetch_one(&mut connection)
            .await
            .expect("one hold");
    let hold: (String, String) = (hold.get(0), hold.get(1));
    assert_eq!(hold, ("100.25".to_owned(), "50.00".to_owned()));
}

/// The events as kcat prints them are those that are in the topic.
fn kcat_reads_the_same(bed: &TestBed) {
    let topic = bed.topic("holdback-events");
    let committed = ["-X", "isolation.level=read_committed"];
    let printed = kcat(
        bed,
        &[&["-C", "-e", "-t", topic], &committed[..]].concat(),
        "",
    );
    let mut theirs: Vec<&str> = printed.lines().collect();
    let ours = bed.read_all("holdback-events");
    let mut ours: Vec<&str> = ours
        .iter()
        .map(|record| std::str::from_utf8(&record.value).expect("UTF-8"))
        .collect();
    theirs.sort_unstable();
    ours.sort_unstable();
    assert_eq!(theirs, ours);
}
