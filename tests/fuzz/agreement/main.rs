//! Agreements as files: what `agreement check` says is what the dead letter would say, and the dates
//! of whatever is accepted can be told.

#![no_main]

use holdback_fuzz::agreement::summary;
use holdback_fuzz::message::check;
use holdback_fuzz::{named, read, record};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|file: &[u8]| {
    let checked = check::agreement(file);
    let read = read(&record(named("agreement.published.v1"), file), None);
    match checked {
        Ok(agreement) => {
            assert!(!summary(&agreement, None).is_empty());
            let end = jiff::civil::date(2999, 12, 31);
            assert!(!summary(&agreement, Some(end)).is_empty());
        }
        Err(faults) => {
            assert!(!faults.is_empty());
            assert!(read.is_err() || is_event(file), "{faults:?}");
        }
    }
});

/// A file is taken for an event where it says that it is one; a message of binary mode is not.
fn is_event(file: &[u8]) -> bool {
    let value = serde_json::from_slice::<serde_json::Value>(file);
    value.is_ok_and(|it| it.get("specversion").is_some())
}
