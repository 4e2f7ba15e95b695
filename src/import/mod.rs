//! `holdback import`: takes over what an earlier system still holds, has in deposit and is owed.
//!
//! Guarantees that a file is taken over whole or not at all, that every fault in it is told by line and
//! JSON pointer, and that a line that was taken over before does nothing again.

mod command;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use uuid::Uuid;

use crate::config::Config;
use crate::ingest::{Rules, deposits, reparse_with};
use crate::message::import::{self, Line, Owed};
use crate::operator::By;
use crate::rules::decide::{self, World};
use crate::rules::deposit::{self, DepositFact};
use crate::rules::entry::{Account, Entry, Event, ReceivableOpened, Transfer};
use crate::rules::ids::{MerchantId, OrderId, ReceivableId, TransactionId};
use crate::rules::money::{Amount, Currency};
use crate::rules::order::Receivable;
use crate::store::agreements::Catalogue;
use crate::store::cases::OrderKey;
use crate::store::deposits::transaction_key;
use crate::store::imports::ImportKey;
use crate::store::journal::Lines;
use crate::store::operations::{About, Operation};
use crate::store::recovery::{PurseKey, Purses};
use crate::store::{Store, StoreError, Tx};

pub use command::run;

/// Lines of a file: one transaction takes them all.
pub const LINES_MAX: usize = 20_000;

/// What is wrong with a line, its number counted from 1.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    pub line: usize,
    /// Begins with the JSON pointer.
    pub what: String,
}

/// What a file came to.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Imported {
    /// `None` when nothing was written.
    pub operation: Option<Uuid>,
    pub orders: usize,
    pub deposits: usize,
    pub receivables: usize,
    /// Lines that were taken over before.
    pub known: usize,
    /// By currency: what is held, in deposit and owed because of it.
    pub sums: BTreeMap<Currency, [Amount; 3]>,
}

/// Why a file was not taken over; nothing has changed then.
#[derive(Debug, thiserror::Error)]
pub enum ImportError {
    #[error("{} faults; nothing was imported", .0.len())]
    Faults(Vec<Fault>),
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// A line with its number.
type Numbered = (usize, Line);

/// Reads a file's lines; empty ones say nothing.
///
/// # Errors
/// Every fault of every line.
pub fn read(file: &[u8]) -> Result<Vec<Numbered>, Vec<Fault>> {
    let mut lines: Vec<Numbered> = Vec::new();
    let mut faults = Vec::new();
    let mut first: HashMap<ImportKey, usize> = HashMap::new();
    for (line, text) in (1..).zip(file.split(|byte| *byte == b'\n')) {
        if text.trim_ascii().is_empty() {
            continue;
        }
        match import::line(text) {
            Ok(read) => {
                if let Some(before) = first.insert(key(&read), line) {
                    let what = format!(": says what line {before} says already");
                    faults.push(Fault { line, what });
                }
                lines.push((line, read));
            }
            Err(whats) => faults.extend(whats.into_iter().map(|what| Fault { line, what })),
        }
    }
    if lines.len() > LINES_MAX {
        let what = format!(": at most {LINES_MAX} lines are taken over at once: part the file");
        let line = LINES_MAX + 1;
        faults.push(Fault { line, what });
    }
    if faults.is_empty() {
        Ok(lines)
    } else {
        Err(faults)
    }
}

fn key(line: &Line) -> ImportKey {
    let (kind, id) = line.key();
    (line.merchant().clone(), kind, id)
}

/// Takes over what is new among these lines, in one transaction; `dry_run` decides everything and
/// writes nothing.
///
/// # Errors
/// [`ImportError`].
pub async fn take_over(
    store: &Store,
    config: &Arc<Config>,
    lines: &[Numbered],
    by: &By,
    dry_run: bool,
) -> Result<Imported, ImportError> {
    let rules = Rules::of(config);
    let mut tx = store.begin().await?;
    let operation = tx.operation_id().await?;
    let mut run = Run {
        rules: &rules,
        lines: Lines::default(),
        faults: Vec::new(),
        done: Imported::default(),
    };
    let noted = run.decide(&mut tx, lines).await;
    match noted {
        Ok(noted) if run.faults.is_empty() && !noted.is_empty() && !dry_run => {
            let mut journal = run.lines;
            journal.are_by(operation);
            tx.write(&journal).await?;
            tx.note_imports(&noted, operation).await?;
            tx.keep_operation(&kept(operation, by, &run.done)).await?;
            tx.commit().await?;
            run.done.operation = Some(operation);
            Ok(run.done)
        }
        Ok(_) if run.faults.is_empty() => {
            tx.rollback().await?;
            Ok(run.done)
        }
        Ok(_) => {
            tx.rollback().await?;
            run.faults.sort_by_key(|fault| fault.line);
            Err(ImportError::Faults(run.faults))
        }
        Err(error) => {
            tx.rollback().await?;
            Err(error.into())
        }
    }
}

fn kept<'a>(id: Uuid, by: &'a By, done: &Imported) -> Operation<'a> {
    Operation {
        id,
        kind: "import",
        actor: &by.actor,
        reason: &by.reason,
        request: serde_json::json!({
            "kind": "import", "orders": done.orders, "deposits": done.deposits,
            "receivables": done.receivables,
        }),
        about: About::default(),
        needs_approval: false,
        approves: None,
    }
}

