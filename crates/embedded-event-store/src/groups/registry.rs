//! All the groups: made, changed, deleted, and found.

use std::collections::HashSet;
use std::sync::Arc;

use indexmap::IndexMap;
use tokio::sync::{Mutex, MutexGuard, mpsc, oneshot};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::commands::{Command, Joined, Newcomer};
use super::info::GroupInfo;
use super::settings::{Settings, Start};
use super::stored::{self, StoredGroup};
use super::task::Task;
use super::{GroupError, GroupId, Source};
use crate::service::{ReadError, Store};

/// Longest name of a group, in bytes.
const MAX_NAME_BYTES: usize = 1024;

struct Running {
    stored: StoredGroup,
    commands: mpsc::Sender<Command>,
    task: JoinHandle<()>,
}

#[derive(Default)]
struct Table {
    /// In the order in which they were made.
    groups: IndexMap<GroupId, Running>,
    /// What they follow, and what groups followed that are deleted.
    sources: HashSet<Source>,
}

impl Table {
    fn get(&self, id: &GroupId) -> Result<&Running, GroupError> {
        self.groups.get(id).ok_or_else(|| GroupError::missing(id))
    }

    fn insert(&mut self, id: GroupId, running: Running) {
        self.sources.insert(id.source.clone());
        self.groups.insert(id, running);
    }

    /// As they are stored.
    fn stored(&self) -> impl Iterator<Item = &StoredGroup> {
        self.groups.values().map(|running| &running.stored)
    }
}

/// The groups of a store. What changes them waits for each other; what only speaks to one of them hardly waits.
pub struct Groups {
    store: Arc<Store>,
    table: Mutex<Table>,
}

impl Groups {
    /// Starts the groups that are stored in the log.
    pub async fn start(store: Arc<Store>) -> Result<Arc<Self>, GroupError> {
        let table = start_all(&store).await?;
        Ok(Arc::new(Groups { store, table: Mutex::new(table) }))
    }

    /// Turns to cancelled when the store begins to stop.
    pub fn stopping(&self) -> &CancellationToken {
        self.store.stopping()
    }

    /// Makes a group.
    pub async fn create(&self, id: GroupId, settings: Settings) -> Result<(), GroupError> {
        check(&id, &settings)?;
        self.refuse_unprojected(&id).await?;
        let mut table = self.table.lock().await;
        if table.groups.contains_key(&id) {
            return Err(GroupError::Exists { source_name: id.source.name().to_owned(), name: id.name });
        }
        let after = self.place_before(&id, settings.start_from).await?;
        let group =
            StoredGroup { stream: id.source.name().to_owned(), group: id.name.clone(), after, settings };
        let mut entries: Vec<_> = table.stored().cloned().collect();
        entries.push(group.clone());
        // Should an earlier group of this name have left something behind, it is not this one's.
        stored::delete_streams(&self.store, &id).await?;
        stored::write_config(&self.store, entries).await?;
        table.insert(id, start_one(&self.store, group).await?);
        Ok(())
    }

    /// Changes a group's settings; its consumers are dropped. It goes on from its checkpoint, or from the new start if it
    /// has none. Its filter stays as it was made.
    pub async fn update(&self, id: GroupId, settings: Settings) -> Result<(), GroupError> {
        check(&id, &settings)?;
        let mut table = self.table.lock().await;
        let old = table.get(&id)?.stored.clone();
        let after = match settings.start_from == old.settings.start_from {
            true => old.after,
            false => self.place_before(&id, settings.start_from).await?,
        };
        let settings = Settings { filter: old.settings.filter.clone(), ..settings };
        let group = StoredGroup { after, settings, ..old };
        let entries = table.stored().map(|other| if other.id() == id { &group } else { other }.clone());
        stored::write_config(&self.store, entries.collect()).await?;
        if let Some(running) = table.groups.get_mut(&id) {
            end(running).await;
            match start_one(&self.store, group).await {
                Ok(started) => *running = started,
                Err(error) => {
                    table.groups.shift_remove(&id);
                    return Err(error);
                }
            }
        }
        Ok(())
    }

    /// Deletes a group with its checkpoint and its parked messages; its consumers are dropped.
    pub async fn delete(&self, id: &GroupId) -> Result<(), GroupError> {
        let mut table = self.table.lock().await;
        table.get(id)?;
        let others = table.stored().filter(|other| other.id() != *id).cloned().collect();
        stored::write_config(&self.store, others).await?;
        if let Some(mut running) = table.groups.shift_remove(id) {
            end(&mut running).await;
        }
        stored::delete_streams(&self.store, id).await
    }

    /// Ends all groups and starts them again from the log; consumers are dropped.
    pub async fn restart(&self) -> Result<(), GroupError> {
        let mut table = self.table.lock().await;
        for (_, mut running) in table.groups.drain(..) {
            end(&mut running).await;
        }
        *table = start_all(&self.store).await?;
        Ok(())
    }

    /// Connects a consumer.
    pub async fn join(&self, id: &GroupId, newcomer: Newcomer) -> Result<Joined, GroupError> {
        let commands = self.commands(id).await?;
        self.refuse_unprojected(id).await?;
        let (reply, answer) = oneshot::channel();
        self.tell(id, &commands, Command::Join(newcomer, reply)).await?;
        answer.await.map_err(|_| self.gone(id))?
    }

