//! What the payout system says of a release or of a settlement.

use uuid::Uuid;

use super::content;
use super::fields::Fields;
use super::order::{instant, merchant, reason};
use super::rejection::{Fault, Reason};
use crate::rules::fact::{ContentHash, PayoutResult, PayoutSubject};
use crate::rules::ids::{ReleaseId, SettlementId};

/// The largest attempt number.
const ATTEMPT_MAX: u32 = 1_000_000;

/// Reads `payout.paid` or `payout.failed`.
pub(super) fn result(
    fields: &Fields<'_>,
    paid: bool,
    traceparent: Option<String>,
) -> Result<PayoutResult, Fault> {
    let subject = match (
        our_id(fields, "release_id")?,
        our_id(fields, "settlement_id")?,
    ) {
        (Some(release), None) => PayoutSubject::Release(ReleaseId(release)),
        (None, Some(settlement)) => PayoutSubject::Settlement(SettlementId(settlement)),
        (None, None) => {
            return Err(fields.fault(Reason::Schema, "release_id", "or settlement_id is required"));
        }
        (Some(_), Some(_)) => {
            let what = "stands beside settlement_id; a result is of one of them";
            return Err(fields.fault(Reason::Schema, "release_id", what));
        }
    };
    let mut result = PayoutResult {
        merchant: merchant(fields)?,
        subject,
        attempt: fields.whole("attempt", 1..=ATTEMPT_MAX)?.unwrap_or(1),
        paid,
        at: instant(fields, "at")?,
        reason: reason(fields)?,
        content: ContentHash([0; 16]),
        traceparent,
    };
    result.content = content::of_payout(&result);
    Ok(result)
}

/// An id that holdback gave: a UUID with hyphens.
fn our_id(fields: &Fields<'_>, name: &str) -> Result<Option<Uuid>, Fault> {
    let Some(text) = fields.text(name)? else {
        return Ok(None);
    };
    let id = Uuid::try_parse(&text).ok().filter(|_| text.len() == 36);
    id.map(Some)
        .ok_or_else(|| fields.fault(Reason::Schema, name, "must be a UUID with hyphens"))
}
