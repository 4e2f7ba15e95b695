//! A file of holidays on its way through the running service.

use serde_json::json;

use crate::harness::facts::{agreement, order};
use crate::harness::process::{holdback, run_to_end};
use crate::harness::{Holdback, eventually};

#[tokio::test(flavor = "multi_thread")]
async fn an_imported_calendar_gives_dates_and_disturbs_no_publisher() {
    let mut hb = Holdback::start("imported", "11-03 12:00").await;
    let terms = json!([{ "name": "sale", "rate_bps": 10000, "days": 2, "day_kind": "business" }]);
    hb.send(agreement("*", "AG-1").with(json!({ "calendar": "C", "terms": terms })));
    hb.applied().await;
    hb.send(order("M-1", "O-1", "100", "11-03"));
    hb.applied().await;
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("holidays.csv");
    std::fs::write(&file, "2025-11-04,holiday\n2025-11-08,working\n").expect("a file");
    let path = file.to_string_lossy();
    let arguments = [
        "calendar",
        "import",
        "--calendar",
        "C",
        "--version",
        "1",
        "--from",
        "2025-01-01",
        "--until",
        "2025-12-31",
        "--produce",
        &path,
    ];
    let import = || run_to_end(holdback(&hb.bed, &arguments, &[]));
    let imported = import();
    assert_eq!(imported.code, Some(0), "{}", imported.said);
    assert!(imported.said.starts_with("sent to "), "{}", imported.said);
    hb.applied().await;
    // The same once more: known, and the same content.
    assert_eq!(import().code, Some(0));
    hb.applied().await;
    eventually("the hold is rescheduled", async || {
        let told = hb.story("M-1").await;
        let moved = told.len() == 2;
        moved.then_some(()).ok_or_else(|| format!("{told:?}"))
    })
    .await;
    hb.pass_to("11-07").await;
    hb.tells(
        "M-1",
        "
        O-1 sale holds 100.00 until -
        O-1 moves 100.00 to 11-07: calendar
        O-1 releases 100.00 due 11-07/1
        closed 11-07/1: 1 with 100.00
    ",
    )
    .await;
    assert_eq!(hb.number("SELECT count(*) FROM dead_letters").await, 0);
    hb.checked_end().await;
}
