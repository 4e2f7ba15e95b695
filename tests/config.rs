//! Settings: defaults, who wins, and that everything wrong is named at once and no secret is said.

use std::path::PathBuf;

use holdback::config::{Config, IngestStart, OnUnreadable, ReleaseMode};
use secrecy::ExposeSecret as _;

const REQUIRED: [(&str, &str); 2] = [
    ("HOLDBACK_DATABASE_URL", "postgres://me:hunter2@db/holdback"),
    ("HOLDBACK_KAFKA_BROKERS", "kafka:9092"),
];

fn load(file: Option<&str>, variables: &[(&str, &str)]) -> Result<Config, Vec<String>> {
    let folder = tempfile::tempdir().expect("a folder");
    let path: Option<PathBuf> = file.map(|text| {
        let path = folder.path().join("holdback.toml");
        std::fs::write(&path, text).expect("a file");
        path
    });
    let env = variables
        .iter()
        .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
    Config::load(path.as_deref(), env).map_err(|errors| errors.0)
}

fn with<'a>(more: &[(&'a str, &'a str)]) -> Vec<(&'a str, &'a str)> {
    REQUIRED.iter().chain(more).copied().collect()
}

#[test]
fn only_database_and_brokers_must_be_given() {
    let config = load(None, &REQUIRED).unwrap();
    assert_eq!(config.name, "holdback");
    assert_eq!(config.kafka.group, "holdback");
    assert_eq!(config.topics.inputs()[4], "payout-result");
    assert_eq!(config.topics.outputs()[2], "holdback-dead-letters");
    assert_eq!(config.ingest.start, None);
    assert_eq!(config.ingest.batch_max, 2_000);
    assert_eq!(config.ingest.on_unreadable, OnUnreadable::DeadLetter);
    assert_eq!(config.release.mode, ReleaseMode::Live);
    assert_eq!(config.http.addr.port(), 8080);
    assert!(config.http.addr.ip().is_loopback());

    let errors = load(None, &[]).unwrap_err();
    assert_eq!(
        errors,
        [
            "database.url is missing; set it in the file or as HOLDBACK_DATABASE_URL or \
             HOLDBACK_DATABASE_URL_FILE",
            "kafka.brokers is missing; set it in the file or as HOLDBACK_KAFKA_BROKERS",
        ]
    );
}

#[test]
fn the_environment_wins_over_the_file() {
    let file = r#"
        name = "shop"
        [database]
        url = "postgres://file"
        [kafka]
        brokers = ["one:9092", "two:9092"]
        [ingest]
        start = 2026-11-01T00:00:00+08:00
        workers = 4
        [release]
        mode = "shadow"
    "#;
    let config = load(Some(file), &[("HOLDBACK_INGEST_WORKERS", "3")]).unwrap();
    assert_eq!(config.kafka.group, "shop");
    assert_eq!(config.kafka.brokers, "one:9092,two:9092");
    assert_eq!(config.ingest.workers, 3);
    assert_eq!(config.release.mode, ReleaseMode::Shadow);
    let Some(IngestStart::At(start)) = config.ingest.start else {
        panic!("an instant")
    };
    assert_eq!(start.to_string(), "2026-10-31T16:00:00Z");
}

#[test]
fn everything_wrong_is_named_at_once_as_it_was_given() {
    let file = r#"
        colour = "red"
        [release]
        margin_secs = 5
        mode = "dry"
        [topics]
        refund = "dispute"
    "#;
    let variables = with(&[
        ("HOLDBACK_INGEST_WORKERS", "many"),
        ("HOLDBACK_INGEST_STRAT", "latest"),
        ("HOLDBACK_HTTP_PORT", "8081"),
        ("HOLDBACK_LOG_LEVEL", "loud=very"),
    ]);
    let errors = load(Some(file), &variables).unwrap_err();
    assert_eq!(
        errors,
        [
            "topics: \"dispute\" is used twice; each topic is its own",
            "HOLDBACK_INGEST_WORKERS is \"many\", expected a whole number from 1 to 64",
            "release.mode is \"dry\", expected live or shadow",
            "HOLDBACK_LOG_LEVEL is \"loud=very\", expected error, warn, info, debug, trace or filters",
            "colour is not a setting",
            "release.margin_secs is not a setting; did you mean release.margin_seconds?",
            "HOLDBACK_HTTP_PORT is not a setting; did you mean HOLDBACK_HTTP_ADDR?",
            "HOLDBACK_INGEST_STRAT is not a setting; did you mean HOLDBACK_INGEST_START?",
        ]
    );
}

