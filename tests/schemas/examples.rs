//! Examples of everything that holdback writes, out of one scenario: `schemas/examples/scenario.jsonl`,
//! played by the code of `holdback simulate`; then what a person does, and a day summed up.
//!
//! `HOLDBACK_EXAMPLES=write cargo test --test schemas` writes them to `schemas/examples/output`.

use std::collections::BTreeMap;
use std::path::Path;
use std::{fs, io};

use holdback::message::outgoing::{self, EventType, Line};
use holdback::rules::balance::Balance;
use holdback::rules::by_hand;
use holdback::rules::calendar::Calendars;
use holdback::rules::control::{self, Accounts, Day, Movement, Released};
use holdback::rules::decide::{self, World};
use holdback::rules::entry::{Entry, Event};
use holdback::rules::ids::MerchantId;
use holdback::rules::money::{Amount, Currency};
use holdback::rules::order::{Block, BlockKind, Order, Receivable};
use holdback::rules::recovery::Purse;
use holdback::rules::release::{self, Claim};
use holdback::rules::review::Approval;
use holdback::rules::shadow::Mode;
use holdback::rules::time::Instant;
use holdback::rules::write_off::write_off;
use holdback::simulate::{Letter, Reader, Said, Simulation, Sink};
use serde_json::Value;

/// What happens, in the order in which it happens.
const SCENARIO: &str = include_str!("../../schemas/examples/scenario.jsonl");
/// The clock runs on to this.
const UNTIL: &str = "2026-06-04T00:00:00Z";
/// The order that a person does something about.
const BY_HAND: &str = "O-1003";

/// One event as the topics carry it.
pub struct Written {
    pub event_type: EventType,
    pub value: Value,
    entry: Entry,
    at: Instant,
}

/// Listens to the scenario.
#[derive(Default)]
pub struct Story {
    pub written: Vec<Written>,
    /// By merchant, the last sequence.
    sequences: BTreeMap<String, i64>,
}

impl Story {
    fn write(&mut self, merchant: &MerchantId, entry: Entry, at: Instant) {
        let sequence = self.sequences.get(merchant.as_str()).copied();
        let (previous, sequence) = (sequence.unwrap_or(0), sequence.unwrap_or(0) + 1);
        self.tell(merchant, entry, (previous, sequence), at);
    }

    fn tell(&mut self, merchant: &MerchantId, entry: Entry, numbers: (i64, i64), at: Instant) {
        let (previous, sequence) = numbers;
        let event_type = EventType::of(&entry.event);
        let line = Line {
            event_type,
            event_id: entry.event_id(merchant).0,
            subject: &entry.subject(),
            merchant: merchant.as_str(),
            sequence,
            previous,
            occurred_at: at,
            order: entry.order.as_ref().map(|id| id.as_str()),
            hold: entry.hold.map(|id| id.0),
            currency: entry.currency.map(Currency::code),
            data: &outgoing::data(&entry.event),
            traceparent: None,
        };
        let rendered = outgoing::render(&line, "/holdback/example");
        let value = serde_json::from_slice(&rendered.payload).unwrap();
        self.sequences.insert(merchant.to_string(), sequence);
        self.written.push(Written {
            event_type,
            value,
            entry,
            at,
        });
    }

    /// What the first events of each kind look like, by the name of their file.
    pub fn examples(&self) -> BTreeMap<String, &Value> {
        let mut examples = BTreeMap::new();
        for written in &self.written {
            let name = written.event_type.as_str();
            let file = match word(&written.value) {
                Some(word) => format!("{name}--{word}"),
                None => name.to_owned(),
            };
            examples.entry(file).or_insert(&written.value);
        }
        examples
    }
}

impl Sink for Story {
    fn said(&mut self, said: &Said<'_>) -> io::Result<()> {
        let numbers = (said.previous, said.sequence);
        self.tell(said.merchant, said.entry.clone(), numbers, said.at);
        Ok(())
    }

