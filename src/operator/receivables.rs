//! The commands about what merchants owe.

use anyhow::Context;

use super::Request;
use super::commands::{act, merchant, open};
use crate::cli::{ReceivableCommand, WriteOffArgs};
use crate::commands::say;
use crate::config::Config;
use crate::rules::ids::{MerchantId, ReceivableId};
use crate::store::receivables::OpenReceivable;

/// Lists what is owed, or asks for a write-off.
///
/// # Errors
/// When it can't be done as things stand, or the database fails.
pub async fn run(config: Config, command: &ReceivableCommand) -> anyhow::Result<()> {
    match command {
        ReceivableCommand::List(args) => {
            let merchant = args.merchant.as_deref().map(merchant).transpose()?;
            list(&config, merchant.as_ref(), args.json).await
        }
        ReceivableCommand::WriteOff(args) => write_off(config, args).await,
    }
}

async fn list(config: &Config, merchant: Option<&MerchantId>, json: bool) -> anyhow::Result<()> {
    let open = open(config).await?.open_receivables(merchant).await?;
    if json {
        say(&serde_json::to_string_pretty(&open)?);
        return Ok(());
    }
    for it in &open {
        say(&line(it));
    }
    if open.is_empty() {
        say("nothing is owed");
    }
    Ok(())
}

fn line(it: &OpenReceivable) -> String {
    let OpenReceivable {
        merchant_id,
        receivable_id,
        currency,
        original,
        left,
        opened_at,
        cause_kind,
        cause_id,
        ..
    } = it;
    let order = it.order_id.as_ref();
    let order = order.map_or_else(String::new, |order| format!(" of order {order}"));
    format!(
        "{receivable_id}  merchant {merchant_id} owes {left} {currency} of {original}, by {cause_kind} {cause_id}{order}, since {opened_at}"
    )
}

async fn write_off(config: Config, args: &WriteOffArgs) -> anyhow::Result<()> {
    let merchant = merchant(&args.merchant)?;
    let amount = match &args.amount {
        Some(amount) => amount.clone(),
        None => {
            let store = open(&config).await?;
            let all = store.open_receivables(Some(&merchant)).await?;
            let mut all = all.iter();
            let found = all.find(|it| it.receivable_id == args.receivable);
            let found = found.map(|it| it.left.to_string());
            found.with_context(|| {
                format!("merchant {merchant} owes nothing under {}", args.receivable)
            })?
        }
    };
    let request = Request::WriteOff {
        merchant,
        receivable: ReceivableId(args.receivable),
        amount,
    };
    act(config, &request, &args.by).await
}
