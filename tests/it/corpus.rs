//! A sample of the bad input through Kafka, ingest and the database: the same verdict as the parser
//! alone gives, every dead letter with its own bytes, and nothing in the way of what comes after.

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;

use crate::cases::{self, Case, Keeps, Verdict};
use crate::harness::Holdback;
use crate::harness::facts::{agreement, order};

/// Tells the cases apart, in a header that nobody reads.
const NAME: &str = "corpus";

/// A dead letter: reason, detail, headers, value, order.
type Letter = (String, String, String, Option<Vec<u8>>, Option<String>);

/// What the client or the test's topics would not take as it is.
fn can_be_written(case: &Case) -> bool {
    let size = case.record.value.as_ref().map_or(0, Vec::len);
    size < 900_000 && case.record.timestamp.is_some()
}

impl Holdback {
    fn write_case(&self, case: &Case) {
        let record = &case.record;
        let headers = record.headers.iter();
        let mut headers: Vec<(&str, Option<&[u8]>)> = headers
            .map(|(name, value)| (name.as_str(), value.as_deref()))
            .collect();
        headers.push((NAME, Some(case.name.as_bytes())));
        // Where a message without a type means what the case says.
        let topic = match &*record.topic {
            "merchant" => "dispute",
            other => other,
        };
        let at = record.timestamp.map(|at| at.timestamp().as_millisecond());
        let (key, value) = (record.key.as_deref(), record.value.as_deref());
        self.bed.produce_bytes(topic, key, &headers, value, at);
    }

    async fn kept_letters(&self) -> Vec<Letter> {
        sqlx::query_as(
            "SELECT reason, detail, headers::text, value, merchant_id || '/' || order_id
             FROM dead_letters",
        )
        .fetch_all(self.pool())
        .await
        .expect("dead letters")
    }
}

/// Whether the database holds what the case says; what the parser accepts may conflict with another
/// case of the same ids.
fn fits(case: &Case, letter: Option<&Letter>) -> bool {
    match (&case.verdict, letter) {
        (Verdict::DeadLetter(reason, part), Some((found, detail, _, value, about))) => {
            let keeps = match &case.keeps {
                Keeps::Unsaid => true,
                Keeps::Order(order) => about.as_ref() == Some(order),
                Keeps::Nothing | Keeps::Unreadable => about.is_none(),
            };
            let told = reason == found && detail.contains(part.as_str());
            told && *value == case.record.value && keeps
        }
        (Verdict::DeadLetter(..), None) => false,
        (_, None) => true,
        (_, Some((found, ..))) => {
            ["conflict", "mismatch", "refund_exceeds_order"].contains(&found.as_str())
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sample_of_the_corpus_comes_to_the_same_verdicts_in_the_database() {
    let mut sample = cases::all();
    sample.retain(|case| case.sampled && can_be_written(case));
    assert!(sample.len() >= 40, "only {}", sample.len());
    let breaker = [("INGEST_BREAKER_CONSECUTIVE", "100000")];
    let hb = Holdback::start_with("corpus", "2026-05-03T00:00:00Z", &breaker).await;
    hb.send(agreement("*", "AG-0"));
    hb.applied().await;
    sample.iter().for_each(|case| hb.write_case(case));
    hb.applied().await;
    let letters = hb.kept_letters().await;
    let mut wrong = Vec::new();
    for case in &sample {
        let name = format!("\"{NAME}\", \"{}\"", BASE64_STANDARD.encode(&case.name));
        let letter = letters.iter().find(|letter| letter.2.contains(&name));
        if !fits(case, letter) {
            let found = letter.map(|it| (&it.0, it.1.chars().take(200).collect::<String>(), &it.4));
            wrong.push(format!("{}: {found:?}", case.name));
        }
    }
    assert!(wrong.is_empty(), "\n{}\n", wrong.join("\n"));
    // What comes after is applied as ever.
    hb.send(order("M-good", "O-good", "10", "2026-05-02T00:00:00Z"));
    hb.applied().await;
    let good = "SELECT count(*) FROM holds WHERE merchant_id = 'M-good'";
    assert_eq!(hb.number(good).await, 1);
    let audit = hb.store.audit().await.expect("an audit");
    assert_eq!(audit.differences, []);
}