    fn refused(&mut self, letter: &Letter<'_>) -> io::Result<()> {
        panic!(
            "line {} of the scenario is refused: {:?}",
            letter.line, letter.rejection
        )
    }
}

/// What tells an event from others of its type.
fn word(value: &Value) -> Option<String> {
    let words = ["block", "result", "cause", "awaited", "by", "reason"];
    let told = words.into_iter().find_map(|field| value[field].as_str());
    let named = || {
        let ids = [
            ("refund_id", "refund"),
            ("dispute_id", "dispute"),
            ("transaction_id", "withdrawal"),
        ];
        let mut ids = ids.into_iter();
        ids.find_map(|(field, word)| value[field].is_string().then_some(word))
    };
    told.or_else(named).map(str::to_owned)
}

fn instant(text: &str) -> Instant {
    Instant::new(text.parse().unwrap())
}

/// Everything that holdback says in the scenario.
pub fn story() -> Story {
    let mut simulation = Simulation::new(Story::default(), u32::MAX / 24);
    let mut reader = Reader::default();
    for (line, text) in (1..).zip(SCENARIO.lines()) {
        let read = reader.read(text.as_bytes()).unwrap();
        simulation.take(line, read).unwrap();
    }
    let end = simulation.finish(Some(instant(UNTIL))).unwrap();
    let order = end.orders().find(|order| order.id.as_str() == BY_HAND);
    let order = order.unwrap().clone();
    let mut story = end.sink;
    by_hand(&mut story, order);
    written_off(&mut story);
    shadows(&mut story);
    let day = day(&story.written);
    story.write(
        &MerchantId::platform(),
        day,
        instant("2026-05-09T00:01:00Z"),
    );
    story
}

/// A person blocks the order's money and clears that, lets a part go and puts the rest off.
fn by_hand(story: &mut Story, mut order: Order) {
    let now = instant(UNTIL);
    let merchant = order.merchant.clone();
    let calendars = Calendars::default();
    let world = World {
        agreements: &[],
        calendars: &calendars,
        now,
        approval: &Approval::default(),
    };
    let mut entries = Vec::new();
    for kind in [BlockKind::Manual, BlockKind::Legal] {
        let block = Block {
            reference: format!("{}-hold", kind.name()),
            kind,
            reason: "a question of customs".to_owned(),
            hold: None,
            amount: None,
            opened_at: now,
            cleared_at: None,
        };
        let reference = block.reference.clone();
        entries.extend(decide::block(&mut order, block, world));
        entries.extend(decide::unblock(&mut order, &reference, now, world));
    }
    let (sale, agreement) = order.settled().unwrap();
    let hold = order.holds.iter().find(|hold| !hold.left.is_zero());
    let mut claim = Claim {
        merchant: merchant.clone(),
        order: order.id.clone(),
        currency: sale.currency,
        agreement,
        hold: hold.unwrap().clone(),
        traceparent: None,
    };
    let tenth = claim.hold.left.share_bps(1_000).unwrap();
    let portion = by_hand::early(&claim.hold, Some(tenth)).unwrap();
    let mut purse = Purse::empty(sale.currency);
    entries.extend(release::issue(&mut claim, &portion, None, &mut purse, now));
    let later = instant("2026-07-01T00:00:00Z");
    let cause = "operation:example".to_owned();
    entries.push(by_hand::extend(&mut claim, later, &calendars, cause).unwrap());
    for entry in entries {
        story.write(&merchant, entry, now);
    }
}

/// The platform bears what was owed last.
fn written_off(story: &mut Story) {
    let opened = story
        .written
        .iter()
        .rev()
        .find_map(|it| match &it.entry.event {
            Event::ReceivableOpened(opened) => Some((opened.clone(), it.entry.clone(), &it.value)),
            _ => None,
        });
    let (opened, entry, value) = opened.unwrap();
    let merchant = MerchantId::parse(value["merchant_id"].as_str().unwrap()).unwrap();
    let currency = entry.currency.unwrap();
    let mut receivable = Receivable {
        id: opened.receivable_id,
        currency,
        original: opened.amount,
        left: opened.amount,
        written_off: Amount::zero(currency),
        opened_at: instant(UNTIL),
        cause: ("adjustment", String::new()),
    };
    let cause = "operation:write-off".to_owned();
    let entry = write_off(&mut receivable, entry.order, opened.amount, cause).unwrap();
    story.write(&merchant, entry.unwrap(), instant(UNTIL));
}

