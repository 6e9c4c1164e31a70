use crate::analytics::Analytics;
use crate::checkpoints::Checkpoints;
use crate::config::Config;
use crate::database::Database;
use crate::history::Readers;
use crate::live;
use crate::places::Places;
use crate::rights;
use crate::routes::{self, Shared};
use http_boundary::{ClientLimitArgs, ClientLimits, Health, HttpArgs, ListenError, Listeners, OperatorToken};
use http_routes::Routes;
use sqlx::postgres::{PgConnectOptions, PgPoolOptions};
use std::net::SocketAddr;
use std::time::Duration;
use thiserror::Error;
use tokio_util::sync::CancellationToken;

/// Connections to the database besides those that answer queries: over this one it is looked up how far the projections
/// have come.
const BESIDES_QUERIES: u32 = 1;
/// All that is watched live is read over one more.
const LIVE_CONNECTIONS: u32 = 1;
/// How long a request waits for a connection.
const ACQUIRE_WITHIN: Duration = Duration::from_secs(3);

/// How it is named in `/readyz` whether the event store still holds the log that it held at the start.
const LOG_PART: &str = "event log";

/// The query side, ready to run.
pub struct Application {
    listen: SocketAddr,
    http: HttpArgs,
    client_limits: ClientLimitArgs,
    health: Health,
    shared: Shared,
}

/// Why the query side cannot run.
#[derive(Debug, Error)]
pub enum BuildError {
    #[error("the database's address cannot be read: give one such as postgres://user@host/database")]
    Database(#[source] sqlx::Error),
    #[error(
        "the address of the database for analytics cannot be read: give one such as postgres://user@host/database"
    )]
    AnalyticsDatabase(#[source] sqlx::Error),
}

/// How sessions that only read are opened.
pub(crate) fn for_reading(database: PgConnectOptions) -> PgConnectOptions {
    database
        .options([("default_transaction_read_only", "on"), ("statement_timeout", "10s")])
        // A listener that is gone without hanging up is noticed within seconds, and not after two hours.
        .options([
            ("tcp_keepalives_idle", "5"),
            ("tcp_keepalives_interval", "2"),
            ("tcp_keepalives_count", "3"),
            ("tcp_user_timeout", "10s"),
        ])
}

impl Application {
    /// Puts the parts together. Connects to nothing yet; must be called inside a tokio runtime.
    ///
    /// # Errors
    /// When an address cannot be read.
    pub fn build(config: Config, health: &Health) -> Result<Self, BuildError> {
        let Config {
            listen,
            http,
            event_store: store,
            database_url,
            analytics_database_url,
            operator_token,
            client_limits,
            database: database_args,
            live_heartbeat,
            live,
        } = config;
        store.use_whole_logs_only();
        let database: PgConnectOptions = database_url.parse().map_err(BuildError::Database)?;
        let analytics = analytics_database_url.map(|url| url.parse()).transpose();
        let analytics = analytics.map_err(BuildError::AnalyticsDatabase)?;
        let database = for_reading(database);
        let pool = |name, connections| {
            PgPoolOptions::new()
                .max_connections(connections)
                .acquire_timeout(ACQUIRE_WITHIN)
                .connect_lazy_with(database.clone().application_name(name))
        };
        let live_pool = pool("emporium-query-api live", LIVE_CONNECTIONS);
        let pool =
            pool("emporium-query-api", database_args.queries_at_once.get().saturating_add(BESIDES_QUERIES));
        let waiting = Places::new(live.for_waiting());
        let checkpoints =
            Checkpoints::new("queries: database", pool.clone(), store.clone(), health, waiting.clone());
        let analytics = match analytics {
            None => Analytics::beside(database.clone(), &checkpoints),
            Some(apart) => Analytics::apart(apart, &store, health, waiting),
        };
        let log = live::Log::new(store.clone(), live);
        let shared = Shared {
            readers: Readers::new(live.histories_at_once),
            live_events: live::Events::new(log.clone(), live.live_replay_seconds),
            live_states: live::States::new(live_pool, checkpoints.clone(), log.clone()),
            checkpoints,
            database: Database::new(pool, &database_args, health),
            analytics,
            log,
            // Without a pause there would be nothing but signs of life.
            live_heartbeat: Duration::from_secs(live_heartbeat.max(1)),
            store,
            operator_token: OperatorToken::new(&operator_token),
        };
        Ok(Self { listen, http, client_limits, health: health.clone(), shared })
    }

    /// The queries over HTTP.
    pub fn routes(&self) -> Routes {
        routes::routes().with_state(self.shared.clone())
    }

    /// Listens for checkpoints, and reads what is watched, until told to stop. Answers no requests.
    pub async fn run(self, stop: CancellationToken) {
        let watching = self.shared.store.watch_log(self.health.teller(LOG_PART));
        tokio::join!(
            stop.run_until_cancelled(watching),
            self.shared.checkpoints.follow(&self.health, &stop),
            self.shared.live_states.run(&stop),
            self.shared.analytics.follow(&self.health, &stop),
            stop.run_until_cancelled(rights::watch(self.shared.store.clone(), self.health.clone())),
        );
        self.shared.log.stop();
        self.shared.analytics.pool.close().await;
        self.shared.database.close().await;
    }

    /// Answers HTTP on the configured address until told to stop.
    ///
    /// # Errors
    /// When an address cannot be listened on.
    pub async fn run_until_stopped(self, stop: CancellationToken) -> Result<(), ListenError> {
        let listeners = Listeners::bind(self.listen, &self.http).await?;
        tracing::info!(address = %listeners.main, "query-api answers");
        let (router, health, http) = (self.routes().into_router(), self.health.clone(), self.http.clone());
        let (token, refusals) = (self.shared.operator_token.clone(), health.refusals().clone());
        let clients = ClientLimits::new(&self.client_limits, token, refusals);
        let (no_more_requests, no_more_work) = (stop, CancellationToken::new());
        let serving = async {
            listeners.serve(router, &health, clients, &http, no_more_requests).await;
            no_more_work.cancel();
        };
        tokio::join!(serving, self.run(no_more_work.clone()));
        Ok(())
    }
}
