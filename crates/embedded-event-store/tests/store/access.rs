//! Users: who is let in, and what they may do.

use embedded_event_store::{Config, EmbeddedEventStore, User};
use eventstore::{
    Client, ClientSettings, DeleteStreamOptions, Error, EventData, ReadAllOptions, StreamState,
    SubscribeToAllOptions, SubscriptionEvent, TombstoneStreamOptions,
};
use serde_json::json;
use tempfile::TempDir;

use crate::groups::from_start;
use crate::support::{all_of, append, client, confirmed, events, expecting, next, soon, start};

struct Guarded {
    store: EmbeddedEventStore,
    _folder: TempDir,
}

async fn guarded() -> Guarded {
    let folder = tempfile::tempdir().unwrap();
    let user = |name: &str, password: &str, read_only| User {
        name: name.into(),
        password: password.into(),
        groups: Vec::new(),
        read_only,
    };
    let users =
        vec![User::admin("root", "secret"), user("auditor", "looks", true), user("ann", "sells", false)];
    let config = Config { users, ..Config::on_any_port(folder.path()) };
    Guarded { store: EmbeddedEventStore::start(config).await.unwrap(), _folder: folder }
}

impl Guarded {
    fn client_of(&self, user: &str) -> Client {
        let open = self.store.connection_string();
        let settings: ClientSettings = open.replace("esdb://", &format!("esdb://{user}@")).parse().unwrap();
        Client::new(settings).unwrap()
    }
}

async fn is_refused(client: &Client) -> bool {
    let append = client.append_to_stream("s", &expecting(StreamState::Any), events(1)).await;
    matches!(append, Err(Error::AccessDenied))
}

async fn reads_nothing(client: &Client) -> bool {
    match client.read_all(&ReadAllOptions::default()).await {
        Err(error) => matches!(error, Error::AccessDenied),
        Ok(mut read) => matches!(read.next().await, Err(Error::AccessDenied)),
    }
}

#[tokio::test]
async fn whoever_is_unknown_neither_reads_nor_writes() {
    let guarded = guarded().await;
    let strangers =
        [client(&guarded.store), guarded.client_of("root:wrong"), guarded.client_of("nobody:looks")];
    for stranger in strangers {
        assert!(is_refused(&stranger).await && reads_nothing(&stranger).await);
        let groups = stranger.list_all_persistent_subscriptions(&Default::default()).await;
        assert!(matches!(groups.err(), Some(Error::AccessDenied)));
    }
    let root = guarded.client_of("root:secret");
    assert_eq!(all_of(root.read_all(&ReadAllOptions::default()).await.unwrap()).await.len(), 0);
}

#[tokio::test]
async fn a_read_only_user_reads_and_subscribes_and_changes_nothing() {
    let guarded = guarded().await;
    let root = guarded.client_of("root:secret");
    append(&root, "s", events(2)).await;
    root.create_persistent_subscription("s", "g", &from_start()).await.unwrap();
    let auditor = guarded.client_of("auditor:looks");
    let before = all_of(auditor.read_all(&ReadAllOptions::default()).await.unwrap()).await.len();
    let mut subscription = auditor.subscribe_to_all(&SubscribeToAllOptions::default()).await;
    assert!(matches!(next(&mut subscription).await, SubscriptionEvent::Confirmed(_)));
    assert!(matches!(next(&mut subscription).await, SubscriptionEvent::EventAppeared(_)));
    assert!(auditor.get_persistent_subscription_info("s", "g", &Default::default()).await.is_ok());

    assert!(is_refused(&auditor).await);
    let deleted = auditor.delete_stream("s", &DeleteStreamOptions::default()).await;
    assert!(matches!(deleted.err(), Some(Error::AccessDenied)));
    let closed = auditor.tombstone_stream("s", &TombstoneStreamOptions::default()).await;
    assert!(matches!(closed.err(), Some(Error::AccessDenied)));
    let made = auditor.create_persistent_subscription("s", "mine", &from_start()).await;
    assert!(matches!(made, Err(Error::AccessDenied)), "{made:?}");
    let consuming = auditor.subscribe_to_persistent_subscription("s", "g", &Default::default()).await;
    assert!(matches!(consuming.err(), Some(Error::AccessDenied)));
    let batch = soon(auditor.batch_append(&Default::default())).await;
    if let Ok(batch) = batch {
        let written = soon(batch.append_to_stream("s", StreamState::Any, events(1))).await;
        assert!(written.is_err(), "{written:?}");
    }
    let after = all_of(root.read_all(&ReadAllOptions::default()).await.unwrap()).await.len();
    assert_eq!(after, before);
}

#[tokio::test]
async fn a_list_ends_subscriptions_and_refuses_items_of_a_batch() {
    let guarded = guarded().await;
    let (root, ann) = (guarded.client_of("root:secret"), guarded.client_of("ann:sells"));
    append(&ann, "s", events(1)).await;
    let mut subscription = ann.subscribe_to_stream("s", &Default::default()).await;
    confirmed(&mut subscription).await;
    let only_root = json!({ "$acl": { "$r": "root", "$w": "root" } });
    append(&root, "$$s", vec![EventData::json("$metadata", &only_root).unwrap()]).await;
    let ended = async {
        loop {
            match subscription.next_subscription_event().await {
                Ok(SubscriptionEvent::CaughtUp(..) | SubscriptionEvent::EventAppeared(_)) => {}
                other => return other,
            }
        }
    };
    assert!(matches!(soon(ended).await, Err(Error::AccessDenied)));
    let batch = soon(ann.batch_append(&Default::default())).await.unwrap();
    let refused = soon(batch.append_to_stream("s", StreamState::Any, events(1))).await;
    assert!(matches!(&refused, Err(Error::Grpc { message, .. }) if message == "AccessDenied"), "{refused:?}");
}

#[tokio::test]
async fn a_groups_consumer_is_known_by_its_user() {
    let guarded = guarded().await;
    let root = guarded.client_of("root:secret");
    root.create_persistent_subscription("s", "g", &from_start()).await.unwrap();
    let _consumer = crate::groups::consume(&root, "g", 1).await;
    let info = root.get_persistent_subscription_info("s", "g", &Default::default()).await.unwrap();
    assert_eq!(info.connections[0].username, "root");
}

#[tokio::test]
async fn without_users_credentials_do_no_harm() {
    let running = start().await;
    let open = running.store.connection_string().replace("esdb://", "esdb://anybody:anything@");
    let client = Client::new(open.parse().unwrap()).unwrap();
    append(&client, "s", events(1)).await;
}