/// The first release and the first end of a settlement, as a shadow tells them.
fn shadows(story: &mut Story) {
    let of = |wanted: EventType| {
        let mut written = story.written.iter();
        let first = written.find(|it| it.event_type == wanted).unwrap();
        let merchant = first.value["merchant_id"].as_str().unwrap();
        let merchant = MerchantId::parse(merchant).unwrap();
        (merchant, first.entry.clone(), first.at)
    };
    let (release, end) = (
        of(EventType::ReleaseIssued),
        of(EventType::SettlementClosed),
    );
    let mode = Mode::Shadow { live_from: None };
    let mut entries = [release.1];
    mode.cast_credit(&mut entries, release.2);
    let [entry] = entries;
    story.write(&release.0, entry, release.2);
    let mut entry = end.1;
    mode.cast_end(&mut entry);
    story.write(&end.0, entry, end.2);
}

/// The scenario's 8th of May, summed up as the service does.
fn day(written: &[Written]) -> Entry {
    let currency = Currency::from_code("CNY").unwrap();
    let mut days: BTreeMap<_, Day> = BTreeMap::new();
    for it in written
        .iter()
        .filter(|it| it.entry.currency == Some(currency))
    {
        let date = control::day_of(it.at);
        let day = days
            .entry(date)
            .or_insert_with(|| Day::quiet(currency, date));
        day.events += 1;
        if let Some(transfer) = it.entry.transfer {
            add(day, it.event_type.as_str(), transfer);
        }
        if let Event::ReleaseIssued(release) = &it.entry.event {
            let more = Released {
                count: 1,
                gross: Balance::of(release.gross),
                recovered: Balance::of(release.recovered),
                to_deposit: Balance::of(release.to_deposit),
                amount: Balance::of(release.amount),
            };
            day.released = day.released.plus(&more).unwrap();
        }
    }
    let mut standing = Accounts::zero(currency);
    for (date, day) in days {
        let (entry, after) = day.close(standing).unwrap();
        standing = after;
        if date == jiff::civil::date(2026, 5, 8) {
            return entry;
        }
    }
    panic!("nothing happens on the 8th of May");
}

fn add(day: &mut Day, type_name: &'static str, transfer: holdback::rules::entry::Transfer) {
    let amount = Balance::of(transfer.amount);
    let mut movements = day.movements.iter_mut();
    let same = movements.find(|it| {
        (it.type_name, it.debit, it.credit) == (type_name, transfer.debit, transfer.credit)
    });
    if let Some(movement) = same {
        movement.count += 1;
        movement.amount = movement.amount.plus(amount).unwrap();
    } else {
        day.movements.push(Movement {
            type_name,
            debit: transfer.debit,
            credit: transfer.credit,
            count: 1,
            amount,
        });
    }
}

/// How the examples are written anew.
pub const REWRITE: &str =
    "run HOLDBACK_EXAMPLES=write cargo test --test schemas, and look at the difference";

#[expect(
    clippy::disallowed_methods,
    reason = "the tests' own switches are no configuration of holdback"
)]
pub fn rewrites() -> bool {
    std::env::var("HOLDBACK_EXAMPLES").is_ok_and(|value| value == "write")
}

/// Writes these examples and no others.
pub fn rewrite(folder: &Path, made: &BTreeMap<String, String>) {
    fs::remove_dir_all(folder).unwrap();
    fs::create_dir(folder).unwrap();
    for (name, text) in made {
        fs::write(folder.join(format!("{name}.json")), text).unwrap();
    }
}
