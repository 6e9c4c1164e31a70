use super::{ExportError, Writer};
use api::audit::AuditedEvent;
use parquet::basic::{Compression, ZstdLevel};
use parquet::data_type::{ByteArray, ByteArrayType, Int64Type};
use parquet::file::properties::WriterProperties;
use parquet::file::writer::{SerializedFileWriter, SerializedRowGroupWriter};
use parquet::schema::parser::parse_message_type;
use std::io::{self, Write};
use std::sync::{Arc, Mutex, PoisonError};

/// The columns, in this order.
const SCHEMA: &str = "message event {
    required int64 position (INTEGER(64, false));
    required binary stream (STRING);
    required int64 revision (INTEGER(64, false));
    required binary event_id (STRING);
    required binary type (STRING);
    required binary summary (STRING);
    optional binary actor (STRING);
    optional int64 occurred_at (TIMESTAMP(MICROS, true));
    required int64 recorded_at (TIMESTAMP(MICROS, true));
    optional binary command_id (STRING);
    optional binary causation_id (STRING);
    optional binary correlation_id (STRING);
    required binary data (JSON);
    required binary metadata (JSON);
}";
/// A row group is written, and leaves the memory, when it has so many rows or so many bytes of texts.
pub const MAX_ROWS: usize = 50_000;
pub const MAX_BYTES: usize = 8 * 1024 * 1024;

/// Columns, a row group at a time.
pub struct Parquet {
    file: SerializedFileWriter<Written>,
    written: Written,
    rows: Rows,
}

impl Parquet {
    pub fn new() -> Result<Self, ExportError> {
        let schema = Arc::new(parse_message_type(SCHEMA)?);
        let properties =
            WriterProperties::builder().set_compression(Compression::ZSTD(ZstdLevel::default())).build();
        let written = Written::default();
        let file = SerializedFileWriter::new(written.clone(), schema, Arc::new(properties))?;
        Ok(Self { file, written, rows: Rows::default() })
    }

    fn write_row_group(&mut self) -> Result<(), ExportError> {
        let rows = std::mem::take(&mut self.rows);
        if rows.position.is_empty() {
            return Ok(());
        }
        let mut group = self.file.next_row_group()?;
        rows.write(&mut group)?;
        group.close()?;
        Ok(())
    }
}

impl Writer for Parquet {
    fn add(&mut self, record: &AuditedEvent) -> Result<(), ExportError> {
        self.rows.add(record);
        if self.rows.position.len() >= MAX_ROWS || self.rows.bytes >= MAX_BYTES {
            self.write_row_group()?;
        }
        Ok(())
    }

    fn take(&mut self) -> Vec<u8> {
        self.written.take()
    }

    fn finish(mut self: Box<Self>) -> Result<Vec<u8>, ExportError> {
        self.write_row_group()?;
        self.file.finish()?;
        Ok(self.written.take())
    }
}

/// What the file's writer has written and nobody has sent yet.
#[derive(Clone, Default)]
struct Written(Arc<Mutex<Vec<u8>>>);

impl Written {
    fn take(&self) -> Vec<u8> {
        // Nothing panics while it holds the lock.
        std::mem::take(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Write for Written {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// A row group in the making, column by column.
#[derive(Default)]
struct Rows {
    bytes: usize,
    position: Vec<i64>,
    stream: Vec<ByteArray>,
    revision: Vec<i64>,
    event_id: Vec<ByteArray>,
    event_type: Vec<ByteArray>,
    summary: Vec<ByteArray>,
    actor: Optional<ByteArray>,
    occurred_at: Optional<i64>,
    recorded_at: Vec<i64>,
    command_id: Optional<ByteArray>,
    causation_id: Optional<ByteArray>,
    correlation_id: Optional<ByteArray>,
    data: Vec<ByteArray>,
    metadata: Vec<ByteArray>,
}

/// A column that some rows have no value in.
struct Optional<T> {
    values: Vec<T>,
    /// For each row, 1 where it has a value.
    levels: Vec<i16>,
}

impl<T> Default for Optional<T> {
    fn default() -> Self {
        Self { values: Vec::new(), levels: Vec::new() }
    }
}

impl<T> Optional<T> {
    fn push(&mut self, value: Option<T>) {
        self.levels.push(i16::from(value.is_some()));
        self.values.extend(value);
    }
}

impl Rows {
    fn add(&mut self, record: &AuditedEvent) {
        let text = |text: &str| ByteArray::from(text.as_bytes().to_vec());
        let id = |id: &uuid::Uuid| ByteArray::from(id.to_string().into_bytes());
        self.bytes += record.data.get().len() + record.metadata.get().len() + record.summary.len();
        // An unsigned 64-bit column holds the same bits.
        self.position.push(record.position.cast_signed());
        self.stream.push(text(&record.stream));
        self.revision.push(record.revision.cast_signed());
        self.event_id.push(id(&record.event_id));
        self.event_type.push(text(&record.event_type));
        self.summary.push(text(&record.summary));
        self.actor.push(record.actor.as_deref().map(text));
        self.occurred_at.push(record.occurred_at.map(|time| time.timestamp_micros()));
        self.recorded_at.push(record.recorded_at.timestamp_micros());
        self.command_id.push(record.command_id.as_ref().map(id));
        self.causation_id.push(record.causation_id.as_ref().map(id));
        self.correlation_id.push(record.correlation_id.as_ref().map(id));
        self.data.push(text(record.data.get()));
        self.metadata.push(text(record.metadata.get()));
    }

    fn write(&self, group: &mut SerializedRowGroupWriter<'_, Written>) -> Result<(), ExportError> {
        numbers(group, &self.position, None)?;
        texts(group, &self.stream, None)?;
        numbers(group, &self.revision, None)?;
        texts(group, &self.event_id, None)?;
        texts(group, &self.event_type, None)?;
        texts(group, &self.summary, None)?;
        texts(group, &self.actor.values, Some(&self.actor.levels))?;
        numbers(group, &self.occurred_at.values, Some(&self.occurred_at.levels))?;
        numbers(group, &self.recorded_at, None)?;
        texts(group, &self.command_id.values, Some(&self.command_id.levels))?;
        texts(group, &self.causation_id.values, Some(&self.causation_id.levels))?;
        texts(group, &self.correlation_id.values, Some(&self.correlation_id.levels))?;
        texts(group, &self.data, None)?;
        texts(group, &self.metadata, None)
    }
}

fn numbers(
    group: &mut SerializedRowGroupWriter<'_, Written>,
    values: &[i64],
    levels: Option<&[i16]>,
) -> Result<(), ExportError> {
    if let Some(mut column) = group.next_column()? {
        column.typed::<Int64Type>().write_batch(values, levels, None)?;
        column.close()?;
    }
    Ok(())
}

fn texts(
    group: &mut SerializedRowGroupWriter<'_, Written>,
    values: &[ByteArray],
    levels: Option<&[i16]>,
) -> Result<(), ExportError> {
    if let Some(mut column) = group.next_column()? {
        column.typed::<ByteArrayType>().write_batch(values, levels, None)?;
        column.close()?;
    }
    Ok(())
}
