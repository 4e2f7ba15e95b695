//! Dead letters: each bad message once, with its own bytes, and nothing else.

use std::collections::BTreeSet;

use super::Complaints;
use super::truth::Truth;
use crate::harness::TestBed;

/// Holds the topic of dead letters against what could not be read.
pub fn check(bed: &TestBed, truth: &Truth, complaints: &mut Complaints) -> Result<(), String> {
    let seen = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        bed.read_all("holdback-dead-letters")
    }));
    let seen = seen.map_err(|_| "the dead letters can't be read to their end".to_owned())?;
    let mut buried = BTreeSet::new();
    for letter in seen {
        let header = |name: &str| letter.headers.get(name).cloned().unwrap_or_default();
        let topic = header("holdback_topic");
        let topic = bed.topics.iter().find(|(_, actual)| **actual == topic);
        let topic = topic.map_or("", |(name, _)| name).to_owned();
        let number = |name: &str| header(name).parse::<i64>().unwrap_or(-1);
        let partition = i32::try_from(number("holdback_partition")).unwrap_or(-1);
        let place = (topic, partition, number("holdback_offset"));
        let Some((key, value)) = truth.bad.get(&place) else {
            if truth
                .doubtful
                .contains(&*String::from_utf8_lossy(&letter.value))
            {
                continue;
            }
            let why = (header("holdback_reason"), header("holdback_detail"));
            complaints.add("dead letters", &format!("{place:?} was good: {why:?}"));
            continue;
        };
        let same = letter.value == value.as_bytes() && letter.key.as_ref() == Some(key);
        complaints.unless(same, "dead letters", || {
            format!("{place:?} has other bytes")
        });
        complaints.unless(buried.insert(place.clone()), "dead letters", || {
            format!("{place:?} lies there twice")
        });
    }
    for place in truth.bad.keys().filter(|place| !buried.contains(*place)) {
        complaints.add("dead letters", &format!("{place:?} is missing"));
    }
    Ok(())
}
