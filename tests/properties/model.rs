//! An order under way with its journal, and an independent model of its net position.

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;

use holdback::rules::agreement::{Agreement, Free, RefundFees};
use holdback::rules::calendar::Calendars;
use holdback::rules::decide::{self, Verdict, World};
use holdback::rules::deposit::{self, DepositFact};
use holdback::rules::entry::{Account, Entry};
use holdback::rules::fact::{ContentHash, DisputeKind, DisputeOutcome, OrderEvent, OrderFact};
use holdback::rules::hold::Dates;
use holdback::rules::ids::{CreditId, MerchantId, OrderId, TransactionId};
use holdback::rules::money::Amount;
use holdback::rules::order::{Order, Receivable};
use holdback::rules::recovery::{self, Credit, Debt, Purse};
use holdback::rules::release::{self, Claim, Clock};
use holdback::rules::review::Approval;
use holdback::rules::time::Instant;
use rust_decimal::Decimal;
use uuid::Uuid;

use super::cases::{Case, DAY, at, cents, cny, units};

/// An order under way, with its journal.
pub struct Run {
    pub agreements: Vec<Arc<Agreement>>,
    pub order: Order,
    pub journal: Vec<Entry>,
    /// The merchant's deposit, which releases and deposits change.
    pub deposit: Amount,
    /// What withdrawals left owing.
    withdrawals: Vec<Receivable>,
    /// What releases paid of the order's own debts.
    recovered: i64,
    /// What credits were released.
    credited: i64,
}

impl Run {
    pub fn new(case: &Case) -> Self {
        let merchant = MerchantId::parse("M").unwrap();
        Self {
            agreements: vec![case.agreement.clone()],
            order: Order::stub(merchant, OrderId::parse("O").unwrap()),
            journal: Vec::new(),
            deposit: cents(0),
            withdrawals: Vec::new(),
            recovered: 0,
            credited: 0,
        }
    }

    pub fn all(case: &Case, facts: &[OrderFact]) -> Self {
        let mut run = Self::new(case);
        for fact in facts {
            run.apply(fact);
        }
        run
    }

    pub fn apply(&mut self, fact: &OrderFact) -> Verdict {
        let calendars = Calendars::default();
        let world = World {
            agreements: &self.agreements,
            calendars: &calendars,
            now: at(0),
            approval: &Approval::default(),
        };
        self.order.purse = Some(Purse {
            debts: Vec::new(),
            ..self.purse()
        });
        let outcome = decide::apply(&mut self.order, fact.clone(), world).unwrap();
        assert!(outcome.refused.is_empty(), "{:?}", outcome.refused);
        self.journal.extend(outcome.entries);
        let purse = self.order.purse.take().unwrap();
        self.deposit = purse.deposit;
        self.pay_debts(purse.grown_by);
        outcome.verdict
    }

    /// Money comes into the deposit, or leaves it.
    pub fn move_deposit(&mut self, number: usize, units: i64) {
        let fact = DepositFact {
            merchant: self.order.merchant.clone(),
            transaction: TransactionId::parse(&format!("T{number}")).unwrap(),
            withdrawn: units < 0,
            amount: cents(units.abs()),
            currency: cny(),
            at: at(0),
            content: ContentHash([0; 16]),
            traceparent: None,
        };
        let mut purse = self.purse();
        let effect = deposit::apply(&mut purse, &fact).unwrap();
        self.journal.extend(effect.entries);
        self.withdrawals.extend(effect.debt);
        self.keep(&purse);
        self.pay_debts(purse.grown_by);
    }

    fn pay_debts(&mut self, grown_by: Option<String>) {
        let mut purse = Purse {
            grown_by,
            ..self.purse()
        };
        let released = self.recovered;
        self.journal.extend(deposit::pay_debts(&mut purse));
        self.keep(&purse);
        // Out of the deposit, not out of a release.
        self.recovered = released;
        let owed = self.purse().debts.len();
        assert!(
            self.deposit.is_zero() || owed == 0,
            "debts beside a deposit"
        );
    }

