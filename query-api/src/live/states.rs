//! Stock and sales: the newest state of what somebody watches, read once for all who do.
//!
//! The log says that something was touched; when the read model has come to that position, it is read again. What is
//! told has the position up to which it is true at least, and positions only rise.

use super::log::{Following, Log, NotFollowed};
use super::{sales, stock};
use crate::answer::{failed_read, nothing};
use crate::checkpoints::{Checkpoints, ReadModel};
use crate::freshness::Freshness;
use async_stream::stream;
use chrono::{Days, NaiveTime, Utc};
use domain::Sku;
use event_store::{Position, RecordedEvent};
use futures::Stream;
use http_boundary::Problem;
use http_boundary::process::with_causes;
use serde::Serialize;
use sqlx::PgPool;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::{Notify, watch};
use tokio_util::sync::CancellationToken;

/// What happens in this time is told as one change, for it cannot be told faster than people read.
const PAUSE: Duration = Duration::from_millis(250);
/// How long to wait with a database that does not answer.
const RETRY: Duration = Duration::from_secs(1);
/// How long who comes first waits for the first state.
const FIRST_WITHIN: Duration = Duration::from_secs(5);

/// What can be watched.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Watched {
    /// As the operator sees it.
    Stock(Sku),
    /// As everybody sees it.
    Available(Sku),
    Sales,
}

/// How it stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct State {
    /// True at this position at least.
    pub position: Position,
    /// As it is told.
    pub json: String,
}

impl State {
    pub fn of(position: i64, view: &impl Serialize) -> Result<Self, sqlx::Error> {
        let json = serde_json::to_string(view).map_err(|error| sqlx::Error::Encode(error.into()))?;
        // No position is negative.
        Ok(Self { position: Position::new(u64::try_from(position).unwrap_or(0)), json })
    }
}

/// What is known of something that is watched.
#[derive(Debug, Clone)]
enum Known {
    NotYet,
    /// It is not in the read model, which had come so far when it was read.
    Nothing(Option<Position>),
    State(Arc<State>),
}

struct Topic {
    known: watch::Sender<Known>,
    unread: Option<Unread>,
}

/// What has touched it since it was read, which may be more than the read model has applied.
#[derive(Debug, Clone, Copy)]
struct Unread {
    /// The first of it; none if it is to be read in any case.
    from: Option<Position>,
    upto: Option<Position>,
}

/// The states that somebody watches. Cheap to clone; all clones are one.
#[derive(Clone)]
pub struct States {
    pool: PgPool,
    checkpoints: Checkpoints,
    log: Log,
    topics: Arc<Topics>,
}

#[derive(Default)]
struct Topics {
    topics: Mutex<HashMap<Watched, Topic>>,
    touched: Notify,
}

impl Watched {
    /// What an event changes.
    fn touched_by(event: &RecordedEvent) -> impl Iterator<Item = Self> {
        let touched = match event.category() {
            stock::CATEGORY => match event.stream_id().parse::<Sku>() {
                Ok(sku) => [Some(Self::Available(sku.clone())), Some(Self::Stock(sku))],
                Err(_) => [None, None],
            },
            sales::CATEGORY if event.event_type.starts_with(sales::BOOKED) => [Some(Self::Sales), None],
            _ => [None, None],
        };
        touched.into_iter().flatten()
    }

    pub fn model(&self) -> ReadModel {
        match self {
            Self::Stock(_) | Self::Available(_) => ReadModel::Stock,
            Self::Sales => ReadModel::Sales,
        }
    }
}

impl States {
    /// Nobody watches yet.
    #[must_use]
    pub fn new(pool: PgPool, checkpoints: Checkpoints, log: Log) -> Self {
        let topics = Arc::<Topics>::default();
        let touched = Arc::clone(&topics);
        log.hand_to(move |event| {
            for watched in Watched::touched_by(event) {
                touched.touch(&watched, Some(event.position), Some(event.position));
            }
        });
        Self { pool, checkpoints, log, topics }
    }

    /// How it stands, and then each new state. Those who have heard what was up to a position hear only what is newer,
    /// unless that position is not in the log yet: then it is one of another log, and says nothing.
    ///
    /// # Errors
    /// When there is no such thing, when there is no place, or when the store or the database does not answer.
    pub async fn follow(
        &self,
        watched: Watched,
        after: Option<Position>,
        freshness: Freshness,
    ) -> Result<impl Stream<Item = Arc<State>> + Send + use<>, Problem> {
        let mut following = self.log.join(freshness.asker)?;
        let after = self.log.known(&mut following, after).await?;
        // What happens from now on touches it; what happened before may not be in the read model yet either.
        let upto = following.is_on().await?;
        let mut listener = self.topics.join(&watched, following);
        if listener.is_without_state() {
            self.topics.touch(&watched, None, upto);
        }
        if !listener.has_state(None).await? {
            self.first_state(&mut listener, freshness).await?;
        }
        Ok(states(listener, after))
    }

