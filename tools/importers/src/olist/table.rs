//! One of the folder's files, row by row.

use crate::packed::{self, text};
use csv::ByteRecord;
use std::borrow::Cow;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use thiserror::Error;

/// A file of the folder cannot be read at all.
#[derive(Debug, Error)]
pub enum ReadError {
    /// It is not there, or cannot be opened.
    #[error(
        "{path} cannot be opened: give the folder that holds the official Olist files, plain or as `.csv.zst`"
    )]
    Open {
        /// Which.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// It breaks off, or its packing is damaged.
    #[error("{path} cannot be read: fetch the file again")]
    Damaged {
        /// Which.
        path: PathBuf,
        /// Why.
        #[source]
        source: csv::Error,
    },
    /// It is some other file.
    #[error("{path} has no column `{column}`: is it the official Olist file?")]
    MissingColumn {
        /// Which.
        path: PathBuf,
        /// The first column that is missing.
        column: &'static str,
    },
}

/// A file whose header has been read.
pub struct Table {
    path: PathBuf,
    rows: csv::Reader<Box<dyn Read>>,
    columns: Vec<usize>,
}

/// A row's wanted columns.
pub struct Row<'a> {
    record: &'a ByteRecord,
    columns: &'a [usize],
}

impl Table {
    /// Opens `name` of the folder, or `name.zst`, whichever is there.
    pub fn open(folder: &Path, name: &str, wanted: &'static [&'static str]) -> Result<Self, ReadError> {
        let plain = folder.join(name);
        let path = if plain.exists() { plain } else { folder.join(format!("{name}.zst")) };
        let input = packed::open(&path).map_err(|source| ReadError::Open { path: path.clone(), source })?;
        let mut rows = csv::ReaderBuilder::new().flexible(true).from_reader(input);
        let columns = match rows.byte_headers() {
            Ok(header) => find_columns(header, wanted),
            Err(source) => return Err(ReadError::Damaged { path, source }),
        };
        match columns {
            Ok(columns) => Ok(Self { path, rows, columns }),
            Err(column) => Err(ReadError::MissingColumn { path, column }),
        }
    }

    /// Reads on to the end.
    pub fn each(mut self, mut row: impl FnMut(&Row<'_>)) -> Result<(), ReadError> {
        let mut record = ByteRecord::new();
        loop {
            match self.rows.read_byte_record(&mut record) {
                Ok(true) => row(&Row { record: &record, columns: &self.columns }),
                Ok(false) => return Ok(()),
                Err(source) => return Err(ReadError::Damaged { path: self.path, source }),
            }
        }
    }
}

impl<'a> Row<'a> {
    /// The wanted column of that place, trimmed; empty where the row is too short.
    pub fn get(&self, place: usize) -> Cow<'a, str> {
        let field = self.columns.get(place).and_then(|column| self.record.get(*column)).unwrap_or_default();
        match text(field) {
            Cow::Borrowed(text) => Cow::Borrowed(text.trim()),
            Cow::Owned(text) => Cow::Owned(text.trim().to_owned()),
        }
    }

    pub fn owned(&self, place: usize) -> String {
        self.get(place).into_owned()
    }
}

fn find_columns(header: &ByteRecord, wanted: &[&'static str]) -> Result<Vec<usize>, &'static str> {
    let names: Vec<_> = header.iter().map(text).collect();
    // One of the official files begins with a byte-order mark.
    let names: Vec<_> = names.iter().map(|name| name.trim_start_matches('\u{feff}').trim()).collect();
    let find = |wanted: &&'static str| names.iter().position(|name| name == wanted).ok_or(*wanted);
    wanted.iter().map(find).collect()
}