    /// Looks at every hold at that moment, with an open gate; answers what went.
    pub fn release(&mut self, now: Instant) -> i64 {
        let clock = Clock {
            now,
            gate: Some(now),
            not_before: at(-1000 * DAY),
        };
        let mut disputes = self.order.disputes.iter();
        let disputed = disputes.any(|it| it.amount.is_none() && it.closed.is_none());
        let mut went = 0;
        let Some(agreement) = self.order.agreement.clone() else {
            return 0;
        };
        let mut purse = self.purse();
        for credit in std::mem::take(&mut self.order.credits) {
            self.credited += units(credit.amount);
            let issued = recovery::issue_credit(&credit, &mut purse, now);
            self.journal.extend(issued);
        }
        for hold in &mut self.order.holds {
            let mut claim = Claim {
                merchant: self.order.merchant.clone(),
                order: self.order.id.clone(),
                currency: cny(),
                agreement: agreement.clone(),
                hold: hold.clone(),
                traceparent: None,
            };
            let judgement = release::judge(&claim, clock);
            for portion in &judgement.portions {
                let due = portion.dates.expect("what is due has dates");
                assert!(due.release_at <= now, "released before {due:?}");
                assert!(due.eligible_at <= due.release_at, "{due:?}");
                assert!(portion.amount <= hold.free(), "released while blocked");
                assert!(!disputed, "released while the whole order is disputed");
                let term = &agreement.terms[usize::from(hold.term_no)];
                let earliest = at(i64::from(term.days) * DAY);
                assert!(earliest <= now, "released within {} days", term.days);
                went += units(portion.amount);
                let issued = release::issue(&mut claim, portion, None, &mut purse, now);
                self.journal.extend(issued);
            }
            if judgement.limit_alert {
                self.journal.push(release::limit_reached(&mut claim, now));
            }
            assert_eq!(judgement.wake_at.is_none(), claim.hold.left.is_zero());
            *hold = claim.hold;
        }
        self.keep(&purse);
        went
    }

    /// The deposit and the order's open receivables, oldest first.
    fn purse(&self) -> Purse {
        let own = self.order.receivables.iter();
        let mut open: Vec<_> = own.chain(&self.withdrawals).collect();
        open.retain(|it| !it.left.is_zero());
        open.sort_by_key(|it| (it.opened_at, it.id));
        let open = open.into_iter().map(|it| Debt {
            id: it.id,
            order: Some(self.order.id.clone()),
            opened_at: it.opened_at,
            left: it.left,
        });
        Purse {
            deposit: self.deposit,
            debts: open.collect(),
            ..Purse::empty(cny())
        }
    }

    /// A release of another order's money pays up to so much of this order's debts.
    pub fn pay_elsewhere(&mut self, amount: i64, day: i64) {
        let credit = Credit {
            id: CreditId(Uuid::from_u128(u128::try_from(day).unwrap())),
            order: None,
            currency: cny(),
            amount: cents(amount),
            opened_at: at(day * DAY),
            traceparent: None,
        };
        let mut purse = self.purse();
        let issued = recovery::issue_credit(&credit, &mut purse, at(day * DAY));
        // The release itself is not this order's.
        self.journal.extend(issued.into_iter().skip(1));
        self.keep(&purse);
    }

    fn keep(&mut self, purse: &Purse) {
        self.deposit = purse.deposit;
        let own = self.order.receivables.iter_mut();
        for receivable in own.chain(&mut self.withdrawals) {
            let paid = purse.debts.iter().find(|debt| debt.id == receivable.id);
            let left = paid.map_or(receivable.left, |debt| debt.left);
            self.recovered += units(receivable.left) - units(left);
            receivable.left = left;
        }
    }

    pub fn balance(&self, account: Account) -> i64 {
        let transfers = self.journal.iter().filter_map(|entry| entry.transfer);
        transfers.fold(0, |sum, it| {
            let credit = if it.credit == account {
                units(it.amount)
            } else {
                0
            };
            let debit = if it.debit == account {
                units(it.amount)
            } else {
                0
            };
            sum + credit - debit
        })
    }

    /// Held + payable + deposit − owed; what is owed stands as a debit in its account.
    pub fn net(&self) -> i64 {
        let accounts = [
            Account::Held,
            Account::Payable,
            Account::Deposit,
            Account::Receivable,
        ];
        accounts.map(|account| self.balance(account)).iter().sum()
    }

    pub fn check(&self) {
        let holds = &self.order.holds;
        for hold in holds {
            assert!(hold.check(), "{hold:?}");
        }
        let left: i64 = holds.iter().map(|hold| units(hold.left)).sum();
        let credits: i64 = self.order.credits.iter().map(|it| units(it.amount)).sum();
        assert_eq!(
            self.balance(Account::Held),
            left + credits,
            "held is what is left"
        );
        let released: i64 = holds.iter().map(|hold| units(hold.released)).sum();
        assert_eq!(
            self.balance(Account::Payable),
            released + self.credited - self.recovered,
            "payable is what was released and not recovered"
        );
        let owed = self.order.receivables.iter().chain(&self.withdrawals);
        let owed: i64 = owed.map(|it| units(it.left)).sum();
        assert_eq!(
            self.balance(Account::Deposit),
            units(self.deposit),
            "the deposit is booked"
        );
        assert_eq!(
            self.balance(Account::Receivable),
            -owed,
            "what is owed is booked"
        );
        let mut ids = HashSet::new();
        for entry in &self.journal {
            let new = ids.insert(entry.event_id(&self.order.merchant));
            assert!(new, "one id for two events: {entry:?}");
        }
    }
}

