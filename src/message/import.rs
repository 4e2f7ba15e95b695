//! Lines of a file by which an earlier system hands over what it still holds, field by field: the same
//! names, shapes and digests as the messages have, so that an order's own event is known again.

use super::content;
use super::fields::{Fields, text_of};
use super::order;
use super::rejection::{Fault, Reason};
use crate::rules::decide::{Imported, ImportedHold};
use crate::rules::deposit::DepositFact;
use crate::rules::fact::{Completed, ConfirmedBy, ContentHash, OrderEvent, OrderFact};
use crate::rules::ids::{MerchantId, OrderId, TermName, TransactionId};
use crate::rules::money::{Amount, Currency};
use crate::rules::order::Noted;
use crate::rules::time::Instant;

/// One line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Line {
    Order(Box<Imported>),
    Deposit(DepositFact),
    Receivable(Owed),
}

/// A debt of the merchant's, as the earlier system knows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Owed {
    pub merchant: MerchantId,
    /// The earlier system's id.
    pub id: TransactionId,
    pub currency: Currency,
    pub amount: Amount,
    pub opened_at: Instant,
}

impl Line {
    /// Whose it is.
    #[must_use]
    pub fn merchant(&self) -> &MerchantId {
        match self {
            Self::Order(it) => &it.sale.merchant,
            Self::Deposit(it) => &it.merchant,
            Self::Receivable(it) => &it.merchant,
        }
    }

    /// Its key within the merchant: the number of its kind, and its id.
    #[must_use]
    pub fn key(&self) -> (i16, String) {
        match self {
            Self::Order(it) => (1, it.sale.order.to_string()),
            Self::Deposit(it) => (2, it.transaction.to_string()),
            Self::Receivable(it) => (3, it.id.to_string()),
        }
    }

    /// The digest of what it says.
    #[must_use]
    pub fn content(&self) -> ContentHash {
        match self {
            Self::Order(it) => content::of_imported(it),
            Self::Deposit(it) => it.content,
            Self::Receivable(it) => content::of_owed(it),
        }
    }
}

/// Reads a line.
///
/// # Errors
/// Everything that is wrong with it, one sentence each, beginning with its JSON pointer.
pub fn line(bytes: &[u8]) -> Result<Line, Vec<String>> {
    let whole = text_of(bytes).and_then(|text| Fields::split(text, String::new()));
    let fields = whole.map_err(|fault| vec![fault.detail])?;
    let mut faults = Faults::default();
    let kind = faults.take(fields.text("kind"));
    let read = match kind.flatten().as_deref() {
        Some("order") => imported(&fields, &mut faults).map(|it| Line::Order(Box::new(it))),
        Some("deposit") => deposit(&fields, &mut faults).map(Line::Deposit),
        Some("receivable") => owed(&fields, &mut faults).map(Line::Receivable),
        _ => {
            let what = "must be order, deposit or receivable";
            faults.add(fields.fault(Reason::Schema, "kind", what));
            None
        }
    };
    match read {
        Some(line) if faults.0.is_empty() => Ok(line),
        _ => Err(faults.0),
    }
}

/// Everything wrong so far.
#[derive(Default)]
struct Faults(Vec<String>);

impl Faults {
    fn take<T>(&mut self, read: Result<T, Fault>) -> Option<T> {
        read.map_err(|fault| self.add(fault)).ok()
    }

    fn add(&mut self, fault: Fault) {
        self.0.push(fault.detail);
    }
}

fn amount(
    fields: &Fields<'_>,
    name: &str,
    currency: Option<Currency>,
    faults: &mut Faults,
) -> Option<Amount> {
    let read = fields.amount(name, currency?);
    let amount = faults.take(read.and_then(|amount| fields.required(name, amount)))?;
    if amount.is_zero() {
        faults.add(fields.fault(Reason::Money, name, "must be above zero"));
        return None;
    }
    Some(amount)
}

