//! Files as people have them: plain or packed with zstd, in UTF-8 or Latin-1.

use std::borrow::Cow;
use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};
use std::path::Path;

const ZSTD_MAGIC: [u8; 4] = [0x28, 0xb5, 0x2f, 0xfd];

/// The bytes of a file, unpacked.
pub fn open(path: &Path) -> io::Result<Box<dyn Read>> {
    unpacked(BufReader::with_capacity(1 << 20, File::open(path)?))
}

/// Looks at the first bytes and not at the name: names get lost on the way.
fn unpacked(mut input: impl BufRead + 'static) -> io::Result<Box<dyn Read>> {
    if input.fill_buf()?.starts_with(&ZSTD_MAGIC) {
        Ok(Box::new(zstd::stream::read::Decoder::with_buffer(input)?))
    } else {
        Ok(Box::new(input))
    }
}

/// Older copies of a file are in Latin-1, where each byte is a character.
pub fn text(bytes: &[u8]) -> Cow<'_, str> {
    std::str::from_utf8(bytes)
        .map_or_else(|_| bytes.iter().map(|&byte| char::from(byte)).collect(), Cow::Borrowed)
}
