//! Messages about one order: sales, deliveries, confirmations, cancellations, refunds, disputes.

use std::collections::BTreeMap;

use super::content;
use super::fields::{Fields, string};
use super::rejection::{Fault, Reason};
use super::review;
use crate::rules::fact::{
    Completed, DisputeClosed, DisputeOpened, DisputeUpdated, FactKind, IndirectFact, Named,
    OrderEvent, OrderFact, RefundReversed, Refunded,
};
use crate::rules::ids::{DisputeId, MerchantId, OrderId, RefundId};
use crate::rules::money::{Amount, Currency};
use crate::rules::time::Instant;

/// The largest version: every JSON library still counts it exactly.
pub(super) const VERSION_MAX: u64 = (1 << 53) - 1;

/// Reads a message of this kind.
pub(super) fn fact(
    fields: &Fields<'_>,
    kind: FactKind,
    traceparent: Option<String>,
) -> Result<OrderFact, Fault> {
    let merchant = merchant(fields)?;
    let order = fields.id("order_id", OrderId::parse)?;
    let what = match kind {
        FactKind::Completed => OrderEvent::Completed(completed(fields)?),
        FactKind::Confirmed => OrderEvent::Confirmed {
            at: instant(fields, "confirmed_at")?,
            by: fields.required("by", fields.word("by")?)?,
        },
        FactKind::Delivered => OrderEvent::Delivered {
            at: instant(fields, "delivered_at")?,
        },
        FactKind::Cancelled => OrderEvent::Cancelled {
            at: instant(fields, "cancelled_at")?,
            reason: reason(fields)?,
        },
        FactKind::Refunded => OrderEvent::Refunded(refunded(fields)?),
        FactKind::DisputeOpened => OrderEvent::DisputeOpened(DisputeOpened {
            dispute: fields.id("dispute_id", DisputeId::parse)?,
            kind: fields.required("kind", fields.word("kind")?)?,
            amount: above_zero(fields)?,
            at: instant(fields, "opened_at")?,
        }),
        FactKind::DisputeUpdated => OrderEvent::DisputeUpdated(DisputeUpdated {
            dispute: fields.id("dispute_id", DisputeId::parse)?,
            version: fields.required("version", fields.whole("version", 1..=VERSION_MAX)?)?,
            kind: fields.word("kind")?,
            amount: above_zero(fields)?,
            at: instant(fields, "at")?,
        }),
        FactKind::ReviewRequested => OrderEvent::ReviewRequested(review::request(fields)?),
        FactKind::RefundReversed | FactKind::ReviewAnswered | FactKind::ReviewDecided => {
            unreachable!("these name no order and are read by their own functions")
        }
        FactKind::DisputeClosed => OrderEvent::DisputeClosed(DisputeClosed {
            dispute: fields.id("dispute_id", DisputeId::parse)?,
            outcome: fields.required("outcome", fields.word("outcome")?)?,
            at: instant(fields, "closed_at")?,
            // Nothing expected is the default.
            refund_expected: fields
                .plain("refund_expected")?
                .filter(|amount| !amount.is_zero()),
        }),
    };
    let content = content::of_order_event(&merchant, &order, &what);
    Ok(OrderFact {
        merchant,
        order,
        content,
        traceparent,
        recorded_at: None,
        what,
    })
}

/// The merchant whose order it is; the platform's own name `*` sells nothing.
pub(super) fn merchant(fields: &Fields<'_>) -> Result<MerchantId, Fault> {
    let merchant = fields.id("merchant_id", MerchantId::parse)?;
    if merchant.is_platform() {
        return Err(fields.fault(
            Reason::Value,
            "merchant_id",
            "* is the platform, not a merchant",
        ));
    }
    Ok(merchant)
}

/// A required instant.
pub(super) fn instant(fields: &Fields<'_>, name: &str) -> Result<Instant, Fault> {
    fields.required(name, fields.instant(name)?)
}

/// Free text.
pub(super) fn reason(fields: &Fields<'_>) -> Result<Option<String>, Fault> {
    Ok(fields.text("reason")?.map(String::from))
}

fn completed(fields: &Fields<'_>) -> Result<Completed, Fault> {
    let currency = currency(fields)?;
    let amount = positive(fields, currency)?;
    let fees = fields
        .amount("fees", currency)?
        .unwrap_or_else(|| Amount::zero(currency));
    if fees > amount {
        return Err(fields.fault(Reason::Money, "fees", "are more than the amount"));
    }
    Ok(Completed {
        amount,
        fees,
        currency,
        at: instant(fields, "completed_at")?,
        attributes: attributes(fields)?,
    })
}

fn refunded(fields: &Fields<'_>) -> Result<Refunded, Fault> {
    let currency = currency(fields)?;
    Ok(Refunded {
        refund: fields.id("refund_id", RefundId::parse)?,
        amount: positive(fields, currency)?,
        currency,
        at: instant(fields, "refunded_at")?,
        reason: reason(fields)?,
        dispute: fields.optional_id("dispute_id", DisputeId::parse)?,
    })
}

/// Reads `refund.reversed`.
pub(super) fn refund_reversed(
    fields: &Fields<'_>,
    traceparent: Option<String>,
) -> Result<IndirectFact, Fault> {
    let refund = fields.id("refund_id", RefundId::parse)?;
    let what = OrderEvent::RefundReversed(RefundReversed {
        refund: refund.clone(),
        at: instant(fields, "reversed_at")?,
    });
    review::indirect(fields, Named::Refund(refund), what, traceparent)
}

pub(super) fn currency(fields: &Fields<'_>) -> Result<Currency, Fault> {
    fields.required("currency", fields.currency("currency")?)
}

pub(super) fn positive(fields: &Fields<'_>, currency: Currency) -> Result<Amount, Fault> {
    let amount = fields.required("amount", fields.amount("amount", currency)?)?;
    if amount.is_zero() {
        return Err(fields.fault(Reason::Money, "amount", "must be above zero"));
    }
    Ok(amount)
}

/// A contested amount; zero would contest nothing.
fn above_zero(fields: &Fields<'_>) -> Result<Option<rust_decimal::Decimal>, Fault> {
    let amount = fields.plain("amount")?;
    if amount.is_some_and(|amount| amount.is_zero()) {
        return Err(fields.fault(Reason::Money, "amount", "must be above zero"));
    }
    Ok(amount)
}

/// Texts by name; one that is null is absent.
pub(super) fn attributes(fields: &Fields<'_>) -> Result<BTreeMap<String, String>, Fault> {
    let Some(attributes) = fields.object("attributes")? else {
        return Ok(BTreeMap::new());
    };
    let mut read = BTreeMap::new();
    for (name, raw) in attributes.all() {
        if name.chars().any(char::is_control) {
            return Err(fields.fault(Reason::Text, "attributes", "a name has control characters"));
        }
        let text = string(raw).map_err(|fault| fault.at(&attributes.pointer(name)))?;
        read.insert(name.to_owned(), text.into_owned());
    }
    Ok(read)
}
