//! What a charge takes: out of holds, out of the deposit, as a receivable.

use super::super::agreement::RefundSource;
use super::super::entry::{
    Account, DepositChanged, Direction, Event, HoldConsumed, ReceivableOpened, Source, SourceKind,
};
use super::super::ids::ReceivableId;
use super::super::money::{Amount, Currency, MoneyError, less};
use super::super::order::Receivable;
use super::charge::{Claim, shares};
use super::{Step, Terms, transfer};

pub(super) fn take_from_holds(
    step: &mut Step<'_>,
    terms: &Terms,
    amount: Amount,
    claim: &Claim<'_>,
    sources: &mut Vec<Source>,
) -> Result<Amount, MoneyError> {
    let shares = match terms.agreement.refund.source {
        RefundSource::MerchantFirst => return Ok(Amount::zero(terms.sale.currency)),
        RefundSource::HoldFirst => None,
        RefundSource::Proportional => Some(shares(step.order, terms)?),
    };
    let mut rest = amount;
    for position in 0..step.order.holds.len() {
        let hold = &mut step.order.holds[position];
        let wanted = shares
            .as_ref()
            .map_or(rest, |shares| less(shares[position], hold.consumed));
        let taken = wanted.min(hold.left).min(rest);
        if taken.is_zero() {
            continue;
        }
        hold.consume(taken);
        rest = less(rest, taken);
        sources.push(Source {
            kind: SourceKind::Hold,
            hold_id: Some(hold.id),
            receivable_id: None,
            amount: taken,
        });
        let event = Event::HoldConsumed(HoldConsumed {
            amount: taken,
            left: hold.left,
            refund_id: claim.refund.cloned(),
            dispute_id: claim.dispute.cloned(),
        });
        let moved = transfer(Account::Held, Account::Refunded, taken);
        step.say(Some(position), event, moved);
    }
    Ok(less(amount, rest))
}

/// Takes what is there of the merchant's deposit.
pub(super) fn take_from_deposit(
    step: &mut Step<'_>,
    amount: Amount,
    claim: &Claim<'_>,
    sources: &mut Vec<Source>,
) -> Amount {
    let Some(purse) = &mut step.order.purse else {
        return less(amount, amount);
    };
    let taken = amount.min(purse.deposit);
    if taken.is_zero() {
        return taken;
    }
    purse.deposit = less(purse.deposit, taken);
    sources.push(Source {
        kind: SourceKind::Deposit,
        hold_id: None,
        receivable_id: None,
        amount: taken,
    });
    let by = claim.cause().0;
    let event = Event::DepositChanged(DepositChanged {
        refund_id: claim.refund.cloned(),
        dispute_id: claim.dispute.cloned(),
        ..DepositChanged::new(taken, Direction::Debit, purse.deposit, by)
    });
    let moved = transfer(Account::Deposit, Account::Refunded, taken);
    step.say(None, event, moved);
    taken
}

/// Opens a receivable; one cause has one, which grows when the cause does.
pub(super) fn owe(
    step: &mut Step<'_>,
    currency: Currency,
    amount: Amount,
    claim: &Claim<'_>,
    sources: &mut Vec<Source>,
) -> Result<(), MoneyError> {
    let cause = claim.cause();
    let id = ReceivableId::of(&step.order.merchant, cause.0, &cause.1);
    let mut known = step.order.receivables.iter_mut();
    if let Some(known) = known.find(|receivable| receivable.id == id) {
        known.original = known.original.plus(amount)?;
        known.left = known.left.plus(amount)?;
    } else {
        step.order.receivables.push(Receivable {
            id,
            currency,
            original: amount,
            left: amount,
            written_off: less(amount, amount),
            opened_at: claim.at,
            cause,
        });
    }
    sources.push(Source {
        kind: SourceKind::Receivable,
        hold_id: None,
        receivable_id: Some(id),
        amount,
    });
    let event = Event::ReceivableOpened(ReceivableOpened {
        receivable_id: id,
        amount,
        refund_id: claim.refund.cloned(),
        dispute_id: claim.dispute.cloned(),
        transaction_id: None,
        adjustment_id: None,
    });
    let moved = transfer(Account::Receivable, Account::Refunded, amount);
    step.say(None, event, moved);
    Ok(())
}