#[test]
fn a_bound_holds_on_both_sides() {
    let deadline = |text| load(None, &with(&[("HOLDBACK_SHUTDOWN_DEADLINE_SECONDS", text)]));
    assert_eq!(deadline("1").unwrap().shutdown.deadline_seconds, 1);
    assert_eq!(deadline("3600").unwrap().shutdown.deadline_seconds, 3_600);
    for wrong in ["0", "3601", "-1", "1.5", ""] {
        let errors = deadline(wrong).unwrap_err();
        assert_eq!(errors.len(), 1, "{wrong}");
        assert!(
            errors[0].starts_with("HOLDBACK_SHUTDOWN_DEADLINE_SECONDS is "),
            "{errors:?}"
        );
    }
}

#[test]
fn an_instant_needs_its_offset() {
    let errors = load(
        None,
        &with(&[("HOLDBACK_RELEASE_NOT_BEFORE", "2026-11-01T00:00:00")]),
    );
    assert_eq!(
        errors.unwrap_err(),
        [
            "HOLDBACK_RELEASE_NOT_BEFORE is \"2026-11-01T00:00:00\", expected an instant such as \
          2026-11-01T00:00:00+08:00"
        ]
    );
}

#[test]
fn what_one_person_may_let_go_is_an_amount_per_currency() {
    let file = "[approval]\nabove = { EUR = \"1000.00\", JPY = 150000 }";
    let variables = with(&[("HOLDBACK_APPROVAL_ABOVE_EUR", "50")]);
    let above = load(Some(file), &variables).unwrap().approval.above;
    let shown: Vec<String> = above
        .iter()
        .map(|(currency, amount)| format!("{currency} {amount}"))
        .collect();
    assert_eq!(shown, ["EUR 50.00", "JPY 150000"]);
    let wrong = with(&[
        ("HOLDBACK_APPROVAL_ABOVE_JPY", "1.5"),
        ("HOLDBACK_APPROVAL_ABOVE_XYZ", "1"),
    ]);
    assert_eq!(
        load(None, &wrong).unwrap_err(),
        [
            "HOLDBACK_APPROVAL_ABOVE_JPY is \"1.5\", expected an amount, by a currency",
            "HOLDBACK_APPROVAL_ABOVE_XYZ is \"1\", expected an amount, by a currency",
        ]
    );
}

#[test]
fn librdkafka_properties_pass_through_under_both_names() {
    let file = r#"
        [kafka.properties]
        "security.protocol" = "SASL_SSL"
        sasl.mechanism = "SCRAM-SHA-512"
        "session.timeout.ms" = 45000
    "#;
    let config = load(
        Some(file),
        &with(&[("HOLDBACK_KAFKA_PROPERTY_SESSION_TIMEOUT_MS", "6000")]),
    )
    .unwrap();
    let given: Vec<_> = config
        .kafka
        .properties
        .iter()
        .map(|(property, value)| (property.as_str(), value.expose_secret()))
        .collect();
    assert_eq!(
        given,
        [
            ("sasl.mechanism", "SCRAM-SHA-512"),
            ("security.protocol", "SASL_SSL"),
            ("session.timeout.ms", "6000"),
        ]
    );
}

