//! A broker that demands TLS with a user and password (SCRAM), or with a certificate of the client's.

use std::thread;

use tokio::task::block_in_place;

use super::watch::{Settings, Watch, Wrong, setting};
use crate::harness::authority::{Authority, Papers};
use crate::harness::{Listener, LocalKafka, TestBed, services};

const PASSWORD: &str = "correct-horse-battery";
const WRONG_PASSWORD: &str = "wrong-horse-battery";

/// A broker that is certified for `localhost` only, with a listener each for users and for
/// certificates.
fn start(authority: &Authority) -> LocalKafka {
    let papers = authority.server(&["localhost"]);
    let both = papers.key + &papers.certificate;
    let trusted = authority.file("trusted.pem", &authority.root());
    let proof = || {
        vec![
            ("ssl.keystore.type", "PEM".to_owned()),
            ("ssl.keystore.location", authority.file("broker.pem", &both)),
            ("ssl.truststore.type", "PEM".to_owned()),
            ("ssl.truststore.location", trusted.clone()),
        ]
    };
    let mut by_password = proof();
    by_password.extend([
        ("sasl.enabled.mechanisms", "SCRAM-SHA-512".to_owned()),
        (
            "scram-sha-512.sasl.jaas.config",
            "org.apache.kafka.common.security.scram.ScramLoginModule required;".to_owned(),
        ),
    ]);
    let mut by_certificate = proof();
    by_certificate.push(("ssl.client.auth", "required".to_owned()));
    let listener = |protocol, settings| Listener {
        protocol,
        host: "localhost",
        told: None,
        settings,
    };
    let listeners = vec![
        listener("SASL_SSL", by_password),
        listener("SSL", by_certificate),
    ];
    LocalKafka::start_with(listeners, &[("holdback", PASSWORD)]).expect("a broker")
}

/// Settings for a broker: where it is and the client's properties.
fn broker_at(at: &str, properties: &[(&str, &str)]) -> Settings {
    let properties = properties.iter().map(|(property, value)| {
        let variable = property.replace('.', "_").to_uppercase();
        setting(&format!("KAFKA_PROPERTY_{variable}"), *value)
    });
    let mut settings: Settings = properties.collect();
    settings.push(setting("KAFKA_BROKERS", at));
    settings
}

/// Where the broker listens, and how clients do it right.
struct Broker<'a> {
    authority: &'a Authority,
    by_password: String,
    by_certificate: String,
    trusted: String,
    password_file: String,
}

impl Broker<'_> {
    fn user(&self, protocol: &str, trusted: &str, at: &str, password: &str) -> Settings {
        broker_at(
            at,
            &[
                ("security.protocol", protocol),
                ("ssl.ca.location", trusted),
                ("sasl.mechanism", "SCRAM-SHA-512"),
                ("sasl.username", "holdback"),
                ("sasl.password", password),
                // Where no password is given.
                (
                    "sasl.password.file",
                    if password.is_empty() {
                        &self.password_file
                    } else {
                        ""
                    },
                ),
            ],
        )
    }

    fn right(&self) -> Settings {
        self.user("SASL_SSL", &self.trusted, &self.by_password, "")
    }

    fn certified(&self, papers: &Papers) -> Settings {
        broker_at(
            &self.by_certificate,
            &[
                ("security.protocol", "SSL"),
                ("ssl.ca.location", &self.trusted),
                (
                    "ssl.certificate.location",
                    &self.authority.file("client.pem", &papers.certificate),
                ),
                (
                    "ssl.key.location",
                    &self.authority.file("client.key", &papers.key),
                ),
            ],
        )
    }

    /// What must not work, and why.
    fn wrong(&self) -> Vec<Wrong<'_>> {
        let stranger = Authority::new("Another authority");
        let foreign = self.authority.file("foreign.pem", &stranger.root());
        let here = &self.by_password;
        let elsewhere = here.replace("localhost", "127.0.0.1");
        let user =
            |trusted: &str, at: &str, password: &str| self.user("SASL_SSL", trusted, at, password);
        let mut unchecked = user(&foreign, &elsewhere, PASSWORD);
        unchecked.push(setting(
            "KAFKA_PROPERTY_ENABLE_SSL_CERTIFICATE_VERIFICATION",
            "0",
        ));
        let unproven = [
            ("security.protocol", "SSL"),
            ("ssl.ca.location", &self.trusted),
        ];
        let failed: &[&str] = &["certificate verify failed"];
        vec![
            (
                "an authority that did not certify the broker",
                user(&foreign, here, PASSWORD),
                failed,
            ),
            ("no authority of its own", user("", here, PASSWORD), failed),
            (
                "a host that the broker is not certified for",
                user(&self.trusted, &elsewhere, PASSWORD),
                failed,
            ),
            (
                "a wrong password",
                user(&self.trusted, here, WRONG_PASSWORD),
                &["Authentication failed", "SCRAM-SHA-512"],
            ),
            (
                "no certificate of the client's",
                broker_at(&self.by_certificate, &unproven),
                &["certificate", "kafka.brokers"],
            ),
            (
                "plain text to a broker that demands TLS",
                broker_at(&self.by_certificate, &[]),
                &["Disconnected", "security.protocol"],
            ),
            (
                "a password in plain text to a broker that demands TLS",
                self.user("SASL_PLAINTEXT", "", here, PASSWORD),
                &["security.protocol"],
            ),
            (
                "the check turned off",
                unchecked,
                &["the configuration is wrong"],
            ),
        ]
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_broker_that_demands_proof_is_served_and_one_without_proof_is_not_believed() {
    let authority = Authority::new("The brokers' authority");
    let (kafka, database) = block_in_place(|| {
        thread::scope(|scope| {
            let kafka = scope.spawn(|| start(&authority));
            let database = services().database_url.clone();
            (kafka.join().expect("no panic"), database)
        })
    });
    let bed = TestBed::on("proof", kafka.brokers(), database, 2).await;
    let ports = kafka.behind();
    let broker = Broker {
        authority: &authority,
        by_password: format!("localhost:{}", ports[0]),
        by_certificate: format!("localhost:{}", ports[1]),
        trusted: authority.file("ca.pem", &authority.root()),
        password_file: authority.file("password", &format!("{PASSWORD}\n")),
    };
    let papers = authority.client("holdback");
    let key = papers.key.lines().nth(1).expect("a key");
    let watch = Watch::new(&bed, &[PASSWORD, WRONG_PASSWORD, key]);
    block_in_place(|| {
        watch.works(&["migrate"], &Settings::new());
        watch.pays("M-user", &broker.right());
        watch.pays("M-certified", &broker.certified(&papers));
        watch.refuses(&broker.wrong());
        // No loopback address at first sight: another machine, as far as holdback can see.
        let open = bed.brokers.replace("127.0.0.1", "127.1");
        watch.warns("brokers", &broker_at(&open, &[]));
    });
}
