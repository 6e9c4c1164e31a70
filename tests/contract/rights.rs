//! Which rights of the event store's user are missing: taken away one by one.

use crate::target::soon;
use embedded_event_store::{Config, EmbeddedEventStore, User};
use event_store::{
    AppendError, EventStore, EventStoreError, ExpectedRevision, Need, RawEvent, Right, SubscriptionItem,
};
use futures::StreamExt;
use rstest::rstest;
use std::pin::pin;
use tempfile::TempDir;
use uuid::Uuid;

const LOG: Right = Right::ReadLog;
const READ: Right = Right::Read("order-any");
const APPEND: Right = Right::Append("order-any");
const METADATA: Right = Right::WriteMetadata("snapshot-any");
const LOCK: Right = Right::Lock("lock-any");
const NEEDS: [Need; 5] = [
    Need { part: "the log's reader", right: LOG },
    Need { part: "commands", right: READ },
    Need { part: "commands", right: APPEND },
    Need { part: "snapshots", right: METADATA },
    Need { part: "fulfilment", right: LOCK },
];
const READABLE_LOG: &str = r#"{"$acl":{"$r":"shop"}}"#;

/// A store in which the service's user has least rights.
struct Guarded {
    server: EmbeddedEventStore,
    _folder: TempDir,
}

impl Guarded {
    async fn start(groups: &[&str]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let groups = groups.iter().map(|group| (*group).to_owned()).collect();
        let shop = User { name: "shop".into(), password: "pw".into(), groups, read_only: false };
        let users = vec![User::admin("boss", "pw"), shop];
        let config = Config { users, ..Config::on_any_port(folder.path()) };
        Self { server: EmbeddedEventStore::start(config).await.unwrap(), _folder: folder }
    }

    fn client(&self, user: &str) -> EventStore {
        let address = self.server.connection_string();
        EventStore::connect(&address.replacen("://", &format!("://{user}@"), 1)).unwrap()
    }

    async fn write(&self, stream: &str, json: &str) {
        let event = RawEvent {
            id: Uuid::new_v4(),
            event_type: "$metadata".into(),
            is_json: true,
            data: json.to_owned().into(),
            metadata: Vec::new().into(),
        };
        let boss = self.client("boss:pw");
        boss.append_raw(stream, ExpectedRevision::NoStream, vec![event]).await.unwrap();
    }
}

#[rstest]
#[case::nothing(&["$ops"], READABLE_LOG, "{}", &[])]
#[case::the_log(&["$ops"], "{}", "{}", &[LOG])]
#[case::groups(&[], READABLE_LOG, "{}", &[LOCK])]
#[case::to_append(&["$ops"], READABLE_LOG, r#"{"$userStreamAcl":{"$w":"boss"}}"#, &[APPEND])]
#[case::metadata(&["$ops"], READABLE_LOG, r#"{"$userStreamAcl":{"$mw":"boss"}}"#, &[METADATA])]
#[case::to_read(&["$ops"], READABLE_LOG, r#"{"$userStreamAcl":{"$r":"boss"}}"#, &[READ, LOCK])]
#[case::all(&[], "{}", r#"{"$userStreamAcl":{"$r":"boss","$w":"boss","$mw":"boss"}}"#, &[LOG, READ, APPEND, METADATA, LOCK])]
#[tokio::test]
async fn what_is_missing_is_named(
    #[case] groups: &[&str],
    #[case] log: &str,
    #[case] settings: &str,
    #[case] expected: &[Right],
) {
    let guarded = Guarded::start(groups).await;
    guarded.write("$$$all", log).await;
    guarded.write("$settings", settings).await;
    let before = guarded.client("boss:pw").head().await.unwrap();
    let missing = guarded.client("shop:pw").missing_rights(&NEEDS).await.unwrap();
    let rights = |needs: &[Need]| needs.iter().map(|need| need.right).collect::<Vec<_>>();
    assert_eq!(rights(missing.as_ref().map_or(&[], |missing| &missing.needs)), expected);
    assert_eq!(missing.is_some_and(|missing| missing.has_none), expected.len() == NEEDS.len());
    let after = guarded.client("boss:pw").head().await.unwrap();
    // A group leaves its settings behind, and nothing else is written.
    assert_eq!(before == after, expected.contains(&LOCK));
}

#[tokio::test]
async fn a_wrong_password_looks_like_no_right_at_all() {
    let guarded = Guarded::start(&["$ops"]).await;
    let missing = guarded.client("shop:wrong").missing_rights(&NEEDS).await.unwrap().unwrap();
    assert!(missing.has_none);
    assert!(!missing.to_string().contains("wrong"), "{missing}");
}

#[tokio::test]
async fn a_denied_access_is_told_as_what_it_is() {
    let guarded = Guarded::start(&[]).await;
    guarded.write("$settings", r#"{"$userStreamAcl":{"$r":"boss","$w":"boss"}}"#).await;
    let shop = guarded.client("shop:pw");
    assert!(matches!(shop.head().await, Err(EventStoreError::AccessDenied)));
    let mut read = pin!(shop.read_stream("order-1", 0, 1));
    assert!(matches!(soon(read.next()).await, Some(Err(EventStoreError::AccessDenied))));
    let event = RawEvent {
        id: Uuid::new_v4(),
        event_type: "t".into(),
        is_json: true,
        data: "{}".to_owned().into(),
        metadata: Vec::new().into(),
    };
    let refused = shop.append_raw("order-1", ExpectedRevision::NoStream, vec![event]).await;
    assert!(matches!(refused, Err(AppendError::AccessDenied)), "{refused:?}");
    let mut items = pin!(shop.subscribe_all(None));
    let item = soon(items.next()).await;
    assert!(
        matches!(item, Some(SubscriptionItem::Disconnected { error: EventStoreError::AccessDenied })),
        "{item:?}"
    );
}

#[tokio::test]
async fn a_right_that_is_given_later_is_noticed() {
    let guarded = Guarded::start(&["$ops"]).await;
    let shop = guarded.client("shop:pw");
    let (tell, mut told) = tokio::sync::mpsc::unbounded_channel();
    let watching = tokio::spawn(async move {
        shop.watch_rights(&NEEDS, |missing| tell.send(missing.is_some()).unwrap()).await;
    });
    assert_eq!(soon(told.recv()).await, Some(true));
    guarded.write("$$$all", READABLE_LOG).await;
    assert_eq!(soon(told.recv()).await, Some(false));
    watching.abort();
}
