//! Stock and sales: the newest state of what somebody watches, read once for all who do.
//!
//! The log says that something was touched; when the read model has come to that position, it is read again. What is
//! told has the position up to which it is true at least, and positions only rise.

mod topics;

use super::log::{Log, NotFollowed};
use super::{sales, stock};
use crate::answer::{failed_read, nothing};
use crate::checkpoints::{Checkpoints, ReadModel};
use crate::freshness::Freshness;
use chrono::{Days, NaiveTime, Utc};
use domain::Sku;
use event_store::{Position, RecordedEvent};
use futures::Stream;
use http_boundary::Problem;
use http_boundary::process::with_causes;
use serde::Serialize;
use sqlx::PgPool;
use std::sync::Arc;
use std::time::Duration;
use tokio_util::sync::CancellationToken;
use topics::{Listener, Topics, states};

/// What happens in this time is told as one change, for it cannot be told faster than people read.
const PAUSE: Duration = Duration::from_millis(250);
/// How long to wait with a database that does not answer.
const RETRY: Duration = Duration::from_secs(1);

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

/// The states that somebody watches. Cheap to clone; all clones are one.
#[derive(Clone)]
pub struct States {
    pool: PgPool,
    checkpoints: Checkpoints,
    log: Log,
    topics: Arc<Topics>,
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

/// The sales of today are others then.
async fn midnight() {
    let now = Utc::now();
    let tomorrow =
        now.date_naive().checked_add_days(Days::new(1)).map(|day| day.and_time(NaiveTime::MIN).and_utc());
    let rest = tomorrow.and_then(|tomorrow| (tomorrow - now).to_std().ok());
    tokio::time::sleep(rest.unwrap_or(Duration::from_secs(24 * 60 * 60))).await;
}
