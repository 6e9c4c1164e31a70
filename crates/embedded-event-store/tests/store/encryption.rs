//! Encrypted connections.

use std::path::PathBuf;

use embedded_event_store::{Config, EmbeddedEventStore, StartError, Tls, TlsError};
use eventstore::{Client, ClientSettings, ReadStreamOptions, StreamState};

use crate::support::{all_of, append, events, expecting, soon};

/// A certificate for `localhost` and 127.0.0.1, made for these tests and good for nothing else.
fn file(name: &str) -> PathBuf {
    [env!("CARGO_MANIFEST_DIR"), "tests/store/tls", name].iter().collect()
}

fn encrypted(folder: &tempfile::TempDir) -> Config {
    let tls = Tls { certificate: file("certificate.pem"), key: file("key.pem") };
    Config { tls: Some(tls), ..Config::on_any_port(folder.path()) }
}

fn client_with(connection_string: &str) -> Client {
    let settings: ClientSettings = connection_string.parse().unwrap();
    Client::new(settings).unwrap()
}

#[tokio::test]
async fn a_client_that_trusts_the_certificate_reads_and_writes() {
    let folder = tempfile::tempdir().unwrap();
    let store = EmbeddedEventStore::start(encrypted(&folder)).await.unwrap();
    let open = store.connection_string();
    assert!(open.contains("tls=true"), "{open}");
    let client = client_with(&format!("{open}&tlsCaFile={}", file("certificate.pem").display()));
    append(&client, "s", events(3)).await;
    let read = client.read_stream("s", &ReadStreamOptions::default()).await.unwrap();
    assert_eq!(all_of(read).await.len(), 3);
    soon(store.stop()).await;
}

#[tokio::test]
async fn a_client_that_does_not_encrypt_or_trust_gets_nowhere_and_hurts_nobody() {
    let folder = tempfile::tempdir().unwrap();
    let store = EmbeddedEventStore::start(encrypted(&folder)).await.unwrap();
    let open = store.connection_string().replace("maxDiscoverAttempts=100", "maxDiscoverAttempts=2");
    for wrong in [open.replace("tls=true", "tls=false"), open.clone()] {
        let client = client_with(&wrong);
        let refused = soon(client.append_to_stream("s", &expecting(StreamState::Any), events(1))).await;
        assert!(refused.is_err(), "{wrong}");
    }
    append(&client_with(&format!("{open}&tlsVerifyCert=false")), "s", events(1)).await;
}

#[tokio::test]
async fn files_that_hold_no_certificate_or_key_are_named() {
    let folder = tempfile::tempdir().unwrap();
    for (certificate, key, wrong) in
        [("key.pem", "key.pem", "pair"), ("certificate.pem", "none.pem", "none.pem")]
    {
        let tls = Tls { certificate: file(certificate), key: file(key) };
        let refused = EmbeddedEventStore::start(Config { tls: Some(tls), ..encrypted(&folder) }).await;
        match refused {
            Err(StartError::Tls(TlsError::Pair(_))) => assert_eq!(wrong, "pair"),
            Err(StartError::Tls(error @ TlsError::File { .. })) => {
                assert!(error.to_string().contains(wrong), "{error}");
            }
            Err(other) => panic!("{other}"),
            Ok(_) => panic!("the store started without a certificate"),
        }
    }
}
