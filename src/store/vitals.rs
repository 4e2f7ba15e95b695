//! Counts that tell how a deployment is doing. Each looks at a small table or a partial index.

use std::time::Duration;

use super::{Store, StoreError, failed};
use crate::rules::time::Instant;

/// How a deployment is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Vitals {
    /// Messages that wait for what they belong to.
    pub parked: u64,
    /// Of those, the ones that wait for longer than they should.
    pub parked_too_long: u64,
    /// Sales that wait for an agreement.
    pub without_agreement: u64,
    /// Holds that wait for their calendar.
    pub without_dates: u64,
    /// Closed disputes whose expected refund has not come in time.
    pub refund_expected_overdue: u64,
    /// Open reviews that nobody has answered, or decided, in time.
    pub reviews_late: u64,
    pub halted: u64,
    /// The output topics contradict the database.
    pub fault: bool,
    /// The broker's clock and the publisher's disagree.
    pub clocks_disagree: bool,
    /// Published events that are still to be decided again.
    pub still_published: u64,
    /// Of those, the ones that were decided with other money.
    pub published_otherwise: u64,
    /// By how much the oldest hint is past its time.
    pub overdue: Duration,
    /// Age of the oldest event that was not read back.
    pub unpublished: Duration,
}

impl Store {
    /// Looks at everything once.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn vitals(
        &self,
        now: Instant,
        parked_hours: u32,
        refund_hours: u32,
    ) -> Result<Vitals, StoreError> {
        let row = sqlx::query!(
            r#"SELECT
                 (SELECT count(*) FROM parked)
                   + (SELECT count(*) FROM strays) AS "parked!",
                 (SELECT count(*) FROM parked
                  WHERE parked_at < $1::timestamptz - make_interval(hours => $2))
                   + (SELECT count(*) FROM strays
                      WHERE parked_at < $1::timestamptz - make_interval(hours => $2)) AS "parked_too_long!",
                 (SELECT count(*) FROM orders
                  WHERE agreement_no IS NULL AND amount IS NOT NULL) AS "without_agreement!",
                 (SELECT count(*) FROM holds WHERE live_calendar IS NOT NULL
                    AND release_at IS NULL AND anchor_at IS NOT NULL) AS "without_dates!",
                 (SELECT count(*) FROM disputes d WHERE refund_expected IS NOT NULL
                    AND closed_at < $1::timestamptz - make_interval(hours => $3)
                    AND refund_expected > (SELECT coalesce(sum(r.amount), 0) FROM refunds r
                        WHERE r.merchant_id = d.merchant_id AND r.order_id = d.order_id
                          AND r.dispute_id = d.dispute_id AND r.reversed_at IS NULL)) AS "refund_expected_overdue!",
                 (SELECT count(*) FROM reviews
                  WHERE closed_at IS NULL AND (overdue OR alerts > 0)) AS "reviews_late!",
                 (SELECT count(*) FROM positions WHERE halted IS NOT NULL) AS "halted!",
                 (SELECT fault IS NOT NULL FROM publisher) AS "fault!",
                 (SELECT clocks IS NOT NULL FROM publisher) AS "clocks!",
                 (SELECT count(*) FROM published_elsewhere WHERE NOT taken) AS "still_published!",
                 (SELECT count(*) FROM published_elsewhere
                  WHERE NOT taken AND contradiction IS NOT NULL) AS "published_otherwise!",
                 (SELECT min(due_at) FROM due) AS "due_at: Instant",
                 (SELECT min(j.occurred_at) FROM merchants m
                  CROSS JOIN LATERAL (SELECT occurred_at FROM journal
                      WHERE merchant_id = m.merchant_id AND sequence = m.published_sequence + 1
                      OFFSET 0) j
                  WHERE m.published_sequence < m.last_sequence) AS "unpublished_at: Instant""#,
            now as _,
            i32::try_from(parked_hours).unwrap_or(i32::MAX),
            i32::try_from(refund_hours).unwrap_or(i32::MAX),
        )
        .fetch_one(&self.pool)
        .await
        .map_err(failed("look at its vitals"))?;
        let count = |count: i64| u64::try_from(count).unwrap_or_default();
        let since = |at: Option<Instant>| {
            at.and_then(|at| {
                let age = now.timestamp().duration_since(at.timestamp());
                Duration::try_from(age).ok()
            })
            .unwrap_or_default()
        };
        Ok(Vitals {
            parked: count(row.parked),
            parked_too_long: count(row.parked_too_long),
            without_agreement: count(row.without_agreement),
            without_dates: count(row.without_dates),
            refund_expected_overdue: count(row.refund_expected_overdue),
            reviews_late: count(row.reviews_late),
            halted: count(row.halted),
            fault: row.fault,
            clocks_disagree: row.clocks,
            still_published: count(row.still_published),
            published_otherwise: count(row.published_otherwise),
            overdue: since(row.due_at),
            unpublished: since(row.unpublished_at),
        })
    }
}
