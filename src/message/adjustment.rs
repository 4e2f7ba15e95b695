//! `adjustment.posted`: a correction of what a merchant has, by the platform's staff.

use super::content;
use super::fields::Fields;
use super::order::{currency, instant, merchant, positive};
use super::rejection::Fault;
use super::review::required_text;
use crate::rules::adjustment::Adjustment;
use crate::rules::fact::ContentHash;
use crate::rules::ids::{AdjustmentId, OrderId};

/// Reads an adjustment.
pub(super) fn fact(fields: &Fields<'_>, traceparent: Option<String>) -> Result<Adjustment, Fault> {
    let currency = currency(fields)?;
    let mut fact = Adjustment {
        merchant: merchant(fields)?,
        adjustment: fields.id("adjustment_id", AdjustmentId::parse)?,
        currency,
        amount: positive(fields, currency)?,
        direction: fields.required("direction", fields.word("direction")?)?,
        order: fields.optional_id("order_id", OrderId::parse)?,
        reason: required_text(fields, "reason")?,
        actor: required_text(fields, "actor")?,
        at: instant(fields, "at")?,
        content: ContentHash([0; 16]),
        traceparent,
    };
    fact.content = content::of_adjustment(&fact);
    Ok(fact)
}
