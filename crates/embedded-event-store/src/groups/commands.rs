//! What a group can be told, and what its consumers hold in their hands.

use std::sync::{Arc, OnceLock};

use tokio::sync::{mpsc, oneshot};
use uuid::Uuid;

use super::GroupError;
use super::consumers::{Delivery, End};
use super::info::GroupInfo;

/// Who wants to consume.
#[derive(Debug, Clone)]
pub struct Newcomer {
    /// Its user.
    pub user: String,
    /// Its connection's name.
    pub connection_name: String,
    /// How many messages it takes at once.
    pub slots: usize,
}

/// What a consumer says to messages that it is not done with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Nack {
    /// Park them.
    Park,
    /// Give them again, to whomever.
    Retry,
    /// They are done as they are.
    Skip,
}

/// A connected consumer's messages.
pub struct Joined {
    /// By which it answers.
    pub consumer: Consumer,
    /// Its messages.
    pub deliveries: mpsc::Receiver<Delivery>,
    /// Why the messages ended, once they have.
    pub end: Arc<OnceLock<End>>,
}

/// A connected consumer's way to its group. What it says to a group that is gone is lost, as it must be.
#[derive(Clone)]
pub struct Consumer {
    pub(super) number: u64,
    pub(super) commands: mpsc::Sender<Command>,
}

impl Consumer {
    /// It is done with messages.
    pub async fn ack(&self, ids: Vec<Uuid>) {
        let _ = self.commands.send(Command::Ack(ids)).await;
    }

    /// It is not done with messages.
    pub async fn nack(&self, ids: Vec<Uuid>, action: Nack, reason: String) {
        let _ = self.commands.send(Command::Nack { ids, action, reason }).await;
    }

    /// It goes.
    pub async fn leave(&self) {
        let _ = self.commands.send(Command::Leave(self.number)).await;
    }
}

pub(super) enum Command {
    Join(Newcomer, oneshot::Sender<Result<Joined, GroupError>>),
    Leave(u64),
    Ack(Vec<Uuid>),
    Nack { ids: Vec<Uuid>, action: Nack, reason: String },
    Replay(Option<u64>),
    Info(oneshot::Sender<Result<GroupInfo, GroupError>>),
    End,
}
