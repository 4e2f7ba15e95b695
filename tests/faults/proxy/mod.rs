//! A TCP proxy between a process and a server that can do what networks do, and that knows enough of
//! both protocols to do it to one message: hold it, or lose the answer to it.
//!
//! Guarantees that every fault is counted where it happens, not where it was asked for.

mod pump;

use std::collections::BTreeMap;
use std::io;
use std::net::{Ipv4Addr, Shutdown, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicU16, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Which protocol is spoken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Protocol {
    Kafka,
    Postgres,
}

/// What to do to the next message of one kind from client to server.
#[derive(Debug, Clone, Copy)]
pub enum Trick {
    /// Deliver it so much later, also when the client has given up and closed its connection.
    Hold(Duration),
    /// Deliver it, and close the connection instead of handing over the answer.
    LoseReply,
    /// Close the connection instead of delivering it.
    Drop,
}

/// A kind of message: Kafka's API key, or `COMMIT`.
pub const PRODUCE: i16 = 0;
pub const INIT_PRODUCER_ID: i16 = 22;
pub const END_TXN: i16 = 26;
pub const COMMIT: i16 = -1;

/// What really happened.
#[derive(Debug, Default)]
pub struct Happened {
    pub cut: AtomicU64,
    pub refused: AtomicU64,
    /// Bytes that waited in a black hole.
    pub swallowed: AtomicU64,
    pub delayed: AtomicU64,
    pub throttled: AtomicU64,
    /// By name, what was done to single messages.
    pub tricks: Mutex<BTreeMap<String, u64>>,
}

impl Happened {
    fn note(&self, kind: i16, what: &str) {
        let name = match kind {
            PRODUCE => "produce",
            INIT_PRODUCER_ID => "init",
            END_TXN => "endtxn",
            _ => "commit",
        };
        let mut tricks = self.tricks.lock().unwrap_or_else(PoisonError::into_inner);
        *tricks.entry(format!("{name}: {what}")).or_default() += 1;
    }
}

/// How the link is at the moment.
#[derive(Debug, Default)]
struct Weather {
    refusing: bool,
    black: bool,
    latency: Duration,
    /// Bytes per second; 0: as fast as it goes.
    rate: u64,
    /// What happens to the next message of each kind.
    tricks: Vec<(i16, Trick)>,
}

#[derive(Debug)]
struct Shared {
    protocol: Protocol,
    upstream: AtomicU16,
    ended: AtomicBool,
    weather: Mutex<Weather>,
    links: Mutex<Vec<TcpStream>>,
    happened: Happened,
}

impl Shared {
    fn weather<T>(&self, look: impl FnOnce(&mut Weather) -> T) -> T {
        look(&mut self.weather.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn close_all(&self) -> u64 {
        let mut links = self.links.lock().unwrap_or_else(PoisonError::into_inner);
        let open = links.drain(..);
        let closed = open.filter(|link| link.shutdown(Shutdown::Both).is_ok());
        u64::try_from(closed.count()).expect("few")
    }

    fn has_ended(&self) -> bool {
        self.ended.load(Ordering::SeqCst)
    }

    /// Waits as long as the link is a black hole.
    fn wait_out(&self, bytes: usize) {
        let mut counted = false;
        while !self.has_ended() && self.weather(|weather| weather.black) {
            if !counted {
                let bytes = u64::try_from(bytes).expect("few");
                self.happened.swallowed.fetch_add(bytes, Ordering::SeqCst);
                counted = true;
            }
            std::thread::sleep(Duration::from_millis(5));
        }
    }
}

/// A proxy; dropping it closes every connection.
#[derive(Debug)]
pub struct Proxy {
    pub port: u16,
    shared: Arc<Shared>,
}

impl Proxy {
    /// Listens on a port of its own; where to is told later.
    pub fn listen(protocol: Protocol) -> io::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        let port = listener.local_addr()?.port();
        let shared = Arc::new(Shared {
            protocol,
            upstream: AtomicU16::new(0),
            ended: AtomicBool::new(false),
            weather: Mutex::default(),
            links: Mutex::default(),
            happened: Happened::default(),
        });
        let accepting = Arc::clone(&shared);
        std::thread::spawn(move || accept(&listener, &accepting));
        Ok(Self { port, shared })
    }

    pub fn lead_to(&self, port: u16) {
        self.shared.upstream.store(port, Ordering::SeqCst);
    }

    pub fn happened(&self) -> &Happened {
        &self.shared.happened
    }

    /// Closes every connection; new ones are refused until [`Proxy::heal`].
    pub fn cut(&self) {
        self.shared.weather(|weather| weather.refusing = true);
        let cut = self.shared.close_all();
        self.shared.happened.cut.fetch_add(cut, Ordering::SeqCst);
    }

    /// Nothing gets through any more, and nobody is told.
    pub fn black_hole(&self) {
        self.shared.weather(|weather| weather.black = true);
    }

    pub fn slow(&self, latency: Duration, rate: u64) {
        self.shared.weather(|weather| {
            weather.latency = latency;
            weather.rate = rate;
        });
    }

    /// Does this to the next message of a kind.
    pub fn play(&self, kind: i16, trick: Trick) {
        self.shared.weather(|weather| {
            weather.tricks.retain(|(other, _)| *other != kind);
            weather.tricks.push((kind, trick));
        });
    }

    /// Good weather; what waits for a message waits on.
    pub fn heal(&self) {
        self.shared.weather(|weather| {
            let tricks = std::mem::take(&mut weather.tricks);
            *weather = Weather {
                tricks,
                ..Weather::default()
            };
        });
    }

    /// Good weather, and nothing waits for a message any more.
    pub fn clear(&self) {
        self.shared.weather(|weather| *weather = Weather::default());
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.shared.ended.store(true, Ordering::SeqCst);
        self.clear();
        self.shared.close_all();
        // Wakes the listener.
        drop(TcpStream::connect((Ipv4Addr::LOCALHOST, self.port)));
    }
}

fn accept(listener: &TcpListener, shared: &Arc<Shared>) {
    for client in listener.incoming() {
        if shared.has_ended() {
            return;
        }
        let Ok(client) = client else { continue };
        if shared.weather(|weather| weather.refusing) {
            shared.happened.refused.fetch_add(1, Ordering::SeqCst);
            continue;
        }
        let shared = Arc::clone(shared);
        std::thread::spawn(move || {
            let port = shared.upstream.load(Ordering::SeqCst);
            // An upstream that is not there: the client sees its connection end.
            let Ok(server) = TcpStream::connect((Ipv4Addr::LOCALHOST, port)) else {
                return;
            };
            if let Err(error) = join(&shared, &client, &server) {
                crate::harness::say(&format!("a proxied connection failed: {error}"));
            }
        });
    }
}

/// Pumps both ways until both have ended.
fn join(shared: &Arc<Shared>, client: &TcpStream, server: &TcpStream) -> io::Result<()> {
    client.set_nodelay(true)?;
    server.set_nodelay(true)?;
    let mut links = shared.links.lock().unwrap_or_else(PoisonError::into_inner);
    links.extend([client.try_clone()?, server.try_clone()?]);
    drop(links);
    let muted = Arc::new(AtomicBool::new(false));
    let (to_client, from_server) = (client.try_clone()?, server.try_clone()?);
    let (back, back_muted) = (Arc::clone(shared), Arc::clone(&muted));
    let reader = std::thread::spawn(move || {
        pump::replies(&back, from_server, to_client, &back_muted);
    });
    pump::requests(shared, client.try_clone()?, server.try_clone()?, &muted);
    // The server ends its side when it has answered what it got, or at once when it is gone.
    let until = Instant::now() + Duration::from_secs(60);
    while !reader.is_finished() && Instant::now() < until && !shared.has_ended() {
        std::thread::sleep(Duration::from_millis(20));
    }
    Ok(())
}
