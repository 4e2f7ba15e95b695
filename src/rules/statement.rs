//! A merchant's statement for a period: order by order, opening + movements = closing.
//!
//! Folded out of the journal's transfers in any order. Any cut of time into periods adds up: the
//! closing of one is the opening of the next.

use std::collections::BTreeMap;

use serde::Serialize;

use super::balance::Balances;
use super::entry::{Account, Transfer};
use super::ids::{MerchantId, OrderId};
use super::money::{Amount, Currency, MoneyError};
use super::time::Instant;

/// A transfer of the journal, as far as a statement needs it.
#[derive(Debug, Clone)]
pub struct Movement {
    pub sequence: i64,
    pub occurred_at: Instant,
    /// The event's type.
    pub event: &'static str,
    pub order: Option<OrderId>,
    pub transfer: Transfer,
}

/// One merchant and currency from an instant (included) to an instant (not included).
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Statement {
    pub merchant_id: MerchantId,
    pub currency: Currency,
    pub from: Instant,
    pub to: Instant,
    pub opening: Balances,
    pub closing: Balances,
    /// Orders without a movement in the period and with nothing but money paid out, together.
    pub at_rest: Balances,
    /// The other orders, by id; first, without one, what belongs to no order.
    pub orders: Vec<OrderPart>,
}

/// One order's part: opening + the changes of its lines = closing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct OrderPart {
    pub order_id: Option<OrderId>,
    pub opening: Balances,
    pub lines: Vec<Line>,
    pub closing: Balances,
}

/// One transfer in the period.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Line {
    pub sequence: i64,
    pub occurred_at: Instant,
    pub event: &'static str,
    pub debit: Account,
    pub credit: Account,
    pub amount: Amount,
    /// What it changes on the accounts of the statement.
    pub change: Balances,
}

/// Why there is no statement.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum StatementError {
    #[error("a sum of the statement: {0}")]
    Money(#[from] MoneyError),
    /// A mistake of ours: said instead of showing sums that are wrong.
    #[error("the orders do not add up to the statement's {0}")]
    DoesNotAddUp(&'static str),
}

/// Takes transfers in, one at a time; needs memory for the merchant's orders and the period's lines.
#[derive(Debug)]
pub struct Collector {
    merchant: MerchantId,
    currency: Currency,
    from: Instant,
    to: Instant,
    opening: Balances,
    closing: Balances,
    orders: BTreeMap<Option<OrderId>, OrderPart>,
}

impl Collector {
    /// An empty statement.
    #[must_use]
    pub fn new(merchant: MerchantId, currency: Currency, from: Instant, to: Instant) -> Self {
        let nothing = Balances::zero(currency);
        Self {
            merchant,
            currency,
            from,
            to,
            opening: nothing,
            closing: nothing,
            orders: BTreeMap::new(),
        }
    }

    /// Adds a transfer of this merchant and currency. What is after the period is left aside, and
    /// so is what moves no account of a statement.
    ///
    /// # Errors
    /// [`StatementError::Money`] beyond all range.
    pub fn add(&mut self, movement: Movement) -> Result<(), StatementError> {
        let change = Balances::change(self.currency, &movement.transfer)?;
        if movement.occurred_at >= self.to || change.is_zero() {
            return Ok(());
        }
        let nothing = Balances::zero(self.currency);
        let key = movement.order.clone();
        let part = self.orders.entry(key).or_insert_with(|| OrderPart {
            order_id: movement.order,
            opening: nothing,
            lines: Vec::new(),
            closing: nothing,
        });
        self.closing = self.closing.plus(&change)?;
        part.closing = part.closing.plus(&change)?;
        if movement.occurred_at < self.from {
            self.opening = self.opening.plus(&change)?;
            part.opening = part.opening.plus(&change)?;
            return Ok(());
        }
        part.lines.push(Line {
            sequence: movement.sequence,
            occurred_at: movement.occurred_at,
            event: movement.event,
            debit: movement.transfer.debit,
            credit: movement.transfer.credit,
            amount: movement.transfer.amount,
            change,
        });
        Ok(())
    }

    /// The statement, after its sums have been checked.
    ///
    /// # Errors
    /// [`StatementError`].
    pub fn finish(self) -> Result<Statement, StatementError> {
        let mut statement = Statement {
            merchant_id: self.merchant,
            currency: self.currency,
            from: self.from,
            to: self.to,
            opening: self.opening,
            closing: self.closing,
            at_rest: Balances::zero(self.currency),
            orders: Vec::with_capacity(self.orders.len()),
        };
        for (_, mut part) in self.orders {
            if part.lines.is_empty() && part.closing.is_at_rest() {
                statement.at_rest = statement.at_rest.plus(&part.closing)?;
            } else {
                part.lines.sort_by_key(|line| line.sequence);
                statement.orders.push(part);
            }
        }
        statement.check()?;
        Ok(statement)
    }
}

impl Statement {
    /// Checks that every order's opening and lines make its closing, and that all orders together
    /// make the statement's.
    ///
    /// # Errors
    /// [`StatementError`].
    pub fn check(&self) -> Result<(), StatementError> {
        let (mut opening, mut closing) = (self.at_rest, self.at_rest);
        for part in &self.orders {
            let lines = part.lines.iter();
            let moved = lines.map(|line| &line.change);
            let sum = moved
                .into_iter()
                .try_fold(part.opening, |sum, change| sum.plus(change))?;
            if sum != part.closing {
                return Err(StatementError::DoesNotAddUp("lines"));
            }
            opening = opening.plus(&part.opening)?;
            closing = closing.plus(&part.closing)?;
        }
        if opening != self.opening {
            return Err(StatementError::DoesNotAddUp("opening"));
        }
        if closing != self.closing {
            return Err(StatementError::DoesNotAddUp("closing"));
        }
        Ok(())
    }
}
