//! Counts the frames of HTTP/2 (RFC 9113, section 4.1) that a client sends besides requests and bodies, while they pass.

const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
const HEAD_BYTES: usize = 9;
const DATA: u8 = 0;
const HEADERS: u8 = 1;
/// A piece of a body below this size costs more than its bytes.
pub(crate) const SMALL: u32 = 256;
/// A frame of more bytes counts once more for each of these.
const BYTES_FOR_ONE_MORE: u32 = 64;

/// Where in what a client sends we are.
#[derive(Debug)]
pub(crate) enum Frames {
    /// So many bytes of the preface have come.
    Preface(usize),
    /// So many bytes of a frame's head have come.
    Head([u8; HEAD_BYTES], usize),
    /// So many bytes of the payload are still to come.
    Payload(u32),
    /// It is no HTTP/2.
    Other,
}

impl Default for Frames {
    fn default() -> Self {
        Self::Preface(0)
    }
}

impl Frames {
    /// How many frames begin in these bytes, the next of the connection. Large ones count as several; requests and
    /// pieces of bodies do not count.
    pub fn count(&mut self, mut bytes: &[u8]) -> i64 {
        let mut count = 0;
        while !bytes.is_empty() {
            match self {
                Self::Other => break,
                Self::Preface(come) => {
                    let next = bytes.len().min(PREFACE.len() - *come);
                    if bytes[..next] != PREFACE[*come..*come + next] {
                        *self = Self::Other;
                        break;
                    }
                    *come += next;
                    bytes = &bytes[next..];
                    if *come == PREFACE.len() {
                        *self = Self::Head([0; HEAD_BYTES], 0);
                    }
                }
                Self::Head(head, come) => {
                    let next = bytes.len().min(HEAD_BYTES - *come);
                    head[*come..*come + next].copy_from_slice(&bytes[..next]);
                    *come += next;
                    bytes = &bytes[next..];
                    if *come == HEAD_BYTES {
                        let [a, b, c, kind, ..] = *head;
                        let length = u32::from_be_bytes([0, a, b, c]);
                        count += weight(kind, length);
                        *self = Self::Payload(length);
                    }
                }
                Self::Payload(left) => {
                    let next = bytes.len().min(*left as usize);
                    *left -= u32::try_from(next).unwrap_or(*left);
                    bytes = &bytes[next..];
                }
            }
            if matches!(self, Self::Payload(0)) {
                *self = Self::Head([0; HEAD_BYTES], 0);
            }
        }
        count
    }
}

fn weight(kind: u8, length: u32) -> i64 {
    match kind {
        HEADERS => 0,
        DATA if length >= SMALL => 0,
        DATA => 1,
        _ => 1 + i64::from(length / BYTES_FOR_ONE_MORE),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    fn frame(kind: u8, length: u32) -> Vec<u8> {
        let [_, a, b, c] = length.to_be_bytes();
        [vec![a, b, c, kind, 0, 0, 0, 0, 1], vec![0; length as usize]].concat()
    }

    fn sent() -> Vec<u8> {
        let frames = [(4, 0), (HEADERS, 40), (DATA, 0), (DATA, 300), (DATA, 255), (6, 8), (8, 4), (4, 640)];
        let frames = frames.map(|(kind, length)| frame(kind, length)).concat();
        [PREFACE.to_vec(), frames].concat()
    }

    #[rstest]
    #[case::at_once(usize::MAX)]
    #[case::byte_by_byte(1)]
    #[case::across_the_heads(7)]
    #[case::in_pieces(100)]
    fn frames_count_however_they_come(#[case] piece: usize) {
        let mut frames = Frames::default();
        let count: i64 = sent().chunks(piece).map(|bytes| frames.count(bytes)).sum();
        assert_eq!(count, 1 + 1 + 1 + 1 + 1 + 11);
    }

    #[rstest]
    #[case(b"GET / HTTP/1.1\r\nhost: shop\r\n\r\n")]
    #[case(b"PRI * HTTP/1.1\r\nhost: shop\r\n\r\n")]
    fn nothing_counts_over_http_1(#[case] request: &[u8]) {
        let mut frames = Frames::default();
        assert_eq!(frames.count(request) + frames.count(&sent()), 0);
        assert!(matches!(frames, Frames::Other));
    }
}
