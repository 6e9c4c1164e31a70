//! A file that `emporium event-store export` has written, read event by event.

use super::EventStoreCliError;
use super::line;
use event_store::RawRecord;
use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

const BUFFER_BYTES: usize = 1 << 20;
const ZSTD_MAGIC: [u8; 4] = [0x28, 0xb5, 0x2f, 0xfd];

/// An open file.
pub struct ExportedFile {
    input: Box<dyn BufRead + Send>,
    path: PathBuf,
    number: u64,
    line: Vec<u8>,
    bytes_read: Arc<AtomicU64>,
    total: u64,
}

impl ExportedFile {
    /// Opens it.
    pub fn open(path: &Path) -> Result<Self, EventStoreCliError> {
        let failed = |source| EventStoreCliError::Read { path: path.to_owned(), source };
        let file = File::open(path).map_err(failed)?;
        let total = file.metadata().map_err(failed)?.len();
        let bytes_read = Arc::new(AtomicU64::new(0));
        let counted = Counted { file, bytes_read: Arc::clone(&bytes_read) };
        let input = unpacked(BufReader::with_capacity(BUFFER_BYTES, counted)).map_err(failed)?;
        Ok(Self { input, path: path.to_owned(), number: 0, line: Vec::new(), bytes_read, total })
    }

    /// How many bytes it has.
    pub fn total(&self) -> u64 {
        self.total
    }

    /// How many of them have been read.
    pub fn done(&self) -> u64 {
        self.bytes_read.load(Ordering::Relaxed)
    }

    /// The next event.
    pub fn next(&mut self) -> Result<Option<RawRecord>, EventStoreCliError> {
        self.line.clear();
        self.number += 1;
        let read = self.input.read_until(b'\n', &mut self.line);
        let bytes = read.map_err(|source| EventStoreCliError::Read { path: self.path.clone(), source })?;
        if bytes == 0 {
            return Ok(None);
        }
        line::read(&self.line).map(Some).map_err(|source| EventStoreCliError::Line {
            path: self.path.clone(),
            line: self.number,
            source,
        })
    }
}

/// Looks at the first bytes and not at the name: names get lost on the way.
fn unpacked(mut input: BufReader<Counted>) -> io::Result<Box<dyn BufRead + Send>> {
    if input.fill_buf()?.starts_with(&ZSTD_MAGIC) {
        let unpacked = zstd::stream::read::Decoder::with_buffer(input)?;
        Ok(Box::new(BufReader::with_capacity(BUFFER_BYTES, unpacked)))
    } else {
        Ok(Box::new(input))
    }
}

struct Counted {
    file: File,
    bytes_read: Arc<AtomicU64>,
}

impl Read for Counted {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let bytes = self.file.read(buffer)?;
        self.bytes_read.fetch_add(bytes as u64, Ordering::Relaxed);
        Ok(bytes)
    }
}
