//! Dead letters looked for and replayed: by the way of a fresh message, once, with the block lifted.

use std::sync::Arc;

use holdback::operator::{By, Operator, OperatorError};
use holdback::store::replays::{Ended, Listed, Wanted};
use holdback::telemetry::Outcome;
use sqlx::{AssertSqlSafe, Connection as _};

use crate::harness::facts::{agreement, closed, opened, order, refund};
use crate::harness::process::{holdback, migrate, run_to_end};
use crate::harness::{Holdback, TestBed};

impl Holdback {
    async fn letters(&self) -> Vec<Listed> {
        let letters = self.store.dead_letters(&Wanted::default(), 100).await;
        letters.expect("a list")
    }

    async fn only_letter(&self) -> Listed {
        let mut letters = self.letters().await;
        assert_eq!(letters.len(), 1, "{letters:?}");
        letters.remove(0)
    }

    /// What a replay comes to, or would come to.
    async fn replayed(&self, letter: &Listed, dry: bool) -> Result<Ended, OperatorError> {
        let operator = Operator::new(self.store.clone(), Arc::new(self.config()));
        let by = By::new("Ann", "mended").expect("a name and a reason");
        operator.replay(letter, (!dry).then_some(&by)).await
    }

    async fn accepted(&self, letter: &Listed) -> Outcome {
        match self.replayed(letter, false).await {
            Ok(Ended::Accepted(outcome)) => outcome,
            other => panic!("not accepted: {other:?}"),
        }
    }

    async fn refuses_rows(&self, table: &str, id: &str, value: &str) {
        let sql = format!(
            "CREATE FUNCTION odd() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
                 IF NEW.{id} = '{value}' THEN RAISE SQLSTATE '22003'; END IF; RETURN NEW; END $$;
             CREATE TRIGGER odd BEFORE INSERT ON {table} FOR EACH ROW EXECUTE FUNCTION odd()"
        );
        let made = sqlx::raw_sql(AssertSqlSafe(sql)).execute(self.pool()).await;
        made.expect("a trigger");
    }

    async fn takes_all_rows(&self) {
        let gone = sqlx::raw_sql("DROP FUNCTION odd CASCADE").execute(self.pool());
        gone.await.expect("dropped");
    }
}

