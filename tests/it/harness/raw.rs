//! One record written byte by byte, for what no client library of this language would write.
//!
//! Kafka's own protocol: a Produce request of version 3 with one record batch of version 2.

use std::io::{Read, Write};
use std::net::TcpStream;

/// Writes a record whose header's name is these bytes to partition 0, and waits for the answer.
pub fn produce(broker: &str, topic: &str, timestamp_ms: i64, header: (&[u8], &[u8]), value: &[u8]) {
    let batch = batch(timestamp_ms, &record(header, value));
    let mut request = Vec::new();
    // Produce, version 3, correlation 7, no client id; no transaction, all replicas, 10 s.
    request.extend([0, 0, 0, 3, 0, 0, 0, 7, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff]);
    request.extend(10_000_i32.to_be_bytes());
    request.extend(1_i32.to_be_bytes());
    request.extend(i16::try_from(topic.len()).expect("short").to_be_bytes());
    request.extend(topic.as_bytes());
    request.extend(1_i32.to_be_bytes());
    request.extend(0_i32.to_be_bytes());
    request.extend(length(&batch));
    request.extend(&batch);
    let mut stream = TcpStream::connect(broker).expect("the broker");
    stream.write_all(&length(&request)).expect("sent");
    stream.write_all(&request).expect("sent");
    let mut size = [0; 4];
    stream.read_exact(&mut size).expect("an answer");
    let mut answer = vec![0; usize::try_from(i32::from_be_bytes(size)).expect("a size")];
    stream.read_exact(&mut answer).expect("an answer");
    // Correlation, topics, the topic's name, partitions, the partition; then the error.
    let at = 4 + 4 + 2 + topic.len() + 4 + 4;
    assert_eq!(answer[at..at + 2], [0, 0], "the broker's error code");
}

fn length(bytes: &[u8]) -> [u8; 4] {
    i32::try_from(bytes.len()).expect("short").to_be_bytes()
}

fn record((name, text): (&[u8], &[u8]), value: &[u8]) -> Vec<u8> {
    // No attributes, first in time and place, no key.
    let mut body = vec![0, 0, 0, 1];
    for (count, bytes) in [
        (value.len(), value),
        (1, &[]),
        (name.len(), name),
        (text.len(), text),
    ] {
        varint(&mut body, count);
        body.extend(bytes);
    }
    let mut record = Vec::new();
    varint(&mut record, body.len());
    record.extend(body);
    record
}

/// A length as a zigzag varint.
fn varint(into: &mut Vec<u8>, value: usize) {
    let mut left = value * 2;
    while left >= 0x80 {
        into.push(u8::try_from(left & 0x7f).expect("seven bits") | 0x80);
        left >>= 7;
    }
    into.push(u8::try_from(left).expect("seven bits"));
}

fn batch(timestamp_ms: i64, record: &[u8]) -> Vec<u8> {
    let mut counted = Vec::new();
    // No attributes, the last offset is 0, both timestamps, no producer.
    counted.extend([0; 6]);
    counted.extend(timestamp_ms.to_be_bytes());
    counted.extend(timestamp_ms.to_be_bytes());
    counted.extend([0xff; 14]);
    counted.extend(1_i32.to_be_bytes());
    counted.extend(record);
    let mut batch = vec![0; 8];
    batch.extend(
        i32::try_from(counted.len() + 9)
            .expect("short")
            .to_be_bytes(),
    );
    batch.extend([0xff, 0xff, 0xff, 0xff, 2]);
    batch.extend(crc32c(&counted).to_be_bytes());
    batch.extend(counted);
    batch
}

fn crc32c(bytes: &[u8]) -> u32 {
    let mut crc = u32::MAX;
    for byte in bytes {
        crc ^= u32::from(*byte);
        for _ in 0..8 {
            crc = (crc >> 1) ^ (0x82f6_3b78 * (crc & 1));
        }
    }
    !crc
}