    /// What has just come into being is in the log, and not in the read model yet: waits for it as `min-position` does.
    async fn first_state(&self, listener: &mut Listener, freshness: Freshness) -> Result<(), Problem> {
        let model = listener.watched.model();
        let Some(head) = self.log.store().head().await.map_err(failed_read)? else {
            return Err(NotFollowed::Unknown.into());
        };
        let reached = self.checkpoints.reach(model, freshness.at(head)).await?;
        self.topics.touch(&listener.watched, None, Some(head));
        if listener.has_state(Some(head)).await? {
            return Ok(());
        }
        let (what, id) = match &listener.watched {
            Watched::Stock(sku) | Watched::Available(sku) => ("stock", sku.as_str()),
            Watched::Sales => ("sales", "sales"),
        };
        Err(nothing(what, id, reached))
    }

    /// Reads what was touched, until told to stop.
    pub async fn run(&self, stop: &CancellationToken) {
        self.read_on(stop).await;
        self.pool.close().await;
    }

    async fn read_on(&self, stop: &CancellationToken) {
        let (mut is_logged, mut versions) = (false, (0, 0));
        loop {
            let due = tokio::select! {
                () = stop.cancelled() => return,
                due = self.due(&mut versions) => due,
            };
            let pause = match self.read(&due).await {
                Ok(()) => {
                    is_logged = false;
                    PAUSE
                }
                Err(error) => {
                    due.iter().for_each(|watched| self.topics.touch(watched, None, None));
                    if !std::mem::replace(&mut is_logged, true) {
                        let error = with_causes(&error);
                        tracing::warn!(error, "what is watched live cannot be read; trying again");
                    }
                    RETRY
                }
            };
            let _ = stop.run_until_cancelled(tokio::time::sleep(pause)).await;
        }
    }

    /// Waits until something that is watched is to be read, be it that another version of a read model serves.
    async fn due(&self, versions: &mut (i32, i32)) -> Vec<Watched> {
        let mut stock = self.checkpoints.moves(ReadModel::Stock);
        let mut sales = self.checkpoints.moves(ReadModel::Sales);
        loop {
            let serving = (stock.borrow().version(), sales.borrow().version());
            if std::mem::replace(versions, serving) != serving {
                // Other rules may have come to other figures.
                self.topics.touch_all();
            }
            let due = self.topics.take_due(&self.checkpoints);
            if !due.is_empty() {
                return due;
            }
            tokio::select! {
                () = self.topics.touched.notified() => {}
                Ok(()) = stock.changed() => {}
                Ok(()) = sales.changed() => {}
                () = midnight() => self.topics.touch(&Watched::Sales, None, None),
            }
        }
    }

    async fn read(&self, due: &[Watched]) -> Result<(), sqlx::Error> {
        let mut connection = self.pool.acquire().await?;
        // Before it is read: so far at least.
        let stock_reached = self.checkpoints.position(ReadModel::Stock);
        let skus: Vec<&str> = due.iter().filter_map(Watched::sku).collect();
        if !skus.is_empty() {
            let stock = stock::read(&mut connection, &skus).await?;
            for watched in due {
                let state = match watched {
                    Watched::Stock(sku) => stock.get(sku.as_str()).map(|(at, view)| State::of(*at, view)),
                    Watched::Available(sku) => {
                        stock.get(sku.as_str()).map(|(at, view)| State::of(*at, &view.for_shoppers()))
                    }
                    Watched::Sales => continue,
                };
                self.topics.tell(watched, state.transpose()?.ok_or(stock_reached));
            }
        }
        if due.contains(&Watched::Sales) {
            self.topics.tell(&Watched::Sales, Ok(sales::read(&mut connection).await?));
        }
        Ok(())
    }
}

impl Watched {
    fn sku(&self) -> Option<&str> {
        match self {
            Self::Stock(sku) | Self::Available(sku) => Some(sku.as_str()),
            Self::Sales => None,
        }
    }
}

impl Topics {
    fn join(self: &Arc<Self>, watched: &Watched, following: Following) -> Listener {
        let mut topics = self.lock();
        let topic = topics
            .entry(watched.clone())
            .or_insert_with(|| Topic { known: watch::Sender::new(Known::NotYet), unread: None });
        let known = Some(topic.known.subscribe());
        drop(topics);
        Listener { watched: watched.clone(), known, topics: Arc::clone(self), _following: following }
    }

