//! Sections 3, 4, 6 and 7 of the contract for one merchant and one currency: a plain ledger in
//! minor units, folded over all that the merchant's history holds. Times are seconds; every day is
//! one of UTC, settled daily at 00:00.

use std::collections::BTreeMap;

use super::order::{Hold, Order, part};
use super::words::{Cents, Release, Seconds, Step, Terms, What, Whence};

/// What the merchant owes for one cause.
#[derive(Debug, Clone)]
pub struct Debt {
    pub cause: String,
    /// The order whose charge it is.
    order: Option<u8>,
    at: Seconds,
    pub left: Cents,
}

#[derive(Debug, Clone, Default)]
struct Results {
    paid: Option<Seconds>,
    failed: Option<Seconds>,
}

/// The merchant's whole ledger.
#[derive(Debug, Clone)]
pub struct Ledger {
    pub terms: Terms,
    pub now: Seconds,
    pub orders: BTreeMap<u8, Order>,
    pub deposit: Cents,
    pub debts: Vec<Debt>,
    /// The merchant's own again, apart from holds, until the clock goes on: each with its order.
    credits: Vec<(Option<u8>, Cents)>,
    pub releases: Vec<Release>,
    results: BTreeMap<(u8, usize, u32), Results>,
    pub refunded: Cents,
    /// What came in and went out beside orders: deposits, withdrawals, adjustments.
    beside: Cents,
}

impl Ledger {
    pub fn new(terms: Terms) -> Self {
        Self {
            terms,
            now: 0,
            orders: BTreeMap::new(),
            deposit: 0,
            debts: Vec::new(),
            credits: Vec::new(),
            releases: Vec::new(),
            results: BTreeMap::new(),
            refunded: 0,
            beside: 0,
        }
    }

    /// Time goes on to that of the step, what has fallen due before goes, then the step acts.
    pub fn act(&mut self, step: &Step) {
        // Who sends a payout result knows what was released until then.
        let payee = match step {
            Step::Payout { pick, paid, .. } => self.payee(*pick, *paid),
            _ => None,
        };
        if step.at() > self.now {
            self.clock(step.at());
        }
        match step {
            Step::Order { order, at, what } => self.fact(*order, *at, what),
            Step::Deposit {
                id,
                at,
                credited,
                amount,
            } => {
                if *credited {
                    self.beside += amount;
                    self.deposit += amount;
                } else {
                    self.beside -= amount;
                    self.charge(format!("W{id}"), None, *at, *amount);
                }
            }
            Step::Adjustment {
                id,
                at,
                credit,
                amount,
            } => {
                if *credit {
                    self.beside += amount;
                    let rest = self.pay_debts(*amount);
                    self.credit(None, rest);
                } else {
                    self.beside -= amount;
                    self.charge(format!("A{id}"), None, *at, *amount);
                }
            }
            Step::Payout { at, paid, .. } => {
                if let Some(payee) = payee {
                    let results = self.results.entry(payee).or_default();
                    let result = if *paid {
                        &mut results.paid
                    } else {
                        &mut results.failed
                    };
                    *result = Some(*at);
                }
            }
        }
        // A deposit that has grown pays open receivables first.
        self.deposit = self.pay_debts(self.deposit);
    }

    /// The release that a payout result is for: each has one paid and one failed at most.
    pub fn payee(&self, pick: usize, paid: bool) -> Option<(u8, usize, u32)> {
        let with_money = self.releases.iter().filter(|it| it.amount > 0);
        let mut all: Vec<_> = with_money.filter_map(|it| it.whence).collect();
        all.sort_unstable();
        let payee = *all.get(pick.checked_rem(all.len())?)?;
        let known = self.results.get(&payee);
        let told = known.is_some_and(|it| if paid { it.paid } else { it.failed }.is_some());
        (!told).then_some(payee)
    }

    pub fn paid(&self) -> Cents {
        let paid = self.releases.iter().filter(|it| {
            let results = it.whence.and_then(|whence| self.results.get(&whence));
            // Money came back when the failure is the later of the two.
            results.is_some_and(|it| it.paid.is_some() && it.paid > it.failed)
        });
        paid.map(|it| it.amount).sum()
    }

    pub fn payable(&self) -> Cents {
        self.releases.iter().map(|it| it.amount).sum::<Cents>() - self.paid()
    }

    pub fn held(&self) -> Cents {
        let holds = self.orders.values().flat_map(|it| &it.holds);
        let credits = self.credits.iter().map(|it| it.1);
        holds.map(|it| it.left).chain(credits).sum()
    }