/// The model: what an order's merchant should have of it, in cents, from the facts alone.
/// `released` is what went before a cancellation could reverse it.
pub fn model(case: &Case, released: i64) -> i64 {
    let mut terms: Vec<i64> = Vec::new();
    let mut room = case.amount - case.fees;
    for term in &case.agreement.terms {
        let share = (case.amount * i64::from(term.rate_bps) * 2 + 10_000) / 20_000;
        terms.push(share.min(room));
        room -= share.min(room);
    }
    let original: i64 = terms.iter().sum();
    let (debt, cancelled) = debt(case);
    let half_up = |whole: i64, part: i64, of: i64| (whole * part * 2 + of) / (of * 2);
    let covered = debt.min(case.amount);
    let mut charged = covered;
    if case.agreement.refund.fees == RefundFees::Returned {
        charged -= half_up(case.fees, covered, case.amount);
    }
    if case.agreement.refund.free == Free::Outside {
        charged = charged.min(half_up(original, covered, case.amount));
    }
    charged += debt - covered;
    if cancelled {
        released - (charged - (original - released)).max(0)
    } else {
        original - charged
    }
}

/// What refunds and lost chargebacks claim together, and whether the order is cancelled.
fn debt(case: &Case) -> (i64, bool) {
    let mut named: BTreeMap<Option<String>, i64> = BTreeMap::new();
    let mut kinds: BTreeMap<String, (u64, DisputeKind)> = BTreeMap::new();
    let mut amounts: BTreeMap<String, (u64, Option<i64>)> = BTreeMap::new();
    let mut lost: HashSet<String> = HashSet::new();
    let mut opened: HashSet<String> = HashSet::new();
    let mut cancelled = false;
    let in_cents = |it: Decimal| {
        i64::try_from((it * Decimal::ONE_HUNDRED).mantissa()).unwrap()
            / 10_i64.pow((it * Decimal::ONE_HUNDRED).scale())
    };
    for fact in &case.facts {
        match &fact.what {
            OrderEvent::Refunded(it) => {
                let dispute = it.dispute.as_ref().map(ToString::to_string);
                *named.entry(dispute).or_default() += units(it.amount);
            }
            OrderEvent::DisputeOpened(it) => {
                let id = it.dispute.to_string();
                opened.insert(id.clone());
                kinds.entry(id.clone()).or_insert((0, it.kind));
                let amount = it.amount.map(in_cents);
                amounts.entry(id).or_insert((0, amount));
            }
            OrderEvent::DisputeUpdated(it) => {
                let id = it.dispute.to_string();
                let newer = |known: Option<u64>| known.is_none_or(|known| it.version > known);
                if let Some(kind) = it.kind
                    && newer(kinds.get(&id).map(|known| known.0))
                {
                    kinds.insert(id.clone(), (it.version, kind));
                }
                if let Some(amount) = it.amount
                    && newer(amounts.get(&id).map(|known| known.0))
                {
                    amounts.insert(id, (it.version, Some(in_cents(amount))));
                }
            }
            OrderEvent::DisputeClosed(it) if it.outcome == DisputeOutcome::Lost => {
                lost.insert(it.dispute.to_string());
            }
            OrderEvent::Cancelled { .. } => cancelled = true,
            _ => {}
        }
    }
    let mut debt: i64 = named.values().sum();
    for id in lost.intersection(&opened) {
        if kinds[id].1 == DisputeKind::Chargeback {
            let claimed = amounts[id].1.unwrap_or(case.amount);
            let refunded = named.get(&Some(id.clone())).copied().unwrap_or(0);
            debt += (claimed - refunded).max(0);
        }
    }
    (debt, cancelled)
}

/// Everything about the holds that arrival must not change while nothing has fallen due; how much
/// goes when, whatever made it wait.
pub fn shape(order: &Order) -> Vec<String> {
    let holds = order.holds.iter();
    holds
        .map(|hold| {
            let dates = hold.dates.filter(|_| !hold.left.is_zero());
            let (left, blocked) = (hold.left, hold.blocked);
            let mut tails: Vec<(Option<Dates>, i64)> = Vec::new();
            let later = hold.tails.iter().filter(|it| it.dates != hold.dates);
            for tail in later {
                match tails.iter_mut().find(|it| it.0 == tail.dates) {
                    Some(same) => same.1 += units(tail.amount),
                    None => tails.push((tail.dates, units(tail.amount))),
                }
            }
            let anchor = hold.anchor_at;
            format!(
                "{} {left} {blocked} {anchor:?} {dates:?} {tails:?}",
                hold.term
            )
        })
        .collect()
}
