//! `emporium event-store serve`: the embedded event store alone.

use super::EventStoreCliError;
use crate::private_folder::{self, PRIVATE};
use crate::store_password;
use clap::Args;
use embedded_event_store::{Config, EmbeddedEventStore, Tls, User};
use http_boundary::{Health, HttpLimits, OperationsListener, process};
use serde::Deserialize;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio_util::task::TaskTracker;

/// The group that may do everything.
const ADMINS: &str = "$admins";

/// `emporium event-store serve …`
#[derive(Debug, Args)]
pub struct ServeArgs {
    /// Where the events are kept; made if it is not there
    #[arg(long, value_name = "PATH", default_value = ".data/event-store")]
    pub data_dir: PathBuf,
    /// Where to answer EventStoreDB clients; port 0 takes any free one
    #[arg(long, env = "EMPORIUM_EVENT_STORE_LISTEN", default_value = "127.0.0.1:2113")]
    pub listen: SocketAddr,
    /// The host that clients are told to connect to when they ask for the members of the cluster, if they do not reach it
    /// under --listen
    #[arg(long, env = "EMPORIUM_EVENT_STORE_ADVERTISE_HOST", value_name = "HOST")]
    pub advertise_host: Option<String>,
    /// The port that clients are told to connect to, if it is not the one of --listen
    #[arg(long, env = "EMPORIUM_EVENT_STORE_ADVERTISE_PORT", value_name = "PORT")]
    pub advertise_port: Option<u16>,
    /// Who may use the store, as JSON: [{"name":"ann","password":"…","role":"admin"},
    /// {"name":"bob","password":"…","groups":["$ops"]}]. Groups are named by access control lists; $admins (as the role "admin")
    /// may do everything, $ops looks after persistent subscriptions. The role "read-only" reads everything and changes nothing.
    /// The file is read again on SIGHUP, and what it says then counts at once. Without it, the first start makes a password for
    /// the user `admin` beside the data folder, in a file of its name with `-password` behind it
    #[arg(long, value_name = "FILE", conflicts_with = "open")]
    pub users: Option<PathBuf>,
    /// Let every client in: everybody may do everything
    #[arg(long)]
    pub open: bool,
    /// Let clients without a user use streams as if they had logged in; access control lists hold for them too
    #[arg(long)]
    pub allow_anonymous_stream_access: bool,
    /// The certificate for encrypted connections, in PEM form
    #[arg(long, value_name = "FILE", requires = "tls_key")]
    pub tls_certificate: Option<PathBuf>,
    /// The certificate's private key, in PEM form
    #[arg(long, value_name = "FILE", requires = "tls_certificate")]
    pub tls_key: Option<PathBuf>,
    /// Where to answer those who run the store, over HTTP and without a token: /livez, /readyz and /metrics, with its
    /// connections and open files
    #[arg(long, env = "EMPORIUM_OPERATIONS_LISTEN", value_name = "ADDRESS")]
    pub operations_listen: Option<SocketAddr>,
}

/// A user as the file has them.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ListedUser {
    name: String,
    password: String,
    role: Option<ListedRole>,
    #[serde(default)]
    groups: Vec<String>,
}

#[derive(PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum ListedRole {
    Admin,
    ReadOnly,
}

/// Runs until Ctrl-C or SIGTERM.
pub async fn run(args: ServeArgs) -> Result<(), EventStoreCliError> {
    let stop = process::stop_signal();
    // Heard before the store is there, so that it ends nobody who has just been told where the store is.
    let hangups = args.users.as_ref().map(|_| signal(SignalKind::hangup())).transpose();
    let users_again = args.users.clone().zip(hangups.map_err(EventStoreCliError::Signal)?);
    let operations = match args.operations_listen {
        Some(address) => Some(OperationsListener::bind(address).await?),
        None => None,
    };
    let failed = |source| EventStoreCliError::DataFolder { path: args.data_dir.clone(), source };
    private_folder::make(&args.data_dir).map_err(failed)?;
    private_folder::tighten(&args.data_dir, PRIVATE);
    let password_file = store_password::file(&args.data_dir);
    let mut config = Config::new(args.data_dir);
    config.listen = args.listen;
    config.anonymous_streams = args.allow_anonymous_stream_access;
    config.advertise_host = args.advertise_host;
    config.advertise_port = args.advertise_port;
    config.users = match &args.users {
        Some(path) => read_users(path)?,
        None if args.open => Vec::new(),
        None => vec![store_password::user(&password_file)?],
    };
    if let (Some(certificate), Some(key)) = (args.tls_certificate, args.tls_key) {
        config.tls = Some(Tls { certificate, key });
    }
    let store = EmbeddedEventStore::start(config).await?;
    println!("event store   {}", store.connection_string());
    let serving = TaskTracker::new();
    if let Some(operations) = operations {
        println!("health        http://{}/readyz and /metrics", operations.address);
        let stop = stop.clone();
        let serve = async move { operations.serve(&Health::default(), &HttpLimits::default(), stop).await };
        serving.spawn(serve);
    }
    if args.users.is_none() && !args.open {
        let url = store_password::for_a_shell(&store.connection_string(), &password_file);
        println!("password      of `admin` in {}; in a shell: \"{url}\"", password_file.display());
    }
    let result = tokio::select! {
        () = stop.cancelled() => Ok(()),
        death = store.died() => Err(EventStoreCliError::Died(death.to_string())),
        () = follow_users(users_again, &store) => Ok(()),
    };
    tracing::info!("stopping");
    stop.cancel();
    serving.close();
    serving.wait().await;
    store.stop().await;
    result
}

/// A file that names nobody is refused: without users, everybody may do everything.
fn read_users(path: &Path) -> Result<Vec<User>, EventStoreCliError> {
    let unreadable = |why: String| EventStoreCliError::Users { path: path.to_owned(), why };
    let text = std::fs::read_to_string(path).map_err(|error| unreadable(error.to_string()))?;
    let listed: Vec<ListedUser> =
        serde_json::from_str(&text).map_err(|error| unreadable(error.to_string()))?;
    if listed.is_empty() {
        return Err(unreadable("it names nobody".to_owned()));
    }
    Ok(listed.into_iter().map(ListedUser::user).collect())
}

impl ListedUser {
    fn user(self) -> User {
        let mut groups = self.groups;
        if self.role == Some(ListedRole::Admin) {
            groups.push(ADMINS.to_owned());
        }
        let read_only = self.role == Some(ListedRole::ReadOnly);
        User { name: self.name, password: self.password, groups, read_only }
    }
}

/// Reads the users again at each SIGHUP. Does not end.
async fn follow_users(users_again: Option<(PathBuf, Signal)>, store: &EmbeddedEventStore) {
    let Some((file, mut hangups)) = users_again else { return std::future::pending().await };
    while hangups.recv().await.is_some() {
        match read_users(&file) {
            Ok(users) => {
                store.set_users(&users);
                tracing::info!(users = users.len(), "the users were read again");
            }
            Err(error) => {
                tracing::warn!(
                    error = &error as &dyn std::error::Error,
                    "the users could not be read again; those from before stay"
                );
            }
        }
    }
    std::future::pending().await
}
