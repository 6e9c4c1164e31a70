//! The server's log file.

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use crate::Error;
use crate::error::LogTail;
use crate::folder::NO_LINKS;

const LARGEST: u64 = 10 * 1024 * 1024;
const TAIL_BYTES: u64 = 8 * 1024;
const TAIL_LINES: usize = 20;

#[derive(Debug, Clone)]
pub(crate) struct ServerLog {
    path: PathBuf,
    /// Where the present start begins.
    from: u64,
}

impl ServerLog {
    /// Opens the log for the server's standard error. Emptied first if it has grown too large.
    pub fn open(path: PathBuf) -> Result<(Self, File), Error> {
        let opened = OpenOptions::new()
            .append(true)
            .create(true)
            .mode(0o600)
            .custom_flags(NO_LINKS)
            .open(&path)
            .and_then(|file| {
                empty_if_large(&file)?;
                let from = file.metadata()?.len();
                Ok((file, from))
            });
        let (file, from) = opened.map_err(Error::io("open the server's log", &path))?;
        Ok((Self { path, from }, file))
    }

    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The server appends, so its next line begins the emptied file.
    pub fn keep_bounded(&self) -> io::Result<()> {
        empty_if_large(&OpenOptions::new().append(true).open(&self.path)?)
    }

    /// What the server said last, of what it said since it was started.
    pub fn tail(&self) -> LogTail {
        let text = self.read_tail().unwrap_or_else(|error| format!("(it cannot be read: {error})"));
        LogTail { path: self.path.clone(), text }
    }

    fn read_tail(&self) -> io::Result<String> {
        let mut file = File::open(&self.path)?;
        let length = file.metadata()?.len();
        let from = if self.from > length { 0 } else { self.from };
        file.seek(SeekFrom::Start(from.max(length.saturating_sub(TAIL_BYTES))))?;
        let mut bytes = Vec::new();
        file.take(TAIL_BYTES).read_to_end(&mut bytes)?;
        let text = String::from_utf8_lossy(&bytes);
        let lines: Vec<&str> = text.lines().collect();
        Ok(lines[lines.len().saturating_sub(TAIL_LINES)..].join("\n"))
    }
}

fn empty_if_large(file: &File) -> io::Result<()> {
    if file.metadata()?.len() > LARGEST { file.set_len(0) } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::io::Write;

    use super::{LARGEST, ServerLog, TAIL_LINES};

    #[test]
    fn only_what_was_said_since_the_start_is_told() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("server.log");
        fs::write(&path, "an old line\n").unwrap();
        let (log, mut file) = ServerLog::open(path).unwrap();
        assert_eq!(log.tail().text, "");
        for line in 0..50 {
            writeln!(file, "line {line}").unwrap();
        }
        let text = log.tail().text;
        assert_eq!(text.lines().count(), TAIL_LINES);
        assert!(text.starts_with("line 30") && text.ends_with("line 49"), "{text}");
    }

    #[test]
    fn a_large_log_is_emptied_at_the_start_and_while_it_is_written() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("server.log");
        let grow = || fs::OpenOptions::new().append(true).create(true).open(&path)?.set_len(LARGEST + 1);
        grow().unwrap();
        let (log, mut file) = ServerLog::open(path.clone()).unwrap();
        assert_eq!(fs::metadata(&path).unwrap().len(), 0);
        grow().unwrap();
        log.keep_bounded().unwrap();
        file.write_all(b"next\n").unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "next\n");
    }
}
