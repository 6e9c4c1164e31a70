use embedded_event_store::StartError;
use emporium::audit_cli::tamper_evidence::EvidenceError;
use emporium::secrets::SecretError;
use event_store::{AppendError, EventStoreError, InvalidConnectionString, NagleError};
use importers::ImportError;
use payment_gateway::{GatewayError, InvalidGateway};
use shop_client::operator::OperatorError;
use shop_client::{InvalidClient, ShopError};
use std::io;
use std::path::PathBuf;
use std::time::Duration;
use thiserror::Error;

/// Why nothing can be measured, or what was found that must not be.
#[derive(Debug, Error)]
pub enum BenchError {
    #[error("the folder `{}` cannot be written: choose another with --folder", path.display())]
    Folder {
        path: PathBuf,
        #[source]
        source: io::Error,
    },
    #[error("several services need an event store that they share: give --event-store or --relay")]
    NothingToShare,
    #[error("the loopback cannot be measured")]
    Loopback(#[source] io::Error),
    #[error(transparent)]
    Password(#[from] SecretError),
    #[error("the embedded event store cannot start")]
    Start(#[from] StartError),
    #[error(transparent)]
    Address(#[from] InvalidConnectionString),
    #[error("an append failed while it was measured")]
    Append(#[from] AppendError),
    #[error("a read failed while it was measured")]
    Read(#[from] EventStoreError),
    #[error("Nagle's algorithm cannot be switched off: leave it on with --nagle")]
    Nagle(#[from] NagleError),
    #[error("{program} cannot be run")]
    Run {
        program: &'static str,
        #[source]
        source: io::Error,
    },
    #[error("{program} has not said where it answers: its log is `{}`", log.display())]
    NotStarted { program: &'static str, log: PathBuf },
    #[error("HTTP cannot be spoken")]
    Http(#[source] reqwest::Error),
    #[error(transparent)]
    Client(#[from] InvalidClient),
    #[error("the shop cannot be filled")]
    Fill(#[from] ShopError),
    #[error("POST {path} got no answer for {} s: the service's log says why", patience.as_secs())]
    NoAnswer { path: String, patience: Duration },
    #[error("{path} was answered with {status}, which no shopper can make sense of: {body}")]
    Unexpected { path: String, status: u16, body: String },
    #[error(transparent)]
    Operator(#[from] OperatorError),
    #[error("the operator's token has characters that no header can have: give the token that the shop has")]
    Token,
    #[error("GET {path} was answered with {status}: {body}")]
    Refused { path: String, status: u16, body: String },
    #[error("the history cannot be checked: event {revision} of `{stream}` cannot be read")]
    Unreadable {
        stream: String,
        revision: u64,
        #[source]
        source: serde_json::Error,
    },
    #[error("the payment gateway's books cannot be read")]
    Books(#[from] GatewayError),
    #[error(transparent)]
    Gateway(#[from] InvalidGateway),
    #[error("the Postgres to compare with cannot start: leave it out with --no-reference")]
    Postgres(#[from] private_postgres::Error),
    #[error("the Postgres to compare with does not do what it is asked")]
    Sql(#[from] sqlx::Error),
    #[error("the history cannot be imported")]
    Import(#[from] ImportError),
    #[error("the hot row cannot be measured: {0}")]
    HotRow(String),
    #[error("the history cannot be verified")]
    Verify(#[source] Box<EvidenceError>),
    #[error("the history that was made here is not found intact: {0}")]
    NotIntact(String),
    /// The sale was over before it could be disturbed: nothing is known of what a kill does.
    #[error("the service was not killed, for too few shoppers bought: let more come, or say --no-kill")]
    NoKill,
    /// The figures that must be zero are not.
    #[error("{what}; all that was recorded is kept in `{}`", folder.display())]
    Broken { what: String, folder: PathBuf },
}
