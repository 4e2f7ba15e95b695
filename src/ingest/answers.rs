//! Payout results of a batch, applied to the releases that they answer.

use super::work::Work;
use crate::message::{Reason, Rejection};
use crate::planted::{Bug, is_planted};
use crate::rules::fact::PayoutResult;
use crate::rules::payout::{self, PayoutState};
use crate::store::payouts::result_key;
use crate::store::{StoreError, Tx};
use crate::telemetry::Outcome as Counted;

impl Work<'_> {
    pub(super) async fn settle_payouts(
        &mut self,
        tx: &mut Tx,
        results: &[(usize, PayoutResult)],
    ) -> Result<(), StoreError> {
        if results.is_empty() {
            return Ok(());
        }
        let all: Vec<PayoutResult> = results.iter().map(|(_, result)| result.clone()).collect();
        let mut known = tx.known_results(&all).await?;
        let mut payouts = tx.lock_payouts(&all).await?;
        let lost = tx.lost_attempts(&payouts.keys()).await?;
        let mut fresh = Vec::new();
        for (place, result) in results {
            let kind = if result.paid {
                "payout.paid"
            } else {
                "payout.failed"
            };
            let key = result_key(result);
            if let Some(first) = known.get(&key) {
                if *first == result.content {
                    self.applied.note(kind, Counted::Duplicate);
                    continue;
                }
                self.reject(*place, &conflict());
                continue;
            }
            let releases = payouts.behind(&key.0, key.1);
            if releases.is_empty() {
                tracing::warn!(alarm = "payout_of_unknown_release", merchant = %key.0, subject = %key.1, "a payout result names no release of ours");
                self.applied.note(kind, Counted::Kept);
            } else {
                self.applied.note(kind, Counted::Applied);
            }
            for release in &releases {
                if let Some(payout) = payouts.get_mut(&key.0, *release) {
                    if is_planted(Bug::IgnoreReturns) && payout.state == PayoutState::Paid {
                        continue;
                    }
                    if payout::is_overtaken(payout, result) {
                        tracing::warn!(alarm = "paid_after_reissue", merchant = %key.0, release = %release, attempt = result.attempt, current = payout.attempt, "an attempt is paid after another was begun: the merchant may be paid twice");
                    }
                    let entries = payout::apply(payout, result);
                    self.lines
                        .add(&result.merchant, entries, self.source(*place));
                    // Somebody issued it again before the database lost that.
                    let next = (key.0.clone(), *release, payout.attempt + 1);
                    if let Some(first) = lost.get(&next)
                        && let Ok(entry) = payout::reissue(payout, first, next.2, tx.now)
                    {
                        self.lines.add(&result.merchant, [entry], None);
                    }
                }
            }
            known.insert(key, result.content);
            fresh.push((result.clone(), !releases.is_empty()));
        }
        tx.save_payouts(&payouts, &fresh).await
    }
}

/// Another result under a known key.
pub(crate) fn conflict() -> Rejection {
    Rejection {
        reason: Reason::Conflict,
        detail: "this payout result is known with other content".to_owned(),
        moves_money: false,
        about: None,
    }
}
