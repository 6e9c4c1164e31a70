//! The whole service in one process: the event store and Postgres unless they are given, the command side with its
//! processes, the projections, the query side, on one port.

mod addresses;
mod args;
mod audit_key;
mod background;
mod error;
mod postgres;
mod sandbox;
mod welcome;

pub use args::{Profile, ServeArgs};
pub use error::ServeError;
pub use postgres::remove_elsewhere as remove_read_models_elsewhere;

use crate::private_folder::{self, PASSED_THROUGH, PRIVATE};
use crate::{demo_shop, secrets, store_password};
use addresses::Addresses;
use audit_seal::key::SealingKey;
use background::Background;
use command_api::{AdmissionArgs, PaymentConfig};
use embedded_event_store::EmbeddedEventStore;
use event_store::EventStore;
use http_boundary::{ClientLimits, Health, Listeners, OperatorToken, process};
use private_postgres::PrivatePostgres;
use projections::{Board, Status};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// What is embedded in this process.
struct Embedded {
    event_store: Option<OwnEventStore>,
    postgres: Option<(PrivatePostgres, PathBuf)>,
}

/// The embedded event store, and where its password is unless it is open.
struct OwnEventStore {
    store: EmbeddedEventStore,
    /// For this process: it may hold the password.
    address: String,
    password_file: Option<PathBuf>,
}

/// Where things are, and the secrets.
struct Settings {
    data_dir: PathBuf,
    /// One connection for all services of this process: they follow the log together.
    event_store: EventStore,
    database_url: String,
    operator_token: String,
    cart_id_secret: String,
    audit_signing_key: SealingKey,
    token_file: Option<PathBuf>,
}

/// Runs until Ctrl-C or SIGTERM.
///
/// # Errors
/// When something cannot start, or the event store has died.
pub async fn run(args: ServeArgs) -> Result<(), ServeError> {
    let stop = process::stop_signal();
    check_profile(&args)?;
    let Addresses { http: listeners, event_store, sandbox } = Addresses::take(&args).await?;
    let (address, operations) = (listeners.main, listeners.operations);
    let (embedded, settings) = prepare(&args, event_store).await?;
    let health = Health::default();
    let sandbox = sandbox::start(&args, sandbox, &settings.data_dir, address, health.refusals())?;
    let payments = sandbox.as_ref().map_or_else(|| args.payments.clone(), |(_, payments)| payments.clone());
    let services = Services::start(&args, &settings, payments, health, embedded.postgres, listeners)?;
    let shown = embedded.event_store.as_ref().map(OwnEventStore::for_people);
    let gateway = sandbox.as_ref().map(|(sandbox, _)| sandbox.address());
    let token_file = settings.token_file.as_deref();
    println!("{}", welcome::addresses(address, operations, shown.as_deref(), gateway, token_file));
    let died = async {
        match &embedded.event_store {
            Some(event_store) => event_store.store.died().await,
            None => std::future::pending().await,
        }
    };
    let working = async {
        if args.demo_shop {
            fill_demo_shop(address, &settings).await;
        }
        std::future::pending().await
    };
    let result = tokio::select! {
        () = stop.cancelled() => Ok(()),
        death = died => Err(ServeError::EventStoreDied(death.to_string())),
        failed = working => failed,
    };
    tracing::info!("stopping");
    services.stop().await;
    if let Some((sandbox, _)) = sandbox {
        sandbox.stop().await;
    }
    if let Some(event_store) = embedded.event_store {
        event_store.store.stop().await;
    }
    result
}

fn check_profile(args: &ServeArgs) -> Result<(), ServeError> {
    if args.profile == Profile::Production {
        let required =
            |is_given, name| if is_given { Ok(()) } else { Err(ServeError::RequiredInProduction(name)) };
        required(args.database_url.is_some(), "--database-url (DATABASE_URL)")?;
        required(args.event_store.is_some(), "--event-store (EMPORIUM_EVENT_STORE)")?;
    }
    Ok(())
}

async fn prepare(
    args: &ServeArgs,
    event_store: Option<TcpListener>,
) -> Result<(Embedded, Settings), ServeError> {
    let data_dir = make_data_folder(&args.data_dir)?;
    let token_file = data_dir.join("operator-token");
    let token = |given: &Option<String>, file: &Path| match given {
        Some(secret) => Ok(secret.clone()),
        None => secrets::read_or_make(file),
    };
    let operator_token = token(&args.operator_token, &token_file)?;
    let cart_id_secret = token(&args.cart_id_secret, &data_dir.join("cart-id-secret"))?;
    let audit_signing_key = audit_key::read_or_make(args, &data_dir)?;
    let (event_store, postgres) =
        tokio::try_join!(start_event_store(args, event_store, &data_dir), start_postgres(args, &data_dir))?;
    let settings = Settings {
        event_store: match (&args.event_store, &event_store) {
            (_, Some(event_store)) => EventStore::connect(&event_store.address)?,
            (given, None) => EventStore::connect(given.as_deref().unwrap_or_default())?,
        },
        database_url: match (&args.database_url, &postgres) {
            (_, Some((postgres, _))) => postgres.database_url().to_owned(),
            (given, None) => given.clone().unwrap_or_default(),
        },
        operator_token,
        cart_id_secret,
        audit_signing_key,
        token_file: args.operator_token.is_none().then_some(token_file),
        data_dir,
    };
    Ok((Embedded { event_store, postgres }, settings))
}

