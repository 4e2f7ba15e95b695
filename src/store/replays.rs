//! Dead letters as people find them, look at them and replay them.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::cases::OrderKey;
use super::parked::headers_from;
use super::types::order_key;
use super::{Store, StoreError, Tx, failed};
use crate::message::Record;
use crate::rules::time::Instant;
use crate::telemetry::Outcome;

/// Where a message lay: `topic/partition/offset`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Place {
    pub topic: String,
    pub partition: i32,
    pub offset: i64,
}

impl FromStr for Place {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let place = || {
            let (rest, offset) = text.rsplit_once('/')?;
            let (topic, partition) = rest.rsplit_once('/')?;
            Some(Self {
                topic: topic.to_owned(),
                partition: partition.parse().ok()?,
                offset: offset.parse().ok()?,
            })
        };
        place().ok_or("a place is topic/partition/offset, for instance refund/3/42")
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}/{}", self.topic, self.partition, self.offset)
    }
}

/// Which dead letters are wanted; what is `None` does not matter.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Wanted {
    pub place: Option<Place>,
    /// The word of the contract's section 10.
    pub reason: Option<String>,
    pub topic: Option<String>,
    pub merchant: Option<String>,
    pub order: Option<String>,
    /// Refused from then on.
    pub since: Option<Instant>,
    /// Refused before then.
    pub until: Option<Instant>,
    /// Also those that a replay has brought in.
    pub accepted_too: bool,
}

/// A dead letter without its bytes.
#[derive(Debug, Clone, Serialize)]
pub struct Listed {
    pub topic: String,
    pub partition: i32,
    pub offset: i64,
    pub reason: String,
    pub detail: String,
    /// The order that it is about, where that could be read and matters.
    pub merchant_id: Option<String>,
    pub order_id: Option<String>,
    /// Bytes of its value.
    pub size: i32,
    pub refused_at: Instant,
    pub replays: i32,
    pub accepted_at: Option<Instant>,
    /// Tells messages apart that lay at one place, in a topic and in the one made anew.
    #[serde(skip)]
    pub digest: Vec<u8>,
}

impl Listed {
    /// Where it lay.
    #[must_use]
    pub fn place(&self) -> Place {
        Place {
            topic: self.topic.clone(),
            partition: self.partition,
            offset: self.offset,
        }
    }
}

/// A dead letter's message.
#[derive(Debug, Clone)]
pub struct Kept {
    pub record: Record,
    pub about: Option<OrderKey>,
    /// Since when a replay has brought it in.
    pub accepted_at: Option<Instant>,
}

/// What a replay came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ended {
    /// Applied, kept until what it belongs to comes, or known already.
    Accepted(Outcome),
    /// Refused again.
    Refused { reason: String, detail: String },
}

impl Store {
    /// At most `limit` dead letters, the oldest first.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn dead_letters(
        &self,
        wanted: &Wanted,
        limit: u32,
    ) -> Result<Vec<Listed>, StoreError> {
        let place = wanted.place.as_ref();
        sqlx::query_as!(
            Listed,
            r#"SELECT topic, partition, record_offset AS offset, reason, detail, merchant_id,
                      order_id, coalesce(octet_length(value), 0) AS "size!",
                      refused_at AS "refused_at: Instant", replays,
                      accepted_at AS "accepted_at: Instant", digest
               FROM dead_letters
               WHERE ($1::text IS NULL OR topic = $1)
                 AND ($2::integer IS NULL OR partition = $2)
                 AND ($3::bigint IS NULL OR record_offset = $3)
                 AND ($4::text IS NULL OR reason = $4)
                 AND ($5::text IS NULL OR merchant_id = $5)
                 AND ($6::text IS NULL OR order_id = $6)
                 AND ($7::timestamptz IS NULL OR refused_at >= $7)
                 AND ($8::timestamptz IS NULL OR refused_at < $8)
                 AND ($9 OR accepted_at IS NULL)
               ORDER BY refused_at, topic, partition, record_offset, digest LIMIT $10"#,
            place.map(|it| &it.topic).or(wanted.topic.as_ref()),
            place.map(|it| it.partition),
            place.map(|it| it.offset),
            wanted.reason.as_ref(),
            wanted.merchant.as_ref(),
            wanted.order.as_ref(),
            wanted.since as _,
            wanted.until as _,
            wanted.accepted_too,
            i64::from(limit),
        )
        .fetch_all(&self.pool)
        .await
        .map_err(failed("list dead letters"))
    }
}

impl Tx {
    /// A dead letter's message, locked: two replays of it come one after the other.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn dead_letter(&mut self, listed: &Listed) -> Result<Option<Kept>, StoreError> {
        let row = sqlx::query!(
            r#"SELECT key, headers, value, merchant_id, order_id,
                      record_at AS "record_at: Instant", accepted_at AS "accepted_at: Instant"
               FROM dead_letters
               WHERE topic = $1 AND partition = $2 AND record_offset = $3 AND digest = $4
               FOR UPDATE"#,
            listed.topic,
            listed.partition,
            listed.offset,
            listed.digest,
        )
        .fetch_optional(&mut *self.inner)
        .await
        .map_err(failed("read a dead letter"))?;
        let Some(row) = row else { return Ok(None) };
        let about = row.merchant_id.zip(row.order_id);
        let about = about.map(|(merchant, order)| order_key(&merchant, &order));
        Ok(Some(Kept {
            record: Record {
                topic: Arc::from(listed.topic.as_str()),
                partition: listed.partition,
                offset: listed.offset,
                timestamp: row.record_at,
                key: row.key,
                headers: headers_from(row.headers)?,
                value: row.value,
            },
            about: about.transpose()?,
            accepted_at: row.accepted_at,
        }))
    }

    /// Notes what a replay came to: a dead letter that was refused again says why now.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn note_replay(
        &mut self,
        listed: &Listed,
        operation: Uuid,
        ended: &Ended,
    ) -> Result<(), StoreError> {
        let again = match ended {
            Ended::Accepted(_) => None,
            Ended::Refused { reason, detail } => Some((reason, detail.replace('\0', "\u{fffd}"))),
        };
        sqlx::query!(
            "UPDATE dead_letters SET replays = replays + 1, replayed_by = $5,
                 reason = coalesce($6, reason), detail = coalesce($7, detail),
                 accepted_at = CASE WHEN $6::text IS NULL THEN $8::timestamptz END
             WHERE topic = $1 AND partition = $2 AND record_offset = $3 AND digest = $4",
            listed.topic,
            listed.partition,
            listed.offset,
            listed.digest,
            operation,
            again.as_ref().map(|(reason, _)| reason.as_str()),
            again.as_ref().map(|(_, detail)| detail.as_str()),
            self.now as _,
        )
        .execute(&mut *self.inner)
        .await
        .map_err(failed("note a replay"))?;
        Ok(())
    }
}
