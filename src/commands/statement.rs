//! `holdback statement`: a merchant's period, order by order, as text, CSV or JSON.

use std::collections::BTreeMap;

use anyhow::ensure;

use super::{open_store, say};
use crate::books::csv_row;
use crate::cli::{StatementArgs, StatementFormat};
use crate::config::Config;
use crate::rules::balance::Balances;
use crate::rules::ids::OrderId;
use crate::rules::money::Currency;
use crate::rules::statement::{Collector, Movement, Statement};
use crate::store::Store;

/// The columns of the CSV. Rows `opening` and `movement` add up to the row `closing`.
const COLUMNS: &str =
    "currency,order_id,row,occurred_at,sequence,event,held,payable,paid,deposit,receivable";

pub(super) async fn run(config: &Config, args: StatementArgs) -> anyhow::Result<()> {
    ensure!(args.from <= args.to, "--from is after --to");
    let store = open_store(config).await?;
    let statements = collect(&store, &args).await?;
    match args.format {
        StatementFormat::Json => say(&serde_json::to_string_pretty(&statements)?),
        StatementFormat::Csv => {
            say(COLUMNS);
            for statement in &statements {
                rows(statement);
            }
        }
        StatementFormat::Text => {
            for statement in &statements {
                tell(statement);
            }
            if statements.is_empty() {
                say("No money had moved.");
            }
        }
    }
    Ok(())
}

async fn collect(store: &Store, args: &StatementArgs) -> anyhow::Result<Vec<Statement>> {
    let mut collectors: BTreeMap<Currency, Collector> = BTreeMap::new();
    let mut page = store.book_page(&args.merchant, 0).await?;
    while let Some(last) = page.last().map(|line| line.sequence) {
        for line in page {
            let (Some(transfer), Some(currency)) = (line.transfer, line.currency) else {
                continue;
            };
            if args.currency.is_some_and(|wanted| wanted != currency) {
                continue;
            }
            let collector = collectors.entry(currency).or_insert_with(|| {
                Collector::new(args.merchant.clone(), currency, args.from, args.to)
            });
            collector.add(Movement {
                sequence: line.sequence,
                occurred_at: line.occurred_at,
                event: line.event.as_str(),
                order: line.order,
                transfer,
            })?;
        }
        page = store.book_page(&args.merchant, last).await?;
    }
    let collectors = collectors.into_values();
    collectors
        .map(|collector| Ok(collector.finish()?))
        .collect()
}

fn rows(statement: &Statement) {
    let row = |order: &Option<OrderId>, what: [String; 4], balances: &Balances| {
        let mut fields = vec![
            statement.currency.to_string(),
            order.as_ref().map(ToString::to_string).unwrap_or_default(),
        ];
        fields.extend(what);
        fields.extend(balances.columns().map(|(_, balance)| balance.to_string()));
        say(&csv_row(&fields));
    };
    let bound = |kind: &str, at: String| [kind.to_owned(), at, String::new(), String::new()];
    let (from, to) = (statement.from.to_string(), statement.to.to_string());
    let at_rest = bound("at_rest", from.clone());
    row(&None, at_rest, &statement.at_rest);
    for part in &statement.orders {
        let order = &part.order_id;
        row(order, bound("opening", from.clone()), &part.opening);
        for line in &part.lines {
            let what = [
                "movement".to_owned(),
                line.occurred_at.to_string(),
                line.sequence.to_string(),
                line.event.to_owned(),
            ];
            row(order, what, &line.change);
        }
        row(order, bound("closing", to.clone()), &part.closing);
    }
    row(&None, bound("total_opening", from), &statement.opening);
    row(&None, bound("total_closing", to), &statement.closing);
}

fn tell(statement: &Statement) {
    let (from, to) = (statement.from, statement.to);
    let (merchant, currency) = (&statement.merchant_id, statement.currency);
    say(&format!(
        "Statement of merchant {merchant} in {currency} from {from} until before {to}"
    ));
    let line = |what: &str, balances: &Balances| {
        let sums = balances.columns().map(|(_, sum)| format!("{sum:>18}"));
        say(&format!("{what:<58}{}", sums.concat()));
    };
    let names = Balances::zero(currency).columns();
    let names = names.map(|(name, _)| format!("{name:>18}"));
    say(&format!("{:<58}{}", "", names.concat()));
    line("Opening", &statement.opening);
    for part in &statement.orders {
        match &part.order_id {
            Some(order) => say(&format!("Order {order}")),
            None => say("No order"),
        }
        line("  opening", &part.opening);
        for it in &part.lines {
            let event = it.event.trim_start_matches("holdback.");
            line(&format!("  {}  {event}", it.occurred_at), &it.change);
        }
        line("  closing", &part.closing);
    }
    if !statement.at_rest.is_zero() {
        line("Orders at rest", &statement.at_rest);
    }
    line("Closing", &statement.closing);
}
