//! Events that were published and that this database had lost.
//!
//! They are taken over from the output topics, found again when the same facts make them again, and what is left of them in the end. See
//! [`crate::reconcile`].

use std::collections::HashMap;

use serde_json::Value;
use uuid::Uuid;

use super::cases::{Cases, OrderKey};
use super::journal::{Line, Lines};
use super::orders::find;
use super::types::{column, currency};
use super::{StoreError, Tx, failed};
use crate::message::outgoing::EventType;
use crate::rules::entry::{ReleaseIssued, ReleaseReason};
use crate::rules::ids::{EventId, HoldId, MerchantId, ReleaseId, SettlementId};
use crate::rules::money::Amount;
use crate::rules::order::Foretold;
use crate::rules::time::Instant;

/// An event as the output topics hold it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Published {
    pub merchant_id: String,
    pub event_id: Uuid,
    pub sequence: i64,
    pub previous: i64,
    pub event: i16,
    pub occurred_at: Instant,
    pub order_id: Option<String>,
    pub hold_id: Option<Uuid>,
    pub currency: Option<String>,
    /// The event's subject where it is not the hold.
    pub subject: Option<String>,
    /// The event's own fields as JSON, without the envelope.
    pub data: String,
    pub traceparent: Option<String>,
    pub contradiction: Option<String>,
    pub taken: bool,
}

/// Published lines by merchant and id.
pub(super) type Known = HashMap<(MerchantId, EventId), Published>;

/// The fields that say how much money an event moves.
const MONEY: [&str; 6] = [
    "amount",
    "original",
    "gross",
    "recovered",
    "to_deposit",
    "charged",
];

/// The event that was published under a line's id.
pub(super) fn published_as<'a>(
    known: &'a Known,
    merchant: &MerchantId,
    line: &Line,
) -> Option<&'a Published> {
    // Nearly always nothing is known, and ids take time to make.
    if known.is_empty() {
        return None;
    }
    known.get(&(merchant.clone(), line.entry.event_id(merchant)))
}

/// Why a line and the event published under its id are not the same money, if they are not: the
/// line's own words.
pub(super) fn contradiction(published: &Published, line: &Line, made: &str) -> Option<String> {
    let differ = match line.entry.transfer {
        None if EventType::of(&line.entry.event) != EventType::ControlDaily => false,
        _ => {
            let read = |text: &str| serde_json::from_str::<Value>(text).unwrap_or_default();
            let (one, other) = (read(&published.data), read(made));
            if EventType::of(&line.entry.event) == EventType::ControlDaily {
                one != other
            } else {
                let moved = |key: &&str| one.get(*key) != other.get(*key);
                MONEY.iter().any(moved)
                    || published.currency.as_deref() != line.entry.currency.map(|it| it.code())
            }
        }
    };
    differ.then(|| made.to_owned())
}

impl Tx {
    /// The published events among these lines.
    pub(super) async fn published_before(&mut self, lines: &Lines) -> Result<Known, StoreError> {
        if !self.reconciling {
            return Ok(Known::new());
        }
        let ids = lines.ids();
        let rows = sqlx::query_as!(
            Published,
            r#"SELECT e.merchant_id, e.event_id, e.sequence, e.previous, e.event,
                      e.occurred_at AS "occurred_at: Instant", e.order_id, e.hold_id, e.currency,
                      e.subject, e.data, e.traceparent, e.contradiction, e.taken
               FROM published_elsewhere e
               JOIN unnest($1::text[], $2::uuid[]) AS k (merchant_id, event_id)
                 ON e.merchant_id = k.merchant_id AND e.event_id = k.event_id"#,
            column(&ids, |(merchant, _)| merchant.as_str().to_owned()) as _,
            column(&ids, |(_, id)| id.0) as _,
        )
        .fetch_all(&mut *self.inner)
        .await
        .map_err(failed("read what was published elsewhere"))?;
        rows.into_iter()
            .map(|row| {
                let merchant = super::types::merchant_id(&row.merchant_id)?;
                Ok(((merchant, EventId(row.event_id)), row))
            })
            .collect()
    }

    /// Notes that these events were made again, some with other money.
    pub(super) async fn found_again(
        &mut self,
        found: &[(MerchantId, Uuid, Option<String>)],
    ) -> Result<(), StoreError> {
        let (same, other): (Vec<_>, Vec<_>) = found.iter().partition(|it| it.2.is_none());
        if !same.is_empty() {
            sqlx::query!(
                "DELETE FROM published_elsewhere e
                 USING unnest($1::text[], $2::uuid[]) AS k (merchant_id, event_id)
                 WHERE e.merchant_id = k.merchant_id AND e.event_id = k.event_id",
                column(&same, |it| it.0.as_str().to_owned()) as _,
                column(&same, |it| it.1) as _,
            )
            .execute(&mut *self.inner)
            .await
            .map_err(failed("note what was made again"))?;
        }
        for (merchant, id, made) in other {
            tracing::error!(alarm = "published_otherwise", %merchant, event = %id, made, "this event was published with other money; see the README, \"When the topic and the database disagree\"");
            sqlx::query!(
                "UPDATE published_elsewhere SET contradiction = $3
                 WHERE merchant_id = $1 AND event_id = $2",
                merchant.as_str(),
                id,
                made.as_deref(),
            )
            .execute(&mut *self.inner)
            .await
            .map_err(failed("note a contradiction"))?;
        }
        Ok(())
    }
}