fn make_data_folder(path: &Path) -> Result<PathBuf, ServeError> {
    let failed = |source| ServeError::DataFolder { path: path.to_owned(), source };
    // The log and the secrets are for the operator alone.
    private_folder::make(path).map_err(failed)?;
    let path = path.canonicalize().map_err(failed)?;
    // Root's read models in it belong to the database server's user, who has to pass through.
    let is_passed_through = rustix::process::geteuid().is_root() && postgres::folder(&path).exists();
    private_folder::tighten(&path, if is_passed_through { PASSED_THROUGH } else { PRIVATE });
    Ok(path)
}

async fn start_event_store(
    args: &ServeArgs,
    listener: Option<TcpListener>,
    data_dir: &Path,
) -> Result<Option<OwnEventStore>, ServeError> {
    let Some(listener) = listener else { return Ok(None) };
    // The log is for the operator alone.
    let folder = event_store_folder(data_dir);
    let failed = |source| ServeError::DataFolder { path: folder.clone(), source };
    private_folder::make(&folder).map_err(failed)?;
    let password_file = (!args.event_store_open).then(|| store_password::file(&folder));
    let mut config = embedded_event_store::Config::new(folder);
    config.advertise_host = args.event_store_advertise_host.clone();
    config.advertise_port = args.event_store_advertise_port;
    let user = password_file.as_deref().map(store_password::user).transpose()?;
    config.users.extend(user.clone());
    let store = EmbeddedEventStore::start_on(listener, config).await?;
    let address = store.connection_string();
    let address = user.map_or_else(|| address.clone(), |user| store_password::with_user(&address, &user));
    Ok(Some(OwnEventStore { store, address, password_file }))
}

impl OwnEventStore {
    /// The address, which a client of this machine may need the password for.
    fn for_people(&self) -> String {
        let url = self.store.connection_string();
        match &self.password_file {
            None => format!("{url} (open to every client)"),
            Some(file) => {
                let url_for_a_shell = store_password::for_a_shell(&url, file);
                format!(
                    "{url}\n                   with the password of `admin` in {}; in a shell:\n                   \
                     \"{url_for_a_shell}\"",
                    file.display()
                )
            }
        }
    }
}

async fn start_postgres(
    args: &ServeArgs,
    data_dir: &Path,
) -> Result<Option<(PrivatePostgres, PathBuf)>, ServeError> {
    if args.database_url.is_some() {
        return Ok(None);
    }
    Ok(Some(postgres::start(data_dir).await?))
}

/// A shop that cannot be filled is served all the same: with what is in it.
async fn fill_demo_shop(address: SocketAddr, settings: &Settings) {
    let url = format!("http://{address}");
    match demo_shop::fill(&url, &settings.operator_token).await {
        Ok(shop) => println!("{}", welcome::purchase(address, &shop.first_sku, shop.first_price)),
        Err(error) => {
            let error = &error as &dyn std::error::Error;
            tracing::warn!(error, "the demo shop could not be filled: the service goes on without it");
        }
    }
}

/// The three services and what watches them, each stopped by a token of its own, in order.
struct Services {
    requests: CancellationToken,
    work: CancellationToken,
    postgres: CancellationToken,
    serving: TaskTracker,
    working: TaskTracker,
    storing: TaskTracker,
}

