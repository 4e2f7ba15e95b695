//! A receivable is written off: the platform bears what the merchant will not pay.
//!
//! Guarantees that no more is written off than is still owed. When the charge behind it is given
//! back later, the platform gets its loss back before anybody gets anything ([`super::decide`]).

use super::entry::{Account, Entry, Event, ReceivableWrittenOff, Transfer};
use super::ids::OrderId;
use super::money::{Amount, MoneyError, less};
use super::order::Receivable;
use super::recovery::of_purse;

/// Writes off at most `amount` of what is left; `None` when nothing is left.
///
/// # Errors
/// [`MoneyError::Overflow`].
pub fn write_off(
    receivable: &mut Receivable,
    order: Option<OrderId>,
    amount: Amount,
    cause: String,
) -> Result<Option<Entry>, MoneyError> {
    let amount = amount.min(receivable.left);
    if amount.is_zero() {
        return Ok(None);
    }
    receivable.written_off = receivable.written_off.plus(amount)?;
    receivable.left = less(receivable.left, amount);
    let event = Event::ReceivableWrittenOff(ReceivableWrittenOff {
        receivable_id: receivable.id,
        amount,
        left: receivable.left,
        written_off: receivable.written_off,
        made_good: false,
        by: "operator",
    });
    let moved = Transfer {
        debit: Account::Platform,
        credit: Account::Receivable,
        amount,
    };
    let entry = of_purse(event, receivable.currency, Some(moved), cause);
    Ok(Some(Entry { order, ..entry }))
}
