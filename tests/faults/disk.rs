//! A disk that is full: of both servers, which lie in the folder for temporary files.
//!
//! Happens only where that folder is a small file system of its own, so that nobody else's disk is filled.

use std::fs::File;
use std::io::{ErrorKind, Write as _};
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use holdback::kafka::Admin;
use sqlx::{Connection, PgConnection};

use crate::harness::say;
use crate::history::World;

/// A file system beyond this size is not filled.
const SMALL_KIB: u64 = 2 << 20;

/// What fills the disk.
pub struct Filler(PathBuf);

/// Whether the servers lie on a small file system.
pub fn is_small() -> bool {
    let folder = std::env::temp_dir();
    let asked = Command::new("df")
        .args(["-k", "--output=size"])
        .arg(folder)
        .output();
    let size = asked.ok().and_then(|output| {
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        text.lines().nth(1)?.trim().parse::<u64>().ok()
    });
    size.is_some_and(|size| size < SMALL_KIB)
}

impl World<'_> {
    /// Fills the disk to the last byte.
    pub fn fill_the_disk(&mut self) -> Option<Filler> {
        let path = std::env::temp_dir().join("holdback-filler");
        if path.exists() || !is_small() {
            return None;
        }
        let mut file = File::create(&path).ok()?;
        let piece = vec![7; 1 << 16];
        let full = loop {
            match file.write_all(&piece) {
                Ok(()) => {}
                Err(error) => break error.kind() == ErrorKind::StorageFull,
            }
        };
        self.counters.add("disk: full", u64::from(full));
        Some(Filler(path))
    }

    /// Makes room, and starts the servers again that have given up.
    pub fn make_room(&mut self, filler: &Filler) -> Result<(), String> {
        std::fs::remove_file(&filler.0).map_err(|error| error.to_string())?;
        let url = self.bed.database_url.clone();
        if self.runtime.block_on(PgConnection::connect(&url)).is_err() {
            self.counters.add("disk: Postgres had ended", 1);
            let restarted = self.servers.postgres.restart();
            restarted.map_err(|error| error.to_string())?;
        }
        let patience = Duration::from_secs(3);
        let settings = self.bed.settings();
        let answers = Admin::open(&settings, patience)
            .is_ok_and(|admin| admin.partition_counts(&["probe"]).is_ok());
        if !answers {
            self.counters.add("disk: Kafka had ended", 1);
            say("Kafka has given up on a full disk");
            self.servers.kafka.restart();
        }
        Ok(())
    }
}
