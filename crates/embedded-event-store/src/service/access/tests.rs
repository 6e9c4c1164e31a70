use bytes::Bytes;
use http::header::AUTHORIZATION;
use rstest::rstest;
use tempfile::TempDir;
use tokio::sync::watch;
use uuid::Uuid;

use super::*;
use crate::log::record::ProposedEvent;
use crate::log::writer::Expected;
use crate::service::{Direction, From, Message, Store, StreamRead, StreamSubscription};

struct Guarded {
    store: Arc<Store>,
    users: Vec<User>,
    _folder: TempDir,
}

fn guarded() -> Guarded {
    guarded_with(false)
}

fn guarded_with(anonymous_streams: bool) -> Guarded {
    let folder = tempfile::tempdir().unwrap();
    let user = |name: &str, group: &str, read_only| User {
        name: name.into(),
        password: "pw".into(),
        groups: vec![group.into()],
        read_only,
    };
    let users = vec![
        User::admin("boss", "pw"),
        user("ann", "team", false),
        user("ops", "$ops", false),
        user("auditor", "team", true),
    ];
    let config = Config { users: users.clone(), anonymous_streams, ..Config::new(folder.path()) };
    let (store, _writer) = Store::open(&config, watch::channel(false).0).unwrap();
    Guarded { store, users, _folder: folder }
}

impl Drop for Guarded {
    fn drop(&mut self) {
        self.store.stop_writing();
    }
}

impl Guarded {
    fn rights(&self, name: &str) -> Rights {
        use base64::Engine;
        let header = match name {
            "anonymous" => None,
            name => Some(base64::engine::general_purpose::STANDARD.encode(format!("{name}:pw"))),
        };
        let header = header.map(|encoded| (AUTHORIZATION, format!("Basic {encoded}").parse().unwrap()));
        self.store.access().rights(&header.into_iter().collect()).unwrap()
    }

    async fn append(&self, stream: &str, event_type: &str, data: &str) {
        let event = ProposedEvent {
            id: Uuid::new_v4(),
            event_type: event_type.into(),
            is_json: true,
            metadata: Bytes::new(),
            data: Bytes::from(data.to_owned()),
        };
        self.store.append(stream.into(), Expected::Any, vec![event]).await.unwrap().wait().await.unwrap();
    }

    async fn may(&self, name: &str, act: Act, stream: &str) -> bool {
        let rights = self.rights(name);
        let allowed = rights.may(act, stream).await.unwrap();
        assert_eq!(rights.may_now(act, stream).unwrap(), allowed);
        allowed
    }

    async fn who_may(&self, act: Act, stream: &str) -> Vec<&'static str> {
        let mut allowed = Vec::new();
        for name in ["boss", "ann", "ops", "auditor", "anonymous"] {
            if self.may(name, act, stream).await {
                allowed.push(name);
            }
        }
        allowed
    }
}

const ALL_USERS: [&str; 4] = ["boss", "ann", "ops", "auditor"];
const WRITERS: [&str; 3] = ["boss", "ann", "ops"];
const READS_EVERYTHING: [&str; 2] = ["boss", "auditor"];

#[rstest]
#[case::an_ordinary_stream(Act::Read, "s", &ALL_USERS)]
#[case::to_append(Act::Append, "s", &WRITERS)]
#[case::to_delete(Act::Delete, "s", &WRITERS)]
#[case::metadata(Act::Read, "$$s", &ALL_USERS)]
#[case::to_write_metadata(Act::Append, "$$s", &WRITERS)]
#[case::metadata_is_deleted_by_nobody(Act::Delete, "$$s", &[])]
#[case::a_system_stream(Act::Read, "$s", &READS_EVERYTHING)]
#[case::a_system_stream_to_append(Act::Append, "$s", &["boss"])]
#[case::metadata_of_a_system_stream(Act::Read, "$$$s", &READS_EVERYTHING)]
#[case::settings(Act::Append, "$settings", &["boss"])]
#[case::the_log(Act::Read, "$all", &READS_EVERYTHING)]
#[case::the_log_is_appended_to_by_nobody(Act::Append, "$all", &[])]
#[case::the_log_is_deleted_by_nobody(Act::Delete, "$all", &[])]
#[case::metadata_of_the_log(Act::Append, "$$$all", &["boss"])]
#[tokio::test]
async fn without_lists(#[case] act: Act, #[case] stream: &str, #[case] expected: &[&str]) {
    assert_eq!(guarded().who_may(act, stream).await, expected);
}

