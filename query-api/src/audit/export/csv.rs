use super::{ExportError, Writer};
use api::audit::AuditedEvent;
use chrono::{DateTime, SecondsFormat, Utc};
use uuid::Uuid;

const HEADER: [&str; 14] = [
    "position",
    "stream",
    "revision",
    "event_id",
    "type",
    "summary",
    "actor",
    "occurred_at",
    "recorded_at",
    "command_id",
    "causation_id",
    "correlation_id",
    "data",
    "metadata",
];

/// RFC 4180, with a header; data and metadata as JSON in their fields.
pub struct Csv(csv::Writer<Vec<u8>>);

impl Csv {
    pub fn new() -> Result<Self, ExportError> {
        let mut writer = csv::Writer::from_writer(Vec::new());
        writer.write_record(HEADER)?;
        Ok(Self(writer))
    }
}

impl Writer for Csv {
    fn add(&mut self, record: &AuditedEvent) -> Result<(), ExportError> {
        let id = |id: Option<Uuid>| id.map(|id| id.to_string()).unwrap_or_default();
        self.0.write_record([
            &record.position.to_string(),
            &record.stream,
            &record.revision.to_string(),
            &record.event_id.to_string(),
            &record.event_type,
            &record.summary,
            record.actor.as_deref().unwrap_or_default(),
            &record.occurred_at.map(time).unwrap_or_default(),
            &time(record.recorded_at),
            &id(record.command_id),
            &id(record.causation_id),
            &id(record.correlation_id),
            record.data.get(),
            record.metadata.get(),
        ])?;
        Ok(())
    }

    fn take(&mut self) -> Vec<u8> {
        let empty = csv::WriterBuilder::new().from_writer(Vec::new());
        let written = std::mem::replace(&mut self.0, empty);
        written.into_inner().unwrap_or_default()
    }

    fn finish(mut self: Box<Self>) -> Result<Vec<u8>, ExportError> {
        Ok(self.take())
    }
}

fn time(time: DateTime<Utc>) -> String {
    time.to_rfc3339_opts(SecondsFormat::Micros, true)
}