    /// What is left of each hold, by order and term.
    pub fn left(&self) -> BTreeMap<(u8, usize), Cents> {
        let orders = self.orders.iter();
        let holds = orders.flat_map(|(id, order)| {
            let holds = order.holds.iter().enumerate();
            holds.map(|(n, hold)| ((*id, n), hold.left))
        });
        holds.collect()
    }

    pub fn owed(&self) -> Cents {
        self.debts.iter().map(|it| it.left).sum()
    }

    /// held + payable + paid + deposit − receivable.
    pub fn net(&self) -> Cents {
        self.held() + self.payable() + self.paid() + self.deposit - self.owed()
    }

    /// The same, from the facts alone, without a look at where the money lies: what was held, less
    /// what refunds and chargebacks charge; of a cancelled order nothing but what they charge
    /// beyond its holds. Right unless something was released before a cancellation.
    pub fn net_by_facts(&self) -> Cents {
        let orders = self.orders.values().map(|order| {
            let held: Cents = order.holds.iter().map(|it| it.original).sum();
            let (within, beyond) = order.due(&self.terms);
            let net = held - within - beyond;
            if order.cancelled { net.min(0) } else { net }
        });
        orders.sum::<Cents>() + self.beside
    }

    /// The clock goes on: what falls due before then is released, the earliest first; what was due
    /// already, first of all. Credits go before holds.
    pub fn clock(&mut self, until: Seconds) {
        let orders = &self.orders;
        let kept =
            |id: &Option<u8>| id.is_some_and(|id| orders.get(&id).is_some_and(Order::is_kept));
        let (kept, free) = std::mem::take(&mut self.credits)
            .into_iter()
            .partition(|it| kept(&it.0));
        self.credits = kept;
        let mut free: Vec<(Option<u8>, Cents)> = free;
        // Those of no order first, then the order's that was heard of first.
        free.sort_by_key(|it| it.0.map(|id| orders[&id].heard));
        for (_, sum) in free {
            self.issue(None, sum, 0);
        }
        let mut due = Vec::new();
        for (id, order) in &self.orders {
            for (n, hold) in order.holds.iter().enumerate() {
                let at = order.release_at(hold).max(self.now);
                if hold.left > 0 && !order.is_blocked() && at < until {
                    due.push((at, *id, n));
                }
            }
        }
        due.sort_unstable();
        for (_, id, n) in due {
            let hold = &mut self.orders.get_mut(&id).expect("it has holds").holds[n];
            let gross = std::mem::take(&mut hold.left);
            hold.released += gross;
            hold.releases += 1;
            let whence = Some((id, n, hold.releases));
            self.issue(whence, gross, self.terms.top_up_bps);
        }
        self.now = until;
    }

    fn issue(&mut self, whence: Whence, gross: Cents, top_up_bps: i64) {
        let recovered = gross - self.pay_debts(gross);
        let to_deposit = part(gross, top_up_bps, 10_000)
            .min(self.terms.required - self.deposit)
            .min(gross - recovered)
            .max(0);
        self.deposit += to_deposit;
        self.releases.push(Release {
            whence,
            gross,
            recovered,
            to_deposit,
            amount: gross - recovered - to_deposit,
        });
    }

    /// Pays open receivables, oldest first; what is left of the sum.
    fn pay_debts(&mut self, mut sum: Cents) -> Cents {
        let mut debts: Vec<&mut Debt> = self.debts.iter_mut().collect();
        debts.sort_by_key(|it| it.at);
        for debt in debts {
            let paid = sum.min(debt.left);
            debt.left -= paid;
            sum -= paid;
        }
        sum
    }

    fn credit(&mut self, order: Option<u8>, sum: Cents) {
        if sum > 0 {
            self.credits.push((order, sum));
        }
    }

    /// Deposit, then receivable; answers what came out of which.
    fn charge(
        &mut self,
        cause: String,
        order: Option<u8>,
        at: Seconds,
        sum: Cents,
    ) -> (Cents, Cents) {
        let from_deposit = sum.min(self.deposit);
        self.deposit -= from_deposit;
        let left = sum - from_deposit;
        if left > 0 {
            self.debts.push(Debt {
                cause,
                order,
                at,
                left,
            });
        }
        (from_deposit, left)
    }