fn refused_for(ended: Result<Ended, OperatorError>) -> String {
    match ended {
        Ok(Ended::Refused { reason, .. }) => reason,
        other => panic!("not refused: {other:?}"),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_replay_takes_effect_once_and_lifts_the_block_that_the_message_had_put_up() {
    let mut hb = Holdback::start("replay", "11-03 12:00").await;
    hb.send(agreement("*", "AG-1"));
    hb.applied().await;
    hb.send(order("M-1", "O-1", "100", "11-03"));
    hb.send(opened("M-1", "O-1", "D-1", "return", "11-03"));
    hb.applied().await;
    // Closed two days from now: it would free money.
    hb.send(closed("M-1", "O-1", "D-1", "won", "11-05"));
    hb.applied().await;
    let letter = hb.only_letter().await;
    let about = (letter.merchant_id.as_deref(), letter.order_id.as_deref());
    assert_eq!(
        (letter.reason.as_str(), about),
        ("time", (Some("M-1"), Some("O-1")))
    );
    // A day may be summed up (control.daily, 50) meanwhile.
    let lines = "SELECT count(*) FROM journal WHERE event <> 50";
    let before = hb.number(lines).await;
    assert_eq!(refused_for(hb.replayed(&letter, false).await), "time");
    let letter = hb.only_letter().await;
    assert_eq!((letter.replays, hb.number(lines).await), (1, before));

    hb.applied().await;
    hb.set("11-06");
    let would = hb.replayed(&letter, true).await;
    assert_eq!(would.expect("an answer"), Ended::Accepted(Outcome::Applied));
    assert_eq!(
        (hb.only_letter().await.replays, hb.number(lines).await),
        (1, before)
    );
    assert_eq!(hb.accepted(&letter).await, Outcome::Applied);
    assert!(hb.letters().await.is_empty());
    let after = hb.number(lines).await;
    assert!(matches!(
        hb.replayed(&letter, false).await,
        Err(OperatorError::Refused(why)) if why.ends_with("in already")
    ));
    assert_eq!(hb.number(lines).await, after);
    hb.pass_to("11-10").await;
    hb.tells(
        "M-1",
        "
        O-1 sale holds 100.00 until 11-10
        O-1 blocked 100.00 of 100.00 by dispute D-1
        O-1 unblocked 0.00 of 100.00 by review
        O-1 releases 100.00 due 11-10/1
        closed 11-10/1: 1 with 100.00
    ",
    )
    .await;
    let acts = "SELECT count(*) FROM operations WHERE kind = 'replay' AND actor = 'Ann'
                AND order_id = 'O-1'";
    assert_eq!(hb.number(acts).await, 2);
    hb.checked_end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_that_came_again_meanwhile_has_no_second_effect_and_its_block_is_lifted() {
    let mut hb = Holdback::start("replay-known", "11-03 12:00").await;
    hb.send(agreement("*", "AG-1"));
    hb.applied().await;
    hb.send(order("M-1", "O-1", "100", "11-03"));
    hb.send(opened("M-1", "O-1", "D-1", "return", "11-03"));
    hb.applied().await;
    let closing = closed("M-1", "O-1", "D-1", "won", "11-05");
    hb.send(closing.clone());
    hb.applied().await;
    let letter = hb.only_letter().await;
    hb.set("11-06");
    hb.send(closing);
    hb.applied().await;
    let open = "SELECT count(*) FROM blocks WHERE cleared_at IS NULL";
    assert_eq!((hb.letters().await.len(), hb.number(open).await), (1, 1));
    assert_eq!(hb.accepted(&letter).await, Outcome::Duplicate);
    assert_eq!((hb.letters().await.len(), hb.number(open).await), (0, 0));
    hb.pass_to("11-10").await;
    let released = "SELECT count(*) FROM journal WHERE event = 12";
    assert_eq!(hb.number(released).await, 1);
    hb.checked_end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn one_message_that_the_database_refuses_costs_the_others_of_its_batch_nothing() {
    let mut hb = Holdback::start("bisect", "11-03 12:00").await;
    hb.send(agreement("*", "AG-1"));
    hb.applied().await;
    hb.send_all((0..40).map(|n| order("M-1", &format!("O-{n}"), "100", "11-03")));
    hb.applied().await;
    hb.stop().await;
    hb.refuses_rows("refunds", "refund_id", "R-17").await;
    let refunds =
        (0..40).map(|n| refund("M-1", &format!("O-{n}"), &format!("R-{n}"), "1", "11-03"));
    hb.send_all(refunds);
    hb.run().await;
    hb.applied().await;
    assert_eq!(hb.number("SELECT count(*) FROM refunds").await, 39);
    let letter = hb.only_letter().await;
    assert_eq!(
        (letter.reason.as_str(), letter.order_id.as_deref()),
        ("value", Some("O-17"))
    );
    assert!(
        letter.detail.starts_with("the database refused to"),
        "{}",
        letter.detail
    );
    let blocked = "SELECT count(*) FROM holds WHERE blocked > 0 AND order_id = 'O-17'";
    assert_eq!(hb.number(blocked).await, 1);
    // As long as the database does not take it, a replay says so.
    assert_eq!(refused_for(hb.replayed(&letter, false).await), "value");
    hb.takes_all_rows().await;
    assert_eq!(hb.accepted(&letter).await, Outcome::Applied);
    assert_eq!(hb.number("SELECT count(*) FROM refunds").await, 40);
    assert_eq!(
        hb.number("SELECT count(*) FROM holds WHERE blocked > 0")
            .await,
        0
    );
    hb.pass_to("11-10").await;
    let released =
        "SELECT sum(amount)::bigint FROM journal WHERE event = 12 AND credit IS NOT NULL";
    assert_eq!(hb.number(released).await, 40 * 99);
    hb.checked_end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_replay_keeps_for_its_order_is_refused_anew_when_it_does_not_fit() {
    let mut hb = Holdback::start("replay-kept", "11-03 12:00").await;
    hb.send(agreement("*", "AG-1"));
    hb.refuses_rows("parked", "fact_id", "R-1").await;
    hb.send(refund("M-1", "O-1", "R-1", "60", "11-03"));
    hb.applied().await;
    let letter = hb.only_letter().await;
    hb.takes_all_rows().await;
    assert_eq!(hb.accepted(&letter).await, Outcome::Kept);
    assert!(hb.letters().await.is_empty());
    hb.send(order("M-1", "O-1", "50", "11-03"));
    hb.pass_to("11-10").await;
    let letter = hb.only_letter().await;
    assert_eq!(
        (letter.reason.as_str(), letter.replays),
        ("refund_exceeds_order", 1)
    );
    let places: Vec<String> = sqlx::query_scalar(
        "SELECT reference FROM blocks WHERE cleared_at IS NULL AND order_id = 'O-1'",
    )
    .fetch_all(hb.pool())
    .await
    .unwrap();
    assert_eq!(places, [format!("{}/2", letter.place())]);
    assert_eq!(
        hb.number("SELECT count(*) FROM journal WHERE event = 12")
            .await,
        0
    );
    assert_eq!(
        refused_for(hb.replayed(&letter, false).await),
        "refund_exceeds_order"
    );
    assert_eq!(hb.reasons().await, ["refund_exceeds_order", "value"]);
    hb.checked_end().await;
}

#[tokio::test(flavor = "multi_thread")]
#[expect(clippy::too_many_lines, reason = "one story, told in one piece")]
async fn dead_letters_are_found_shown_and_replayed_by_commands() {
    let bed = TestBed::new("letters").await;
    migrate(&bed);
    let typed = |words: &[&str]| {
        let ended = run_to_end(holdback(&bed, &[&["dead-letters"], words].concat(), &[]));
        (ended.code, ended.said)
    };
    let by = ["--actor", "Ann", "--reason", "mended"];
    assert_eq!(typed(&["list"]), (Some(0), "no dead letters\n".to_owned()));
    let refund = bed.topic("refund");
    let mut pool = sqlx::PgConnection::connect(&bed.database_url)
        .await
        .expect("PostgreSQL");
    sqlx::raw_sql(AssertSqlSafe(format!(
        r#"INSERT INTO dead_letters (topic, partition, record_offset, reason, detail, key, headers,
               value, record_at, refused_at, merchant_id, order_id, published)
           VALUES ('{merchant}', 0, 7, 'value', 'the database refused', 'M-1',
                   '[["ce_type", "YWdyZWVtZW50LnB1Ymxpc2hlZC52MQ=="]]', '{agreement}',
                   '2026-01-01Z', '2026-01-01Z', NULL, NULL, true),
                  ('{refund}', 1, 8, 'malformed', E'evil\u001b[2J', NULL, '[]', E'\\xff0a22',
                   '2026-01-02Z', '2026-01-02Z', 'M-1', 'O-1', true)"#,
        merchant = bed.topic("merchant"),
        agreement = agreement("*", "AG-1").data,
    )))
    .execute(&mut pool)
    .await
    .expect("two dead letters");
    let (code, said) = typed(&["list"]);
    assert_eq!((code, said.lines().count()), (Some(0), 2), "{said}");
    assert!(said.contains(".refund/1/8  malformed about order O-1 of merchant M-1, 3 bytes"));
    assert!(
        said.contains(r"evil\u{1b}[2J") && !said.contains('\u{1b}'),
        "{said}"
    );
    for (filter, found) in [
        (["--refused-for", "value"], 1),
        (["--topic", refund], 1),
        (["--merchant", "M-1"], 1),
        (["--order", "O-2"], 0),
        (["--since", "2026-01-02"], 1),
        (["--until", "2026-01-01"], 0),
        (["--limit", "1"], 1),
    ] {
        let (code, said) = typed(&[&["list", "--json"], &filter[..]].concat());
        assert_eq!(
            (code, said.lines().count()),
            (Some(0), found),
            "{filter:?} {said}"
        );
    }
    let place = format!("{}/0/7", bed.topic("merchant"));
    let (_, said) = typed(&["show", &place]);
    assert!(
        said.contains("header  ce_type: agreement.published.v1"),
        "{said}"
    );
    assert_eq!(typed(&["show", "refund/1/9"]).0, Some(1));
    assert_eq!(typed(&["show", "refund"]).0, Some(2));
    // Everything at once must be said; who and why too.
    let (code, said) = typed(&[&["replay"], &by[..]].concat());
    assert!(code == Some(1) && said.contains("say which"), "{said}");
    assert_eq!(typed(&["replay", &place]).0, Some(2));
    let all = [&["replay", "--since", "2026-01-01"], &by[..]].concat();
    let (code, said) = typed(&[&all[..], &["--dry-run"]].concat());
    assert_eq!(code, Some(1));
    assert!(
        said.contains("1 would be accepted, 1 would be refused again"),
        "{said}"
    );
    let agreements = "SELECT count(*) FROM agreements";
    let count = sqlx::query_scalar::<_, i64>(agreements);
    assert_eq!(count.fetch_one(&mut pool).await.unwrap(), 0);
    let (code, said) = typed(&all);
    assert_eq!(code, Some(1));
    assert!(
        said.contains(&format!("{place}  accepted: took effect")),
        "{said}"
    );
    assert!(
        said.contains("refund/1/8  refused again, malformed: not UTF-8"),
        "{said}"
    );
    let count = sqlx::query_scalar::<_, i64>(agreements);
    assert_eq!(count.fetch_one(&mut pool).await.unwrap(), 1);
    let (_, said) = typed(&["list"]);
    assert!(
        said.contains("refund/1/8") && said.contains("replays: 1"),
        "{said}"
    );
    assert_eq!(typed(&["list", "--all"]).1.lines().count(), 2);
    let (code, said) = typed(&[&["replay", &place], &by[..]].concat());
    assert!(code == Some(0) && said.contains("in already"), "{said}");
}