#[test]
fn a_property_that_would_break_a_promise_is_refused_with_the_reason() {
    let variables = with(&[
        ("HOLDBACK_KAFKA_PROPERTY_ACKS", "1"),
        ("HOLDBACK_KAFKA_PROPERTY_ENABLE_AUTO_COMMIT", "true"),
        (
            "HOLDBACK_KAFKA_PROPERTY_ENABLE_SSL_CERTIFICATE_VERIFICATION",
            "false",
        ),
        ("HOLDBACK_KAFKA_PROPERTY_SECURITY_PROTOKOL", "SSL"),
        ("HOLDBACK_KAFKA_PROPERTY_SESSION_TIMEOUT_MS", "soon"),
    ]);
    let errors = load(None, &variables).unwrap_err();
    assert_eq!(
        errors,
        [
            "HOLDBACK_KAFKA_PROPERTY_ACKS: Kafka property acks can't be set: it decides whether \
             each event is in the output topics exactly once",
            "HOLDBACK_KAFKA_PROPERTY_ENABLE_AUTO_COMMIT: Kafka property enable.auto.commit can't \
             be set: offsets live in Postgres, in the transaction of their effects",
            "HOLDBACK_KAFKA_PROPERTY_ENABLE_SSL_CERTIFICATE_VERIFICATION: Kafka property \
             enable.ssl.certificate.verification = false lets anyone pose as the broker; it needs \
             insecure_dev",
            "HOLDBACK_KAFKA_PROPERTY_SECURITY_PROTOKOL: Kafka property security.protokol: No such \
             configuration property: \"security.protokol\"",
            "HOLDBACK_KAFKA_PROPERTY_SESSION_TIMEOUT_MS: Kafka property session.timeout.ms: \
             Invalid value for configuration property \"session.timeout.ms\"",
        ]
    );
    let allowed = with(&[
        ("HOLDBACK_KAFKA_INSECURE_DEV", "true"),
        (
            "HOLDBACK_KAFKA_PROPERTY_ENABLE_SSL_CERTIFICATE_VERIFICATION",
            "false",
        ),
    ]);
    assert!(load(None, &allowed).unwrap().kafka.insecure_dev);
}

#[test]
fn secrets_come_out_of_files_without_the_line_end() {
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str, text: &str| {
        let path = folder.path().join(name);
        std::fs::write(&path, text).unwrap();
        path.to_str().unwrap().to_owned()
    };
    let url = file("url", "postgres://me:hunter2@db/holdback\n");
    let password = file("password", "hunter3\r\n");
    let given = [
        ("HOLDBACK_DATABASE_URL_FILE", url.as_str()),
        ("HOLDBACK_KAFKA_BROKERS", "kafka:9092"),
        (
            "HOLDBACK_KAFKA_PROPERTY_SASL_PASSWORD_FILE",
            password.as_str(),
        ),
    ];
    let config = load(None, &given).unwrap();
    assert_eq!(
        config.database.url.expose_secret(),
        "postgres://me:hunter2@db/holdback"
    );
    assert_eq!(
        config.kafka.properties["sasl.password"].expose_secret(),
        "hunter3"
    );
    let in_file = "[database]\nurl = \"postgres://in-the-file\"\n";
    let config = load(Some(in_file), &given).unwrap();
    assert_eq!(
        config.database.url.expose_secret(),
        "postgres://me:hunter2@db/holdback"
    );

    let twice = with(&[("HOLDBACK_DATABASE_URL_FILE", "/nowhere")]);
    let errors = load(None, &twice).unwrap_err();
    assert_eq!(
        errors,
        ["HOLDBACK_DATABASE_URL and HOLDBACK_DATABASE_URL_FILE are both given"]
    );
    let lost = [("HOLDBACK_DATABASE_URL_FILE", "/nowhere"), REQUIRED[1]];
    let errors = load(None, &lost).unwrap_err();
    assert_eq!(errors.len(), 1);
    assert!(
        errors[0].starts_with("HOLDBACK_DATABASE_URL_FILE: can't read the secret in /nowhere: "),
        "{errors:?}"
    );
}

