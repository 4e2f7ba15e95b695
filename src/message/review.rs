//! Reviews: `review.requested`, and the answers and decisions that name their review only.

use super::content;
use super::fields::{Fields, string};
use super::order::{instant, merchant, reason};
use super::rejection::{Fault, Reason};
use crate::rules::fact::{
    ContentHash, IndirectFact, Named, OrderEvent, ReviewAnswered, ReviewDecided, ReviewRequest,
};
use crate::rules::ids::ReviewId;

/// The longest URL of a piece of evidence, in characters, and how many there may be.
const URL_MAX: usize = 2_048;
const EVIDENCE_MAX: usize = 100;

/// Reads `review.requested`.
pub(super) fn request(fields: &Fields<'_>) -> Result<ReviewRequest, Fault> {
    Ok(ReviewRequest {
        review: fields.id("review_id", ReviewId::parse)?,
        reason: required_text(fields, "reason")?,
        respond_by: fields.instant("respond_by")?,
        at: instant(fields, "at")?,
    })
}

/// Reads `review.answered`.
pub(super) fn answered(
    fields: &Fields<'_>,
    traceparent: Option<String>,
) -> Result<IndirectFact, Fault> {
    let review = fields.id("review_id", ReviewId::parse)?;
    let what = OrderEvent::ReviewAnswered(ReviewAnswered {
        review: review.clone(),
        answer: required_text(fields, "answer")?,
        evidence: evidence(fields)?,
        at: instant(fields, "answered_at")?,
    });
    indirect(fields, Named::Review(review), what, traceparent)
}

/// Reads `review.decided`.
pub(super) fn decided(
    fields: &Fields<'_>,
    traceparent: Option<String>,
) -> Result<IndirectFact, Fault> {
    let review = fields.id("review_id", ReviewId::parse)?;
    let what = OrderEvent::ReviewDecided(ReviewDecided {
        review: review.clone(),
        decision: fields.required("decision", fields.word("decision")?)?,
        decided_by: required_text(fields, "decided_by")?,
        reason: reason(fields)?,
        at: instant(fields, "decided_at")?,
    });
    indirect(fields, Named::Review(review), what, traceparent)
}

/// A fact that names something of an order's.
pub(super) fn indirect(
    fields: &Fields<'_>,
    names: Named,
    what: OrderEvent,
    traceparent: Option<String>,
) -> Result<IndirectFact, Fault> {
    let mut fact = IndirectFact {
        merchant: merchant(fields)?,
        names,
        content: ContentHash([0; 16]),
        traceparent,
        recorded_at: None,
        what,
    };
    fact.content = content::of_indirect(&fact);
    Ok(fact)
}

pub(super) fn required_text(fields: &Fields<'_>, name: &str) -> Result<String, Fault> {
    let text = fields.required(name, fields.text(name)?)?;
    if text.is_empty() {
        return Err(fields.fault(Reason::Schema, name, "must not be empty"));
    }
    Ok(text.into_owned())
}

/// A set of URLs.
fn evidence(fields: &Fields<'_>) -> Result<Vec<String>, Fault> {
    let items = fields.list("evidence")?.unwrap_or_default();
    if items.len() > EVIDENCE_MAX {
        return Err(fields.fault(Reason::Schema, "evidence", "must be 100 URLs at most"));
    }
    let mut urls = Vec::with_capacity(items.len());
    for raw in items {
        let url = string(raw).map_err(|fault| fault.at(&fields.pointer("evidence")))?;
        let host = url.strip_prefix("https://").unwrap_or_default();
        let blank = url.chars().any(char::is_whitespace);
        if host.is_empty() || blank || url.chars().count() > URL_MAX {
            let what = "must be https URLs of at most 2048 characters";
            return Err(fields.fault(Reason::Schema, "evidence", what));
        }
        urls.push(url.into_owned());
    }
    urls.sort_unstable();
    urls.dedup();
    Ok(urls)
}
