//! What holdback said, read past it, and the proof at a test's end.
//!
//! Guarantees that whatever a test did, the books are right when it ends: [`Holdback::checked_end`]
//! compares the journal with the tables and with what a `read_committed` reader sees.

use std::collections::BTreeMap;

use tokio::task::block_in_place;

use super::story::{Event, validate};
use super::{Holdback, Seen};

impl Holdback {
    /// Every event in the output topics, per merchant in order, each valid by its schema.
    pub fn events(&self) -> Vec<Event> {
        let mut events = Vec::new();
        for topic in ["holdback-releases", "holdback-events"] {
            let seen = block_in_place(|| self.bed.read_all(topic));
            let read = seen.iter().map(|record| Event::read(topic, record));
            events.extend(read);
        }
        events.iter().for_each(validate);
        events.sort_by(|one, other| one.place().cmp(&other.place()));
        events
    }

    /// What a merchant's events say so far, one line each, the agreements' left out.
    pub async fn story(&self, merchant: &str) -> Vec<String> {
        self.published().await;
        let events = self.events();
        let own = events.iter().filter(|event| event.merchant == merchant);
        own.filter(|event| event.kind != "agreement.accepted")
            .map(Event::line)
            .collect()
    }

    /// Holds a merchant's story against this one, a line each.
    pub async fn tells(&self, merchant: &str, expected: &str) {
        let expected: Vec<&str> = expected.lines().map(str::trim).collect();
        let expected: Vec<&str> = expected
            .into_iter()
            .filter(|line| !line.is_empty())
            .collect();
        let told = self.story(merchant).await;
        assert_eq!(told, expected, "{merchant}'s story: {told:#?}");
    }

    /// The dead letters in their topic, once all are there.
    pub async fn dead_letters(&self) -> Vec<Seen> {
        self.published().await;
        block_in_place(|| self.bed.read_all("holdback-dead-letters"))
    }

    /// The reasons of the dead letters in their topic, by what was written there first.
    pub async fn reasons(&self) -> Vec<String> {
        let letters = self.dead_letters().await;
        let mut reasons: Vec<String> = letters
            .iter()
            .map(|letter| letter.headers["holdback_reason"].clone())
            .collect();
        reasons.sort_unstable();
        reasons
    }

    /// Stops the service and proves the books: no differences, nothing unpublished, every line of
    /// the journal in its topic once and in order, every dead letter in its own once.
    pub async fn checked_end(mut self) {
        self.published().await;
        if self.runs() {
            self.summed_up().await;
        }
        self.stop().await;
        let audit = self.store.audit().await.expect("an audit");
        assert_eq!(audit.differences, [], "the audit");
        assert_eq!(audit.unpublished, 0, "unpublished lines");
        let rows: Vec<(String, i64, i64, String)> = sqlx::query_as(
            "SELECT merchant_id, sequence, previous, event_id::text FROM journal
             ORDER BY merchant_id COLLATE \"C\", sequence",
        )
        .fetch_all(self.pool())
        .await
        .expect("the journal");
        let events = self.events();
        let said: Vec<_> = events.iter().map(Event::identity).collect();
        assert_eq!(said, rows, "the topics and the journal");
        in_order(&events);
        let buried = block_in_place(|| self.bed.read_all("holdback-dead-letters"));
        let mut places: Vec<_> = buried.iter().map(buried_at).collect();
        places.sort_unstable();
        let known = "SELECT topic, partition::text, record_offset::text FROM dead_letters";
        let mut known: Vec<Place> = sqlx::query_as(known)
            .fetch_all(self.pool())
            .await
            .expect("dead letters");
        known.sort_unstable();
        let again = "SELECT topic, partition::text, record_offset::text FROM dead_letters
                     WHERE replays > 0";
        let again: Vec<Place> = sqlx::query_as(again)
            .fetch_all(self.pool())
            .await
            .expect("dead letters");
        // What a replay let in may be refused a second time.
        places.dedup_by(|one, other| one == other && again.contains(one));
        assert_eq!(places, known, "the dead letters");
    }
}

/// Topic, partition and offset.
type Place = (String, String, String);

fn buried_at(letter: &Seen) -> Place {
    let header = |name: &str| letter.headers[name].clone();
    (
        header("holdback_topic"),
        header("holdback_partition"),
        header("holdback_offset"),
    )
}

/// A merchant's events lie in one partition per topic in the order of their sequence, each naming
/// the one before it.
fn in_order(events: &[Event]) {
    let mut last: BTreeMap<(&str, &str), &Event> = BTreeMap::new();
    for event in events {
        let before = last.insert((&event.topic, &event.merchant), event);
        let sequence = before.map_or(0, |before| before.sequence);
        assert_eq!(event.previous, sequence, "{event:?} names its previous");
        if let Some(before) = before {
            assert_eq!(before.partition, event.partition, "{event:?}");
            assert!(before.offset < event.offset, "{before:?} before {event:?}");
        }
    }
}
