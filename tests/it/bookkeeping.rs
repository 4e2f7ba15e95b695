//! The books as others read them: exports by the real tools, statements, balances and forecasts by
//! the program itself, all against the tables that the audit proves.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;

use rust_decimal::Decimal;
use serde_json::{Value, json};
use sqlx::Row;

use crate::harness::Holdback;
use crate::harness::facts::{agreement, cancelled, failed, opened, order, paid, refund};
use crate::harness::process::{holdback, run_to_end};
use crate::harness::python::{FOLDER, output, python};

/// Balances by account and currency, the way the tools have them: debits are positive.
type Balances = BTreeMap<String, Decimal>;

/// Ids that would break a careless format.
const AWKWARD: &str = "shop; 商户 (a) \"q\" \\ , : #1";
const AWKWARD_ORDER: &str = "O;1 \"x\" \\ date:2020-99-99, [2020-99-99] =1";

/// The awkward merchant as an account has it.
const AWKWARD_NAME: &str =
    "X-xshop-3B-20-E5-95-86-E6-88-B7-20-28a-29-20-22q-22-20-5C-20-2C-20-3A-20-231";

/// Money on every account that a movement leads to, in three currencies of 0, 2 and 3 digits.
async fn story(name: &str) -> Holdback {
    let mut hb = Holdback::start(name, "11-03 12:00").await;
    hb.send(agreement("*", "AG-1"));
    hb.applied().await;
    hb.send(order("M-1", "O-1", "100", "11-03"));
    hb.send(order("M-1", "O-2", "50.05", "11-03"));
    hb.send(order("M-1", "O-3", "70", "11-03"));
    hb.send(order(AWKWARD, AWKWARD_ORDER, "19.99", "11-03"));
    let priced = |id: &str, amount: &str, currency: &str| {
        order("M-1", id, amount, "11-03").with(json!({ "currency": currency }))
    };
    hb.send(priced("O-yen", "1234", "JPY"));
    hb.send(priced("O-dinar", "7.125", "KWD"));
    hb.applied().await;
    hb.send(refund("M-1", "O-1", "R-1", "30", "11-04"));
    hb.send(cancelled("M-1", "O-3", "11-04"));
    hb.pass_to("11-10").await;
    hb.set("11-11 12:00");
    // After its release: the merchant owes it.
    hb.send(refund("M-1", "O-2", "R-2", "20", "11-11"));
    let events = hb.events();
    let release = |order: &str| {
        let mut releases = events.iter().filter(|it| it.kind == "release.issued");
        let release = releases.find(|it| it.field("order_id") == order);
        release.expect("released").field("release_id")
    };
    hb.send(paid("M-1", "release_id", &release("O-1"), "11-11"));
    hb.send(paid("M-1", "release_id", &release("O-dinar"), "11-11"));
    hb.send(paid("M-1", "release_id", &release("O-yen"), "11-11"));
    hb.send(paid(
        AWKWARD,
        "release_id",
        &release(AWKWARD_ORDER),
        "11-11",
    ));
    hb.applied().await;
    hb.set("11-12 12:00");
    hb.send(failed("M-1", "release_id", &release("O-yen"), "11-12"));
    hb.send(order("M-1", "O-late", "10", "11-12"));
    hb.applied().await;
    hb
}

/// What a command says that does its work.
pub fn says(hb: &Holdback, arguments: &[&str]) -> String {
    let command = holdback(&hb.bed, arguments, &[("HOLDBACK_LOG_LEVEL", "error")]);
    let ended = run_to_end(command);
    assert_eq!(ended.code, Some(0), "{arguments:?}: {}", ended.said);
    ended.said
}

/// The same as JSON.
pub fn says_json(hb: &Holdback, arguments: &[&str]) -> Value {
    let said = says(hb, arguments);
    serde_json::from_str(&said).unwrap_or_else(|error| panic!("{error}: {said}"))
}