fn imported(fields: &Fields<'_>, faults: &mut Faults) -> Option<Imported> {
    let merchant = faults.take(order::merchant(fields));
    let order = faults.take(fields.id("order_id", OrderId::parse));
    let currency = faults.take(order::currency(fields));
    let sum = amount(fields, "amount", currency, faults);
    let fees = currency.and_then(|currency| faults.take(fields.amount("fees", currency)));
    let at = faults.take(order::instant(fields, "completed_at"));
    let attributes = faults.take(order::attributes(fields));
    let delivered = faults.take(fields.instant("delivered_at"));
    let confirmed = faults.take(fields.instant("confirmed_at"));
    let by = faults.take(fields.word::<ConfirmedBy>("by"));
    let holds = holds(fields, currency, faults);
    let (merchant, order, currency, sum) = (merchant?, order?, currency?, sum?);
    let fees = fees?.unwrap_or_else(|| Amount::zero(currency));
    if fees > sum {
        faults.add(fields.fault(Reason::Money, "fees", "are more than the amount"));
        return None;
    }
    let sale = OrderEvent::Completed(Completed {
        amount: sum,
        fees,
        currency,
        at: at?,
        attributes: attributes?,
    });
    let noted = |event: OrderEvent, value| Noted {
        value,
        content: content::of_order_event(&merchant, &order, &event),
    };
    let by = by?.unwrap_or(ConfirmedBy::Buyer);
    Some(Imported {
        delivered: delivered?.map(|at| noted(OrderEvent::Delivered { at }, at)),
        confirmed: confirmed?.map(|at| noted(OrderEvent::Confirmed { at, by }, at)),
        sale: OrderFact {
            content: content::of_order_event(&merchant, &order, &sale),
            merchant: merchant.clone(),
            order: order.clone(),
            traceparent: None,
            recorded_at: None,
            what: sale,
        },
        holds: holds?,
    })
}

fn holds(
    fields: &Fields<'_>,
    currency: Option<Currency>,
    faults: &mut Faults,
) -> Option<Vec<ImportedHold>> {
    let list = fields.list("holds");
    let list = faults.take(list.and_then(|list| fields.required("holds", list)))?;
    if list.is_empty() {
        faults.add(fields.fault(Reason::Schema, "holds", "must not be empty"));
    }
    let mut holds: Vec<ImportedHold> = Vec::with_capacity(list.len());
    for (n, raw) in list.into_iter().enumerate() {
        let Some(item) = faults.take(fields.item("holds", n, raw)) else {
            continue;
        };
        let term = faults.take(item.id("term", TermName::parse));
        let left = amount(&item, "left", currency, faults);
        let not_before = faults.take(item.instant("not_before"));
        if let (Some(term), Some(left), Some(not_before)) = (term, left, not_before) {
            if holds.iter().any(|hold| hold.term == term) {
                faults.add(item.fault(Reason::Value, "term", "stands twice"));
            }
            holds.push(ImportedHold {
                term,
                left,
                not_before,
            });
        }
    }
    Some(holds)
}

fn deposit(fields: &Fields<'_>, faults: &mut Faults) -> Option<DepositFact> {
    let merchant = faults.take(order::merchant(fields));
    let transaction = faults.take(fields.id("transaction_id", TransactionId::parse));
    let currency = faults.take(order::currency(fields));
    let sum = amount(fields, "amount", currency, faults);
    let at = faults.take(order::instant(fields, "at"));
    let mut fact = DepositFact {
        merchant: merchant?,
        transaction: transaction?,
        withdrawn: false,
        amount: sum?,
        currency: currency?,
        at: at?,
        content: ContentHash([0; 16]),
        traceparent: None,
    };
    fact.content = content::of_deposit(&fact);
    Some(fact)
}

fn owed(fields: &Fields<'_>, faults: &mut Faults) -> Option<Owed> {
    let merchant = faults.take(order::merchant(fields));
    let id = faults.take(fields.id("receivable_id", TransactionId::parse));
    let currency = faults.take(order::currency(fields));
    let sum = amount(fields, "amount", currency, faults);
    let opened_at = faults.take(order::instant(fields, "opened_at"));
    Some(Owed {
        merchant: merchant?,
        id: id?,
        currency: currency?,
        amount: sum?,
        opened_at: opened_at?,
    })
}
