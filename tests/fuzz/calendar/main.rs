//! Files of holidays: the first line has from, until, weekend and the word of working days, the rest
//! is iCalendar or CSV. What comes out passes the service's own parser.

#![no_main]

use holdback_fuzz::calendar_import::{Options, import};
use holdback_fuzz::{first_line, read, record};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| {
    let (line, file) = first_line(input);
    let Some(options) = options(line) else { return };
    match import(file, &options) {
        Ok(imported) => {
            let media_type = Some(b"application/cloudevents+json".to_vec());
            let headers = vec![("content-type".to_owned(), media_type)];
            let message = read(&record(headers, imported.message.as_bytes()), None);
            message.expect("what was imported is read");
        }
        Err(faults) => assert!(faults.iter().all(|fault| !fault.problem.is_empty())),
    }
});

fn options(line: &str) -> Option<Options> {
    let mut words = line.split(' ');
    Some(Options {
        calendar: "CN".to_owned(),
        version: 1,
        from: words.next()?.parse().ok()?,
        until: words.next()?.parse().ok()?,
        weekend: words.next()?.parse().ok()?,
        working_when: words.next().map(str::to_owned),
    })
}
