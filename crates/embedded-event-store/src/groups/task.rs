//! One running group: a task that reads its source, hands messages out, hears the answers, and notes how far it is.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use futures::stream::{BoxStream, StreamExt};
use tokio::sync::mpsc;
use tokio::time::Instant;
use uuid::Uuid;

use super::checkpoint::Checkpoint;
use super::commands::{Command, Consumer, Joined, Nack, Newcomer};
use super::consumers::{Connected, Connecting, End};
use super::deliveries::{Deliveries, Origin, ToPark};
use super::info::GroupInfo;
use super::measurements::LastAsked;
use super::replay::Parked;
use super::settings::Settings;
use super::stored::{self, StoredGroup};
use super::{GroupError, GroupId, Source};
use crate::service::{AllSubscription, From, Message, ReadError, Spacing, Store, StreamSubscription};

const COMMANDS: usize = 256;
/// A filtered group hears so often how far the log has been searched.
const SPACING: Spacing = Spacing { window: 32, every: 32 };
/// Most messages that one consumer may hold at once.
const MOST_SLOTS: usize = 10_000;
/// A group that holds so many bytes of messages reads no more until some of them are done.
const MOST_HELD_BYTES: usize = 64 * 1024 * 1024;
/// With nothing to wait for, a group looks up now and then all the same.
const IDLE: Duration = Duration::from_secs(3600);

enum Next {
    Command(Option<Command>),
    Message(Option<Result<Message, ReadError>>),
    Time,
    Stopping,
}

/// A group's state; `run` is its life.
pub(super) struct Task {
    store: Arc<Store>,
    id: GroupId,
    settings: Settings,
    commands: mpsc::Receiver<Command>,
    own_commands: mpsc::WeakSender<Command>,
    deliveries: Deliveries,
    parked: Parked,
    source: Option<BoxStream<'static, Result<Message, ReadError>>>,
    live: bool,
    /// The source was closed for ever before the group could read it.
    closed: bool,
    checkpoint: Checkpoint,
    last_asked: LastAsked,
}

impl Task {
    /// Looks at what the group has left in the log.
    pub async fn open(
        store: Arc<Store>,
        group: &StoredGroup,
    ) -> Result<(Self, mpsc::Sender<Command>), GroupError> {
        let id = group.id();
        let checkpoint = Checkpoint::open(&store, &id, group.after).await?;
        let parked = Parked::open(&store, &id).await?;
        let (sender, commands) = mpsc::channel(COMMANDS);
        let task = Task {
            deliveries: Deliveries::new(&group.settings, checkpoint.noted()),
            settings: group.settings.clone(),
            store,
            id,
            commands,
            own_commands: sender.downgrade(),
            parked,
            source: None,
            live: false,
            closed: false,
            checkpoint,
            last_asked: LastAsked::never(),
        };
        Ok((task, sender))
    }

    /// Runs the group until it is ended or the store stops.
    pub async fn run(mut self) {
        let stopping = self.store.stopping().clone();
        loop {
            self.load_parked().await;
            self.open_source().await;
            self.deliveries.push(Instant::now());
            let wants_more = self.deliveries.waiting() < self.settings.buffer_size()
                && self.deliveries.held_bytes() < MOST_HELD_BYTES;
            let wakes_at = self.wakes_at();
            let next = tokio::select! {
                command = self.commands.recv() => Next::Command(command),
                message = next_of(&mut self.source), if wants_more => Next::Message(message),
                () = tokio::time::sleep_until(wakes_at) => Next::Time,
                () = stopping.cancelled() => Next::Stopping,
            };
            match next {
                Next::Command(Some(Command::End)) => return self.end(End::Dropped).await,
                Next::Command(Some(command)) => self.hear(command).await,
                Next::Message(message) => self.take(message),
                Next::Time => {
                    let overdue = self.deliveries.expire(Instant::now());
                    self.park(overdue).await;
                    self.write_what_is_due().await;
                }
                Next::Command(None) | Next::Stopping => return self.end(End::Stopping).await,
            }
        }
    }