    /// It is to be read again when the read model has come to `from`, and once more when it has come to `upto`.
    fn touch(&self, watched: &Watched, from: Option<Position>, upto: Option<Position>) {
        if let Some(topic) = self.lock().get_mut(watched) {
            topic.unread = Some(match topic.unread {
                Some(unread) => Unread { from: unread.from.min(from), upto: unread.upto.max(upto) },
                None => Unread { from, upto },
            });
            self.touched.notify_one();
        }
    }

    fn touch_all(&self) {
        let all: Vec<Watched> = self.lock().keys().cloned().collect();
        all.iter().for_each(|watched| self.touch(watched, None, None));
    }

    /// What is to be read now.
    fn take_due(&self, checkpoints: &Checkpoints) -> Vec<Watched> {
        let mut due = Vec::new();
        for (watched, topic) in self.lock().iter_mut() {
            let reached = checkpoints.position(watched.model());
            let Some(unread) = topic.unread.filter(|unread| unread.from <= reached) else { continue };
            // The rest of it when the read model has moved on.
            let next = reached.map_or(0, |reached| reached.value().saturating_add(1));
            topic.unread = (unread.upto > reached)
                .then_some(Unread { from: Some(Position::new(next)), upto: unread.upto });
            due.push(watched.clone());
        }
        due
    }

    /// What was read, or how far the read model was that did not have it. Tells it if it is another than before.
    fn tell(&self, watched: &Watched, state: Result<State, Option<Position>>) {
        let topics = self.lock();
        let Some(topic) = topics.get(watched) else { return };
        topic.known.send_if_modified(|known| match (&known, state) {
            (Known::State(old), Ok(new)) if old.json == new.json || old.position > new.position => false,
            (Known::State(_), Err(_)) => false,
            (_, Ok(new)) => {
                *known = Known::State(Arc::new(new));
                true
            }
            (_, Err(reached)) => {
                *known = Known::Nothing(reached);
                true
            }
        });
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Watched, Topic>> {
        // Nothing panics while it holds the lock.
        self.topics.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One who listens; when it goes, its topic may be watched by nobody.
struct Listener {
    watched: Watched,
    known: Option<watch::Receiver<Known>>,
    topics: Arc<Topics>,
    _following: Following,
}

impl Listener {
    fn is_without_state(&self) -> bool {
        self.known.as_ref().is_some_and(|known| !matches!(*known.borrow(), Known::State(_)))
    }

    /// Whether there is a state, as soon as that is known: from a read model that has come so far at least.
    async fn has_state(&mut self, at_least: Option<Position>) -> Result<bool, NotFollowed> {
        let Some(known) = &mut self.known else { return Ok(false) };
        let first = known.wait_for(|known| match known {
            Known::NotYet => false,
            Known::Nothing(reached) => *reached >= at_least,
            Known::State(_) => true,
        });
        match tokio::time::timeout(FIRST_WITHIN, first).await {
            Ok(Ok(known)) => Ok(matches!(*known, Known::State(_))),
            _ => Err(NotFollowed::NoAnswer),
        }
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        self.known = None;
        let mut topics = self.topics.lock();
        if topics.get(&self.watched).is_some_and(|topic| topic.known.receiver_count() == 0) {
            topics.remove(&self.watched);
        }
    }
}

fn states(mut listener: Listener, after: Option<Position>) -> impl Stream<Item = Arc<State>> + Send {
    stream! {
        let mut is_first = true;
        loop {
            let Some(known) = &mut listener.known else { return };
            let state = match &*known.borrow_and_update() {
                Known::State(state) => Some(Arc::clone(state)),
                Known::NotYet | Known::Nothing(_) => None,
            };
            // Another process may have been further ahead when it told the last one.
            let is_new = |state: &State| match after {
                Some(after) if is_first => state.position > after,
                Some(after) => state.position >= after,
                None => true,
            };
            if let Some(state) = state.filter(|state| is_new(state)) {
                yield state;
            }
            is_first = false;
            if known.changed().await.is_err() {
                return;
            }
        }
    }
}

/// The sales of today are others then.
async fn midnight() {
    let now = Utc::now();
    let tomorrow =
        now.date_naive().checked_add_days(Days::new(1)).map(|day| day.and_time(NaiveTime::MIN).and_utc());
    let rest = tomorrow.and_then(|tomorrow| (tomorrow - now).to_std().ok());
    tokio::time::sleep(rest.unwrap_or(Duration::from_secs(24 * 60 * 60))).await;
}
