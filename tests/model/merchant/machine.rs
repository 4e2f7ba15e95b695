//! The rules, run by the machine of `holdback simulate`, and what its events and transfers say.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::io;
use std::rc::Rc;

use holdback::rules::entry::{Account, Entry, Event, ReleaseIssued};
use holdback::rules::hold::Hold;
use holdback::rules::ids::{HoldId, ReceivableId, SettlementId};
use holdback::rules::money::Amount;
use holdback::rules::time::Instant;
use holdback::simulate::{Letter, Reader, Said, Simulation, Sink};

use super::lines;
use super::words::{Cents, Release, Seconds, Whence};

/// What has been heard of a run.
#[derive(Debug, Default)]
pub struct Heard {
    balances: BTreeMap<Account, Cents>,
    holds: BTreeMap<HoldId, (u8, usize, u32)>,
    /// What is left of each hold, by order and term.
    pub left: BTreeMap<(u8, usize), Cents>,
    of_order: BTreeMap<u8, usize>,
    debts: BTreeMap<ReceivableId, (String, Cents)>,
    pub releases: Vec<Release>,
    pub release_ids: BTreeMap<(u8, usize, u32), String>,
    /// Releases, gross and amount of each open part of a settlement.
    parts: BTreeMap<(SettlementId, u32), (u64, Cents, Cents)>,
    pub letters: Vec<String>,
    /// What no run may say.
    pub wrong: Vec<String>,
}

pub fn cents(amount: Amount) -> Cents {
    let text = amount.to_string().replace('.', "");
    text.parse().expect("a sum of two decimals")
}

impl Heard {
    pub fn balance(&self, account: Account) -> Cents {
        self.balances.get(&account).copied().unwrap_or_default()
    }

    /// What is owed for each cause.
    pub fn debts(&self) -> BTreeMap<String, Cents> {
        let open = self.debts.values().filter(|it| it.1 > 0);
        open.cloned().collect()
    }

    fn hear(&mut self, entry: &Entry) {
        if let Some(moved) = entry.transfer {
            *self.balances.entry(moved.credit).or_default() += cents(moved.amount);
            *self.balances.entry(moved.debit).or_default() -= cents(moved.amount);
        }
        let hold = entry.hold.and_then(|id| self.holds.get(&id).copied());
        let left = match &entry.event {
            Event::HoldCreated(it) => {
                let order = entry.order.as_ref().expect("a hold has an order");
                let order: u8 = order.as_str()[1..].parse().expect("an order of ours");
                let terms = self.of_order.entry(order).or_default();
                let id = entry.hold.expect("its own");
                self.holds.insert(id, (order, *terms, 0));
                self.left.insert((order, *terms), cents(it.original));
                *terms += 1;
                None
            }
            Event::HoldConsumed(it) => Some(cents(it.left)),
            Event::HoldRestored(it) => Some(cents(it.left)),
            Event::HoldReversed(_) => Some(0),
            Event::ReceivableOpened(it) => {
                let ids = [
                    it.refund_id.as_ref().map(ToString::to_string),
                    it.dispute_id.as_ref().map(ToString::to_string),
                    it.transaction_id.as_ref().map(ToString::to_string),
                    it.adjustment_id.as_ref().map(ToString::to_string),
                ];
                let cause = ids.into_iter().flatten().next().expect("a cause");
                let debt = self.debts.entry(it.receivable_id).or_insert((cause, 0));
                debt.1 += cents(it.amount);
                None
            }
            Event::ReceivableRecovered(it) => {
                let debt = self.debts.get_mut(&it.receivable_id).expect("opened");
                debt.1 -= cents(it.amount);
                if debt.1 != cents(it.left) || debt.1 < 0 {
                    self.wrong.push(format!("{it:?} leaves {}", debt.1));
                }
                None
            }
            Event::ReleaseIssued(it) => {
                self.released(it, entry.hold);
                None
            }
            Event::SettlementClosed(it) => {
                let part = self.parts.remove(&(it.settlement_id, it.part));
                if part != Some((it.releases, cents(it.gross), cents(it.amount))) {
                    self.wrong.push(format!("{it:?} closes {part:?}"));
                }
                None
            }
            _ => None,
        };
        if let (Some(left), Some((order, term, _))) = (left, hold) {
            self.left.insert((order, term), left);
        }
    }