    async fn hear(&mut self, command: Command) {
        match command {
            // Whoever asked may have gone away in the meantime.
            Command::Join(newcomer, reply) => {
                if let Err(Ok(joined)) = reply.send(self.join(newcomer)) {
                    self.deliveries.leave(joined.consumer.number);
                }
            }
            Command::Info(reply) => {
                let _ = reply.send(self.info().await);
            }
            Command::Leave(consumer) => {
                self.deliveries.leave(consumer);
            }
            Command::Ack(ids) => self.deliveries.ack(&ids),
            Command::Nack { ids, action, reason } => self.nack(&ids, action, &reason).await,
            Command::Replay(before) => self.parked.replay(before),
            Command::End => {}
        }
        self.write_what_is_due().await;
    }

    fn join(&mut self, newcomer: Newcomer) -> Result<Joined, GroupError> {
        let most = self.settings.max_subscriber_count;
        if most > 0 && self.deliveries.consumers.len() >= most as usize {
            return Err(GroupError::Full {
                source_name: self.id.source.name().to_owned(),
                name: self.id.name.clone(),
            });
        }
        let commands = self.own_commands.upgrade().ok_or(GroupError::Stopping)?;
        let slots = newcomer.slots.clamp(1, MOST_SLOTS);
        let (sender, deliveries) = mpsc::channel(slots);
        let end = Arc::new(OnceLock::new());
        let number = self.deliveries.join(Connecting {
            user: newcomer.user,
            connection_name: newcomer.connection_name,
            slots,
            sender,
            end: Arc::clone(&end),
        });
        Ok(Joined { consumer: Consumer { number, commands }, deliveries, end })
    }

    async fn nack(&mut self, ids: &[Uuid], action: Nack, reason: &str) {
        let to_park = match action {
            Nack::Skip => {
                self.deliveries.ack(ids);
                return;
            }
            Nack::Park => self.deliveries.park(ids, reason),
            Nack::Retry => self.deliveries.retry(ids),
        };
        self.park(to_park).await;
    }

    /// Parks messages. Each counts as done only when the log has it.
    async fn park(&mut self, messages: Vec<ToPark>) {
        if messages.is_empty() {
            return;
        }
        match stored::park(&self.store, &self.id, &messages).await {
            Ok(last) => {
                if let Some(last) = last {
                    self.parked.added(messages.len() as u64, last);
                }
                for message in messages {
                    self.deliveries.finish(message.entry.origin);
                }
            }
            Err(error) => {
                self.warn(&error, "messages could not be parked; they are given again");
                for message in messages {
                    self.deliveries.not_parked(message.entry);
                }
            }
        }
    }

    async fn load_parked(&mut self) {
        let page = u64::from(self.settings.read_batch_size.max(1));
        let loaded = self.parked.load(&self.store, &self.id, page, &mut self.deliveries).await;
        if let Err(error) = loaded {
            self.warn(&error, "parked messages could not be read; they stay parked");
        }
    }

    /// Opens the source once somebody wants its messages.
    async fn open_source(&mut self) {
        if self.deliveries.consumers.len() == 0 {
            return;
        }
        if self.source.is_none() {
            match self.subscribe().await {
                Ok(source) => self.source = Some(source),
                Err(GroupError::Read(ReadError::StreamDeleted { .. })) => {
                    self.closed = true;
                    self.live = true;
                    self.source = Some(futures::stream::pending().boxed());
                }
                Err(error) => {
                    self.warn(&error, "the source of a persistent subscription could not be read");
                    self.drop_consumers(End::Failed);
                }
            }
        }
        // Nothing comes from it any more; but what is parked can still be given again.
        if self.closed && self.parked.is_empty() {
            self.drop_consumers(End::Dropped);
        }
    }

