//! The three routes of the server, asked over a real socket.

use std::sync::Arc;
use std::time::Duration;

use holdback::http::{self, Liveness, Readiness, State};
use holdback::telemetry::{self, Outcome};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio_util::sync::CancellationToken;

/// Status line and body.
async fn get(port: u16, path: &str) -> (String, String) {
    let mut stream = TcpStream::connect(("127.0.0.1", port))
        .await
        .expect("a server");
    let request = format!("GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
    stream
        .write_all(request.as_bytes())
        .await
        .expect("a server that reads");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.expect("an answer");
    let (head, body) = answer.split_once("\r\n\r\n").expect("head and body");
    (
        head.lines().next().expect("a status").to_owned(),
        body.to_owned(),
    )
}

#[tokio::test]
async fn the_server_tells_how_the_process_is_until_it_is_stopped() {
    let state = State {
        liveness: Arc::new(Liveness::default()),
        readiness: Arc::new(Readiness::of(&["database", "kafka"])),
        metrics: telemetry::start_metrics().unwrap(),
    };
    let listener = http::bind("127.0.0.1:0".parse().unwrap()).await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let shutdown = CancellationToken::new();
    let server = tokio::spawn(http::serve(listener, state.clone(), shutdown.clone()));

    let (status, body) = get(port, "/readyz").await;
    assert_eq!(status, "HTTP/1.1 503 Service Unavailable");
    assert_eq!(
        body,
        r#"{"ready":false,"reasons":[{"component":"database","reason":"has not started yet"},{"component":"kafka","reason":"has not started yet"}]}"#
    );
    state.readiness.set("database", Ok(()));
    state
        .readiness
        .set("kafka", Err("no broker answers at kafka:9092".to_owned()));
    let (_, body) = get(port, "/readyz").await;
    assert_eq!(
        body,
        r#"{"ready":false,"reasons":[{"component":"kafka","reason":"no broker answers at kafka:9092"}]}"#
    );
    state.readiness.set("kafka", Ok(()));
    let ready = (
        "HTTP/1.1 200 OK".to_owned(),
        r#"{"ready":true,"reasons":[]}"#.to_owned(),
    );
    assert_eq!(get(port, "/readyz").await, ready);

    let alive = (
        "HTTP/1.1 200 OK".to_owned(),
        r#"{"alive":true,"silent":[]}"#.to_owned(),
    );
    let _ingest = state.liveness.heartbeat("ingest", Duration::from_secs(600));
    assert_eq!(get(port, "/livez").await, alive);
    let release = state.liveness.heartbeat("release", Duration::ZERO);
    let (status, body) = get(port, "/livez").await;
    assert_eq!(status, "HTTP/1.1 503 Service Unavailable");
    assert_eq!(
        body,
        r#"{"alive":false,"silent":[{"name":"release","seconds":0}]}"#
    );
    drop(release);
    assert_eq!(
        get(port, "/livez").await.0,
        "HTTP/1.1 503 Service Unavailable"
    );

    telemetry::events("order.completed.v1", Outcome::Applied, 3);
    telemetry::gate(false, Some(Duration::from_millis(1500)));
    telemetry::ingest_batch(Duration::from_millis(30));
    let (_, text) = get(port, "/metrics").await;
    for line in [
        r#"holdback_events_total{type="order.completed.v1",outcome="applied"} 3"#,
        "holdback_gate_age_seconds 1.5",
        "holdback_gate_open 0",
        r#"holdback_ingest_batch_seconds_bucket{le="0.05"} 1"#,
        "# HELP holdback_gate_open 1 when the freshness gate lets releases pass.",
    ] {
        assert!(text.contains(line), "{line} is missing in\n{text}");
    }

    assert_eq!(get(port, "/elsewhere").await.0, "HTTP/1.1 404 Not Found");
    shutdown.cancel();
    server.await.unwrap().unwrap();
    assert!(TcpStream::connect(("127.0.0.1", port)).await.is_err());
}

#[tokio::test]
async fn an_address_in_use_is_named() {
    let taken = http::bind("127.0.0.1:0".parse().unwrap()).await.unwrap();
    let addr = taken.local_addr().unwrap();
    let error = http::bind(addr).await.unwrap_err();
    assert!(
        error
            .to_string()
            .starts_with(&format!("can't listen on {addr}: ")),
        "{error}"
    );
}
