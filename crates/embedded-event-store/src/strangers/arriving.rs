//! What strangers send: little at once, and whole in time.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::{Context, Poll};

use axum::BoxError;
use axum::body::{Body, Bytes};
use http_body::Frame;
use tokio::time::{Sleep, sleep};
use tonic::Status;

use super::{Peer, Strangers, Why};

/// A flag and the length come before each message.
const PREFIX_BYTES: usize = 5;

/// How much of a stranger's call is taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Most {
    /// So many bytes, and all of them in time.
    Whole(usize),
    /// Any number of messages of so many bytes, each of them in time.
    EachMessage(usize),
}

/// The body of a stranger's call as it arrives.
pub struct Arriving {
    body: Body,
    strangers: Arc<Strangers>,
    peer: Peer,
    most: Most,
    message: Unfinished,
    /// Bytes of all strangers' room that it has.
    held: usize,
    deadline: Option<Pin<Box<Sleep>>>,
    is_over: bool,
}

impl Arriving {
    /// Takes no more than `most` of a body.
    pub fn new(body: Body, most: Most, strangers: Arc<Strangers>, peer: Peer) -> Self {
        let mut arriving = Arriving {
            body,
            strangers,
            peer,
            most,
            message: Unfinished::default(),
            held: 0,
            deadline: None,
            is_over: false,
        };
        if matches!(most, Most::Whole(_)) {
            arriving.begin();
        }
        arriving
    }

    fn begin(&mut self) {
        self.deadline = Some(Box::pin(sleep(self.strangers.limits.within)));
    }

    fn take(&mut self, data: &[u8]) -> Result<(), Why> {
        match self.most {
            Most::Whole(most) => {
                let held = self.held + data.len();
                if held > most {
                    return Err(Why::TooLong);
                }
                self.hold(held)
            }
            Most::EachMessage(most) => {
                let ended = self.message.take(data, most)?;
                match (self.message.bytes, ended) {
                    (0, _) => self.deadline = None,
                    (_, true) => self.begin(),
                    (_, false) if self.deadline.is_none() => self.begin(),
                    (_, false) => {}
                }
                self.hold(self.message.bytes)
            }
        }
    }

    /// Has so many bytes from now on.
    fn hold(&mut self, bytes: usize) -> Result<(), Why> {
        let room = &self.strangers.unfinished;
        if bytes > self.held {
            let more = bytes - self.held;
            if room.fetch_add(more, Ordering::Relaxed) + more > self.strangers.limits.unfinished_bytes {
                room.fetch_sub(more, Ordering::Relaxed);
                return Err(Why::NoRoom);
            }
        } else {
            room.fetch_sub(self.held - bytes, Ordering::Relaxed);
        }
        self.held = bytes;
        Ok(())
    }

    fn fail(&mut self, why: Why) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        self.is_over = true;
        self.strangers.unfinished.fetch_sub(std::mem::take(&mut self.held), Ordering::Relaxed);
        self.strangers.refuse(&self.peer, why);
        Poll::Ready(Some(Err(Status::new(why.code(), why.sentence()).into())))
    }
}

impl Drop for Arriving {
    fn drop(&mut self) {
        self.strangers.unfinished.fetch_sub(self.held, Ordering::Relaxed);
    }
}

impl http_body::Body for Arriving {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        if self.is_over {
            return Poll::Ready(None);
        }
        match Pin::new(&mut self.body).poll_frame(context) {
            Poll::Ready(Some(Ok(frame))) => {
                let taken = frame.data_ref().map_or(Ok(()), |data| self.take(data));
                match taken {
                    Ok(()) => Poll::Ready(Some(Ok(frame))),
                    Err(why) => self.fail(why),
                }
            }
            Poll::Ready(Some(Err(error))) => Poll::Ready(Some(Err(error.into_inner()))),
            Poll::Ready(None) => {
                self.is_over = true;
                Poll::Ready(None)
            }
            Poll::Pending => match self.deadline.as_mut().map(|deadline| deadline.as_mut().poll(context)) {
                Some(Poll::Ready(())) => self.fail(Why::Late),
                Some(Poll::Pending) | None => Poll::Pending,
            },
        }
    }

    fn is_end_stream(&self) -> bool {
        self.is_over || self.body.is_end_stream()
    }
}

/// A message that has begun.
#[derive(Debug, Default)]
struct Unfinished {
    /// What has come of it, with its prefix.
    bytes: usize,
    prefix: [u8; PREFIX_BYTES],
}

impl Unfinished {
    /// Takes what came; says whether a message ended with it.
    fn take(&mut self, mut data: &[u8], most: usize) -> Result<bool, Why> {
        let mut has_ended = false;
        while let Some((first, rest)) = data.split_first() {
            if self.bytes < PREFIX_BYTES {
                self.prefix[self.bytes] = *first;
                self.bytes += 1;
                data = rest;
            } else {
                let piece = data.len().min(self.length() - self.bytes);
                self.bytes += piece;
                data = &data[piece..];
            }
            if self.bytes >= PREFIX_BYTES {
                if self.length() - PREFIX_BYTES > most {
                    return Err(Why::TooLong);
                }
                if self.bytes == self.length() {
                    (self.bytes, has_ended) = (0, true);
                }
            }
        }
        Ok(has_ended)
    }

    /// With its prefix, which has come.
    fn length(&self) -> usize {
        let [_, length @ ..] = self.prefix;
        PREFIX_BYTES.saturating_add(usize::try_from(u32::from_be_bytes(length)).unwrap_or(usize::MAX))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(bytes: u8) -> Vec<u8> {
        [vec![0, 0, 0, 0, bytes], vec![7; bytes.into()]].concat()
    }

    #[test]
    fn what_has_come_of_a_message_is_known_however_it_is_cut() {
        let all = [message(3), message(0), message(200)].concat();
        for cut in 1..all.len() {
            let mut unfinished = Unfinished::default();
            let mut ended = Vec::new();
            for piece in all.chunks(cut) {
                ended.push(unfinished.take(piece, 200).unwrap());
            }
            assert_eq!((unfinished.bytes, ended.last()), (0, Some(&true)), "{cut}");
        }
        let mut unfinished = Unfinished::default();
        assert!(unfinished.take(&all[..8 + 5 + 10], 200).unwrap());
        assert_eq!(unfinished.bytes, 10);
    }

    #[test]
    fn a_message_that_is_too_long_is_refused_once_it_says_its_length() {
        let mut unfinished = Unfinished::default();
        assert_eq!(unfinished.take(&message(200)[..4], 199), Ok(false));
        assert_eq!(unfinished.take(&message(200)[4..5], 199), Err(Why::TooLong));
    }
}
