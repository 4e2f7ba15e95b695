//! Days that are over: waiting until each is summed up, and summing them up as another process.

use holdback::control::Control;

use super::{Holdback, eventually};

impl Holdback {
    /// The step that sums up days, as another process would take it.
    pub fn control(&self) -> Control {
        Control::new(self.store.clone())
    }

    /// Waits until every day that is over by the hand is summed up.
    pub async fn summed_up(&self) {
        let today =
            jiff::Timestamp::from(self.now().timestamp() - jiff::SignedDuration::from_mins(1));
        eventually("the days are summed up", async || {
            let left: bool = sqlx::query_scalar(
                "SELECT EXISTS (SELECT FROM journal WHERE amount IS NOT NULL
                                AND (occurred_at AT TIME ZONE 'UTC')::date < d.today)
                     AND NOT EXISTS (SELECT FROM controls WHERE day_on = d.today - 1)
                 FROM (SELECT ($1::timestamptz AT TIME ZONE 'UTC')::date AS today) d",
            )
            .bind(jiff_sqlx::Timestamp::from(today))
            .fetch_one(self.pool())
            .await
            .map_err(|error| error.to_string())?;
            (!left).then_some(()).ok_or_else(|| "not yet".to_owned())
        })
        .await;
        self.published().await;
    }
}
