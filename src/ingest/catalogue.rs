//! Agreements and calendars of a batch, put into the books.

use super::batch::Batch;
use super::work::Work;
use crate::message::{Reason, Rejection};
use crate::rules::agreement::Agreement;
use crate::rules::calendar::Calendar;
use crate::rules::entry::{AgreementAccepted, Entry, Event};
use crate::rules::fact::ContentHash;
use crate::store::agreements::{Accepted, Catalogue};
use crate::store::{StoreError, Tx};
use crate::telemetry::Outcome;

impl Work<'_> {
    pub(super) async fn accept_catalogue(
        &mut self,
        tx: &mut Tx,
        catalogue: &mut Catalogue,
        batch: &Batch,
    ) -> Result<(), StoreError> {
        let agreements: Vec<(&Agreement, ContentHash)> = batch
            .agreements
            .iter()
            .map(|(_, agreement, hash)| (agreement, *hash))
            .collect();
        if !agreements.is_empty() {
            let answers = tx.accept_agreements(catalogue, &agreements).await?;
            for ((place, agreement, _), answer) in batch.agreements.iter().zip(answers) {
                let what = format!(
                    "agreement {} version {}",
                    agreement.agreement_id, agreement.version
                );
                if let Some(late_for) = self.answered(*place, answer, "agreement.published", &what)
                {
                    self.lines.add(
                        &agreement.merchant_id,
                        [accepted(agreement, late_for)],
                        self.source(*place),
                    );
                }
            }
        }
        let calendars: Vec<(&Calendar, ContentHash)> = batch
            .calendars
            .iter()
            .map(|(_, calendar, hash)| (calendar, *hash))
            .collect();
        if !calendars.is_empty() {
            let answers = tx.accept_calendars(catalogue, &calendars).await?;
            for ((place, calendar, _), answer) in batch.calendars.iter().zip(answers) {
                let what = format!(
                    "calendar {} version {}",
                    calendar.calendar, calendar.version
                );
                self.answered(*place, answer, "calendar.published", &what);
            }
        }
        Ok(())
    }

    /// Counts an answer; `Some` when it is new.
    fn answered(
        &mut self,
        place: usize,
        answer: Accepted,
        kind: &'static str,
        what: &str,
    ) -> Option<u64> {
        match answer {
            Accepted::New { late_for } => {
                self.applied.note(kind, Outcome::Applied);
                return Some(late_for);
            }
            Accepted::Duplicate => self.applied.note(kind, Outcome::Duplicate),
            Accepted::Conflict | Accepted::Foreign => {}
        }
        if let Some(rejection) = refused(answer, what) {
            self.reject(place, &rejection);
        }
        None
    }
}

/// Why an agreement or calendar was not taken; `None` when it is new or a duplicate.
pub(crate) fn refused(answer: Accepted, what: &str) -> Option<Rejection> {
    let (reason, detail) = match answer {
        Accepted::New { .. } | Accepted::Duplicate => return None,
        Accepted::Conflict => (
            Reason::Conflict,
            format!("{what} is known with other content"),
        ),
        Accepted::Foreign => (
            Reason::Mismatch,
            format!("{what} belongs to another merchant"),
        ),
    };
    Some(Rejection {
        reason,
        detail,
        moves_money: false,
        about: None,
    })
}

/// Says that an agreement is in the books.
pub(crate) fn accepted(agreement: &Agreement, late_for: u64) -> Entry {
    if late_for > 0 {
        tracing::warn!(
            alarm = "agreement_late",
            agreement = %agreement.agreement_id,
            version = agreement.version,
            late_for,
            "an agreement came after orders that it would have covered"
        );
    }
    Entry {
        event: Event::AgreementAccepted(AgreementAccepted {
            agreement_id: agreement.agreement_id.clone(),
            agreement_version: agreement.version,
            effective_from: agreement.effective_from,
            late_for,
        }),
        order: None,
        hold: None,
        currency: None,
        transfer: None,
        cause: format!("version:{}", agreement.version),
        traceparent: None,
    }
}
