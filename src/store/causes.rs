//! Which message caused what is known of an order, out of the journal; and what is due beside it.

use std::collections::BTreeMap;

use jiff::civil::Date;

use super::types::amount;
use super::{Store, StoreError, failed};
use crate::message::outgoing::EventType;
use crate::rules::calendar::Calendars;
use crate::rules::ids::{MerchantId, OrderId};
use crate::rules::money::{Amount, Currency};

impl Store {
    /// The messages behind an order's sale, clock, blocks and charges, as *explain* names them
    /// (`rules::explain::Circumstances`). The first that said so; for a clearing the last. Reads the
    /// merchant's whole journal: for people, not for loops.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn causes(
        &self,
        merchant: &MerchantId,
        order: &OrderId,
    ) -> Result<BTreeMap<String, String>, StoreError> {
        let rows = sqlx::query!(
            r#"SELECT event, source_topic, source_partition, source_offset,
                      data::jsonb ->> 'reference' AS reference,
                      data::jsonb ->> 'refund_id' AS refund_id,
                      data::jsonb ->> 'dispute_id' AS dispute_id,
                      data::jsonb ->> 'reason' AS reason
               FROM journal
               WHERE merchant_id = $1 AND order_id = $2 AND source_topic IS NOT NULL
               ORDER BY sequence"#,
            merchant.as_str(),
            order.as_str(),
        )
        .fetch_all(&self.pool)
        .await
        .map_err(failed("read an order's causes"))?;
        let mut causes = BTreeMap::new();
        for row in rows {
            let source =
                super::orders::source(row.source_topic, row.source_partition, row.source_offset);
            let (Some(event), Some(source)) = (EventType::from_number(row.event), source) else {
                continue;
            };
            let place = format!(
                "{}/{}/{}",
                source.topic.name(),
                source.partition,
                source.offset
            );
            let about = row.reference.unwrap_or_default();
            let key = match event {
                EventType::OrderAccepted | EventType::HoldCreated => "sale".to_owned(),
                EventType::HoldRescheduled if row.reason.as_deref() == Some("anchor_known") => {
                    "clock".to_owned()
                }
                EventType::HoldBlocked => format!("block {about}"),
                EventType::HoldUnblocked => {
                    causes.insert(format!("cleared {about}"), place);
                    continue;
                }
                EventType::RefundApplied => match (row.refund_id, row.dispute_id) {
                    (Some(refund), _) => format!("refund {refund}"),
                    (None, Some(dispute)) => format!("dispute {dispute}"),
                    (None, None) => continue,
                },
                _ => continue,
            };
            causes.entry(key).or_insert(place);
        }
        Ok(causes)
    }

    /// The calendars that rule now.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn calendars(&self) -> Result<Calendars, StoreError> {
        let mut tx = self.begin().await?;
        let calendars = tx.latest_calendars().await?;
        tx.rollback().await?;
        Ok(calendars)
    }

    /// The free money of all holds of a merchant and currency by settlement date, settlements aside
    /// of which something has been released: those have no minimum any more. Reads all holds of the
    /// merchant: for people, not for loops.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn due_by_date(
        &self,
        merchant: &MerchantId,
        currency: Currency,
    ) -> Result<BTreeMap<Date, Amount>, StoreError> {
        let rows = sqlx::query!(
            r#"SELECT h.settlement_on AS "settlement_on!: jiff_sqlx::Date",
                      sum(h.left_now - h.blocked) AS "free!"
               FROM holds h
               LEFT JOIN settlements s ON s.merchant_id = h.merchant_id
                AND s.currency = h.currency AND s.settlement_on = h.settlement_on
               WHERE h.merchant_id = $1 AND h.currency = $2 AND h.settlement_on IS NOT NULL
                 AND NOT h.barred AND h.left_now > h.blocked
                 AND (s.part IS NULL OR s.skipped)
               GROUP BY h.settlement_on"#,
            merchant.as_str(),
            currency.code(),
        )
        .fetch_all(&self.pool)
        .await
        .map_err(failed("sum what is due"))?;
        let days = rows.into_iter();
        days.map(|row| Ok((row.settlement_on.to_jiff(), amount(row.free, currency)?)))
            .collect()
    }
}
