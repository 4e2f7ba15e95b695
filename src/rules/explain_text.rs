//! An explanation as plain English, for a terminal.

use std::fmt;

use super::explain::{Explanation, HoldExplained};

impl fmt::Display for Explanation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (order, merchant) = (&self.order_id, &self.merchant_id);
        writeln!(
            f,
            "Order {order} of merchant {merchant} is {} at {}.",
            self.state, self.at
        )?;
        if let Some(sale) = &self.sale {
            let currency = &sale.currency;
            write!(
                f,
                "Completed at {}: {} {currency}",
                sale.completed_at, sale.amount
            )?;
            writeln!(f, ", fees {}.", sale.fees)?;
            match (&sale.agreement, sale.free) {
                (Some(agreement), Some(free)) => {
                    writeln!(
                        f,
                        "Held under agreement {agreement}; {free} is held by no term."
                    )?;
                }
                _ => writeln!(f, "No agreement is in force: it waits for one.")?,
            }
            let times = [
                ("Delivered", sale.delivered_at),
                ("Confirmed", sale.confirmed_at),
                ("Cancelled", sale.cancelled_at),
            ];
            for (what, at) in times {
                if let Some(at) = at {
                    writeln!(f, "{what} at {at}.")?;
                }
            }
        }
        for hold in &self.holds {
            hold_text(f, hold)?;
        }
        for block in &self.blocks {
            let (kind, id) = (block.block, &block.reference);
            write!(f, "Block: {kind} {id} ({}), ", block.reason)?;
            match block.amount {
                Some(amount) => write!(f, "{amount}, ")?,
                None => write!(f, "the whole order, ")?,
            }
            match block.cleared_at {
                Some(at) => writeln!(f, "from {} to {at}.", block.opened_at)?,
                None => writeln!(f, "since {}.", block.opened_at)?,
            }
        }
        for it in &self.refunds {
            write!(f, "Charged {} for {}: ", it.charged, it.cause)?;
            write!(f, "{} out of reversed money, ", it.from_reversed)?;
            let (holds, deposit) = (it.from_holds, it.from_deposit);
            write!(f, "{holds} out of holds, {deposit} out of the deposit, ")?;
            writeln!(f, "{} as a receivable.", it.from_receivable)?;
        }
        for it in &self.owed {
            writeln!(
                f,
                "Owed since {} for {}: {} of {}.",
                it.opened_at, it.cause, it.left, it.original
            )?;
        }
        for key in &self.parked {
            writeln!(f, "Waiting: {key}.")?;
        }
        Ok(())
    }
}

fn hold_text(f: &mut fmt::Formatter<'_>, hold: &HoldExplained) -> fmt::Result {
    writeln!(f)?;
    writeln!(
        f,
        "Hold {} under term {}: {}.",
        hold.hold_id, hold.term, hold.state
    )?;
    if let Some(calculation) = &hold.calculation {
        writeln!(f, "  amount: {calculation}")?;
    }
    write!(
        f,
        "  {} = {} left + {} consumed",
        hold.original, hold.left, hold.consumed
    )?;
    writeln!(
        f,
        " + {} released + {} reversed",
        hold.released, hold.reversed
    )?;
    match hold.anchor_at {
        Some(at) => writeln!(f, "  clock runs from {at}")?,
        None => writeln!(f, "  clock has not started")?,
    }
    for part in &hold.parts {
        write!(f, "  {} ({} blocked)", part.amount, part.blocked)?;
        match (
            part.window_ends_at,
            part.eligible_at,
            part.release_at,
            part.settlement_date,
        ) {
            (Some(window), Some(eligible), Some(release), Some(date)) => writeln!(
                f,
                ": window ends {window}, eligible {eligible}, goes {release}, settlement {date}"
            )?,
            _ => writeln!(f, ": no dates yet")?,
        }
    }
    for test in &hold.tests {
        let mark = if test.passes { "ok  " } else { "wait" };
        writeln!(f, "  {mark} {}: {}", test.name, test.says)?;
    }
    match (hold.first_failing, hold.expected_on) {
        (Some("left"), _) => writeln!(f, "  Nothing is left."),
        (Some(test), Some(date)) => writeln!(f, "  Waits because of: {test}. Expected on {date}."),
        (Some(test), None) => writeln!(f, "  Waits because of: {test}. No date can be expected."),
        (None, _) => writeln!(f, "  Goes now."),
    }
}
