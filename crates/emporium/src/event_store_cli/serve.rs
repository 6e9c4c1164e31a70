//! `emporium event-store serve`: the embedded event store alone.

use super::EventStoreCliError;
use crate::store_password;
use clap::Args;
use embedded_event_store::{Config, EmbeddedEventStore, Role, Tls, User};
use http_boundary::process;
use serde::Deserialize;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

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
    /// Who may use the store, as JSON: [{"name":"ann","password":"…","role":"admin"}]; the other role is "read-only".
    /// Without it, the first start makes a password for the user `admin` beside the data folder, in a file of its name with
    /// `-password` behind it
    #[arg(long, value_name = "FILE", conflicts_with = "open")]
    pub users: Option<PathBuf>,
    /// Let every client in: everybody may do everything
    #[arg(long)]
    pub open: bool,
    /// The certificate for encrypted connections, in PEM form
    #[arg(long, value_name = "FILE", requires = "tls_key")]
    pub tls_certificate: Option<PathBuf>,
    /// The certificate's private key, in PEM form
    #[arg(long, value_name = "FILE", requires = "tls_certificate")]
    pub tls_key: Option<PathBuf>,
}

/// A user as the file has them.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ListedUser {
    name: String,
    password: String,
    role: ListedRole,
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
enum ListedRole {
    Admin,
    ReadOnly,
}

/// Runs until Ctrl-C or SIGTERM.
pub async fn run(args: ServeArgs) -> Result<(), EventStoreCliError> {
    let stop = process::stop_signal();
    let password_file = store_password::file(&args.data_dir);
    let mut config = Config::new(args.data_dir);
    config.listen = args.listen;
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
    if args.users.is_none() && !args.open {
        let url = store_password::for_a_shell(&store.connection_string(), &password_file);
        println!("password      of `admin` in {}; in a shell: \"{url}\"", password_file.display());
    }
    let result = tokio::select! {
        () = stop.cancelled() => Ok(()),
        death = store.died() => Err(EventStoreCliError::Died(death.to_string())),
    };
    tracing::info!("stopping");
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
    let user = |listed: ListedUser| User {
        name: listed.name,
        password: listed.password,
        role: match listed.role {
            ListedRole::Admin => Role::Admin,
            ListedRole::ReadOnly => Role::ReadOnly,
        },
    };
    Ok(listed.into_iter().map(user).collect())
}
