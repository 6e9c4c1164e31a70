//! The pages over plain HTTP/1.1, on the port of the calls.

use embedded_event_store::{Config, EmbeddedEventStore, User};
use serde_json::Value;
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::support::{append, client, events, soon, start};

/// The status, the headers in small letters, and the body of an answer.
pub struct Answer {
    pub status: u16,
    head: String,
    pub body: String,
}

impl Answer {
    fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap()
    }
}

pub async fn ask(store: &EmbeddedEventStore, request: &str, headers: &str) -> Answer {
    let mut connection = TcpStream::connect(store.address()).await.unwrap();
    let request = format!("{request} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n{headers}\r\n");
    connection.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    soon(connection.read_to_string(&mut answer)).await.unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    Answer { status: head[9..12].parse().unwrap(), head: head.to_ascii_lowercase(), body: body.to_owned() }
}

async fn start_with(change: impl FnOnce(&mut Config)) -> (EmbeddedEventStore, TempDir) {
    let folder = tempfile::tempdir().unwrap();
    let mut config = Config::on_any_port(folder.path());
    change(&mut config);
    (EmbeddedEventStore::start(config).await.unwrap(), folder)
}

#[tokio::test]
async fn a_store_says_that_it_lives_what_it_is_and_how_it_does() {
    let running = start().await;
    append(&running.client, "s", events(3)).await;
    let store = &running.store;
    assert_eq!(ask(store, "GET /health/live", "").await.status, 204);
    assert_eq!(ask(store, "GET /health/live?liveCode=200", "").await.status, 200);
    let info = ask(store, "GET /info", "").await.json();
    assert_eq!((&info["state"], &info["authentication"]["type"]), (&"leader".into(), &"insecure".into()));
    let stats = ask(store, "GET /stats", "").await.json();
    assert_eq!(stats["proc"]["id"], std::process::id());
    assert!(stats["es"]["checksum"].as_u64() > Some(0), "{stats}");
    let process = ask(store, "GET /stats/proc", "").await.json();
    assert_eq!(process["id"], std::process::id());
    let metrics = ask(store, "GET /metrics", "").await;
    assert!(metrics.head.contains("text/plain; version=0.0.4"), "{}", metrics.head);
    assert!(metrics.body.contains("\neventstore_checkpoints{name=\"writer\""), "{}", metrics.body);
}

#[tokio::test]
async fn a_page_that_is_not_there_and_a_method_that_changes_something_are_refused() {
    let running = start().await;
    for path in
        ["/", "/web/index.html", "/streams/s", "/event_store.client.streams.Streams/Read", "/info/options"]
    {
        assert_eq!(ask(&running.store, &format!("GET {path}"), "").await.status, 404, "{path}");
    }
    let refused = ask(&running.store, "POST /info", "content-length: 0\r\n").await;
    assert_eq!(refused.status, 405);
    assert!(refused.head.contains("allow: get, head, options"), "{}", refused.head);
}

#[tokio::test]
async fn pages_of_other_sites_may_read_what_is_answered() {
    let running = start().await;
    for request in ["GET /info", "OPTIONS /info", "GET /stats/nope"] {
        let answer = ask(&running.store, request, "origin: http://example.com\r\n").await;
        assert!(answer.head.contains("access-control-allow-origin: *"), "{request}: {}", answer.head);
    }
}

#[tokio::test]
async fn members_of_the_cluster_are_told_where_clients_are_to_connect_to() {
    let (store, _folder) = start_with(|config| {
        config.advertise_host = Some("example.test".into());
        config.advertise_port = Some(4444);
    })
    .await;
    let gossip = ask(&store, "GET /gossip", "").await.json();
    let member = &gossip["members"][0];
    assert_eq!(
        (&member["httpEndPointIp"], &member["httpEndPointPort"]),
        (&"example.test".into(), &4444.into())
    );
    assert_eq!((&gossip["serverIp"], &gossip["serverPort"]), (&"example.test".into(), &4444.into()));
    assert_eq!(member["internalHttpEndPointPort"], store.address().port());
}

#[tokio::test]
async fn what_tells_of_the_store_wants_a_user_and_a_wrong_password_is_refused_everywhere() {
    let ann = User { groups: Vec::new(), ..User::admin("ann", "secret") };
    let users = vec![User::admin("root", "secret"), ann];
    let (store, _folder) = start_with(|config| config.users = users).await;
    for path in ["/health/live", "/ping", "/info", "/gossip"] {
        let answer = ask(&store, &format!("GET {path}"), "").await;
        assert!(answer.status < 300, "{path}: {}", answer.status);
    }
    // `root:secret`, `ann:secret` and `root:wrong`.
    let (root, ann, wrong) = ("cm9vdDpzZWNyZXQ=", "YW5uOnNlY3JldA==", "cm9vdDp3cm9uZw==");
    for (path, user, status) in
        [("/sys/subsystems", root, 200), ("/sys/subsystems", ann, 401), ("/stats", root, 200)]
    {
        let answer = ask(&store, &format!("GET {path}"), &format!("authorization: Basic {user}\r\n")).await;
        assert_eq!(answer.status, status, "{path} as {user}");
    }
    for path in ["/stats", "/metrics"] {
        let anonymous = ask(&store, &format!("GET {path}"), "").await;
        assert!(
            anonymous.status == 401 && !anonymous.head.contains("www-authenticate"),
            "{}",
            anonymous.head
        );
        let known = ask(&store, &format!("GET {path}"), &format!("authorization: Basic {ann}\r\n")).await;
        assert_eq!(known.status, 200, "{path}");
    }
    for path in ["/health/live", "/info", "/nope"] {
        let answer = ask(&store, &format!("GET {path}"), &format!("authorization: Basic {wrong}\r\n")).await;
        assert_eq!(answer.status, 401, "{path}");
        assert!(answer.head.contains("www-authenticate: x-basic realm=\"esdb\""), "{}", answer.head);
    }
}

#[tokio::test]
async fn clients_and_pages_share_the_port() {
    let running = start().await;
    assert_eq!(ask(&running.store, "GET /ping", "").await.json()["label"], "Http");
    append(&client(&running.store), "s", events(1)).await;
}
