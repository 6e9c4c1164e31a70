use crate::secrets::SecretError;
use audit_seal::key::InvalidKey;
use event_store::InvalidConnectionString;
use http_boundary::ListenError;
use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use thiserror::Error;

/// Why the service cannot run, or go on running.
#[derive(Debug, Error)]
pub enum ServeError {
    #[error("in production, {0} is required: nothing is embedded there")]
    RequiredInProduction(&'static str),
    #[error("the data folder `{}` cannot be made: choose another with --data-dir", path.display())]
    DataFolder {
        path: PathBuf,
        #[source]
        source: io::Error,
    },
    #[error(transparent)]
    Secret(#[from] SecretError),
    #[error("the key in `{}` cannot be used: restore the file from a copy; its public keys are in audit-public-key", path.display())]
    AuditKey {
        path: PathBuf,
        #[source]
        source: InvalidKey,
    },
    #[error("the public key cannot be written to `{}`: check who owns it", path.display())]
    AuditPublicKey {
        path: PathBuf,
        #[source]
        source: io::Error,
    },
    #[error("the embedded event store cannot start")]
    EventStore(#[from] embedded_event_store::StartError),
    #[error("the event store's address cannot be used")]
    EventStoreAddress(#[from] InvalidConnectionString),
    #[error("the embedded event store has died ({0}); start the service again")]
    EventStoreDied(String),
    #[error("the sandbox payment gateway cannot start")]
    SandboxGateway(#[from] sandbox_gateway::StartError),
    #[error("the private Postgres cannot start")]
    Postgres(#[from] private_postgres::Error),
    #[error("the threads that give way to others cannot start")]
    Background(#[source] io::Error),
    #[error(transparent)]
    Listen(#[from] ListenError),
    #[error(
        "cannot listen on {address}: stop the program that already does, or choose another address with {option}"
    )]
    ListenForEmbedded {
        address: SocketAddr,
        /// The option that names the address, with its environment variable.
        option: &'static str,
        #[source]
        source: io::Error,
    },
    #[error("the command side cannot run")]
    Commands(#[from] command_api::BuildError),
    #[error("the projections cannot run")]
    Projections(#[from] projections::BuildError),
    #[error("the query side cannot run")]
    Queries(#[from] query_api::BuildError),
}
