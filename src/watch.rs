//! The watch over a running service: says how ready it is, keeps the gauges, and raises the alarms
//! that no single message raises. Looks only; it changes nothing.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use crate::cli::Role;
use crate::clock;
use crate::config::Config;
use crate::http::Heartbeat;
use crate::release::passage;
use crate::service::Controls;
use crate::store::vitals::Vitals;
use crate::store::{Store, StoreError};
use crate::telemetry;

/// How often the service is looked at.
const EVERY: Duration = Duration::from_secs(1);

/// What the watch looks at.
#[derive(Debug)]
pub struct Watch {
    store: Store,
    config: Arc<Config>,
    gate: bool,
}

impl Watch {
    /// A watch over the loops of these roles.
    #[must_use]
    pub fn new(store: Store, config: Arc<Config>, roles: &BTreeSet<Role>) -> Self {
        Self {
            store,
            config,
            gate: roles.contains(&Role::Release),
        }
    }

    async fn look(&self, controls: &Controls) -> Result<(), StoreError> {
        let now = self.store.now().await?;
        controls.readiness.set("database", Ok(()));
        if self.gate {
            let topics = self.config.topics.inputs().map(str::to_owned);
            let gate = self.store.gate(&topics).await?;
            let passage = passage(now, gate, &self.config.release);
            let state = match passage.until {
                Some(_) => Ok(()),
                None => Err(format!(
                    "closed: {} holds it back",
                    passage
                        .gate
                        .behind
                        .as_deref()
                        .unwrap_or("no input partition is known and")
                )),
            };
            controls.readiness.set("gate", state);
        }
        let apart = self.store.clocks_apart().await?;
        let clocks = clock::disagreement("this process and the database", apart);
        let agree = clocks.is_none();
        if let Some(says) = &clocks {
            telemetry::clocks_disagree(says);
        }
        let state = clocks.map_or(Ok(()), Err);
        controls.readiness.set("clocks", state);
        let vitals = self
            .store
            .vitals(
                now,
                self.config.parked.alarm_hours,
                self.config.refund.wait_hours,
            )
            .await?;
        show(&vitals);
        telemetry::alarm("clocks_disagree", vitals.clocks_disagree || !agree);
        Ok(())
    }
}

fn show(vitals: &Vitals) {
    telemetry::parked(vitals.parked);
    telemetry::release_overdue(vitals.overdue);
    telemetry::unpublished(vitals.unpublished);
    telemetry::alarm("parked_too_long", vitals.parked_too_long > 0);
    telemetry::alarm(
        "refund_expected_overdue",
        vitals.refund_expected_overdue > 0,
    );
    telemetry::alarm("review_overdue", vitals.reviews_late > 0);
    telemetry::alarm("partition_halted", vitals.halted > 0);
    telemetry::alarm("publisher_fault", vitals.fault);
    telemetry::alarm("published_otherwise", vitals.published_otherwise > 0);
    telemetry::alarm("reconciling", vitals.still_published > 0);
    telemetry::alarm("sales_without_agreement", vitals.without_agreement > 0);
    telemetry::alarm("calendar_missing", vitals.without_dates > 0);
}

/// Looks until stopped.
pub async fn run(watch: Watch, controls: Controls, heartbeat: Heartbeat) {
    while !controls.stop.is_cancelled() {
        heartbeat.beat();
        if let Err(error) = watch.look(&controls).await {
            controls.readiness.set("database", Err(error.to_string()));
        }
        controls.metrics.run_upkeep();
        tokio::select! {
            () = controls.stop.cancelled() => {}
            () = tokio::time::sleep(EVERY) => {}
        }
    }
}