#[tokio::test]
async fn a_list_counts_from_the_answer_to_its_writer_on() {
    let guarded = guarded();
    guarded.append("s", "t", "{}").await;
    assert_eq!(guarded.who_may(Act::Read, "s").await, ALL_USERS);
    guarded.append("$$s", "$metadata", r#"{"$acl":{"$r":["team"],"$mw":"ops"}}"#).await;
    assert_eq!(guarded.who_may(Act::Read, "s").await, ["boss", "ann", "auditor"]);
    assert_eq!(guarded.who_may(Act::Append, "$$s").await, ["boss", "ops"]);
    assert_eq!(guarded.who_may(Act::Append, "s").await, WRITERS);
    guarded.append("$settings", "other", r#"{"$userStreamAcl":{"$r":"ops","$w":"$ops"}}"#).await;
    assert_eq!(guarded.who_may(Act::Read, "s").await, ["boss", "ann", "auditor"]);
    assert_eq!(guarded.who_may(Act::Append, "s").await, ["boss", "ops"]);
    assert_eq!(guarded.who_may(Act::Read, "other").await, ["boss", "ops", "auditor"]);
    guarded.append("$settings", "settings", "nonsense").await;
    assert_eq!(guarded.who_may(Act::Read, "other").await, ALL_USERS);
    guarded.append("$$$all", "$metadata", r#"{"$acl":{"$r":"ann"}}"#).await;
    assert_eq!(guarded.who_may(Act::Read, "$all").await, ["boss", "ann", "auditor"]);
}

#[tokio::test]
async fn a_deleted_streams_list_goes_with_the_stream() {
    let guarded = guarded();
    guarded.append("s", "t", "{}").await;
    guarded.append("$$s", "$metadata", r#"{"$acl":{"$r":"ops"}}"#).await;
    assert!(!guarded.may("ann", Act::Read, "s").await);
    guarded.store.tombstone("s".into(), Expected::Any).await.unwrap();
    assert!(guarded.may("ann", Act::Read, "s").await);
}

#[tokio::test]
async fn somebody_who_has_not_logged_in_may_use_streams_if_that_is_set() {
    let guarded = guarded_with(true);
    let anonymous = guarded.rights("anonymous");
    assert!(!anonymous.is_logged_in() && !anonymous.may_consume() && !anonymous.may_manage_groups());
    for act in [Act::Read, Act::Append, Act::Delete] {
        assert!(guarded.may("anonymous", act, "s").await);
        assert!(!guarded.may("anonymous", act, "$s").await);
    }
    assert!(!guarded.may("anonymous", Act::Read, "$all").await);
    guarded.append("$$$s", "$metadata", r#"{"$acl":{"$r":"$all"}}"#).await;
    assert!(guarded.may("anonymous", Act::Read, "$s").await);
    guarded.append("$$s", "$metadata", r#"{"$acl":{"$r":"team"}}"#).await;
    assert!(!guarded.may("anonymous", Act::Read, "s").await);
}

#[rstest]
#[case::admins("boss", (true, true, true))]
#[case::ops("ops", (true, true, false))]
#[case::others("ann", (false, true, false))]
#[case::read_only("auditor", (false, false, true))]
#[case::nobody("anonymous", (false, false, false))]
#[tokio::test]
async fn groups_are_managed_by_few(#[case] name: &str, #[case] expected: (bool, bool, bool)) {
    let rights = guarded().rights(name);
    assert_eq!((rights.may_manage_groups(), rights.may_consume(), rights.reads_everything()), expected);
}

#[tokio::test]
async fn a_link_leads_only_to_what_its_reader_may_read() {
    let guarded = guarded();
    guarded.append("secret", "t", "{}").await;
    guarded.append("open", "t", "{}").await;
    guarded.append("links", "$>", "0@secret").await;
    guarded.append("links", "$>", "0@open").await;
    guarded.append("$$secret", "$metadata", r#"{"$acl":{"$r":"boss"}}"#).await;
    for (name, expected) in [("ann", [false, true]), ("boss", [true, true])] {
        let read = StreamRead {
            stream: "links".into(),
            from: From::Start,
            direction: Direction::Forwards,
            count: 10,
            resolve_links: true,
            reader: guarded.rights(name),
        };
        let events = guarded.store.read_stream(read).await.unwrap().unwrap().events;
        let seen: Vec<_> = events.map(|event| event.unwrap().event.is_some()).collect().await;
        assert_eq!(seen, expected, "{name}");
    }
}

type Told = BoxStream<'static, Result<Message, ReadError>>;

async fn follow(guarded: &Guarded, name: &str) -> Told {
    let reader = guarded.rights(name);
    let subscription = StreamSubscription {
        stream: "s".into(),
        from: From::Start,
        resolve_links: false,
        reader: reader.clone(),
    };
    let messages = guarded.store.subscribe_to_stream(subscription).await.unwrap();
    let mut told = reader.while_readable("s", messages);
    assert!(matches!(told.next().await, Some(Ok(Message::CaughtUp { .. }))));
    told
}

/// Fails if the subscription has ended, or does not tell of an event that is appended now.
async fn goes_on(guarded: &Guarded, told: &mut Told) {
    guarded.append("s", "t", "{}").await;
    assert!(matches!(told.next().await, Some(Ok(Message::Event(_)))));
}

async fn has_ended(mut told: Told) -> bool {
    matches!((told.next().await, told.next().await), (Some(Err(ReadError::Denied)), None))
}

#[tokio::test]
async fn a_subscription_ends_when_a_list_takes_the_right_to_read() {
    let guarded = guarded();
    let (mut ann, mut boss) = (follow(&guarded, "ann").await, follow(&guarded, "boss").await);
    guarded.append("$$s", "$metadata", r#"{"$acl":{"$r":"ann","$w":"boss"}}"#).await;
    guarded.append("$$other", "$metadata", r#"{"$acl":{"$r":"boss"}}"#).await;
    goes_on(&guarded, &mut ann).await;
    guarded.append("$$s", "$metadata", r#"{"$acl":{"$r":"boss"}}"#).await;
    assert!(has_ended(ann).await);
    assert!(matches!(boss.next().await, Some(Ok(Message::Event(_)))));
    goes_on(&guarded, &mut boss).await;
}

/// Both are there when the subscription is asked again.
#[tokio::test]
async fn what_is_appended_after_a_right_was_taken_is_not_told() {
    let guarded = guarded();
    let ann = follow(&guarded, "ann").await;
    guarded.append("$$s", "$metadata", r#"{"$acl":{"$r":"boss"}}"#).await;
    guarded.append("s", "t", "{}").await;
    assert!(has_ended(ann).await);
}

#[tokio::test]
async fn a_subscription_ends_when_settings_take_the_right_to_read() {
    let guarded = guarded();
    let ann = follow(&guarded, "ann").await;
    guarded.append("$settings", "settings", r#"{"$userStreamAcl":{"$r":"boss"}}"#).await;
    assert!(has_ended(ann).await);
}

#[tokio::test]
async fn a_subscription_ends_when_its_user_is_no_more_or_has_another_password() {
    let mut guarded = guarded();
    let [ann, boss, ops] = ["ann", "boss", "ops"].map(|name| follow(&guarded, name));
    let (ann, boss, mut ops) = (ann.await, boss.await, ops.await);
    guarded.users.retain(|user| user.name != "ann");
    guarded.users[0].password = "new".into();
    guarded.store.access().set_users(&guarded.users);
    assert!(has_ended(ann).await && has_ended(boss).await);
    goes_on(&guarded, &mut ops).await;
}
