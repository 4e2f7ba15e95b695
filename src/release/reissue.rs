//! Releases whose payout has failed, issued again by themselves after `payout.reissue_after_hours`.

use jiff::SignedDuration;

use super::Release;
use crate::rules::payout::reissue;
use crate::rules::time::Instant;
use crate::store::journal::Lines;
use crate::store::{StoreError, Tx};

impl Release {
    /// Issues a batch again of what had failed that long ago by the gate's moment: an answer that says
    /// otherwise would be known by then. Answers how many.
    pub(super) async fn reissue_failed(
        &self,
        tx: &mut Tx,
        horizon: Instant,
        limit: i64,
    ) -> Result<usize, StoreError> {
        let settings = &self.config.payout;
        if settings.reissue_after_hours == 0 {
            return Ok(0);
        }
        let wait = SignedDuration::from_hours(i64::from(settings.reissue_after_hours));
        let Ok(failed_by) = horizon.timestamp().checked_sub(wait) else {
            return Ok(0);
        };
        let failed_by = Instant::new(failed_by);
        let mut failed = tx
            .claim_failed(failed_by, settings.max_attempts, limit)
            .await?;
        if failed.is_empty() {
            return Ok(0);
        }
        let mut lines = Lines::default();
        for it in &mut failed {
            let entry = reissue(&mut it.payout, &it.first, settings.max_attempts, tx.now)
                .map_err(|error| StoreError::Unreadable(error.to_string()))?;
            lines.add(&it.payout.merchant, [entry], None);
        }
        let payouts: Vec<_> = failed.iter().map(|it| &it.payout).collect();
        tx.change_payouts(&payouts).await?;
        tx.write(&lines).await?;
        Ok(failed.len())
    }
}