/// What the tables say that the audit holds against the journal, and the journal itself for the
/// accounts that have no table.
async fn tables(hb: &Holdback) -> Balances {
    let audit = hb.store.audit().await.expect("an audit");
    assert_eq!(audit.differences, []);
    let rows = sqlx::query(
        "SELECT merchant_id, currency, 'Liabilities', 'Held', -sum(left_now) FROM holds GROUP BY 1, 2
         UNION ALL SELECT merchant_id, currency, 'Assets', 'Receivable', sum(left_now)
         FROM receivables GROUP BY 1, 2
         UNION ALL SELECT merchant_id, currency, 'Assets', 'Paid', -sum(amount)
         FROM payouts WHERE state = 2 GROUP BY 1, 2
         UNION ALL SELECT merchant_id, currency, 'Assets', 'Refunded', -sum(consumed)
             - coalesce((SELECT sum(left_now) FROM receivables r
                         WHERE r.merchant_id = h.merchant_id AND r.currency = h.currency), 0)
         FROM holds h GROUP BY 1, 2
         UNION ALL SELECT merchant_id, currency, 'Assets', 'Proceeds', sum(original - reversed)
         FROM holds GROUP BY 1, 2
         UNION ALL SELECT merchant_id, currency, 'Liabilities', 'Payable', -sum(released)
             + coalesce((SELECT sum(amount) FROM payouts p WHERE p.state = 2
                         AND p.merchant_id = h.merchant_id AND p.currency = h.currency), 0)
         FROM holds h GROUP BY 1, 2",
    )
    .fetch_all(hb.pool())
    .await
    .expect("sums");
    let balances = rows.iter().map(|row| {
        let [merchant, currency, root, account]: [String; 4] = [0, 1, 2, 3].map(|at| row.get(at));
        let merchant = match merchant.as_str() {
            AWKWARD => AWKWARD_NAME,
            "M-1" => "M--1",
            other => panic!("{other}"),
        };
        let name = format!("{root}:Holdback:{merchant}:{currency}:{account} {currency}");
        (name, row.get::<Decimal, _>(4))
    });
    balances.filter(|(_, sum)| !sum.is_zero()).collect()
}

fn without_zeros(balances: Balances) -> Balances {
    let kept = balances.into_iter().filter(|(_, sum)| !sum.is_zero());
    kept.collect()
}

fn hledger(arguments: &[&str], journal: &str) -> String {
    let mut command = Command::new("hledger");
    command.args(["--file", "-"]).args(arguments);
    // It reads and writes as the locale says.
    command.env("LC_ALL", "C.UTF-8");
    output(&mut command, journal).unwrap_or_else(|why| {
        panic!(
            "hledger is needed (on Debian and Ubuntu: `apt-get install hledger`) and failed: {why}"
        )
    })
}

fn by_hledger(journal: &str) -> Balances {
    // Strict: every account and commodity is declared, every transaction balances.
    assert_eq!(hledger(&["check", "--strict"], journal), "");
    let listed = [
        "balance",
        "--flat",
        "--empty",
        "--no-total",
        "--layout=bare",
        "-O",
        "csv",
    ];
    let rows = hledger(&listed, journal);
    let rows = rows.lines().skip(1).map(|row| {
        let fields: Vec<&str> = row.split(',').map(|it| it.trim_matches('"')).collect();
        let [account, currency, sum] = fields.as_slice() else {
            panic!("{row}")
        };
        (format!("{account} {currency}"), sum.parse().expect("a sum"))
    });
    without_zeros(rows.collect())
}

/// The balances and the order ids that beancount reads.
fn by_beancount(journal: &str) -> (Balances, Vec<String>) {
    let file = tempfile::NamedTempFile::with_suffix(".beancount").expect("a file");
    std::fs::write(file.path(), journal).expect("written");
    let mut command = Command::new(python("beancount.txt"));
    command.arg(Path::new(FOLDER).join("balances.py"));
    let said = output(command.arg(file.path()), "");
    let said = said.unwrap_or_else(|why| panic!("beancount refuses it: {why}"));
    let read: Value = serde_json::from_str(&said).expect("JSON");
    let balances: Balances = serde_json::from_value(read["balances"].clone()).expect("sums");
    let orders = serde_json::from_value(read["orders"].clone()).expect("ids");
    (without_zeros(balances), orders)
}

