//! What a publisher has seen in the output topics, per merchant: how far without a gap, and what
//! lies beyond one.

use std::collections::{BTreeSet, HashMap, HashSet};

/// Merchants remembered at most; then it starts afresh, looking them up again when met.
const REMEMBERED: usize = 100_000;

/// What has been seen.
#[derive(Debug, Default)]
pub(super) struct Seen {
    /// Per merchant the sequence up to which every event has been seen.
    places: HashMap<String, i64>,
    /// Seen beyond a gap; nearly always empty.
    beyond: HashMap<String, BTreeSet<i64>>,
    moved: HashSet<String>,
}

impl Seen {
    /// Merchants among these that are not known yet.
    pub(super) fn strangers(&mut self, published: &[(String, i64)]) -> Vec<String> {
        if self.places.len() > REMEMBERED {
            let beyond = &self.beyond;
            self.places
                .retain(|merchant, _| beyond.contains_key(merchant));
        }
        let unknown: BTreeSet<&String> = published
            .iter()
            .map(|(merchant, _)| merchant)
            .filter(|merchant| !self.places.contains_key(*merchant))
            .collect();
        unknown.into_iter().cloned().collect()
    }

    /// Takes up merchants: those the database knows with their place, the others at nothing.
    pub(super) fn learn(&mut self, strangers: Vec<String>, known: Vec<(String, i64)>) {
        for merchant in strangers {
            self.places.entry(merchant).or_default();
        }
        self.places.extend(known);
    }

    /// Notes events; answers how many had been seen before.
    pub(super) fn note(&mut self, published: &[(String, i64)]) -> u64 {
        let mut repeats = 0;
        for (merchant, sequence) in published {
            let Some(through) = self.places.get_mut(merchant) else {
                continue;
            };
            let beyond = self.beyond.entry(merchant.clone()).or_default();
            if *sequence <= *through || !beyond.insert(*sequence) {
                repeats += 1;
            }
            while beyond.first() == Some(&(*through + 1)) {
                *through += 1;
                beyond.pop_first();
                self.moved.insert(merchant.clone());
            }
            if beyond.is_empty() {
                self.beyond.remove(merchant);
            }
        }
        repeats
    }

    /// True for an event that was seen.
    pub(super) fn holds(&self, merchant: &str, sequence: i64) -> bool {
        let place = self.places.get(merchant);
        let beyond = self.beyond.get(merchant);
        place.is_some_and(|through| sequence <= *through)
            || beyond.is_some_and(|beyond| beyond.contains(&sequence))
    }

    /// True while something was seen beyond a gap.
    pub(super) fn has_gap(&self) -> bool {
        !self.beyond.is_empty()
    }

    /// The merchants that have moved on since the last call, with their new place.
    pub(super) fn take_moved(&mut self) -> Vec<(String, i64)> {
        let mut moved: Vec<(String, i64)> = self
            .moved
            .drain()
            .filter_map(|merchant| {
                let through = *self.places.get(&merchant)?;
                Some((merchant, through))
            })
            .collect();
        moved.sort_unstable();
        moved
    }
}

#[cfg(test)]
mod tests {
    use super::Seen;

    fn events(sequences: &[i64]) -> Vec<(String, i64)> {
        sequences.iter().map(|s| ("M".to_owned(), *s)).collect()
    }

    fn seen_through(through: i64) -> Seen {
        let mut seen = Seen::default();
        seen.learn(vec!["M".to_owned()], vec![("M".to_owned(), through)]);
        seen
    }

    #[test]
    fn events_in_a_row_move_the_merchant_on() {
        let mut seen = seen_through(3);
        assert_eq!(seen.note(&events(&[4, 5, 6])), 0);
        assert_eq!(seen.take_moved(), events(&[6]));
    }

    #[test]
    fn a_gap_holds_the_merchant_back_until_it_is_filled() {
        let mut seen = seen_through(0);
        assert_eq!(seen.note(&events(&[1, 3])), 0);
        assert_eq!(seen.take_moved(), events(&[1]));
        assert!(
            seen.holds("M", 3),
            "what lies beyond the gap is not sent again"
        );
        assert!(!seen.holds("M", 2) && seen.has_gap());
        assert_eq!(seen.note(&events(&[2])), 0);
        assert!(!seen.has_gap());
        assert_eq!(seen.take_moved(), events(&[3]));
    }

    #[test]
    fn an_event_seen_twice_is_a_repeat() {
        let mut seen = seen_through(2);
        assert_eq!(seen.note(&events(&[2, 4, 4])), 2);
    }
}
