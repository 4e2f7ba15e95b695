//! What holdback would do: messages from a file, in file order, through the very rules and steps of
//! the service, without Kafka, database or gate.
//!
//! Guarantees the events that the topics would carry, in a merchant's order, but for the times at
//! which they were issued: the clock is the greatest business time so far, what falls due at an
//! instant is released when the clock moves past it, and the end of the input lets it run on.
//! Output streams; memory holds the orders that are open, and those finished for less than the
//! days after which they are forgotten.

mod books;
mod catalogue;
pub mod command;
mod difference;
mod due;
mod facts;
mod figures;
mod indirect;
mod input;
mod limit;
mod lines;
mod orders;
mod payouts;
mod purses;
mod summary;

use std::collections::{BTreeSet, HashMap};

use jiff::{SignedDuration, Timestamp};

use crate::ingest::catalogue::{accepted, refused};
use crate::ingest::fold::OwnId;
use crate::ingest::work;
use crate::message::incoming::Accepted;
use crate::message::{Reason, Rejection};
use crate::rules::decide::{self, World};
use crate::rules::entry::Entry;
use crate::rules::fact::{Fact, IndirectFact};
use crate::rules::ids::MerchantId;
use crate::rules::money::Currency;
use crate::rules::order::{Block, Order};
use crate::rules::review::Approval;
use crate::rules::time::Instant;
use crate::store::agreements::Accepted as Answer;
use crate::store::cases::OrderKey;

use books::Books;
use catalogue::Catalogue;
use due::Agenda;
use orders::Orders;
use payouts::Payouts;
use purses::Purses;

pub use books::{Letter, Said, Sink};
pub use input::{Reader, agreements};
pub use lines::JsonLines;

/// How long a finished order is remembered unless another time is asked for: as long as the
/// service knows the keys of messages (`ingest.horizon_days`).
pub const FORGET_AFTER_DAYS: u32 = 730;

/// A message of the input: its line, and the fact in it or the reason why there is none.
type Message = (u64, Result<Accepted, Rejection>);

/// A run under way.
pub struct Simulation<S> {
    catalogue: Catalogue,
    orders: Orders,
    /// Sales that wait for an agreement.
    waiting: BTreeSet<OrderKey>,
    /// Facts that wait for the review or the refund that they name.
    strays: HashMap<OwnId, Vec<(u64, IndirectFact)>>,
    approval: Approval,
    agenda: Agenda,
    payouts: Payouts,
    purses: Purses,
    books: Books<S>,
    /// The greatest business time so far; unknown until the first message that has one.
    clock: Option<Instant>,
    /// Messages before it, which wait for it.
    leading: Vec<Message>,
    forget_after: SignedDuration,
    /// Blocks to put up and references of those to lift, once the message is applied.
    distrusted: Vec<(OrderKey, Block)>,
    trusted: Vec<(OrderKey, String)>,
}

/// Where a run has come to.
pub struct End<S> {
    pub sink: S,
    pub clock: Instant,
    /// Sales that no agreement covers.
    pub waiting: usize,
    /// Messages that wait for what they belong to.
    pub parked: usize,
    orders: Orders,
    /// What it knew besides.
    rest: (Agenda, Payouts),
}

impl<S> End<S> {
    /// Leaves what the run knew to the end of the process, which is near. To give back a gigabyte
    /// order by order would take a twentieth of a run.
    pub(crate) fn into_sink(self) -> S {
        std::mem::forget((self.orders, self.rest));
        self.sink
    }

    /// The orders that are not forgotten.
    pub fn orders(&self) -> impl Iterator<Item = &Order> {
        self.orders.all().map(|case| &case.order)
    }
}

impl<S: Sink> Simulation<S> {
    /// A run that tells `sink` what happens.
    pub fn new(sink: S, forget_after_days: u32) -> Self {
        Self {
            catalogue: Catalogue::default(),
            orders: Orders::default(),
            waiting: BTreeSet::new(),
            strays: HashMap::new(),
            approval: Approval::default(),
            agenda: Agenda::default(),
            payouts: Payouts::default(),
            purses: Purses::default(),
            books: Books::new(sink),
            clock: None,
            leading: Vec::new(),
            forget_after: SignedDuration::from_hours(i64::from(forget_after_days) * 24),
            distrusted: Vec::new(),
            trusted: Vec::new(),
        }
    }

    /// Takes the message of a line.
    ///
    /// # Errors
    /// When the sink fails, or a sum is beyond all range.
    pub fn take(&mut self, line: u64, read: Result<Accepted, Rejection>) -> anyhow::Result<()> {
        let business_at = read.as_ref().ok().and_then(|it| it.business_at);
        match (self.clock, business_at) {
            (None, None) => {
                self.leading.push((line, read));
                return Ok(());
            }
            (None, Some(at)) => self.begin(at)?,
            (Some(clock), Some(at)) if at > clock => {
                self.pass(|due| due < at)?;
                self.clock = Some(at);
            }
            _ => {}
        }
        self.apply(line, read)
    }

    /// Lets the clock run on to `until`, if that is later, and ends.
    ///
    /// # Errors
    /// As [`Simulation::take`].
    pub fn finish(mut self, until: Option<Instant>) -> anyhow::Result<End<S>> {
        let start = Instant::new(Timestamp::UNIX_EPOCH);
        if self.clock.is_none() {
            self.begin(until.unwrap_or(start))?;
        }
        let clock = self.clock.max(until).unwrap_or(start);
        self.pass(|due| due <= clock)?;
        Ok(End {
            clock,
            waiting: self.waiting.len(),
            parked: self
                .orders
                .all()
                .map(|case| case.order.parked.len())
                .sum::<usize>()
                + self.strays.values().map(Vec::len).sum::<usize>(),
            orders: self.orders,
            rest: (self.agenda, self.payouts),
            sink: self.books.into_sink(),
        })
    }

