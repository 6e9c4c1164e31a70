//! A selection of events as a file, of any size in bounded memory: what is read is written and sent on before more is
//! read.

mod csv;
mod ndjson;
mod parquet;

use self::csv::Csv;
use self::ndjson::Ndjson;
use self::parquet::Parquet;
use super::record;
use api::audit::AuditedEvent;
use api::audit::ExportFormat;
use async_stream::try_stream;
use bytes::Bytes;
use event_store::{EventStoreError, RecordedEvent};
use futures::{Stream, StreamExt};
use thiserror::Error;

/// Events that are written at once.
const CHUNK: usize = 500;

/// Why an export breaks off. Whoever receives it sees that its end is missing.
#[derive(Debug, Error)]
pub enum ExportError {
    #[error("the log could not be read on")]
    EventStore(#[from] EventStoreError),
    #[error("an event could not be written as JSON")]
    Json(#[from] serde_json::Error),
    #[error("an event could not be written as CSV")]
    Csv(#[from] ::csv::Error),
    #[error("events could not be written as Parquet")]
    Parquet(#[from] ::parquet::errors::ParquetError),
    #[error("the task that writes has ended")]
    Task(#[from] tokio::task::JoinError),
}

/// What writes a file of one form.
trait Writer: Send {
    fn add(&mut self, record: &AuditedEvent) -> Result<(), ExportError>;

    /// What is ready to be sent.
    fn take(&mut self) -> Vec<u8>;

    /// Everything that is left.
    fn finish(self: Box<Self>) -> Result<Vec<u8>, ExportError>;
}

fn writer_of(format: ExportFormat) -> Result<Box<dyn Writer>, ExportError> {
    Ok(match format {
        ExportFormat::Ndjson => Box::new(Ndjson::default()),
        ExportFormat::Csv => Box::new(Csv::new()?),
        ExportFormat::Parquet => Box::new(Parquet::new()?),
    })
}

/// The file of these events, piece by piece.
pub fn export(
    format: ExportFormat,
    events: impl Stream<Item = Result<RecordedEvent, EventStoreError>> + Send + 'static,
) -> impl Stream<Item = Result<Bytes, ExportError>> + Send {
    try_stream! {
        let mut writer = writer_of(format)?;
        for await chunk in events.chunks(CHUNK) {
            let events = chunk.into_iter().collect::<Result<Vec<_>, _>>()?;
            // To write takes a while, in which this thread can serve others.
            let (back, ready) = tokio::task::spawn_blocking(move || write(writer, &events)).await??;
            writer = back;
            if !ready.is_empty() {
                yield Bytes::from(ready);
            }
        }
        yield Bytes::from(tokio::task::spawn_blocking(move || writer.finish()).await??);
    }
}

fn write(
    mut writer: Box<dyn Writer>,
    events: &[RecordedEvent],
) -> Result<(Box<dyn Writer>, Vec<u8>), ExportError> {
    for event in events {
        writer.add(&record(event))?;
    }
    let ready = writer.take();
    Ok((writer, ready))
}

#[cfg(test)]
mod tests;
