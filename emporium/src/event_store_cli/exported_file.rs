//! A file that `emporium event-store export` has written, read event by event.

use super::EventStoreCliError;
use super::frame::{self, Frame};
use super::line;
use event_store::{Origin, RawRecord};
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
    origin: Origin,
    /// The first event, which was read to see whether it is one.
    first: Option<RawRecord>,
    /// Whether the last line says how many events there are.
    says_its_end: bool,
    events: u64,
    /// How many of them are after the last first line: a file may be several, one after the other.
    since_begun: u64,
    has_ended: bool,
    /// There are more or fewer events than the file says.
    is_changed: bool,
}

impl ExportedFile {
    /// Opens it, and reads its first line.
    pub fn open(path: &Path) -> Result<Self, EventStoreCliError> {
        let failed = |source| EventStoreCliError::Read { path: path.to_owned(), source };
        let file = File::open(path).map_err(failed)?;
        let total = file.metadata().map_err(failed)?.len();
        let bytes_read = Arc::new(AtomicU64::new(0));
        let counted = Counted { file, bytes_read: Arc::clone(&bytes_read) };
        let input = unpacked(BufReader::with_capacity(BUFFER_BYTES, counted)).map_err(failed)?;
        let mut file = Self {
            input,
            path: path.to_owned(),
            number: 0,
            line: Vec::new(),
            bytes_read,
            total,
            origin: Origin::default(),
            first: None,
            says_its_end: false,
            events: 0,
            since_begun: 0,
            has_ended: false,
            is_changed: false,
        };
        file.first = file.line()?;
        match file.first.as_ref().and_then(frame::read) {
            None => return Ok(file),
            Some(Frame::Begun(origin)) => (file.origin, file.says_its_end) = (origin, true),
            Some(Frame::OfLog(log_id)) => file.origin.of = Some(log_id),
            Some(Frame::Ended(_) | Frame::Unknown) => {}
        }
        file.first = None;
        Ok(file)
    }

    /// Where its events come from.
    pub fn origin(&self) -> &Origin {
        &self.origin
    }

    /// Whether it has a last line that says how many events there are, as all but older files have. So it cannot be taken
    /// for whole when its end is missing.
    pub fn says_its_end(&self) -> bool {
        self.says_its_end
    }

    /// How many events have been read.
    pub fn events(&self) -> u64 {
        self.events
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
        loop {
            let record = match self.first.take() {
                Some(first) => Some(first),
                None => self.line()?,
            };
            let Some(record) = record else { return Ok(None) };
            match frame::read(&record) {
                None => {
                    self.is_changed |= self.has_ended;
                    self.events += 1;
                    self.since_begun += 1;
                    return Ok(Some(record));
                }
                Some(Frame::Ended(events)) => {
                    self.is_changed |= events != self.since_begun;
                    self.has_ended = true;
                }
                Some(Frame::Begun(_)) => {
                    self.is_changed |= !self.has_ended;
                    (self.since_begun, self.has_ended) = (0, false);
                }
                Some(Frame::OfLog(_) | Frame::Unknown) => {}
            }
        }
    }

    /// Whether what was read to its end was a whole file, as far as the file says.
    pub fn must_be_whole(&self) -> Result<(), EventStoreCliError> {
        if self.says_its_end && (self.is_changed || !self.has_ended) {
            return Err(EventStoreCliError::Cut { path: self.path.clone(), events: self.events });
        }
        Ok(())
    }

    fn line(&mut self) -> Result<Option<RawRecord>, EventStoreCliError> {
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
