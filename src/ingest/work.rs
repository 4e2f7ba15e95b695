//! What happens inside a batch's transaction: what it books, refuses and distrusts.

use uuid::Uuid;

use super::breaker::Refused;
use super::{Applied, Rules, deposits};
use crate::message::{About, Record, Rejection};
use crate::rules::order::{Block, BlockKind};
use crate::rules::time::Instant;
use crate::store::cases::{OrderKey, Source};
use crate::store::dead_letters::DeadLetter;
use crate::store::journal::Lines;
use crate::store::recovery::Purses;
use crate::store::{StoreError, Tx};
use crate::telemetry::Outcome;

/// What happens inside the transaction.
pub(super) struct Work<'a> {
    pub(super) records: &'a [Record],
    pub(super) rules: &'a Rules,
    pub(super) lines: Lines,
    pub(super) letters: Vec<DeadLetter>,
    /// Messages of the batch among them.
    pub(super) refused: Refused,
    /// Orders whose money must wait until a person has looked, with the block to put there.
    pub(super) distrusted: Vec<(OrderKey, Block)>,
    /// Blocks, by reference, whose reason has turned out to be none.
    pub(super) trusted: Vec<(OrderKey, String)>,
    /// Deposits that the batch may change.
    pub(super) purses: Purses,
    /// The person's act behind it, if it is a replay.
    pub(super) operation: Option<Uuid>,
    pub(super) applied: Applied,
}

impl<'a> Work<'a> {
    /// Nothing has happened yet to these records.
    pub(super) fn on(records: &'a [Record], rules: &'a Rules) -> Self {
        Self {
            records,
            rules,
            lines: Lines::default(),
            letters: Vec::new(),
            refused: Refused::default(),
            distrusted: Vec::new(),
            trusted: Vec::new(),
            purses: Purses::default(),
            operation: None,
            applied: Applied {
                records: records.len(),
                ..Applied::default()
            },
        }
    }

    /// Writes what is not written yet: purses, dead letters, the journal.
    pub(super) async fn finish(mut self, tx: &mut Tx) -> Result<Applied, StoreError> {
        deposits::settle(tx, &mut self.purses, &mut self.lines).await?;
        tx.refuse(&self.letters).await?;
        tx.write(&self.lines).await?;
        self.applied.lines = self.lines.len();
        Ok(self.applied)
    }
}

impl Work<'_> {
    /// Makes a dead letter, and distrusts the order if it may be about money.
    pub(super) fn reject(&mut self, place: usize, rejection: &Rejection) {
        let record = &self.records[place];
        let unreadable = rejection.moves_money && rejection.about.is_none();
        self.refused.insert(place, unreadable);
        self.refuse_record(record.clone(), rejection);
    }

    pub(super) fn refuse_record(&mut self, record: Record, rejection: &Rejection) {
        let place = record.place();
        if rejection.moves_money {
            match &rejection.about {
                Some(about) => self.distrust(about, &place, rejection.reason.as_str()),
                None => tracing::error!(
                    alarm = "unreadable_money_message",
                    message = place,
                    reason = rejection.reason.as_str(),
                    "a refused message may be about money, and its order can't be read"
                ),
            }
        }
        self.applied
            .note(rejection.reason.as_str(), Outcome::DeadLetter);
        self.letters.push(DeadLetter {
            record,
            reason: rejection.reason.as_str(),
            detail: rejection.detail.clone(),
            about: rejection
                .about
                .as_ref()
                .map(|about| (about.merchant.clone(), about.order.clone())),
        });
    }

    fn distrust(&mut self, about: &About, place: &str, reason: &str) {
        let never = Instant::new(jiff::Timestamp::UNIX_EPOCH);
        let block = distrust(place, reason, never);
        self.distrusted
            .push(((about.merchant.clone(), about.order.clone()), block));
    }

    pub(super) fn source(&self, place: usize) -> Option<Source> {
        let record = self.records.get(place)?;
        Some(Source {
            topic: self.rules.topic(&record.topic)?,
            partition: record.partition,
            offset: record.offset,
        })
    }
}

/// The block that keeps an order because a message about it was refused.
pub(crate) fn distrust(place: &str, reason: &str, opened_at: Instant) -> Block {
    Block {
        reference: place.to_owned(),
        kind: BlockKind::Review,
        reason: format!("{}: {reason}", Block::REFUSED),
        hold: None,
        amount: None,
        opened_at,
        cleared_at: None,
    }
}
