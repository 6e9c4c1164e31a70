//! A log on a real event store, filled with what a shop has lived through.

use domain::{cart, inventory, order, product};
use embedded_event_store::EmbeddedEventStore;
use event_store::{EventStore, ExpectedRevision, Metadata, NewEvent, Position, RecordedEvent};
use futures::TryStreamExt;
use tempfile::TempDir;
use uuid::Uuid;

pub struct Log {
    pub server: EmbeddedEventStore,
    pub store: EventStore,
    _folder: TempDir,
}

impl Log {
    pub async fn open() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let config = embedded_event_store::Config::on_any_port(folder.path());
        let server = EmbeddedEventStore::start(config).await.unwrap();
        let store = EventStore::connect(&server.connection_string()).unwrap();
        Self { server, store, _folder: folder }
    }

    /// Writes what another shop has lived through.
    pub async fn append(&self, events: &[RecordedEvent]) {
        let mut rest = events;
        while let Some(first) = rest.first() {
            let together = rest.iter().take_while(|event| event.stream == first.stream).count();
            let (part, after) = rest.split_at(together);
            let expected = match first.revision.checked_sub(1) {
                None => ExpectedRevision::NoStream,
                Some(last) => ExpectedRevision::Exact(last),
            };
            self.store.append(&first.stream, expected, part.iter().map(new).collect()).await.unwrap();
            rest = after;
        }
    }

    pub async fn head(&self) -> Position {
        self.store.head().await.unwrap().unwrap()
    }

    pub async fn read(&self) -> Vec<RecordedEvent> {
        self.store.read_all(None, usize::MAX).try_collect().await.unwrap()
    }
}

fn new(event: &RecordedEvent) -> NewEvent {
    let names = [
        product::Event::TYPE_NAMES,
        inventory::Event::TYPE_NAMES,
        cart::Event::TYPE_NAMES,
        order::Event::TYPE_NAMES,
    ];
    let event_type = names.concat().into_iter().find(|name| *name == event.event_type).unwrap();
    new_event(event_type, event.data.to_vec(), event)
}

pub fn new_event(event_type: &'static str, data: Vec<u8>, like: &RecordedEvent) -> NewEvent {
    let metadata = Metadata {
        correlation_id: like.id,
        causation_id: like.id,
        command_id: like.id,
        actor: "operator".to_owned(),
        occurred_at: like.recorded_at,
        fingerprint: String::new(),
        more: false,
    };
    NewEvent { id: Uuid::from_u128(like.id.as_u128() ^ 1), event_type, data, metadata: metadata.to_json() }
}