#[test]
fn a_secret_never_prints() {
    let variables = with(&[("HOLDBACK_KAFKA_PROPERTY_SASL_PASSWORD", "hunter2")]);
    let shown = format!("{:?}", load(None, &variables).unwrap());
    assert!(
        shown.contains("sasl.password") && !shown.contains("hunter"),
        "{shown}"
    );

    let broken = "[database]\nurl = \"postgres://me:hunter2@db\" oops\n";
    let errors = load(Some(broken), &[]).unwrap_err();
    assert_eq!(errors.len(), 1);
    assert!(errors[0].contains("holdback.toml, line 2: "), "{errors:?}");
    assert!(!errors[0].contains("hunter"), "{errors:?}");

    let mistyped = load(
        None,
        &with(&[("HOLDBACK_DATABASE_URI", "postgres://hunter2")]),
    );
    assert_eq!(
        mistyped.unwrap_err(),
        ["HOLDBACK_DATABASE_URI is not a setting; did you mean HOLDBACK_DATABASE_URL?"]
    );
}

#[test]
fn what_kubernetes_and_the_tests_set_is_not_ours() {
    let foreign = with(&[
        ("HOLDBACK_SERVICE_HOST", "10.0.0.1"),
        ("HOLDBACK_SERVICE_PORT_HTTP", "8080"),
        ("HOLDBACK_PORT", "tcp://10.0.0.1:8080"),
        ("HOLDBACK_PORT_8080_TCP_ADDR", "10.0.0.1"),
        ("HOLDBACK_TEST_DATABASE_URL", "postgres://elsewhere"),
        ("PATH", "/bin"),
    ]);
    load(None, &foreign).unwrap();
}

/// `deploy/holdback.toml` with the settings that it shows as comments.
fn example() -> String {
    let setting = |line: &str| {
        line.strip_prefix('#')
            .filter(|rest| rest.starts_with(char::is_lowercase))
            .map(str::to_owned)
    };
    let lines = include_str!("../deploy/holdback.toml").lines();
    lines
        .map(|line| setting(line).unwrap_or_else(|| line.to_owned()) + "\n")
        .collect()
}

#[test]
fn the_example_file_shows_every_default() {
    // These have none.
    let undefaulted = with(&[
        ("HOLDBACK_INGEST_START", "latest"),
        ("HOLDBACK_RELEASE_NOT_BEFORE", "2026-12-01T00:00:00Z"),
        ("HOLDBACK_RELEASE_LIVE_FROM", "2026-12-15"),
    ]);
    let shown = load(Some(&example()), &undefaulted).unwrap();
    let default = load(None, &undefaulted).unwrap();
    assert_eq!(format!("{shown:#?}"), format!("{default:#?}"));
}

#[test]
fn the_example_file_shows_every_setting() {
    let example: toml::Table = example().parse().unwrap();
    let config = format!("{:#?}", load(None, &REQUIRED).unwrap());
    let (mut section, mut seen) = (String::new(), 0);
    for line in config.lines() {
        let key = line.trim_start().split(": ").next().unwrap();
        match line.len() - line.trim_start().len() {
            4 if line.ends_with('{') => key.clone_into(&mut section),
            4 if line.contains(": ") => assert!(example.contains_key(key), "{key}"),
            8 if line.contains(": ") => {
                assert!(
                    example[&section].as_table().unwrap().contains_key(key),
                    "{section}.{key}"
                );
                seen += 1;
            }
            _ => {}
        }
    }
    assert!(seen > 30, "only {seen} settings found in {config}");
}

#[test]
fn the_list_of_topics_has_each_topic_by_its_default_name() {
    let topics = load(None, &REQUIRED).unwrap().topics;
    let clock = holdback::kafka::clock::topic_beside(&topics.events);
    let configured: Vec<&str> = topics
        .inputs()
        .into_iter()
        .chain(topics.outputs())
        .chain([clock.as_str()])
        .collect();
    let listed: Vec<&str> = include_str!("../deploy/topics.yaml")
        .lines()
        .filter_map(|line| line.trim_start().strip_prefix("- name: "))
        .collect();
    assert_eq!(listed, configured);
}