    /// Starts the clock, and applies what came before it could.
    fn begin(&mut self, at: Instant) -> anyhow::Result<()> {
        self.clock = Some(at);
        for (line, read) in std::mem::take(&mut self.leading) {
            self.apply(line, read)?;
        }
        Ok(())
    }

    /// Where the clock stands.
    fn now(&self) -> Instant {
        self.clock.unwrap_or(Instant::MAX)
    }

    /// Does what falls due on the way, one instant after the other.
    fn pass(&mut self, on_the_way: impl Fn(Instant) -> bool) -> anyhow::Result<()> {
        while let Some(next) = self.agenda.next() {
            let at = next.max(self.now());
            if !on_the_way(at) {
                break;
            }
            self.clock = Some(at);
            self.watch()?;
            self.release()?;
            self.pay_debts()?;
            self.close()?;
        }
        Ok(())
    }

    fn apply(&mut self, line: u64, read: Result<Accepted, Rejection>) -> anyhow::Result<()> {
        match read {
            Err(rejection) => self.reject(line, &rejection)?,
            Ok(Accepted { fact, content, .. }) => match fact {
                Fact::Order(fact) => self.fold(line, &fact)?,
                Fact::Indirect(fact) => self.indirect(line, fact)?,
                Fact::Agreement(agreement) => {
                    let answer = self.catalogue.accept(&agreement, content);
                    let (id, version) = (&agreement.agreement_id, agreement.version);
                    let what = format!("agreement {id} version {version}");
                    if self.is_new(line, answer, &what)? {
                        let entry = accepted(&agreement, self.orders.late_for(&agreement));
                        self.say(&agreement.merchant_id, &entry)?;
                        self.resume(line)?;
                    }
                }
                Fact::Calendar(calendar) => {
                    let answer = self.catalogue.accept_calendar(&calendar, content);
                    let (id, version) = (&calendar.calendar, calendar.version);
                    let what = format!("calendar {id} version {version}");
                    if self.is_new(line, answer, &what)? {
                        self.recompute(&calendar.calendar)?;
                    }
                }
                Fact::Deposit(fact) => self.deposit(line, &fact)?,
                Fact::Adjustment(fact) => self.adjust(line, &fact)?,
                Fact::Payout(result) => match self.payouts.answer(&result) {
                    Ok(entries) => self.say_all(&result.merchant, &entries)?,
                    Err(rejection) => self.reject(line, &rejection)?,
                },
            },
        }
        self.reblock()?;
        self.pay_debts()?;
        self.orders
            .forget(self.now(), self.forget_after, |release| {
                self.payouts.forget(release);
            });
        Ok(())
    }

    fn is_new(&mut self, line: u64, answer: Answer, what: &str) -> anyhow::Result<bool> {
        if let Some(rejection) = refused(answer, what) {
            self.reject(line, &rejection)?;
        }
        Ok(matches!(answer, Answer::New { .. }))
    }

    /// Says why a message is refused, and distrusts the order if it may be about money.
    fn reject(&mut self, line: u64, rejection: &Rejection) -> anyhow::Result<()> {
        if let Some(about) = rejection.about.as_ref().filter(|_| rejection.moves_money) {
            let place = format!("line/{line}");
            let block = work::distrust(&place, rejection.reason.as_str(), self.now());
            let key = (about.merchant.clone(), about.order.clone());
            self.distrusted.push((key, block));
        }
        self.books.sink.refused(&Letter { line, rejection })?;
        Ok(())
    }

    /// Lifts the blocks that have lost their reason and puts up the new ones.
    fn reblock(&mut self) -> anyhow::Result<()> {
        for (key, reference) in std::mem::take(&mut self.trusted) {
            self.change(&key, |order, world| {
                decide::unblock(order, &reference, world.now, world)
            })?;
        }
        for (key, block) in std::mem::take(&mut self.distrusted) {
            self.change(&key, |order, world| decide::block(order, block, world))?;
        }
        Ok(())
    }

    /// Applies what is no message to an order, and says what came of it.
    fn change(
        &mut self,
        key: &OrderKey,
        decide: impl FnOnce(&mut Order, World<'_>) -> Vec<Entry>,
    ) -> anyhow::Result<()> {
        let place = self.orders.find_or_make(key);
        let agreements = self.catalogue.of(&key.0);
        let calendars = self.catalogue.calendars();
        let world = World {
            agreements: &agreements,
            calendars: &calendars,
            now: self.now(),
            approval: &self.approval,
        };
        let case = self.orders.at_mut(place);
        let looks = case.looks();
        case.order.purse = self.purses.lend(&case.order, None);
        let entries = decide(&mut case.order, world);
        self.purses.take_back(&mut case.order, place);
        self.say_all(&key.0, &entries)?;
        self.changed(place, &looks);
        Ok(())
    }

    fn say_all(&mut self, merchant: &MerchantId, entries: &[Entry]) -> anyhow::Result<()> {
        for entry in entries {
            self.say(merchant, entry)?;
        }
        Ok(())
    }

    fn say(&mut self, merchant: &MerchantId, entry: &Entry) -> anyhow::Result<()> {
        let now = self.now();
        self.books.write(merchant, entry, now)?;
        Ok(())
    }
}

/// A currency that events need not have.
fn code(currency: Option<Currency>) -> Option<&'static str> {
    currency.map(Currency::code)
}

/// A sum beyond all range, as a dead letter would say it.
fn overflow(error: &crate::rules::money::MoneyError) -> anyhow::Error {
    anyhow::anyhow!("{}: {error}", Reason::Money)
}
