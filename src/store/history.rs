//! What has happened to one order, line by line out of the journal.

use std::fmt;

use super::cases::SourceTopic;
use super::{Store, StoreError, failed};
use crate::message::outgoing::EventType;
use crate::rules::ids::{MerchantId, OrderId};
use crate::rules::time::Instant;

/// One line of an order's history.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct HistoryLine {
    pub sequence: i64,
    pub occurred_at: Instant,
    pub event: &'static str,
    pub currency: Option<String>,
    pub amount: Option<rust_decimal::Decimal>,
    /// The message that caused it: input topic, partition, offset.
    pub source: Option<(SourceTopic, i32, i64)>,
    /// The person who caused it, and why.
    pub person: Option<(String, String)>,
    pub published: bool,
}

impl fmt::Display for HistoryLine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}  {}", self.occurred_at, self.event)?;
        if let (Some(amount), Some(currency)) = (&self.amount, &self.currency) {
            write!(f, "  {amount} {currency}")?;
        }
        if let Some((topic, partition, offset)) = self.source {
            write!(f, "  by {}/{partition}/{offset}", topic.name())?;
        }
        if let Some((actor, reason)) = &self.person {
            write!(f, "  by {actor}: {reason}")?;
        }
        write!(f, "  (sequence {}", self.sequence)?;
        f.write_str(if self.published {
            ")"
        } else {
            ", not yet published)"
        })
    }
}

impl Store {
    /// An order's lines of the journal, oldest first. Reads the merchant's whole journal: for
    /// people, not for loops.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn history(
        &self,
        merchant: &MerchantId,
        order: &OrderId,
    ) -> Result<Vec<HistoryLine>, StoreError> {
        let rows = sqlx::query!(
            r#"SELECT j.sequence, j.occurred_at AS "occurred_at: Instant", j.event, j.currency,
                      j.amount, j.source_topic, j.source_partition, j.source_offset,
                      j.sequence <= m.published_sequence AS "published!",
                      o.actor AS "actor?", o.reason AS "reason?"
               FROM journal j JOIN merchants m ON m.merchant_id = j.merchant_id
               LEFT JOIN operations o ON o.operation_id = j.operation_id
               WHERE j.merchant_id = $1 AND j.order_id = $2 ORDER BY j.sequence"#,
            merchant.as_str(),
            order.as_str(),
        )
        .fetch_all(&self.pool)
        .await
        .map_err(failed("read an order's history"))?;
        rows.into_iter()
            .map(|row| {
                let event = EventType::from_number(row.event)
                    .ok_or_else(|| StoreError::Unreadable(format!("event number {}", row.event)))?;
                let source = super::orders::source(
                    row.source_topic,
                    row.source_partition,
                    row.source_offset,
                );
                Ok(HistoryLine {
                    sequence: row.sequence,
                    occurred_at: row.occurred_at,
                    event: event.as_str(),
                    currency: row.currency,
                    amount: row.amount,
                    source: source.map(|s| (s.topic, s.partition, s.offset)),
                    person: row.actor.zip(row.reason),
                    published: row.published,
                })
            })
            .collect()
    }
}