    async fn subscribe(&mut self) -> Result<BoxStream<'static, Result<Message, ReadError>>, GroupError> {
        let resolve_links = self.settings.resolve_links;
        let reader = self.store.access().own_rights();
        let from = self.deliveries.read_to().map_or(From::Start, From::At);
        Ok(match &self.id.source {
            Source::All => {
                let filter = match &self.settings.filter {
                    Some(filter) => Some((filter.filter()?, SPACING)),
                    None => None,
                };
                self.store.subscribe_to_all(AllSubscription { from, filter, resolve_links, reader })?.boxed()
            }
            Source::Stream(stream) => {
                let subscription = StreamSubscription { stream: stream.clone(), from, resolve_links, reader };
                self.store.subscribe_to_stream(subscription).await?.boxed()
            }
        })
    }

    fn take(&mut self, message: Option<Result<Message, ReadError>>) {
        match message {
            Some(Ok(Message::Event(event))) => {
                let Some(record) = event.link.as_ref().or(event.event.as_ref()) else { return };
                let place = match self.id.source {
                    Source::All => record.position(),
                    Source::Stream(_) => record.revision(),
                };
                if self.id.source == Source::All && stored::is_of_a_group(&event) {
                    self.deliveries.nothing_up_to(place);
                } else {
                    self.deliveries.add(Origin::Source(place), event);
                }
            }
            Some(Ok(Message::Checkpoint(position) | Message::Searched(position))) => {
                self.deliveries.nothing_up_to(position)
            }
            Some(Ok(Message::CaughtUp { .. })) => self.live = true,
            Some(Ok(Message::FellBehind { .. })) => self.live = false,
            Some(Err(ReadError::StreamDeleted { .. })) => {
                self.source = Some(futures::stream::pending().boxed());
            }
            Some(Err(ReadError::Stopping)) | None => self.source = Some(futures::stream::pending().boxed()),
            Some(Err(error)) => {
                self.warn(
                    &GroupError::Read(error),
                    "the source of a persistent subscription could not be read",
                );
                self.source = None;
                self.drop_consumers(End::Failed);
            }
        }
    }

    fn wakes_at(&mut self) -> Instant {
        let due = [
            self.deliveries.next_deadline(),
            self.checkpoint.due(&self.settings, &self.deliveries),
            self.parked.due(&self.deliveries),
        ];
        due.into_iter().flatten().min().unwrap_or_else(|| Instant::now() + IDLE)
    }

    async fn write_what_is_due(&mut self) {
        let now = Instant::now();
        if self.checkpoint.due(&self.settings, &self.deliveries).is_some_and(|due| due <= now) {
            self.write_checkpoint().await;
        }
        if self.parked.due(&self.deliveries).is_some_and(|due| due <= now) {
            self.truncate_parked().await;
        }
    }

    async fn write_checkpoint(&mut self) {
        if let Err(error) = self.checkpoint.write(&self.store, &self.id, &mut self.deliveries).await {
            self.warn(&error, "a checkpoint could not be written; it is tried again");
        }
    }

    async fn truncate_parked(&mut self) {
        if let Err(error) = self.parked.truncate(&self.store, &self.id, &self.deliveries).await {
            self.warn(&error, "parked messages that are done could not be taken out; it is tried again");
        }
    }

    /// Ends the group's run. How far it came is noted only if the store stops: what was done since the last checkpoint
    /// comes again to the consumers of a group that was changed or restarted, as the protocol's own server has it.
    async fn end(mut self, end: End) {
        self.drop_consumers(end);
        if end == End::Stopping && self.deliveries.finished() > 0 {
            self.write_checkpoint().await;
        }
        self.truncate_parked().await;
    }

    fn drop_consumers(&mut self, end: End) {
        for Connected { number, end: reason, .. } in self.deliveries.let_all_go() {
            tracing::debug!(group = %self.id, number, ?end, "a consumer's subscription ends");
            let _ = reason.set(end);
        }
    }

    async fn info(&mut self) -> Result<GroupInfo, GroupError> {
        let last_known = match &self.id.source {
            Source::All => Some(self.store.head()).filter(|head| *head > 0),
            Source::Stream(stream) => match self.store.stream_range(stream).await {
                Ok(range) => range.map(|(_, last)| last),
                Err(ReadError::StreamDeleted { .. }) => None,
                Err(error) => return Err(error.into()),
            },
        };
        let handed_out = self.deliveries.handed_out();
        Ok(GroupInfo {
            id: self.id.clone(),
            settings: self.settings.clone(),
            live: self.live,
            consumers: self.deliveries.consumers.ask(),
            total_items: handed_out,
            since_asked: self.last_asked.asked(handed_out),
            checkpoint: self.checkpoint.stored(),
            last_known,
            waiting: self.deliveries.waiting(),
            retrying: self.deliveries.retrying(),
            in_flight: self.deliveries.in_flight(),
            parked: self.parked.count(),
        })
    }

    fn warn(&self, error: &GroupError, what: &'static str) {
        if !matches!(error, GroupError::Stopping) {
            tracing::warn!(group = %self.id, error = error as &dyn std::error::Error, what);
        }
    }
}

async fn next_of(
    source: &mut Option<BoxStream<'static, Result<Message, ReadError>>>,
) -> Option<Result<Message, ReadError>> {
    match source {
        Some(source) => source.next().await,
        None => std::future::pending().await,
    }
}
