//! One order of the merchant's: its holds, and what its refunds and chargebacks charge by the
//! contract, as sums over all of them.

use std::collections::BTreeMap;

use super::words::{Cents, DAY, Seconds, Source, Terms, What};

#[derive(Debug, Clone)]
pub struct Hold {
    pub original: Cents,
    pub left: Cents,
    pub consumed: Cents,
    pub reversed: Cents,
    pub released: Cents,
    /// Of what was consumed, what has not come back as a credit.
    pub given: Cents,
    pub releases: u32,
    window_ends_at: Seconds,
    /// When all that is in it came back from a refund.
    restored_at: Option<Seconds>,
}

#[derive(Debug, Clone)]
struct Refund {
    id: u8,
    amount: Cents,
    dispute: Option<u8>,
    reversed: bool,
}

#[derive(Debug, Clone)]
struct Dispute {
    amount: Option<Cents>,
    closed: Option<Seconds>,
    lost: bool,
}

#[derive(Debug, Clone)]
struct Sale {
    at: Seconds,
    amount: Cents,
    fees: Cents,
}

#[derive(Debug, Clone, Default)]
pub struct Order {
    /// How many orders were heard of before.
    pub heard: usize,
    sale: Option<Sale>,
    pub holds: Vec<Hold>,
    /// Facts whose subject isn't known yet, by business time.
    pub waiting: Vec<(Seconds, What)>,
    refunds: Vec<Refund>,
    disputes: BTreeMap<u8, Dispute>,
    /// In force so far: within the order's amount, beyond it.
    pub charged: (Cents, Cents),
    /// Of it, what came out of the deposit, and as receivables, paid or not.
    pub from_deposit: Cents,
    pub from_debts: Cents,
    pub cancelled: bool,
    /// Reversed and not spent on refunds.
    pub reversed: Cents,
    /// A refund was refused: a review block keeps all until a person acts.
    refused: bool,
}

/// `sum × rate / whole`, half up.
pub fn part(sum: Cents, rate: i64, whole: i64) -> Cents {
    let doubled = 2 * i128::from(sum) * i128::from(rate) + i128::from(whole);
    let rounded = doubled.div_euclid(2 * i128::from(whole));
    Cents::try_from(rounded).expect("small sums")
}

/// Largest remainder, the first on ties.
fn split(sum: Cents, weights: &[Cents]) -> Vec<Cents> {
    let whole: Cents = weights.iter().sum();
    let mut parts: Vec<Cents> = weights.iter().map(|it| sum * it / whole).collect();
    let mut by_remainder: Vec<usize> = (0..weights.len()).collect();
    by_remainder.sort_by_key(|n| -(sum * weights[*n] % whole));
    let missing = sum - parts.iter().sum::<Cents>();
    for n in by_remainder
        .into_iter()
        .take(usize::try_from(missing).expect("not negative"))
    {
        parts[n] += 1;
    }
    parts
}

fn midnight(at: Seconds) -> Seconds {
    (at + DAY - 1).div_euclid(DAY) * DAY
}

impl Order {
    pub fn new(heard: usize) -> Self {
        Self {
            heard,
            ..Self::default()
        }
    }

    /// The earliest of the waiting facts that has what it belongs to.
    pub fn next_ready(&mut self) -> Option<(Seconds, What)> {
        let ready = self.waiting.iter().position(|(_, what)| match what {
            What::Completed { .. } => true,
            _ if self.sale.is_none() => false,
            What::Reversed { id } => self.refunds.iter().any(|it| it.id == *id),
            What::Closed { dispute, .. } => self.disputes.contains_key(dispute),
            What::Cancelled | What::Refunded { .. } | What::Opened { .. } => true,
        })?;
        Some(self.waiting.remove(ready))
    }

    pub fn complete(&mut self, at: Seconds, amount: Cents, fees: Cents, terms: &Terms) {
        let mut room = amount - fees;
        for (rate, days) in &terms.terms {
            let original = part(amount, *rate, 10_000).min(room);
            room -= original;
            if original > 0 {
                // `date`: 00:00 of so many days later, not before the order itself.
                let window_ends_at = (at.div_euclid(DAY) + days) * DAY;
                self.holds.push(Hold {
                    original,
                    left: original,
                    consumed: 0,
                    reversed: 0,
                    released: 0,
                    given: 0,
                    releases: 0,
                    window_ends_at,
                    restored_at: None,
                });
            }
        }
        self.sale = Some(Sale { at, amount, fees });
    }

    /// The first settlement not before the window's end and the last block's clearing.
    pub fn release_at(&self, hold: &Hold) -> Seconds {
        let sale = self.sale.as_ref().expect("it has holds");
        let cleared = self.disputes.values().filter_map(|it| it.closed).max();
        let eligible = sale.at.max(hold.window_ends_at);
        let later = cleared.max(hold.restored_at);
        midnight(eligible.max(later.unwrap_or(eligible)))
    }

    pub fn is_blocked(&self) -> bool {
        self.refused || self.disputes.values().any(|it| it.closed.is_none())
    }

