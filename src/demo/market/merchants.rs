//! Who trades on the demo's marketplace, and under which agreements. The list is data, in the form
//! in which a real system would publish it.

use serde::Deserialize;
use serde_json::{Value, json};

use crate::rules::money::Currency;

const LIST: &str = include_str!("merchants.json");
/// Long before the demo's first day.
const EFFECTIVE_FROM: &str = "2026-01-01T00:00:00Z";

/// Everyone, and what they agreed.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Register {
    pub calendars: Vec<Value>,
    /// The platform's defaults, for merchants without an agreement of their own.
    platform: Vec<Value>,
    pub merchants: Vec<Merchant>,
}

/// One merchant and how its systems behave.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Merchant {
    pub merchant_id: String,
    pub currency: Currency,
    pub orders_per_day: u32,
    /// In the currency's minor unit.
    pub price_from: i64,
    pub price_to: i64,
    pub form: Form,
    pub reports: Reports,
    pub paid_by: PaidBy,
    agreement: Option<Value>,
    /// Days into the demo after which the agreement is published; its orders wait until then.
    #[serde(default)]
    pub agreement_after_days: i64,
}

/// How the merchant's order system writes its messages.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Form {
    /// JSON without an envelope, where the topic allows that.
    Plain,
    /// `CloudEvents` with the attributes in headers.
    Binary,
    /// `CloudEvents` with everything in the value.
    Structured,
}

/// What the merchant's shop says after the sale.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Reports {
    Nothing,
    Delivery,
    Confirmation,
}

/// What the payout system pays by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum PaidBy {
    Release,
    Settlement,
}

impl Register {
    /// The list that is built in.
    pub(super) fn open() -> Self {
        serde_json::from_str(LIST).expect("the built-in list is right: a test reads it")
    }

    /// The platform's own agreements as they are published.
    pub(super) fn platform_agreements(&self) -> Vec<Value> {
        let agreements = self.platform.iter();
        agreements
            .map(|terms| {
                let currency = terms["currency"].as_str().unwrap_or_default();
                publish(terms, "*", &format!("AG-platform-{currency}"))
            })
            .collect()
    }
}

impl Merchant {
    /// The merchant's own agreement as it is published.
    pub(super) fn agreement(&self) -> Option<Value> {
        let terms = self.agreement.as_ref()?;
        let id = format!("AG-{}", self.merchant_id);
        Some(publish(terms, &self.merchant_id, &id))
    }
}

fn publish(terms: &Value, merchant: &str, agreement: &str) -> Value {
    let mut body = terms.clone();
    body["agreement_id"] = json!(agreement);
    body["version"] = json!(1);
    body["merchant_id"] = json!(merchant);
    body["effective_from"] = json!(EFFECTIVE_FROM);
    body
}
