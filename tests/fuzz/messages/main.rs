//! Messages: the type in the first line, then the data. Plain or inside of a structured event, a
//! message has one meaning: the same fact, or the same reason against it.

#![no_main]

use holdback_fuzz::{first_line, named, read, record};
use libfuzzer_sys::fuzz_target;
use serde_json::value::RawValue;

fuzz_target!(|input: &[u8]| {
    let (type_name, data) = first_line(input);
    let plain = read(&record(named(type_name), data), None);
    let Ok(raw) = serde_json::from_slice::<&RawValue>(data) else {
        assert!(plain.is_err(), "no JSON was accepted");
        return;
    };
    if raw.get() == "null" || type_name.chars().any(char::is_control) {
        return;
    }
    let name = serde_json::to_string(type_name).expect("a string");
    let event = format!(
        r#"{{"specversion":"1.0","type":{name},"data":{}}}"#,
        raw.get()
    );
    let media_type = Some(b"application/cloudevents+json".to_vec());
    let headers = vec![("content-type".to_owned(), media_type)];
    match (plain, read(&record(headers, event.as_bytes()), None)) {
        (Ok(one), Ok(other)) => assert_eq!(one, other),
        (Err(one), Err(other)) => {
            // The envelope takes one level of depth, and its errors stand elsewhere.
            if one.reason != other.reason {
                assert!(other.detail.contains("64 levels"), "{one:?} {other:?}");
            }
            assert_eq!(
                (one.moves_money, one.about),
                (other.moves_money, other.about)
            );
        }
        (Ok(_), Err(other)) => assert!(other.detail.contains("64 levels"), "{other:?}"),
        (Err(one), Ok(_)) => panic!("only refused outside of an envelope: {one:?}"),
    }
});