    /// Whether it is accepted.
    pub fn refund(&mut self, id: u8, amount: Cents, dispute: Option<u8>, terms: &Terms) -> bool {
        let sale = self.sale.as_ref().expect("completed");
        if self.refunds() + amount > sale.amount && !terms.excess_receivable {
            self.refused = true;
            return false;
        }
        self.refunds.push(Refund {
            id,
            amount,
            dispute,
            reversed: false,
        });
        true
    }

    fn refunds(&self) -> Cents {
        let standing = self.refunds.iter().filter(|it| !it.reversed);
        standing.map(|it| it.amount).sum()
    }

    pub fn reverse(&mut self, id: u8) {
        let refund = self.refunds.iter_mut().find(|it| it.id == id);
        refund.expect("it is known").reversed = true;
    }

    pub fn open(&mut self, dispute: u8, amount: Option<Cents>) {
        let opened = Dispute {
            amount,
            closed: None,
            lost: false,
        };
        self.disputes.insert(dispute, opened);
    }

    pub fn close(&mut self, dispute: u8, at: Seconds, lost: bool) {
        let dispute = self.disputes.get_mut(&dispute).expect("it is known");
        dispute.closed = Some(at);
        dispute.lost = lost;
    }

    /// What all refunds and lost chargebacks together charge: of the order, and beyond its amount.
    pub fn due(&self, terms: &Terms) -> (Cents, Cents) {
        let Some(sale) = &self.sale else {
            return (0, 0);
        };
        let mut debt = self.refunds();
        for (id, dispute) in self.disputes.iter().filter(|it| it.1.lost) {
            let naming = self
                .refunds
                .iter()
                .filter(|it| !it.reversed && it.dispute == Some(*id));
            let named: Cents = naming.map(|it| it.amount).sum();
            debt += (dispute.amount.unwrap_or(sale.amount) - named).max(0);
        }
        (
            self.charge(debt.min(sale.amount), sale, terms),
            (debt - sale.amount).max(0),
        )
    }

    fn held(&self) -> Cents {
        self.holds.iter().map(|it| it.original).sum()
    }

    /// What the merchant bears of so much refunded of the order.
    fn charge(&self, refunded: Cents, sale: &Sale, terms: &Terms) -> Cents {
        let fees = if terms.fees_returned {
            part(sale.fees, refunded, sale.amount)
        } else {
            0
        };
        let share = part(refunded, self.held(), sale.amount);
        if terms.free_outside {
            (refunded - fees).min(share)
        } else {
            refunded - fees
        }
    }

    /// Takes a charge, so much of it within the order's amount, from the order's own money; how
    /// much it took.
    pub fn take(&mut self, within: Cents, sum: Cents, terms: &Terms) -> Cents {
        let spent = self.reversed.min(sum);
        self.reversed -= spent;
        let mut taken = spent;
        let wanted = match terms.source {
            Source::HoldFirst => self.holds.iter().map(|it| it.left).collect(),
            Source::MerchantFirst => Vec::new(),
            Source::Proportional => {
                let pairs = self.holds.iter().zip(self.shares(terms));
                pairs.map(|(it, share)| share - it.given).collect()
            }
        };
        for (hold, wanted) in self.holds.iter_mut().zip(wanted) {
            let part = wanted.min(hold.left).min(within - taken).max(0);
            hold.left -= part;
            hold.consumed += part;
            hold.given += part;
            taken += part;
        }
        taken
    }

    /// What each hold has to have given for all that was refunded.
    fn shares(&self, terms: &Terms) -> Vec<Cents> {
        let sale = self.sale.as_ref().expect("completed");
        let held = self.held();
        if held == 0 {
            return Vec::new();
        }
        // With fees returned the proportion is that of what is charged; else the two are the same.
        let whole = self.charge(sale.amount, sale, terms);
        let given = part(self.charged.0, held, whole);
        let originals: Vec<Cents> = self.holds.iter().map(|it| it.original).collect();
        split(given, &originals)
    }

    /// What proportional refunds have taken out of holds beyond their shares of now.
    pub fn beyond_shares(&self, mut most: Cents, terms: &Terms) -> Vec<(usize, Cents)> {
        if terms.source != Source::Proportional || self.cancelled {
            return Vec::new();
        }
        let mut backs = Vec::new();
        for (n, share) in self.shares(terms).into_iter().enumerate() {
            let back = (self.holds[n].given - share).clamp(0, most);
            most -= back;
            backs.push((n, back));
        }
        backs
    }

    /// Gives a hold back what it gave; what it can't take any more is the merchant's credit.
    pub fn restore(&mut self, n: usize, sum: Cents, at: Seconds) -> Cents {
        let hold = &mut self.holds[n];
        hold.given -= sum;
        if self.cancelled || hold.released > 0 {
            return sum;
        }
        if sum > 0 && hold.left == 0 {
            hold.restored_at = Some(at);
        }
        hold.left += sum;
        hold.consumed -= sum;
        0
    }

    /// Reverses what is left; how much that is.
    pub fn cancel(&mut self) -> Cents {
        self.cancelled = true;
        let mut all = 0;
        for hold in &mut self.holds {
            let left = std::mem::take(&mut hold.left);
            hold.reversed += left;
            all += left;
        }
        all
    }

    /// Whether a review block keeps what belongs to it.
    pub fn is_kept(&self) -> bool {
        self.refused
    }
}
