//! `deposit.credited` and `deposit.withdrawn`: a merchant's money placed with the platform.

use super::content;
use super::fields::Fields;
use super::order::{currency, instant, merchant, positive};
use super::rejection::Fault;
use crate::rules::deposit::DepositFact;
use crate::rules::fact::ContentHash;
use crate::rules::ids::TransactionId;

/// Reads a payment into a deposit, or out of it.
pub(super) fn fact(
    fields: &Fields<'_>,
    withdrawn: bool,
    traceparent: Option<String>,
) -> Result<DepositFact, Fault> {
    let currency = currency(fields)?;
    let mut fact = DepositFact {
        merchant: merchant(fields)?,
        transaction: fields.id("transaction_id", TransactionId::parse)?,
        withdrawn,
        amount: positive(fields, currency)?,
        currency,
        at: instant(fields, "at")?,
        content: ContentHash([0; 16]),
        traceparent,
    };
    fact.content = content::of_deposit(&fact);
    Ok(fact)
}
