//! A hold as its columns.

use super::StoreError;
use super::types::{amount, currency, unreadable};
use crate::rules::hold::{Dates, Hold, Tail};
use crate::rules::ids::{HoldId, TermName};
use crate::rules::money::Currency;
use crate::rules::time::Instant;

/// A hold's columns.
pub(super) struct HoldRow {
    pub(super) merchant_id: String,
    pub(super) order_id: String,
    pub(super) term_no: i16,
    pub(super) hold_id: uuid::Uuid,
    pub(super) term: String,
    pub(super) currency: String,
    pub(super) agreement_no: i64,
    pub(super) original: rust_decimal::Decimal,
    pub(super) left_now: rust_decimal::Decimal,
    pub(super) consumed: rust_decimal::Decimal,
    pub(super) released: rust_decimal::Decimal,
    pub(super) reversed: rust_decimal::Decimal,
    pub(super) blocked: rust_decimal::Decimal,
    pub(super) barred: bool,
    pub(super) anchor_at: Option<Instant>,
    pub(super) cleared_at: Option<Instant>,
    pub(super) window_ends_at: Option<Instant>,
    pub(super) eligible_at: Option<Instant>,
    pub(super) release_at: Option<Instant>,
    pub(super) settlement_on: Option<jiff_sqlx::Date>,
    pub(super) tails: Option<serde_json::Value>,
    pub(super) limit_at: Option<Instant>,
    pub(super) limit_alerted_at: Option<Instant>,
    pub(super) calendar_version: Option<i64>,
    pub(super) releases: i32,
    pub(super) traceparent: Option<String>,
}

/// A checked query for holds `h` as [`HoldRow`]s: what comes after the columns, from `FROM` on, and
/// its arguments.
macro_rules! hold_rows {
    ($rest:literal, $($arguments:tt)*) => {
        sqlx::query_as!(
            $crate::store::hold_rows::HoldRow,
            r#"SELECT h.merchant_id, h.order_id, h.term_no, h.hold_id, h.term, h.currency,
                      h.agreement_no, h.original, h.left_now, h.consumed, h.released, h.reversed,
                      h.blocked, h.barred, h.anchor_at AS "anchor_at: Instant",
                      h.cleared_at AS "cleared_at: Instant",
                      h.window_ends_at AS "window_ends_at: Instant",
                      h.eligible_at AS "eligible_at: Instant",
                      h.release_at AS "release_at: Instant",
                      h.settlement_on AS "settlement_on: jiff_sqlx::Date", h.tails,
                      h.limit_at AS "limit_at: Instant",
                      h.limit_alerted_at AS "limit_alerted_at: Instant",
                      h.calendar_version, h.releases, h.traceparent
               "# + $rest,
            $($arguments)*
        )
    };
}
pub(super) use hold_rows;

impl HoldRow {
    pub(super) fn hold(&self) -> Result<Hold, StoreError> {
        let currency = currency(&self.currency)?;
        let number = |error: std::num::TryFromIntError| unreadable(&error);
        let dates = match (
            self.window_ends_at,
            self.eligible_at,
            self.release_at,
            self.settlement_on,
        ) {
            (Some(window_ends_at), Some(eligible_at), Some(release_at), Some(day)) => Some(Dates {
                window_ends_at,
                eligible_at,
                release_at,
                settlement_on: day.to_jiff(),
            }),
            _ => None,
        };
        Ok(Hold {
            id: HoldId(self.hold_id),
            term_no: u16::try_from(self.term_no).map_err(number)?,
            term: TermName::parse(&self.term).map_err(|error| unreadable(&error))?,
            original: amount(self.original, currency)?,
            left: amount(self.left_now, currency)?,
            consumed: amount(self.consumed, currency)?,
            released: amount(self.released, currency)?,
            reversed: amount(self.reversed, currency)?,
            blocked: amount(self.blocked, currency)?,
            barred: self.barred,
            anchor_at: self.anchor_at,
            cleared_at: self.cleared_at,
            dates,
            tails: tails(self.tails.as_ref(), currency)?,
            limit_at: self.limit_at,
            limit_alerted_at: self.limit_alerted_at,
            calendar_version: self
                .calendar_version
                .map(u64::try_from)
                .transpose()
                .map_err(number)?,
            releases: u32::try_from(self.releases).map_err(number)?,
        })
    }
}

/// A tail as it is stored.
#[derive(serde::Serialize, serde::Deserialize)]
pub(super) struct TailRow {
    pub(super) amount: rust_decimal::Decimal,
    pub(super) cleared_at: Option<Instant>,
    pub(super) dates: Option<Dates>,
}

fn tails(value: Option<&serde_json::Value>, currency: Currency) -> Result<Vec<Tail>, StoreError> {
    let Some(value) = value else {
        return Ok(Vec::new());
    };
    let rows: Vec<TailRow> = serde::Deserialize::deserialize(value)
        .map_err(|error: serde_json::Error| unreadable(&error))?;
    rows.into_iter()
        .map(|row| {
            Ok(Tail {
                amount: amount(row.amount, currency)?,
                cleared_at: row.cleared_at,
                dates: row.dates,
            })
        })
        .collect()
}
