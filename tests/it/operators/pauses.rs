//! Pauses of releases: of all, of a currency, of a merchant.

use holdback::operator::Request;
use holdback::rules::money::Currency;
use holdback::rules::pause::Scope;

use super::{by, early, merchant};
use crate::harness::facts::{agreement, order};
use crate::harness::{Holdback, eventually};

fn pause(scope: Scope) -> Request {
    Request::Pause { scope }
}

fn resume(scope: Scope) -> Request {
    Request::Resume { scope }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_falls_due_under_a_pause_goes_after_it_with_its_own_date() {
    let mut hb = Holdback::start("paused", "11-03 12:00").await;
    hb.send(agreement("*", "AG-1"));
    hb.applied().await;
    for id in ["M-1", "M-2"] {
        hb.send(order(id, "O-1", "100", "11-03"));
    }
    hb.applied().await;
    let one = || Scope::Merchant(merchant("M-1"));
    let euros = || Scope::Currency(Currency::from_code("EUR").expect("a currency"));
    hb.done(&pause(one())).await;
    hb.done(&pause(euros())).await;
    hb.done(&pause(Scope::All)).await;
    let again = hb.refused(&pause(one())).await;
    assert_eq!(again, "releases of merchant M-1 are paused already");
    hb.pass_to("11-10").await;
    let held = "O-1 sale holds 100.00 until 11-10";
    hb.tells("M-1", held).await;
    hb.tells("M-2", held).await;
    // Another of the three still keeps everything, then one merchant.
    hb.done(&resume(Scope::All)).await;
    hb.pass_to("11-11").await;
    hb.tells("M-2", held).await;
    hb.done(&resume(euros())).await;
    hb.pass_to("11-12").await;
    let gone = "
        O-1 sale holds 100.00 until 11-10
        O-1 releases 100.00 due 11-10/1
        closed 11-10/1: 1 with 100.00
    ";
    hb.tells("M-2", gone).await;
    hb.tells("M-1", held).await;
    let stays = hb.refused(&early("M-1", "O-1", None)).await;
    assert!(
        stays.starts_with("releases of merchant M-1 paused"),
        "{stays}"
    );
    let pauses = hb.store.pauses().await.expect("pauses");
    let texts: Vec<String> = pauses.iter().map(ToString::to_string).collect();
    let expected = "releases of merchant M-1 paused since 2025-11-03T12:00:00Z by Ann: because";
    assert_eq!(texts, [expected]);
    hb.done(&resume(one())).await;
    hb.due_done().await;
    hb.tells("M-1", gone).await;
    let none = hb.refused(&resume(one())).await;
    assert_eq!(none, "there is no pause of releases of merchant M-1");
    let kept = hb.number("SELECT count(*) FROM operations WHERE actor = 'Ann'");
    assert_eq!(kept.await, 6);
    hb.checked_end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pause_waits_for_the_release_under_way_and_is_seen_by_the_next() {
    let hb = Holdback::stopped("pauserace", "11-03 12:00", &[]).await;
    let mut first = hb.store.begin().await.expect("a release step begins");
    let before = first.hold_pauses().await.expect("pauses");
    assert_eq!(before.iter().count(), 0);
    let operator = hb.operator();
    let pausing = tokio::spawn(async move {
        let request = pause(Scope::All);
        operator.submit(&request, &by("Ann")).await
    });
    let waiting = async || {
        hb.number(
            "SELECT count(*) FROM pg_locks WHERE NOT granted AND relation = 'pauses'::regclass
             AND database = (SELECT oid FROM pg_database WHERE datname = current_database())",
        )
        .await
    };
    eventually("the pause waits", async || match waiting().await {
        0 => Err("nobody waits".to_owned()),
        _ => Ok(()),
    })
    .await;
    assert!(!pausing.is_finished());
    first.commit().await.expect("the release step ends");
    pausing.await.expect("no panic").expect("paused");
    let mut next = hb.store.begin().await.expect("the next step begins");
    let pauses = next.hold_pauses().await.expect("pauses");
    assert_eq!(pauses.iter().count(), 1);
    next.rollback().await.expect("its end");
}
