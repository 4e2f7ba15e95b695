//! Envelopes: `name: value` headers, one per line, an empty line, the value. A header `default`
//! is the topic's default type. Whatever comes, reading answers, and the answer is the same again.

#![no_main]

use holdback_fuzz::{first_line, read, record};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| {
    let (mut headers, mut default_type) = (Vec::new(), None);
    let mut rest = input;
    loop {
        let (line, after) = first_line(rest);
        rest = after;
        let Some((name, value)) = line.split_once(": ") else {
            break;
        };
        match name {
            "default" => default_type = Some(value),
            _ => headers.push((name.to_owned(), Some(value.as_bytes().to_vec()))),
        }
    }
    drop(read(&record(headers, rest), default_type));
});