#[tokio::test(flavor = "multi_thread")]
async fn hledger_and_beancount_accept_the_journal_and_find_the_audits_balances() {
    let hb = story("export").await;
    let expected = tables(&hb).await;
    let held = format!("Liabilities:Holdback:{AWKWARD_NAME}:EUR:Held EUR");
    assert!(!expected.contains_key(&held), "released");
    assert_eq!(
        expected["Liabilities:Holdback:M--1:JPY:Payable JPY"].to_string(),
        "-1234"
    );

    let journal = says(&hb, &["export", "--format", "hledger"]);
    assert_eq!(by_hledger(&journal), expected);
    let journal = says(&hb, &["export", "--format", "beancount"]);
    let (balances, orders) = by_beancount(&journal);
    assert_eq!(balances, expected);
    assert!(orders.contains(&AWKWARD_ORDER.to_owned()), "{orders:?}");

    // A merchant's part, and the parts of a period.
    let one = ["export", "--format", "hledger", "--merchant", AWKWARD];
    let mine = |name: &str| name.contains(AWKWARD_NAME);
    let of_one: Balances = expected
        .clone()
        .into_iter()
        .filter(|it| mine(&it.0))
        .collect();
    assert_eq!(by_hledger(&says(&hb, &one)), of_one);
    let mut sum = Balances::new();
    for period in [&["--until", "2025-11-10"][..], &["--from", "2025-11-10"]] {
        let export = [&["export", "--format", "hledger"], period].concat();
        for (account, part) in by_hledger(&says(&hb, &export)) {
            *sum.entry(account).or_default() += part;
        }
    }
    assert_eq!(without_zeros(sum), expected);

    // Every line of the journal, each with its fields.
    let csv = says(&hb, &["export", "--format", "csv"]);
    let lines = hb.number("SELECT count(*) FROM journal").await;
    let count = i64::try_from(csv.lines().count()).expect("few");
    assert_eq!(count, lines + 1, "{csv}");
    let header = csv.lines().next().expect("a header");
    assert!(
        header.starts_with("merchant_id,sequence,occurred_at,event,"),
        "{header}"
    );
    let quoted = "\"shop; 商户 (a) \"\"q\"\" \\ , : #1\",1,";
    assert!(csv.contains(quoted), "{csv}");
    hb.checked_end().await;
}

/// The rows of a CSV statement by their kind, as `order: held payable paid deposit receivable`.
fn rows(csv: &str, kind: &str) -> Vec<String> {
    let rows = csv.lines().map(|row| row.split(',').collect::<Vec<_>>());
    let rows = rows.filter(|fields| fields[2] == kind);
    rows.map(|fields| format!("{}: {}", fields[1], fields[6..].join(" ")))
        .collect()
}

/// The sum of the rows of these kinds, account by account.
fn total(csv: &str, kinds: &[&str]) -> Vec<Decimal> {
    let mut sums = vec![Decimal::ZERO; 5];
    for kind in kinds {
        for row in rows(csv, kind) {
            let (_, row) = row.split_once(": ").expect("sums");
            for (sum, field) in sums.iter_mut().zip(row.split(' ')) {
                *sum += field.parse::<Decimal>().expect("a sum");
            }
        }
    }
    sums
}

#[tokio::test(flavor = "multi_thread")]
async fn a_statement_adds_up_order_by_order_and_meets_the_balances_at_its_ends() {
    let hb = story("statement").await;
    let one = ["statement", "--merchant", "M-1", "--currency", "EUR"];
    let period = ["--from", "2025-11-10", "--to", "2025-11-12"];
    let csv = says(&hb, &[&one[..], &period, &["--format", "csv"]].concat());
    // O-3 was cancelled before, and is at rest; O-late came after.
    assert_eq!(
        rows(&csv, "opening"),
        [
            "O-1: 70.00 0.00 0.00 0.00 0.00",
            "O-2: 50.05 0.00 0.00 0.00 0.00"
        ]
    );
    assert_eq!(
        rows(&csv, "movement"),
        [
            "O-1: -70.00 70.00 0.00 0.00 0.00",
            "O-1: 0.00 -70.00 70.00 0.00 0.00",
            "O-2: -50.05 50.05 0.00 0.00 0.00",
            "O-2: 0.00 0.00 0.00 0.00 20.00",
        ]
    );
    assert_eq!(
        total(&csv, &["opening", "movement"]),
        total(&csv, &["closing"])
    );
    assert_eq!(
        total(&csv, &["opening", "at_rest"]),
        total(&csv, &["total_opening"])
    );
    assert_eq!(
        total(&csv, &["closing", "at_rest"]),
        total(&csv, &["total_closing"])
    );

    // The next period begins where this one ends, and ends with what the accounts say now.
    let next = ["--from", "2025-11-12", "--to", "2025-12-01"];
    let next = says_json(&hb, &[&one[..], &next, &["--format", "json"]].concat());
    let closing: Vec<String> = rows(&csv, "total_closing");
    let opening = &next[0]["opening"];
    let accounts = ["held", "payable", "paid", "deposit", "receivable"];
    let opening = accounts.map(|name| opening[name].as_str().expect("a sum"));
    assert_eq!(closing, [format!(": {}", opening.join(" "))]);
    let now = says_json(&hb, &["balances", "--merchant", "M-1", "--json"]);
    let euro = &now["currencies"][0];
    for name in accounts {
        assert_eq!(next[0]["closing"][name], euro[name], "{name}");
    }
    assert_eq!(euro["receivable"], "20.00");
    assert_eq!(euro["net"], "110.05");
    // A past instant: before the first release.
    let at = [
        "balances",
        "--merchant",
        "M-1",
        "--at",
        "2025-11-10",
        "--json",
    ];
    let past = says_json(&hb, &at);
    assert_eq!(past["currencies"][0]["held"], "120.05");
    assert_eq!(past["currencies"][1]["currency"], "JPY");
    let text = says(&hb, &[&one[..], &period].concat());
    assert!(text.contains("Statement of merchant M-1 in EUR"), "{text}");

    what_is_ahead_is_foretold(&hb).await;
    an_explanation_names_the_messages(&hb).await;
    hb.checked_end().await;
}

