//! What people do to a merchant's money apart from holds: credits released by hand, receivables
//! written off.

use super::{Act, Operator, OperatorError, Outcome, Request, TWO_PERSONS, refuse};
use crate::release::recovery;
use crate::rules::ids::{CreditId, MerchantId, ReceivableId};
use crate::rules::money::Amount;
use crate::rules::recovery::issue_credit;
use crate::rules::write_off::write_off;
use crate::store::journal::Lines;
use crate::store::{StoreError, Tx};

impl Operator {
    /// Releases a credit that waits.
    pub(super) async fn release_credit(
        &self,
        tx: &mut Tx,
        request: &Request,
        act: Act<'_>,
        (merchant, id): (&MerchantId, CreditId),
    ) -> Result<Outcome, OperatorError> {
        let pauses = tx.hold_pauses().await?;
        self.pass(tx, act.asked_at).await?;
        let Some(credit) = tx.credit(merchant, id).await? else {
            return refuse(format!("no credit {id} of merchant {merchant} waits"));
        };
        let currency = credit.currency;
        if let Some(pause) = pauses.over(merchant, currency) {
            return refuse(pause.to_string());
        }
        let says = format!("{} {currency} of the credit are released", credit.amount);
        let mut outcome = Outcome::of(request, says);
        outcome.about.order.clone_from(&credit.order);
        outcome.about.currency = Some(currency);
        outcome.about.amount = Some(credit.amount);
        if !act.approved && self.needs_approval(tx, request, &outcome.about).await? {
            outcome.proposed = true;
            TWO_PERSONS.clone_into(&mut outcome.says);
            return Ok(outcome);
        }
        if !tx.take_credit(merchant, &credit).await? {
            return refuse(format!("the order of credit {id} is blocked"));
        }
        let purse = (merchant.clone(), currency);
        let mut purses = recovery::lock(tx, vec![(purse.clone(), credit.amount)]).await?;
        let mut entries = issue_credit(&credit, purses.of(&purse), tx.now);
        let mode = tx.release_mode().await?;
        mode.cast_credit(&mut entries, tx.now);
        tx.save_purses(&mut purses).await?;
        let mut lines = Lines::default();
        lines.add_by(merchant, entries, act.id);
        tx.write(&lines).await?;
        Ok(outcome)
    }

    /// Writes a receivable off, once a second person agrees: at most what was asked for, at most what
    /// is left then.
    pub(super) async fn write_off(
        &self,
        tx: &mut Tx,
        request: &Request,
        act: Act<'_>,
        (merchant, id, amount): (&MerchantId, ReceivableId, &str),
    ) -> Result<Outcome, OperatorError> {
        let Some((mut receivable, order)) = tx.receivable(merchant, id).await? else {
            return refuse(format!("merchant {merchant} has no receivable {id}"));
        };
        let (left, currency) = (receivable.left, receivable.currency);
        let amount = match Amount::parse(amount, currency) {
            Ok(asked) if asked.is_zero() => return refuse("the amount is zero".to_owned()),
            Ok(asked) if asked > left && !act.approved => {
                return refuse(format!("{left} {currency} are left of receivable {id}"));
            }
            Ok(asked) => asked.min(left),
            Err(error) => return refuse(format!("{amount}: {error}")),
        };
        let says = format!("{amount} {currency} of receivable {id} are written off");
        let mut outcome = Outcome::of(request, says);
        outcome.about.order.clone_from(&order);
        outcome.about.currency = Some(currency);
        outcome.about.amount = Some(amount);
        if !act.approved {
            outcome.proposed = true;
            TWO_PERSONS.clone_into(&mut outcome.says);
            return Ok(outcome);
        }
        let cause = format!("operation:{}", act.id);
        let written = write_off(&mut receivable, order, amount, cause);
        let written = written.map_err(|error| StoreError::Unreadable(error.to_string()))?;
        let Some(entry) = written else {
            return refuse(format!("nothing is left of receivable {id}"));
        };
        tx.save_receivable(merchant, &receivable).await?;
        let mut lines = Lines::default();
        lines.add_by(merchant, [entry], act.id);
        tx.write(&lines).await?;
        Ok(outcome)
    }
}
