use super::{ExportError, Writer};
use api::audit::AuditedEvent;

/// One JSON object on each line.
#[derive(Default)]
pub struct Ndjson(Vec<u8>);

impl Writer for Ndjson {
    fn add(&mut self, record: &AuditedEvent) -> Result<(), ExportError> {
        serde_json::to_writer(&mut self.0, record)?;
        self.0.push(b'\n');
        Ok(())
    }

    fn take(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.0)
    }

    fn finish(self: Box<Self>) -> Result<Vec<u8>, ExportError> {
        Ok(self.0)
    }
}
