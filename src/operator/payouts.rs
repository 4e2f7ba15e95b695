//! Releases whose payout has failed: which they are, and issuing one again.

use super::commands::{act, merchant, open};
use super::{Act, Operator, OperatorError, Outcome, Request, TWO_PERSONS, refuse};
use crate::cli::PayoutCommand;
use crate::commands::say;
use crate::config::Config;
use crate::rules::ids::{MerchantId, ReleaseId};
use crate::rules::payout::{Payout, reissue};
use crate::store::Tx;
use crate::store::journal::Lines;

/// How many `payout list` shows.
const SHOWN: i64 = 1_000;

impl Operator {
    /// Issues a failed release under its next attempt, once everything is applied that lay in the input
    /// when it was asked for: an answer that says otherwise is known then.
    pub(super) async fn reissue(
        &self,
        tx: &mut Tx,
        request: &Request,
        act: Act<'_>,
        (merchant, release): (&MerchantId, ReleaseId),
    ) -> Result<Outcome, OperatorError> {
        let pauses = tx.hold_pauses().await?;
        self.pass(tx, act.asked_at).await?;
        let Some(mut failed) = tx.lock_payout(merchant, release).await? else {
            return refuse(format!(
                "no payout of a release {release} of merchant {merchant} has failed"
            ));
        };
        let payout = &mut failed.payout;
        if let Some(pause) = pauses.over(merchant, payout.currency) {
            return refuse(pause.to_string());
        }
        let attempts = self.config.payout.max_attempts;
        let entry = reissue(payout, &failed.first, attempts, tx.now)
            .or_else(|why| refuse(format!("release {release}: {why}")))?;
        let Payout {
            amount,
            currency,
            attempt,
            ..
        } = payout;
        let says = format!("{amount} {currency} are released again, attempt {attempt}");
        let mut outcome = Outcome::of(request, says);
        outcome.about.order.clone_from(&payout.order);
        outcome.about.hold = payout.hold;
        outcome.about.currency = Some(payout.currency);
        outcome.about.amount = Some(payout.amount);
        if !act.approved && self.needs_approval(tx, request, &outcome.about).await? {
            outcome.proposed = true;
            TWO_PERSONS.clone_into(&mut outcome.says);
            return Ok(outcome);
        }
        tx.change_payouts(&[payout]).await?;
        let mut lines = Lines::default();
        lines.add_by(merchant, [entry], act.id);
        tx.write(&lines).await?;
        Ok(outcome)
    }
}

/// Lists what has failed, or issues a release again.
///
/// # Errors
/// When it can't be done as things stand, or the database fails.
pub async fn run(config: Config, command: &PayoutCommand) -> anyhow::Result<()> {
    match command {
        PayoutCommand::List(args) => {
            let merchant = args.merchant.as_deref().map(merchant).transpose()?;
            let store = open(&config).await?;
            let failed = store.failed_payouts(merchant.as_ref(), SHOWN).await?;
            if args.json {
                say(&serde_json::to_string_pretty(&failed)?);
                return Ok(());
            }
            for it in &failed {
                say(&line(it));
            }
            if failed.is_empty() {
                say("no payout has failed");
            }
            Ok(())
        }
        PayoutCommand::Reissue(args) => {
            let request = Request::Reissue {
                merchant: merchant(&args.merchant)?,
                release: ReleaseId(args.release),
            };
            act(config, &request, &args.by).await
        }
    }
}

fn line(it: &Payout) -> String {
    let order = it.order.as_ref();
    let order = order.map_or_else(String::new, |order| format!(" of order {order}"));
    let since = it.at.map_or_else(String::new, |at| format!(" at {at}"));
    format!(
        "{}  merchant {}: {} {}{order}, attempt {} failed{since}",
        it.release, it.merchant, it.amount, it.currency, it.attempt
    )
}
