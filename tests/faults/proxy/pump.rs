//! Moves bytes from one side to the other, message by message from the client's side.

use std::io::{self, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use super::{COMMIT, Protocol, Shared, Trick};

const CHUNK: usize = 16 << 10;
/// How long a server may take for what it was sent before its connection is closed.
const SETTLE: Duration = Duration::from_millis(300);

/// From the client to the server until either has ended.
pub fn requests(shared: &Shared, mut client: TcpStream, mut server: TcpStream, muted: &AtomicBool) {
    let mut begun = shared.protocol == Protocol::Kafka;
    while let Ok(message) = read_message(&mut client, begun) {
        let kind = kind_of(&message, shared.protocol, begun);
        // Of PostgreSQL's first messages only the last, version 3.0, begins the conversation.
        begun = begun || message.get(4..8) == Some(&[0, 3, 0, 0]);
        shared.wait_out(message.len());
        let trick = shared.weather(|weather| {
            let mut tricks = weather.tricks.iter();
            let hit = tricks.position(|(wanted, _)| Some(*wanted) == kind);
            hit.map(|place| weather.tricks.remove(place))
        });
        let happened = &shared.happened;
        match trick {
            None => {}
            Some((kind, Trick::Hold(long))) => {
                happened.note(kind, "held");
                std::thread::sleep(long);
                if is_gone(&client) {
                    happened.note(kind, "delivered after the client had gone");
                }
            }
            Some((kind, Trick::LoseReply)) => {
                muted.store(true, Ordering::SeqCst);
                if server.write_all(&message).is_ok() {
                    happened.note(kind, "reply lost");
                }
                std::thread::sleep(SETTLE);
                close(&client);
                close(&server);
                return;
            }
            Some((kind, Trick::Drop)) => {
                happened.note(kind, "never delivered");
                close(&client);
                close(&server);
                return;
            }
        }
        if send(shared, &mut server, &message).is_err() {
            break;
        }
    }
    // What was sent is still to be worked off: only this direction ends.
    drop(server.shutdown(Shutdown::Write));
}

/// From the server to the client. When the client has gone the server is still heard out.
pub fn replies(shared: &Shared, mut server: TcpStream, mut client: TcpStream, muted: &AtomicBool) {
    let mut buffer = vec![0; CHUNK];
    let mut listening = true;
    loop {
        let count = match server.read(&mut buffer) {
            Ok(0) | Err(_) => break,
            Ok(count) => count,
        };
        shared.wait_out(count);
        if listening && !muted.load(Ordering::SeqCst) {
            listening = send(shared, &mut client, &buffer[..count]).is_ok();
        }
    }
    close(&client);
}

fn close(stream: &TcpStream) {
    // It may be closed already.
    drop(stream.shutdown(Shutdown::Both));
}

/// Whether the other side has closed.
fn is_gone(stream: &TcpStream) -> bool {
    if stream.set_nonblocking(true).is_err() {
        return true;
    }
    let gone = match stream.peek(&mut [0]) {
        Ok(count) => count == 0,
        Err(error) => error.kind() != io::ErrorKind::WouldBlock,
    };
    gone || stream.set_nonblocking(false).is_err()
}

/// At the pace that the weather allows.
fn send(shared: &Shared, to: &mut TcpStream, bytes: &[u8]) -> io::Result<()> {
    let (latency, rate) = shared.weather(|weather| (weather.latency, weather.rate));
    if !latency.is_zero() {
        shared.happened.delayed.fetch_add(1, Ordering::SeqCst);
        std::thread::sleep(latency);
    }
    if rate == 0 {
        return to.write_all(bytes);
    }
    for piece in bytes.chunks(512) {
        let count = u64::try_from(piece.len()).expect("few");
        shared.happened.throttled.fetch_add(count, Ordering::SeqCst);
        to.write_all(piece)?;
        // The weather may have cleared up.
        if shared.weather(|weather| weather.rate) == rate {
            std::thread::sleep(Duration::from_micros(count * 1_000_000 / rate));
        }
    }
    Ok(())
}

/// The next whole message. PostgreSQL's first ones have no type before their length.
fn read_message(client: &mut TcpStream, begun: bool) -> io::Result<Vec<u8>> {
    // A type byte comes first once a conversation with PostgreSQL has begun; Kafka has none, and
    // its length does not count itself. Both are told apart by the caller's state alone.
    let mut head = [0; 4];
    client.read_exact(&mut head)?;
    Ok(if begun {
        read_begun(client, head)?
    } else {
        let length = usize::try_from(u32::from_be_bytes(head)).expect("64 bits");
        let mut message = head.to_vec();
        message.resize(length.max(4), 0);
        client.read_exact(&mut message[4..])?;
        message
    })
}

fn read_begun(client: &mut TcpStream, head: [u8; 4]) -> io::Result<Vec<u8>> {
    let mut message = head.to_vec();
    // PostgreSQL's types are letters; the first byte of a Kafka length would be one only beyond 1 GiB.
    let length = if head[0].is_ascii_alphabetic() {
        let mut last = [0];
        client.read_exact(&mut last)?;
        message.push(last[0]);
        let length = u32::from_be_bytes([message[1], message[2], message[3], message[4]]);
        1 + usize::try_from(length).expect("64 bits")
    } else {
        4 + usize::try_from(u32::from_be_bytes(head)).expect("64 bits")
    };
    let read = message.len();
    message.resize(length.max(read), 0);
    client.read_exact(&mut message[read..])?;
    Ok(message)
}

fn kind_of(message: &[u8], protocol: Protocol, begun: bool) -> Option<i16> {
    match protocol {
        Protocol::Kafka => {
            let key = message.get(4..6)?;
            Some(i16::from_be_bytes([key[0], key[1]]))
        }
        Protocol::Postgres if begun && message.first() == Some(&b'Q') => {
            message[5..].starts_with(b"COMMIT").then_some(COMMIT)
        }
        Protocol::Postgres => None,
    }
}