    /// A fact of an order; one whose subject isn't known yet waits for it, and then comes by
    /// business time.
    fn fact(&mut self, id: u8, at: Seconds, what: &What) {
        let heard = self.orders.len();
        let order = self.orders.entry(id).or_insert_with(|| Order::new(heard));
        order.waiting.push((at, what.clone()));
        order.waiting.sort_by_key(|it| it.0);
        while let Some((at, what)) = self.orders.get_mut(&id).and_then(Order::next_ready) {
            self.apply(id, at, &what);
        }
    }

    fn apply(&mut self, id: u8, at: Seconds, what: &What) {
        let order = self.orders.get_mut(&id).expect("it has facts");
        match what {
            What::Completed { amount, fees } => order.complete(at, *amount, *fees, &self.terms),
            What::Cancelled => self.cancel(id),
            What::Refunded {
                id: refund,
                amount,
                dispute,
            } => {
                if order.refund(*refund, *amount, *dispute, &self.terms) {
                    self.settle(id, at, format!("R{id}{refund}"));
                }
            }
            What::Reversed { id: refund } => {
                order.reverse(*refund);
                self.settle(id, at, String::new());
            }
            What::Opened { dispute, amount } => order.open(*dispute, *amount),
            What::Closed { dispute, lost } => {
                order.close(*dispute, at, *lost);
                self.settle(id, at, format!("D{id}{dispute}"));
            }
        }
    }

    /// Charges what the order's refunds and chargebacks now come to more than before, or gives
    /// back what they come to less.
    fn settle(&mut self, id: u8, at: Seconds, cause: String) {
        let order = self.orders.get_mut(&id).expect("it has facts");
        let (within, beyond) = order.due(&self.terms);
        let more = (within - order.charged.0, beyond - order.charged.1);
        order.charged = (within, beyond);
        let sum = more.0 + more.1;
        self.refunded += sum;
        if sum < 0 {
            self.give_back(id, -sum, at);
        } else {
            let taken = order.take(more.0, sum, &self.terms);
            let (deposit, owed) = self.charge(cause, Some(id), at, sum - taken);
            let order = self.orders.get_mut(&id).expect("it has facts");
            order.from_deposit += deposit;
            order.from_debts += owed;
        }
    }

    /// The sources of all that the order was charged get it back in reverse order: receivables,
    /// those that have been paid as a credit, the deposit, the holds, what was reversed.
    fn give_back(&mut self, id: u8, sum: Cents, at: Seconds) {
        let order = self.orders.get_mut(&id).expect("it has charges");
        let (mut rest, mut credit) = (sum, 0);
        for (place, share) in order.beyond_shares(sum, &self.terms) {
            rest -= share;
            credit += order.restore(place, share, at);
        }
        rest = self.give_back_elsewhere(id, rest, &mut credit);
        let order = self.orders.get_mut(&id).expect("it has charges");
        for n in (0..order.holds.len()).rev() {
            let back = order.holds[n].given.min(rest);
            rest -= back;
            credit += order.restore(n, back, at);
        }
        order.reversed += rest;
        self.credit(Some(id), credit);
    }

    /// To receivables of the order, to the merchant where they are paid, to the deposit; the rest.
    fn give_back_elsewhere(&mut self, id: u8, mut rest: Cents, credit: &mut Cents) -> Cents {
        let order = self.orders.get_mut(&id).expect("it has charges");
        let mut paid = order.from_debts;
        for debt in self.debts.iter_mut().filter(|it| it.order == Some(id)) {
            paid -= debt.left;
            let back = rest.min(debt.left);
            debt.left -= back;
            order.from_debts -= back;
            rest -= back;
        }
        let back = rest.min(paid);
        order.from_debts -= back;
        *credit += back;
        rest -= back;
        let back = rest.min(order.from_deposit);
        order.from_deposit -= back;
        self.deposit += back;
        rest - back
    }

    /// What is left gives back what the merchant gave elsewhere for this order, the rest is gone.
    fn cancel(&mut self, id: u8) {
        let order = self.orders.get_mut(&id).expect("it was completed");
        let left = order.cancel();
        let mut credit = 0;
        let rest = self.give_back_elsewhere(id, left, &mut credit);
        let order = self.orders.get_mut(&id).expect("it was completed");
        order.reversed += rest;
        self.credit(Some(id), credit);
    }
}

impl Hold {
    pub fn adds_up(&self) -> bool {
        let parts = [self.left, self.consumed, self.released, self.reversed];
        parts.iter().all(|it| *it >= 0) && parts.iter().sum::<Cents>() == self.original
    }
}
