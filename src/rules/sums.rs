//! What an order's refunds add up to.
//!
//! An order may have thousands of refunds, and each further one asks for these sums. So what will not
//! change any more is added up once: all refunds but those after [`Sums::counted`]. Whoever changes one
//! that was there forgets the sums.

use std::collections::HashMap;

use super::ids::DisputeId;
use super::money::{Amount, Currency, MoneyError};
use super::order::{Order, Refund};

/// Sums over the first refunds of an order, and over how many.
#[derive(Debug, Clone, Default)]
pub struct Sums {
    counted: usize,
    /// Boxed: few orders have refunds.
    parts: Option<Box<Parts>>,
}

/// No part of what an order is.
impl PartialEq for Sums {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

impl Eq for Sums {}

/// What refunds ask for, have charged, and have met of reversed money.
#[derive(Debug, Clone, Copy)]
struct Parts {
    in_force: Amount,
    charged: Amount,
    met: Amount,
}

impl Parts {
    fn zero(currency: Currency) -> Self {
        let zero = Amount::zero(currency);
        Self {
            in_force: zero,
            charged: zero,
            met: zero,
        }
    }

    fn with(self, refund: &Refund) -> Result<Self, MoneyError> {
        Ok(Self {
            in_force: match refund.reversed {
                Some(_) => self.in_force,
                None => self.in_force.plus(refund.amount)?,
            },
            charged: self.charged.plus(refund.charged)?,
            met: self.met.plus(refund.from_reversed)?,
        })
    }
}

impl Order {
    /// Counts all present refunds: none of them changes any more, or [`Self::forget_sums`] is called.
    ///
    /// # Errors
    /// [`MoneyError::Overflow`].
    pub(super) fn count_refunds(&mut self, currency: Currency) -> Result<(), MoneyError> {
        let parts = self.parts(currency)?;
        self.sums = Sums {
            counted: self.refunds.len(),
            parts: Some(Box::new(parts)),
        };
        Ok(())
    }

    /// Refunds are about to change.
    pub(super) fn forget_sums(&mut self) {
        self.sums = Sums::default();
    }

    fn parts(&self, currency: Currency) -> Result<Parts, MoneyError> {
        let Sums { counted, parts } = &self.sums;
        let parts = parts.as_deref().copied();
        let parts = parts.unwrap_or_else(|| Parts::zero(currency));
        self.refunds
            .iter()
            .skip(*counted)
            .try_fold(parts, Parts::with)
    }

    /// What the refunds that went through add up to.
    ///
    /// # Errors
    /// [`MoneyError::Overflow`].
    pub(super) fn refunded(&self, currency: Currency) -> Result<Amount, MoneyError> {
        self.parts(currency).map(|it| it.in_force)
    }

    /// What refunds have charged.
    ///
    /// # Errors
    /// [`MoneyError::Overflow`].
    pub(super) fn charged_by_refunds(&self, currency: Currency) -> Result<Amount, MoneyError> {
        self.parts(currency).map(|it| it.charged)
    }

    /// What refunds have met of reversed money.
    ///
    /// # Errors
    /// [`MoneyError::Overflow`].
    pub(super) fn met_by_refunds(&self, currency: Currency) -> Result<Amount, MoneyError> {
        self.parts(currency).map(|it| it.met)
    }

    /// What refunds naming each dispute add up to; disputes that none names are left out.
    #[must_use]
    pub(super) fn named_by_dispute(&self) -> HashMap<&DisputeId, Amount> {
        let mut named: HashMap<&DisputeId, Amount> = HashMap::new();
        if self.disputes.is_empty() {
            return named;
        }
        for refund in self.refunds_in_force() {
            let Some(dispute) = &refund.dispute else {
                continue;
            };
            let sum = named
                .get(dispute)
                .map_or(Ok(refund.amount), |sum| sum.plus(refund.amount));
            let sum = sum.expect("a refund is applied only when all of the order's add up");
            named.insert(dispute, sum);
        }
        named
    }
}
