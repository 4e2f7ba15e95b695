//! The journal read back as books: line by line of one merchant, and sums per account.
//!
//! A merchant's lines are numbered without gaps under the merchant's row lock, so what a page shows
//! is a whole beginning of that merchant's journal, whatever is written meanwhile: no snapshot has
//! to be held while a long journal is read.

use std::sync::Arc;

use uuid::Uuid;

use super::agreements::Catalogue;
use super::cases::Source;
use super::types::{amount, currency, merchant_id, order_id};
use super::{Store, StoreError, failed};
use crate::message::outgoing::EventType;
use crate::rules::agreement::Agreement;
use crate::rules::balance::{Balance, Balances};
use crate::rules::entry::{Account, Transfer};
use crate::rules::ids::{MerchantId, OrderId};
use crate::rules::money::Currency;
use crate::rules::time::Instant;

/// Lines of a page: enough that the round trip does not count.
const PAGE: i64 = 2_000;

/// One line of the journal.
#[derive(Debug, Clone)]
pub struct BookLine {
    pub sequence: i64,
    pub occurred_at: Instant,
    pub event: EventType,
    pub event_id: Uuid,
    pub currency: Option<Currency>,
    pub transfer: Option<Transfer>,
    pub order: Option<OrderId>,
    pub hold: Option<Uuid>,
    /// What the event is about, where it is not the hold.
    pub subject: Option<String>,
    pub source: Option<Source>,
}

impl Store {
    /// The merchant's own agreements and those for all, as they are now; locks nothing, so whoever may
    /// only read can ask.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn agreements_for(
        &self,
        merchant: &MerchantId,
    ) -> Result<Arc<[Arc<Agreement>]>, StoreError> {
        let mut catalogue = Catalogue::default();
        let mut tx = self.begin().await?;
        tx.widen_catalogue(&mut catalogue, std::slice::from_ref(merchant))
            .await?;
        tx.rollback().await?;
        Ok(catalogue.of(merchant))
    }

    /// The merchants after this one, in the database's order, at most 1,000.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn merchants_after(
        &self,
        after: Option<&MerchantId>,
    ) -> Result<Vec<MerchantId>, StoreError> {
        let rows = sqlx::query_scalar!(
            "SELECT merchant_id FROM merchants WHERE merchant_id > $1 ORDER BY merchant_id LIMIT 1000",
            after.map_or("", MerchantId::as_str),
        )
        .fetch_all(&self.pool)
        .await
        .map_err(failed("list merchants"))?;
        rows.iter().map(|id| merchant_id(id)).collect()
    }

    /// The next lines of a merchant's journal after a sequence; none at its end.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn book_page(
        &self,
        merchant: &MerchantId,
        after: i64,
    ) -> Result<Vec<BookLine>, StoreError> {
        let rows = sqlx::query!(
            r#"SELECT sequence, occurred_at AS "occurred_at: Instant", event, event_id, currency,
                      debit, credit, amount, order_id, hold_id, subject,
                      source_topic, source_partition, source_offset
               FROM journal WHERE merchant_id = $1 AND sequence > $2
               ORDER BY sequence LIMIT $3"#,
            merchant.as_str(),
            after,
            PAGE,
        )
        .fetch_all(&self.pool)
        .await
        .map_err(failed("read the journal"))?;
        rows.into_iter()
            .map(|row| {
                let event = EventType::from_number(row.event)
                    .ok_or_else(|| StoreError::Unreadable(format!("event number {}", row.event)))?;
                let currency = row.currency.as_deref().map(currency).transpose()?;
                let transfer = match (row.debit, row.credit, row.amount, currency) {
                    (Some(debit), Some(credit), Some(value), Some(currency)) => Some(Transfer {
                        debit: account(debit)?,
                        credit: account(credit)?,
                        amount: amount(value, currency)?,
                    }),
                    _ => None,
                };
                Ok(BookLine {
                    sequence: row.sequence,
                    occurred_at: row.occurred_at,
                    event,
                    event_id: row.event_id,
                    currency,
                    transfer,
                    order: row.order_id.as_deref().map(order_id).transpose()?,
                    hold: row.hold_id,
                    subject: row.subject,
                    source: super::orders::source(
                        row.source_topic,
                        row.source_partition,
                        row.source_offset,
                    ),
                })
            })
            .collect()
    }

    /// What stood on a merchant's accounts just before an instant, by currency.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn balances(
        &self,
        merchant: &MerchantId,
        before: Instant,
    ) -> Result<Vec<(Currency, Balances)>, StoreError> {
        let rows = sqlx::query!(
            r#"SELECT currency AS "currency!", account AS "account!", sum(credited) AS "credited!",
                      sum(debited) AS "debited!"
               FROM (SELECT currency, credit AS account, amount AS credited, 0 AS debited
                     FROM journal
                     WHERE merchant_id = $1 AND occurred_at < $2 AND amount IS NOT NULL
                     UNION ALL
                     SELECT currency, debit, 0, amount FROM journal
                     WHERE merchant_id = $1 AND occurred_at < $2 AND amount IS NOT NULL) moves
               GROUP BY 1, 2 ORDER BY 1, 2"#,
            merchant.as_str(),
            before as _,
        )
        .fetch_all(&self.pool)
        .await
        .map_err(failed("sum up the journal"))?;
        let mut all: Vec<(Currency, Balances)> = Vec::new();
        for row in rows {
            let currency = currency(&row.currency)?;
            if all.last().is_none_or(|(last, _)| *last != currency) {
                all.push((currency, Balances::zero(currency)));
            }
            let Some((_, balances)) = all.last_mut() else {
                continue;
            };
            let read = |value| amount(value, currency).map(Balance::of);
            let debited = read(row.debited)?.negated();
            let credited = read(row.credited)?;
            let account = account(row.account)?;
            debited
                .and_then(|debited| credited.plus(debited))
                .and_then(|balance| balances.credit(account, balance))
                .map_err(|error| super::types::unreadable(&error))?;
        }
        Ok(all)
    }
}

fn account(number: i16) -> Result<Account, StoreError> {
    Account::from_number(number)
        .ok_or_else(|| StoreError::Unreadable(format!("account number {number}")))
}
