//! A person's word that what was published and is not decided again, or is decided otherwise, is seen to.
//!
//! Guarantees that nothing is accepted before all input has been read that there was at the take-over, since until
//! then it may be decided again, and that a release of a hold that is not booked never is. One of a credit is booked
//! as it was published, and what it has more or less than its credit is made up for (`rules::make_up`),
//! so that the books stay true.

use anyhow::bail;
use uuid::Uuid;

use crate::rules::make_up::make_up;
use crate::store::Tx;
use crate::store::journal::Lines;

/// How many releases are booked at a time.
const STEP: i64 = 1_000;

/// Accepts all that can be; answers how many events that ended.
///
/// # Errors
/// While not all input is read that must be, or when the database fails.
pub(super) async fn accept(tx: &mut Tx, topics: &[String], operation: Uuid) -> anyhow::Result<u64> {
    if !tx.has_read_again(topics).await? {
        bail!(
            "not all input has been read that there was at the import: run holdback until it has"
        );
    }
    let mut accepted = 0;
    loop {
        let unbooked = tx.unbooked_credits(STEP).await?;
        if unbooked.is_empty() {
            break;
        }
        let mut lines = Lines::default();
        for (event, released) in &unbooked {
            let merchant = &released.merchant;
            let credit = tx.credit_of(merchant, &released.release).await?;
            let made_up = make_up(credit.as_ref(), released, tx.now);
            tx.book_credit(*event, released, operation).await?;
            if let Some(debt) = made_up.debt {
                let debt = (merchant.clone(), released.order.clone(), debt);
                tx.open_receivables(&[debt]).await?;
            }
            if let Some(rest) = &made_up.rest {
                tx.open_credits(&[(merchant, rest)]).await?;
            }
            lines.add_by(merchant, made_up.entries, operation);
            accepted += 1;
        }
        tx.write(&lines).await?;
    }
    // What those releases paid of debts and into deposits.
    while tx.book_published(STEP).await? > 0 {}
    Ok(accepted + tx.accept_published(operation).await?)
}
