//! A history goes from one event store to another, by the commands that docs/operations.md names.

use clap::Parser;
use embedded_event_store::{Config, EmbeddedEventStore};
use emporium::event_store_cli::EventStoreCommand;
use event_store::{EventStore, ExpectedRevision, RawEvent};
use std::path::Path;
use uuid::Uuid;

#[derive(Parser)]
struct Program {
    #[command(subcommand)]
    command: EventStoreCommand,
}

async fn run(arguments: &[&str]) {
    let program = Program::parse_from([&["emporium"], arguments].concat());
    program.command.run().await.unwrap();
}

fn weather() -> RawEvent {
    RawEvent {
        id: Uuid::new_v4(),
        event_type: "weather.reported.v1".to_owned(),
        is_json: true,
        data: "{}".into(),
        metadata: "{}".into(),
    }
}

/// An event store in this folder that is somebody else's as well, so that nothing stands where it stands in another one.
pub async fn shared_store(folder: &Path, foreign_events: usize) -> EmbeddedEventStore {
    let server = EmbeddedEventStore::start(Config::on_any_port(folder)).await.unwrap();
    let store = EventStore::connect(&server.connection_string()).unwrap();
    let events = (0..foreign_events).map(|_| weather()).collect();
    let stream = format!("weather-{}", Uuid::new_v4());
    store.append_raw(&stream, ExpectedRevision::NoStream, events).await.unwrap();
    server
}

/// Everything in one store goes into another one, in which somebody else writes at the same time: there are gaps between
/// the places of what was copied.
pub async fn copy_history(from: &EmbeddedEventStore, to: &EmbeddedEventStore, folder: &Path) {
    let file = folder.join(format!("{}.ndjson.zst", Uuid::new_v4()));
    let (file, target) = (file.to_str().unwrap(), to.connection_string());
    run(&["export", file, "--url", &from.connection_string()]).await;
    let store = EventStore::connect(&target).unwrap();
    let writing = tokio::spawn(async move {
        for number in 0.. {
            let stream = format!("weather-{}", Uuid::new_v4());
            let events = (0..=number % 3).map(|_| weather()).collect();
            if store.append_raw(&stream, ExpectedRevision::NoStream, events).await.is_err() {
                // The test is over.
                return;
            }
        }
    });
    run(&["import", file, "--alongside", "--url", &target]).await;
    writing.abort();
}
