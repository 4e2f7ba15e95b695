//! `holdback explain`: where an order's money is, why, and what happened so far.

use std::collections::BTreeMap;

use anyhow::Context;

use super::{open_store, say, say_shadow};
use crate::cli::{ExplainArgs, Lang};
use crate::config::Config;
use crate::ingest;
use crate::release::passage;
use crate::rules::explain::words::{self, Language};
use crate::rules::explain::{self, Circumstances};
use crate::rules::hold::Hold;
use crate::rules::ids::{MerchantId, OrderId, ReleaseId};
use crate::rules::order::Order;
use crate::rules::release::Clock as ReleaseClock;
use crate::rules::shadow::Mode;
use crate::store::history::HistoryLine;

/// Says where an order's money is: what the rules say of it now, and what has happened so far, each
/// line with the message that caused it.
pub(super) async fn run(config: &Config, args: &ExplainArgs) -> anyhow::Result<()> {
    let merchant = MerchantId::parse(&args.merchant).context("--merchant")?;
    let order = OrderId::parse(&args.order).context("ORDER")?;
    let store = open_store(config).await?;
    let deployment = store.deployment().await?;
    let mode = deployment.as_ref().map_or(Mode::Live, |it| it.mode);
    let not_before = deployment.map(|deployment| deployment.release_not_before);
    let now = store.now().await?;
    let topics = config.topics.inputs().map(str::to_owned);
    let passage = passage(now, store.gate(&topics).await?, &config.release);
    let order = ingest::look_up(&store, &ingest::Rules::of(config), (merchant, order)).await?;
    let clock = ReleaseClock {
        now,
        gate: passage.until,
        not_before: not_before.unwrap_or(now),
    };
    let due = match &order.sale {
        Some(sale) => {
            store
                .due_by_date(&order.merchant, sale.value.currency)
                .await?
        }
        None => BTreeMap::new(),
    };
    let pauses = store.pauses().await?;
    let currency = order.sale.as_ref().map(|noted| noted.value.currency);
    let pause = currency.and_then(|currency| pauses.over(&order.merchant, currency));
    let circumstances = Circumstances {
        paused: pause.cloned(),
        behind: passage.gate.behind.clone(),
        calendars: store.calendars().await?,
        due,
        payouts: store.answers(&order.merchant, &releases(&order)).await?,
        messages: store.causes(&order.merchant, &order.id).await?,
    };
    let explanation = explain::explain(&order, clock, &circumstances);
    let history = store.history(&order.merchant, &order.id).await?;
    if args.json {
        let both = serde_json::json!({
            "order": explanation,
            "releases": mode.to_string(),
            "gate": { "behind": passage.gate.behind, "moment": passage.gate.moment },
            "history": history,
        });
        say(&serde_json::to_string_pretty(&both)?);
        return Ok(());
    }
    let language = match args.lang {
        Lang::En => Language::English,
        Lang::Zh => Language::Chinese,
    };
    say(words::tell(&explanation, language).trim_end());
    say_who_pays(mode, language);
    if !history.is_empty() {
        say(match language {
            Language::English => "What happened so far:",
            Language::Chinese => "迄今记录：",
        });
    }
    for line in history {
        say(&match language {
            Language::English => format!("  {line}"),
            Language::Chinese => format!("  {}", in_chinese(&line)),
        });
    }
    Ok(())
}

/// The releases of an order's holds.
fn releases(order: &Order) -> Vec<ReleaseId> {
    let of = |hold: &Hold| {
        let id = hold.id;
        (1..=hold.releases).map(move |n| ReleaseId::of(id, n))
    };
    order.holds.iter().flat_map(of).collect()
}

/// Says that not all that is released is paid by holdback, if so.
fn say_who_pays(mode: Mode, language: Language) {
    match (language, mode) {
        (Language::English, _) => say_shadow(mode),
        (Language::Chinese, Mode::Live) => {}
        (Language::Chinese, Mode::Shadow { live_from: None }) => {
            say("本部署为影子模式：只判定并记录解冻，不发布；由其他系统付款。");
        }
        (
            Language::Chinese,
            Mode::Shadow {
                live_from: Some(from),
            },
        ) => say(&format!(
            "结算日 {from} 起由本系统付款；此前结算的仅作影子记录，由其他系统付款。"
        )),
    }
}

/// A line of an order's history; types of events and topics keep their names.
fn in_chinese(it: &HistoryLine) -> String {
    let mut line = format!("{}  {}", it.occurred_at, it.event);
    if let (Some(amount), Some(currency)) = (&it.amount, &it.currency) {
        line.push_str(&format!("  {amount} {currency}"));
    }
    if let Some((topic, partition, offset)) = it.source {
        line.push_str(&format!("（消息 {}/{partition}/{offset}）", topic.name()));
    }
    if let Some((actor, reason)) = &it.person {
        line.push_str(&format!("（{actor} 操作：{reason}）"));
    }
    let published = if it.published { "" } else { "，尚未发布" };
    line.push_str(&format!("（序号 {}{published}）", it.sequence));
    line
}
