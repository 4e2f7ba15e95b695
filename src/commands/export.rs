//! `holdback export`: the journal on standard output, for hledger, beancount or anything that reads
//! CSV.

use std::io::{BufWriter, ErrorKind};

use super::open_store;
use crate::books::{self, ExportError, Selection, Writer};
use crate::cli::ExportArgs;
use crate::config::Config;

pub(super) async fn run(config: &Config, args: ExportArgs) -> anyhow::Result<()> {
    let store = open_store(config).await?;
    let selection = Selection {
        merchant: args.merchant,
        from: args.from,
        until: args.until,
    };
    let mut writer = Writer::new(BufWriter::new(std::io::stdout().lock()), args.format);
    match books::export(&store, &selection, &mut writer).await {
        // The reader has seen enough.
        Err(ExportError::Write(error)) if error.kind() == ErrorKind::BrokenPipe => Ok(()),
        Err(error) => Err(error.into()),
        Ok(_) => Ok(()),
    }
}
