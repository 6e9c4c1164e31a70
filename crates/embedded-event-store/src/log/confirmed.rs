//! A second witness of how far the log goes.
//!
//! The database cuts a torn end off without a word: what was never acknowledged may go. But a damaged end that *was*
//! acknowledged must not. So the newest confirmed position is also noted in a small file, after every write. The file is
//! never ahead of the log; a log that ends before it has lost acknowledged events. The note itself is not made durable
//! each time: after a kill it is exact, after a power cut it may be some seconds behind.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::FileExt;
use std::path::Path;

const FILE: &str = "confirmed-position";

/// The file that notes the newest confirmed position.
pub struct Confirmed {
    file: File,
    noted: u64,
}

impl Confirmed {
    /// Opens the file, and gives the position that it holds: 0 if it holds none that can be read.
    pub fn open(data_dir: &Path) -> io::Result<(Self, u64)> {
        let path = data_dir.join(FILE);
        let text = match std::fs::read_to_string(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => String::new(),
            Err(error) => return Err(error),
        };
        let noted = parse(&text).unwrap_or_else(|| {
            if !text.is_empty() {
                tracing::warn!(file = %path.display(), "the note of the confirmed position is unreadable; it is begun anew");
            }
            0
        });
        let file = OpenOptions::new().create(true).write(true).truncate(false).open(&path)?;
        Ok((Confirmed { file, noted }, noted))
    }

    /// The newest position that was noted.
    pub fn position(&self) -> u64 {
        self.noted
    }

    /// Notes a position that is safely on disk.
    pub fn note(&mut self, position: u64) -> io::Result<()> {
        if position <= self.noted {
            return Ok(());
        }
        self.write(position)
    }

    /// Notes the position now, and makes the disk keep it.
    pub fn finish(&mut self, position: u64) -> io::Result<()> {
        self.write(position)?;
        self.file.sync_all()
    }

    fn write(&mut self, position: u64) -> io::Result<()> {
        self.file.write_all_at(format(position).as_bytes(), 0)?;
        self.noted = position;
        Ok(())
    }
}

/// Always the same length, so that a note replaces the one before; the checksum tells a torn note.
fn format(position: u64) -> String {
    let digits = format!("{position:020}");
    format!("{digits} {:08x}\n", crc32fast::hash(digits.as_bytes()))
}

fn parse(text: &str) -> Option<u64> {
    let position = text.get(..20)?.parse().ok()?;
    (format(position) == text).then_some(position)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_note_is_read_back_and_a_torn_one_is_not() {
        for position in [0, 7, u64::MAX] {
            assert_eq!(parse(&format(position)), Some(position));
        }
        let torn = format!("{}{}", &format(19)[..19], &format(123)[19..]);
        assert_eq!(parse(&torn), None);
        assert_eq!(parse(""), None);
    }
}