/// One file under way.
struct Run<'a> {
    rules: &'a Rules,
    lines: Lines,
    faults: Vec<Fault>,
    done: Imported,
}

impl Run<'_> {
    /// Decides and writes everything but the journal; answers what is new.
    async fn decide(
        &mut self,
        tx: &mut Tx,
        lines: &[Numbered],
    ) -> Result<Vec<(ImportKey, crate::rules::fact::ContentHash)>, StoreError> {
        let keys: Vec<ImportKey> = lines.iter().map(|(_, line)| key(line)).collect();
        let known = tx.known_imports(&keys).await?;
        let mut noted = Vec::new();
        let mut fresh: Vec<&Numbered> = Vec::new();
        for (key, numbered) in keys.into_iter().zip(lines) {
            let content = numbered.1.content();
            match known.get(&key) {
                None => {
                    noted.push((key, content));
                    fresh.push(numbered);
                }
                Some(before) if *before == content => self.done.known += 1,
                Some(_) => self.fault(numbered.0, ": was imported before with other content"),
            }
        }
        self.orders(tx, &fresh).await?;
        self.purses(tx, &fresh).await?;
        Ok(noted)
    }

    fn fault(&mut self, line: usize, what: impl Into<String>) {
        let what = what.into();
        self.faults.push(Fault { line, what });
    }

    fn count(&mut self, currency: Currency, place: usize, amount: Amount) {
        let zero = Amount::zero(currency);
        let sums = self.done.sums.entry(currency).or_insert([zero; 3]);
        sums[place] = sums[place].plus(amount).unwrap_or(sums[place]);
    }

    async fn orders(&mut self, tx: &mut Tx, fresh: &[&Numbered]) -> Result<(), StoreError> {
        let orders = fresh.iter().filter_map(|(line, read)| match read {
            Line::Order(it) => {
                let key: OrderKey = (it.sale.merchant.clone(), it.sale.order.clone());
                Some((key, (*line, it)))
            }
            _ => None,
        });
        let orders: BTreeMap<OrderKey, _> = orders.collect();
        if orders.is_empty() {
            return Ok(());
        }
        let keys: Vec<OrderKey> = orders.keys().cloned().collect();
        let mut merchants: Vec<MerchantId> = keys.iter().map(|key| key.0.clone()).collect();
        merchants.dedup();
        let mut catalogue = Catalogue::default();
        tx.open_catalogue(&mut catalogue, &merchants, false).await?;
        let reparse = reparse_with(self.rules);
        let mut cases = tx.load_orders(&keys, &mut catalogue, &reparse).await?;
        let calendars = catalogue.calendars();
        for (key, (line, it)) in &orders {
            let Some(case) = cases.get_mut(key) else {
                continue;
            };
            let agreements = catalogue.of(&key.0);
            let world = World {
                agreements: &agreements,
                calendars: &calendars,
                now: tx.now,
                approval: &self.rules.approval,
            };
            match decide::import(&mut case.order, it, world) {
                Ok(entries) => {
                    self.done.orders += 1;
                    let currency = it.sold().map(|sold| sold.currency);
                    for (hold, currency) in it.holds.iter().flat_map(|it| Some(it).zip(currency)) {
                        self.count(currency, 0, hold.left);
                    }
                    self.lines.add(&key.0, entries, None);
                }
                Err(whats) => whats.into_iter().for_each(|what| self.fault(*line, what)),
            }
        }
        if self.faults.is_empty() {
            tx.save_orders(&cases, &catalogue).await?;
        }
        Ok(())
    }

    /// Deposits first, then debts: the earlier system has both, and so have we.
    async fn purses(&mut self, tx: &mut Tx, fresh: &[&Numbered]) -> Result<(), StoreError> {
        let mut paid: Vec<(usize, DepositFact)> = Vec::new();
        let mut owed: Vec<&Owed> = Vec::new();
        for (line, read) in fresh {
            match read {
                Line::Deposit(it) => paid.push((*line, it.clone())),
                Line::Receivable(it) => owed.push(it),
                Line::Order(_) => {}
            }
        }
        let of_paid = paid
            .iter()
            .map(|(_, it)| (it.merchant.clone(), it.currency));
        let of_owed = owed.iter().map(|it| (it.merchant.clone(), it.currency));
        let keys: BTreeSet<PurseKey> = of_paid.chain(of_owed).collect();
        if keys.is_empty() {
            return Ok(());
        }
        let mut purses = Purses::default();
        tx.make_merchants(&keys).await?;
        tx.lock_purses(&mut purses, &keys).await?;
        let facts: Vec<DepositFact> = paid.iter().map(|(_, fact)| fact.clone()).collect();
        let known = tx.known_transactions(&facts).await?;
        for (line, fact) in &paid {
            if known.contains_key(&transaction_key(fact)) {
                self.fault(
                    *line,
                    "/transaction_id: is known already, from its own event",
                );
                continue;
            }
            let purse = purses.of(&(fact.merchant.clone(), fact.currency));
            match deposit::apply(purse, fact) {
                Ok(effect) => {
                    self.done.deposits += 1;
                    self.count(fact.currency, 1, fact.amount);
                    self.lines.add(&fact.merchant, effect.entries, None);
                }
                Err(error) => self.fault(*line, format!("/amount: {error}")),
            }
        }
        if !self.faults.is_empty() {
            return Ok(());
        }
        tx.save_transactions(&facts).await?;
        deposits::settle(tx, &mut purses, &mut self.lines).await?;
        let debts: Vec<(MerchantId, Option<OrderId>, Receivable)> =
            owed.into_iter().map(debt).collect();
        for (merchant, _, debt) in &debts {
            self.done.receivables += 1;
            self.count(debt.currency, 2, debt.original);
            self.lines.add(merchant, [opened(debt)], None);
        }
        tx.open_receivables(&debts).await
    }
}

fn debt(it: &Owed) -> (MerchantId, Option<OrderId>, Receivable) {
    let debt = Receivable {
        id: ReceivableId::of(&it.merchant, "import", it.id.as_str()),
        currency: it.currency,
        original: it.amount,
        left: it.amount,
        written_off: Amount::zero(it.currency),
        opened_at: it.opened_at,
        cause: ("import", it.id.to_string()),
    };
    (it.merchant.clone(), None, debt)
}

fn opened(debt: &Receivable) -> Entry {
    Entry {
        event: Event::ReceivableOpened(ReceivableOpened {
            receivable_id: debt.id,
            amount: debt.original,
            refund_id: None,
            dispute_id: None,
            transaction_id: TransactionId::parse(&debt.cause.1).ok(),
            adjustment_id: None,
        }),
        order: None,
        hold: None,
        currency: Some(debt.currency),
        transfer: Some(Transfer {
            debit: Account::Receivable,
            credit: Account::Platform,
            amount: debt.original,
        }),
        cause: format!("import:{}", debt.cause.1),
        traceparent: None,
    }
}
