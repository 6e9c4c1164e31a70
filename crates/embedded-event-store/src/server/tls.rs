//! Encrypted connections, from a certificate and a key in PEM files.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use thiserror::Error;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::pki_types::pem::{self, PemObject};
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::rustls::{self, ServerConfig};

use super::socket::{Connection, Socket};
use crate::config::Tls;

/// How long a client may take to agree on a key.
const HANDSHAKE: Duration = Duration::from_secs(10);
const PROTOCOLS: [&[u8]; 2] = [b"h2", b"http/1.1"];

/// Why encrypted connections cannot be served.
#[derive(Debug, Error)]
pub enum TlsError {
    /// A file does not hold what it should.
    #[error("{} holds no {what} in PEM form that can be read; give another file", .file.display())]
    File {
        /// The file.
        file: PathBuf,
        /// What it should hold.
        what: &'static str,
        /// What is wrong with it.
        #[source]
        source: pem::Error,
    },
    /// The certificate and the key do not work.
    #[error("the certificate and its key cannot be used; give a key that belongs to the certificate")]
    Pair(#[source] rustls::Error),
}

/// Reads the files. Waits for the disk.
pub fn acceptor(tls: &Tls) -> Result<TlsAcceptor, TlsError> {
    let unreadable = |file: &Path, what| {
        let file = file.to_path_buf();
        move |source| TlsError::File { file, what, source }
    };
    let certificates: Vec<_> = CertificateDer::pem_file_iter(&tls.certificate)
        .and_then(Iterator::collect)
        .map_err(unreadable(&tls.certificate, "certificate"))?;
    let key = PrivateKeyDer::from_pem_file(&tls.key).map_err(unreadable(&tls.key, "private key"))?;
    // Named, because a program may hold more than one library for it.
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(TlsError::Pair)?
        .with_no_client_auth()
        .with_single_cert(certificates, key)
        .map_err(TlsError::Pair)?;
    config.alpn_protocols = PROTOCOLS.map(<[u8]>::to_vec).to_vec();
    Ok(TlsAcceptor::from(Arc::new(config)))
}

/// Makes an accepted connection ready; `None` if the client and we do not come to terms.
pub async fn ready(socket: Socket, acceptor: Option<TlsAcceptor>) -> Option<Connection> {
    let Some(acceptor) = acceptor else { return Some(Connection::Plain(socket)) };
    match tokio::time::timeout(HANDSHAKE, acceptor.accept(socket)).await {
        Ok(Ok(stream)) => Some(Connection::Encrypted(Box::new(stream))),
        Ok(Err(error)) => {
            tracing::debug!(%error, "a client and the event store did not agree on an encrypted connection");
            None
        }
        Err(_) => {
            let error = io::Error::from(io::ErrorKind::TimedOut);
            tracing::debug!(%error, "a client took too long to agree on an encrypted connection");
            None
        }
    }
}
