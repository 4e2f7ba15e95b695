//! What a stretch of work has cost: CPU by process, WAL, growth of tables.
//!
//! Guarantees nothing about who else uses the same servers meanwhile: a bench wants its own.

use super::figures::{Cpu, Figures, Sizes};
use super::machine::{CpuTimes, Servers, resident_kib};
use super::scratch::Scratch;

/// Where everything stood when the work began.
#[derive(Debug)]
pub(super) struct Meter {
    program: u32,
    cpu: CpuTimes,
    wal: i64,
    sizes: Sizes,
}

impl Meter {
    /// Reads all meters; the program is the process with this id.
    pub(super) async fn start(
        scratch: &Scratch,
        servers: Servers,
        program: u32,
    ) -> anyhow::Result<Self> {
        Ok(Self {
            program,
            sizes: scratch.sizes().await?,
            wal: scratch.wal().await?,
            cpu: servers.cpu(program),
        })
    }

    /// Reads them again, after so many events.
    pub(super) async fn stop(
        self,
        scratch: &Scratch,
        servers: Servers,
        events: u64,
    ) -> anyhow::Result<Figures> {
        let cpu = servers.cpu(self.program);
        let wal = scratch.wal().await? - self.wal;
        let sizes = scratch.sizes().await?;
        // All of it came in one look: nothing can be said of one event.
        let each = |before: Option<u64>, after: Option<u64>| {
            after?.checked_sub(before?)?.checked_div(events)
        };
        Ok(Figures {
            cpu_ns_per_event: Cpu {
                program: each(self.cpu.program, cpu.program),
                postgres: each(self.cpu.postgres, cpu.postgres),
                broker: each(self.cpu.broker, cpu.broker),
            },
            wal_bytes_per_event: wal.checked_div(i64::try_from(events)?),
            // Of a rival that is a part of the bench it would be the bench's.
            resident_max_kib: resident_kib(self.program)
                .filter(|_| self.program != std::process::id())
                .map(|(_, most)| most),
            growth: Some(Sizes {
                tables: sizes.tables - self.sizes.tables,
                indexes: sizes.indexes - self.sizes.indexes,
            }),
            ..Figures::default()
        })
    }
}