    /// Gives parked messages again: all, or those before a revision of their stream.
    pub async fn replay(&self, id: &GroupId, before: Option<u64>) -> Result<(), GroupError> {
        let commands = self.commands(id).await?;
        self.tell(id, &commands, Command::Replay(before)).await
    }

    /// What a group says about itself.
    pub async fn info(&self, id: &GroupId) -> Result<GroupInfo, GroupError> {
        let commands = self.commands(id).await?;
        let (reply, answer) = oneshot::channel();
        self.tell(id, &commands, Command::Info(reply)).await?;
        answer.await.map_err(|_| self.gone(id))?
    }

    /// What the groups of a source, or all groups by their source, say about themselves; those of one source in the order
    /// in which they were made. Fails for a source that never had a group.
    pub async fn list(&self, source: Option<&Source>) -> Result<Vec<GroupInfo>, GroupError> {
        let ids: Vec<_> = {
            let table = self.table.lock().await;
            let of_source = |id: &&GroupId| source.is_none_or(|source| id.source == *source);
            let mut ids: Vec<_> = table.groups.keys().filter(of_source).cloned().collect();
            match source {
                Some(source) if !table.sources.contains(source) => {
                    return Err(GroupError::NoneOf { source_name: source.name().to_owned() });
                }
                Some(_) => {}
                None => ids.sort_by(|a, b| a.source.name().cmp(b.source.name())),
            }
            ids
        };
        let mut infos = Vec::with_capacity(ids.len());
        for id in ids {
            match self.info(&id).await {
                // It was deleted while the others were asked.
                Err(GroupError::Missing { .. }) => {}
                info => infos.push(info?),
            }
        }
        Ok(infos)
    }

    /// Waits until all groups have noted how far they are. To be called when the store is stopping.
    pub async fn stop(&self) {
        let mut table = self.table.lock().await;
        for (_, mut running) in table.groups.drain(..) {
            ended(&mut running.task).await;
        }
    }

    async fn commands(&self, id: &GroupId) -> Result<mpsc::Sender<Command>, GroupError> {
        let table: MutexGuard<'_, Table> = self.table.lock().await;
        Ok(table.get(id)?.commands.clone())
    }

    async fn tell(&self, id: &GroupId, to: &mpsc::Sender<Command>, what: Command) -> Result<(), GroupError> {
        to.send(what).await.map_err(|_| self.gone(id))
    }

    /// Refuses a stream that only a system projection would write to.
    async fn refuse_unprojected(&self, id: &GroupId) -> Result<(), GroupError> {
        match &id.source {
            Source::Stream(stream) => Ok(self.store.refuse_unprojected(stream).await?),
            Source::All => Ok(()),
        }
    }

    /// Why a group does not answer: it was deleted just now, or the store stops.
    fn gone(&self, id: &GroupId) -> GroupError {
        if self.store.stopping().is_cancelled() { GroupError::Stopping } else { GroupError::missing(id) }
    }

    /// The last place before the start, which does not concern the group; `None` if everything concerns it.
    async fn place_before(&self, id: &GroupId, start: Start) -> Result<Option<u64>, GroupError> {
        let head = self.store.head();
        match (&id.source, start) {
            (_, Start::Beginning) => Ok(None),
            (Source::All, Start::End) => Ok(Some(head)),
            (Source::All, Start::At(position)) if position > head => {
                Err(GroupError::unworkable(id, BEYOND_THE_END))
            }
            (_, Start::At(place)) => Ok(place.checked_sub(1)),
            (Source::Stream(stream), Start::End) => match self.store.stream_range(stream).await {
                Ok(range) => Ok(range.map(|(_, last)| last)),
                Err(ReadError::StreamDeleted { .. }) => Ok(None),
                Err(error) => Err(error.into()),
            },
        }
    }
}

/// Reasons in the words of the protocol's own server.
const BEYOND_THE_END: &str = "Invalid Start From position: commit position must be less than or equal to the last \
    commit position in the transaction file.";
const BUFFER_TOO_SMALL: &str = "Specified argument was out of the range of valid values. (Parameter 'ReadBatchSize may \
    not be greater than or equal to BufferSize')";

fn check(id: &GroupId, settings: &Settings) -> Result<(), GroupError> {
    if id.name.len() > MAX_NAME_BYTES {
        return Err(GroupError::Invalid(format!(
            "a persistent subscription's name has at most {MAX_NAME_BYTES} bytes; this one has {}",
            id.name.len()
        )));
    }
    if let Some(filter) = &settings.filter {
        filter.filter()?;
    }
    if settings.read_batch_size >= settings.history_buffer_size {
        return Err(GroupError::unworkable(id, BUFFER_TOO_SMALL));
    }
    Ok(())
}

async fn start_all(store: &Arc<Store>) -> Result<Table, GroupError> {
    let mut table = Table::default();
    for group in stored::read_config(store).await? {
        table.insert(group.id(), start_one(store, group).await?);
    }
    Ok(table)
}

async fn start_one(store: &Arc<Store>, group: StoredGroup) -> Result<Running, GroupError> {
    let (task, commands) = Task::open(Arc::clone(store), &group).await?;
    Ok(Running { stored: group, commands, task: tokio::spawn(task.run()) })
}

async fn end(running: &mut Running) {
    // It is gone already if the store stops.
    let _ = running.commands.send(Command::End).await;
    ended(&mut running.task).await;
}

async fn ended(task: &mut JoinHandle<()>) {
    if let Err(error) = task.await {
        tracing::error!(%error, "the task of a persistent subscription ended by itself; restart the event store");
    }
}