    fn released(&mut self, it: &ReleaseIssued, hold: Option<HoldId>) {
        let mut release = Release {
            whence: None,
            gross: cents(it.gross),
            recovered: cents(it.recovered),
            to_deposit: cents(it.to_deposit),
            amount: cents(it.amount),
        };
        if let (Some(settlement), Some(part)) = (it.settlement_id, it.settlement_part) {
            let part = self.parts.entry((settlement, part)).or_default();
            part.0 += 1;
            part.1 += release.gross;
            part.2 += release.amount;
        }
        let known = hold.and_then(|id| self.holds.get_mut(&id));
        if let Some((order, term, count)) = known {
            *count += 1;
            let place = (*order, *term, *count);
            release.whence = Some(place);
            self.release_ids.insert(place, it.release_id.to_string());
            *self.left.get_mut(&(place.0, place.1)).expect("created") -= release.gross;
        }
        self.releases.push(release);
    }

    /// All that went of holds and credits must add up, nothing may be below zero.
    pub fn sound(&mut self) {
        for account in [
            Account::Held,
            Account::Payable,
            Account::Paid,
            Account::Deposit,
            Account::Refunded,
        ] {
            if self.balance(account) < 0 {
                let wrong = format!("{account:?} is {}", self.balance(account));
                self.wrong.push(wrong);
            }
        }
        let owed: Cents = self.debts.values().map(|it| it.1).sum();
        if -self.balance(Account::Receivable) != owed {
            self.wrong.push(format!("receivables are {owed}"));
        }
        for it in &self.releases {
            if it.gross != it.recovered + it.to_deposit + it.amount || it.amount < 0 {
                self.wrong.push(format!("{it:?}"));
            }
        }
    }
}

struct Ear(Rc<RefCell<Heard>>);

impl Sink for Ear {
    fn said(&mut self, said: &Said<'_>) -> io::Result<()> {
        self.0.borrow_mut().hear(said.entry);
        Ok(())
    }

    fn refused(&mut self, letter: &Letter<'_>) -> io::Result<()> {
        let rejection = letter.rejection;
        let text = format!("{}: {}", rejection.reason, rejection.detail);
        self.0.borrow_mut().letters.push(text);
        Ok(())
    }
}

/// By order and term.
pub type Holds = BTreeMap<(u8, usize), Hold>;

pub struct Machine {
    reader: Reader,
    run: Simulation<Ear>,
    pub heard: Rc<RefCell<Heard>>,
    pub lines: Vec<String>,
}

impl Machine {
    pub fn new(agreement: String) -> Self {
        let heard = Rc::new(RefCell::new(Heard::default()));
        let mut machine = Self {
            reader: Reader::default(),
            run: Simulation::new(Ear(Rc::clone(&heard)), 3650),
            heard,
            lines: Vec::new(),
        };
        machine.take(agreement);
        machine
    }

    pub fn take(&mut self, line: String) {
        let read = self.reader.read(line.as_bytes()).expect("a line");
        self.lines.push(line);
        let number = u64::try_from(self.lines.len()).expect("few lines");
        self.run.take(number, read).expect("small sums");
    }

    /// The release of a hold, by what the events said.
    pub fn release_id(&self, of: (u8, usize, u32)) -> Option<String> {
        self.heard.borrow().release_ids.get(&of).cloned()
    }

    /// Lets the clock run on; the holds as they are then.
    pub fn finish(self, until: Seconds) -> (Holds, Rc<RefCell<Heard>>) {
        let until = Instant::new(lines::instant(until));
        let end = self.run.finish(Some(until)).expect("small sums");
        let mut holds = BTreeMap::new();
        for order in end.orders() {
            let id: u8 = order.id.as_str()[1..].parse().expect("an order of ours");
            for (n, hold) in order.holds.iter().enumerate() {
                holds.insert((id, n), hold.clone());
            }
        }
        (holds, self.heard)
    }
}

/// By order and term; credits last.
pub fn sorted(releases: &[Release]) -> Vec<Release> {
    let mut sorted = releases.to_vec();
    sorted.sort_by_key(|it| (it.whence.is_none(), it.whence));
    sorted
}

/// The release's place, for people.
pub fn named(whence: Whence) -> String {
    whence.map_or_else(
        || "credit".to_owned(),
        |(order, term, n)| format!("{} t{} n{n}", lines::order_id(order), term + 1),
    )
}