impl Tx {
    /// Lays the releases that were published of these orders' holds beside the orders.
    ///
    /// # Errors
    /// When the database fails, or holds what this version can't read.
    pub(super) async fn load_foretold(&mut self, cases: &mut Cases) -> Result<(), StoreError> {
        if !self.reconciling {
            return Ok(());
        }
        let keys: Vec<OrderKey> = cases.keys().cloned().collect();
        let rows = sqlx::query!(
            r#"SELECT e.merchant_id, e.order_id AS "order_id!", e.hold_id AS "hold_id!", e.currency,
                      e.data
               FROM published_elsewhere e
               JOIN unnest($1::text[], $2::text[]) AS k (merchant_id, order_id)
                 ON e.merchant_id = k.merchant_id AND e.order_id = k.order_id
               WHERE e.event = 12 AND NOT e.taken AND e.contradiction IS NULL
                 AND e.hold_id IS NOT NULL
               ORDER BY e.merchant_id, e.sequence"#,
            column(&keys, |(merchant, _)| merchant.as_str().to_owned()) as _,
            column(&keys, |(_, order)| order.as_str().to_owned()) as _,
        )
        .fetch_all(&mut *self.inner)
        .await
        .map_err(failed("read published releases"))?;
        for row in rows {
            let code = row.currency.unwrap_or_default();
            let release = published_release(&row.data, &code)?;
            // A later attempt pays the same release again and moves no money.
            if release.attempt == 1 {
                let case = find(cases, &row.merchant_id, &row.order_id)?;
                let hold = HoldId(row.hold_id);
                case.order.foretold.push(Foretold { hold, release });
            }
        }
        Ok(())
    }
}

/// Attempts after the first that were published, by merchant, release and attempt.
pub type LostAttempts = HashMap<(MerchantId, ReleaseId, u32), ReleaseIssued>;

impl Tx {
    /// Attempts of these releases that were published before the database lost them; none unless it is
    /// reconciled.
    ///
    /// # Errors
    /// When the database fails, or holds what this version can't read.
    pub async fn lost_attempts(
        &mut self,
        releases: &[(MerchantId, ReleaseId)],
    ) -> Result<LostAttempts, StoreError> {
        if !self.reconciling {
            return Ok(LostAttempts::new());
        }
        let rows = sqlx::query!(
            r#"SELECT e.merchant_id, e.currency AS "currency!", e.data
               FROM published_elsewhere e
               JOIN unnest($1::text[], $2::text[]) AS k (merchant_id, release_id)
                 ON e.merchant_id = k.merchant_id AND e.subject = k.release_id
               WHERE e.event = 12 AND NOT e.taken AND e.contradiction IS NULL
                 AND e.data::json->>'attempt' <> '1'"#,
            column(releases, |(merchant, _)| merchant.as_str().to_owned()) as _,
            column(releases, |(_, release)| release.to_string()) as _,
        )
        .fetch_all(&mut *self.inner)
        .await
        .map_err(failed("read published attempts"))?;
        rows.into_iter()
            .map(|row| {
                let merchant = super::types::merchant_id(&row.merchant_id)?;
                let release = published_release(&row.data, &row.currency)?;
                Ok(((merchant, release.release_id, release.attempt), release))
            })
            .collect()
    }
}

/// A release as its event says it.
pub(super) fn published_release(data: &str, code: &str) -> Result<ReleaseIssued, StoreError> {
    let wrong =
        |what: &str| StoreError::Unreadable(format!("{what} in the published release {data}"));
    let currency = currency(code)?;
    let json: Value = serde_json::from_str(data).map_err(|_| wrong("no JSON"))?;
    let text = |name: &str| json.get(name).and_then(Value::as_str);
    let amount = |name: &'static str| {
        let amount = text(name).and_then(|text| Amount::parse(text, currency).ok());
        amount.ok_or_else(|| wrong(name))
    };
    let number = |name: &str| {
        json.get(name)
            .and_then(Value::as_u64)
            .and_then(|it| u32::try_from(it).ok())
    };
    let id = |name: &str| text(name).and_then(|text| text.parse::<Uuid>().ok());
    Ok(ReleaseIssued {
        release_id: ReleaseId(id("release_id").ok_or_else(|| wrong("release_id"))?),
        attempt: number("attempt").ok_or_else(|| wrong("attempt"))?,
        gross: amount("gross")?,
        recovered: amount("recovered")?,
        to_deposit: amount("to_deposit")?,
        amount: amount("amount")?,
        settlement_id: id("settlement_id").map(SettlementId),
        settlement_part: number("settlement_part"),
        settlement_date: text("settlement_date").and_then(|text| text.parse().ok()),
        reason: match text("reason") {
            Some("due") => ReleaseReason::Due,
            Some("early") => ReleaseReason::Early,
            Some("limit") => ReleaseReason::Limit,
            Some("adjustment") => ReleaseReason::Adjustment,
            _ => return Err(wrong("reason")),
        },
        issued_at: text("issued_at")
            .and_then(|text| text.parse().ok())
            .map(Instant::new)
            .ok_or_else(|| wrong("issued_at"))?,
    })
}