impl Services {
    fn start(
        args: &ServeArgs,
        settings: &Settings,
        payments: PaymentConfig,
        health: Health,
        postgres: Option<(PrivatePostgres, PathBuf)>,
        listeners: Listeners,
    ) -> Result<Self, ServeError> {
        let services = Self {
            requests: CancellationToken::new(),
            work: CancellationToken::new(),
            postgres: CancellationToken::new(),
            serving: TaskTracker::new(),
            working: TaskTracker::new(),
            storing: TaskTracker::new(),
        };
        let commands = command_api::Application::build(command_config(args, settings, payments), &health)?;
        let projections = projections::Application::build(projections_config(args, settings), &health)?;
        let queries = query_api::Application::build(query_config(args, settings), &health)?;
        let routes = commands.routes().merge(queries.routes()).merge(projections.routes());
        let router = routes.into_router();
        if let Some((server, data_dir)) = postgres {
            let stop = services.postgres.clone();
            services.storing.spawn(postgres::keep_running(server, data_dir, health.clone(), stop));
        }
        services.work_on("queries", &health, queries.run(services.work.clone()));
        let background = Background::start().map_err(ServeError::Background)?;
        let refusing = refuse_another_history(projections.board(), settings.event_store.clone());
        let stop = services.work.clone();
        services.working.spawn(async move { stop.run_until_cancelled(refusing).await });
        let projecting = projections.run(services.work.clone());
        services.work_on("projections", &health, background.run(projecting));
        let stop = services.work.clone();
        let verifying = commands.verify_history(stop.clone());
        services.work_on("processes", &health, async move { commands.run_processes(stop).await });
        let background = Background::start().map_err(ServeError::Background)?;
        services.work_on("audit-verification", &health, background.run(verifying));
        let stop = services.requests.clone();
        let (token, http) = (OperatorToken::new(&settings.operator_token), args.http.clone());
        // One share for all that one client asks of this process.
        let clients = ClientLimits::new(&args.client_limits, token, health.refusals().clone());
        let clients = clients.except(command_api::WEBHOOKS);
        services.serving.spawn(async move { listeners.serve(router, &health, clients, &http, stop).await });
        Ok(services)
    }

    /// Work that goes on until it is told to stop; a panic in it is seen.
    fn work_on(&self, part: &'static str, health: &Health, work: impl Future<Output = ()> + Send + 'static) {
        let health = health.clone();
        let work = self.working.spawn(work);
        self.working.spawn(async move {
            if let Err(error) = work.await {
                tracing::error!(part, %error, "a part of the service has died");
                health.is_ill(part, "it has died: the log says why");
            }
        });
    }

    /// First no more requests, then no more work, then no more database.
    async fn stop(self) {
        self.requests.cancel();
        self.serving.close();
        self.serving.wait().await;
        self.work.cancel();
        self.working.close();
        self.working.wait().await;
        self.postgres.cancel();
        self.storing.close();
        self.storing.wait().await;
    }
}

/// As long as the read models say that the log is not the shop's, no command is decided on it. Never ends.
async fn refuse_another_history(board: Board, store: EventStore) {
    let why = |all: &[Status]| all.iter().find_map(Status::is_of_another_history).map(str::to_owned);
    let mut last = None;
    loop {
        let statuses = board.wait_for(|statuses| why(statuses) != last).await;
        last = why(&statuses);
        store.veto(last.clone());
    }
}

fn command_config(args: &ServeArgs, settings: &Settings, payments: PaymentConfig) -> command_api::Config {
    command_api::Config {
        listen: args.listen,
        http: args.http.clone(),
        event_store: settings.event_store.clone(),
        operator_token: settings.operator_token.clone(),
        cart_id_secret: settings.cart_id_secret.clone(),
        audit_signing_key: settings.audit_signing_key.clone(),
        sealing: args.sealing.clone(),
        order_hold_seconds: args.order_hold_seconds,
        unpaid: args.unpaid,
        fulfilment: args.fulfilment.clone(),
        payments,
        client_limits: args.client_limits.clone(),
        admission: admission(args, settings),
        // Nobody else takes commands for the store in our own process.
        only_writer: args.event_store.is_none(),
    }
}

/// The embedded event store fills the disk that our own data folder is on.
fn admission(args: &ServeArgs, settings: &Settings) -> AdmissionArgs {
    let embedded = args.event_store.is_none().then(|| event_store_folder(&settings.data_dir));
    let event_store_folder = embedded.or_else(|| args.admission.event_store_folder.clone());
    AdmissionArgs { event_store_folder, ..args.admission.clone() }
}

fn event_store_folder(data_dir: &Path) -> PathBuf {
    data_dir.join("event-store")
}

fn projections_config(args: &ServeArgs, settings: &Settings) -> projections::Config {
    projections::Config {
        listen: args.listen,
        http: args.http.clone(),
        // Projections give way to everything else: nothing else may follow the log through their threads.
        event_store: settings.event_store.another(),
        database_url: settings.database_url.clone(),
        analytics_database_url: args.analytics_database_url.clone(),
        operator_token: settings.operator_token.clone(),
        client_limits: args.client_limits.clone(),
        reconcile_every_hours: args.reconcile_every_hours,
        read_models: args.read_models,
    }
}

fn query_config(args: &ServeArgs, settings: &Settings) -> query_api::Config {
    query_api::Config {
        listen: args.listen,
        http: args.http.clone(),
        // Anybody's histories and live pages may break their connection: commands and processes have another one.
        event_store: settings.event_store.another(),
        database_url: settings.database_url.clone(),
        analytics_database_url: args.analytics_database_url.clone(),
        operator_token: settings.operator_token.clone(),
        client_limits: args.client_limits.clone(),
        database: args.queries.clone(),
        live_heartbeat: args.live_heartbeat,
        live: args.live,
    }
}