/// The clock of the commands is the database's: what is due in 2035 is far from it, and what was due
/// in 2025 has passed.
async fn what_is_ahead_is_foretold(hb: &Holdback) {
    let long = json!({ "terms": [
        { "name": "sale", "rate_bps": 9000, "days": 3600, "count": "date", "limit_days": 3660 },
        { "name": "parcel", "rate_bps": 1000, "days": 7, "anchor": "delivered" },
    ] });
    hb.send(agreement("M-2", "AG-2").with(long));
    hb.applied().await;
    hb.send(order("M-2", "O-1", "100", "11-03"));
    hb.applied().await;
    let ahead = says_json(hb, &["forecast", "--merchant", "M-1", "--json"]);
    let euro = &ahead["currencies"][0];
    assert_eq!(
        euro["days"],
        json!([{ "settlement_date": "2025-11-19", "holds": 1, "amount": "10.00" }])
    );
    let ahead = says(hb, &["forecast", "--merchant", "M-2"]);
    let says = |what: &str, sum: &str| {
        let mut lines = ahead.lines();
        lines.any(|line| line.contains(what) && line.ends_with(&format!(" {sum} EUR")))
    };
    for (what, sum) in [
        ("held", "100.00"),
        ("after ", "90.00"),
        ("not started", "10.00"),
    ] {
        assert!(says(what, sum), "{what} {sum}: {ahead}");
    }
}

/// Out of the real journal, in both languages and as JSON.
async fn an_explanation_names_the_messages(hb: &Holdback) {
    hb.send(opened("M-1", "O-late", "D-1", "return", "11-12"));
    hb.applied().await;
    let explain = ["explain", "--merchant", "M-1", "O-late"];
    let json = says_json(hb, &[&explain[..], &["--json"]].concat());
    let order = &json["order"];
    let place = |value: &Value, topic: &str| {
        let place = value.as_str().unwrap_or_else(|| panic!("{order:#}"));
        assert!(place.starts_with(&format!("{topic}/")), "{place}");
        assert_eq!(place.split('/').count(), 3, "{place}");
        place.to_owned()
    };
    let sale = place(&order["sale"]["message"], "order-completed");
    let dispute = place(&order["blocks"][0]["message"], "dispute");
    let english = says(hb, &explain);
    let chinese = says(hb, &[&explain[..], &["--lang", "zh"]].concat());
    for sentence in [
        format!("Completed at 2025-11-12T00:00:00Z by {sale}: 10.00 EUR, fees 0.00."),
        format!("since 2025-11-12T00:00:00Z by {dispute}."),
        "Who can act: the dispute system, by dispute.closed.v1, about D-1: ".to_owned(),
        "What happened so far:".to_owned(),
    ] {
        assert!(
            english.contains(&sentence),
            "`{sentence}` is missing in\n{english}"
        );
    }
    for sentence in [
        format!("订单完成于 2025-11-12T00:00:00Z（消息 {sale}）"),
        format!("自 2025-11-12T00:00:00Z 起（消息 {dispute}）。"),
        "迄今记录：".to_owned(),
    ] {
        assert!(
            chinese.contains(&sentence),
            "`{sentence}` is missing in\n{chinese}"
        );
    }
    let owed = ["explain", "--merchant", "M-1", "O-2", "--json"];
    let owed = &says_json(hb, &owed)["order"]["refunds"][0];
    assert_eq!(owed["cause"]["refund"]["id"], "R-2");
    place(&owed["message"], "refund");
}
