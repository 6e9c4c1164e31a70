//! Callers without a user: what they can make the store keep and do, and that users do not notice.

use std::num::NonZeroU32;
use std::time::Duration;

use bytes::Bytes;
use embedded_event_store::{Config, EmbeddedEventStore, User};
use eventstore::Client;
use h2::SendStream;
use h2::client::{ResponseFuture, SendRequest};
use tempfile::TempDir;
use tokio::net::TcpSocket;

use crate::pages::ask;
use crate::support::{append, events, soon};

const APPEND: &str = "/event_store.client.streams.Streams/Append";
const BATCH: &str = "/event_store.client.streams.Streams/BatchAppend";
const GOSSIP: &str = "/event_store.client.gossip.Gossip/Read";
const STATS: &str = "/event_store.client.monitoring.Monitoring/Stats";
/// gRPC statuses.
const DEADLINE_EXCEEDED: &str = "4";
const PERMISSION_DENIED: &str = "7";
const RESOURCE_EXHAUSTED: &str = "8";
/// As HTTP/2 has it without a word about it.
const WINDOW: u32 = 65_535;
/// `root:secret`
const ROOT: &str = "authorization: Basic cm9vdDpzZWNyZXQ=\r\n";
/// None of the tests waits for as long.
const NEVER: Duration = Duration::from_secs(600);

async fn start(change: impl FnOnce(&mut Config)) -> (EmbeddedEventStore, TempDir) {
    let folder = tempfile::tempdir().unwrap();
    let users = vec![User::admin("root", "secret")];
    let mut config = Config { users, ..Config::on_any_port(folder.path()) };
    change(&mut config);
    (EmbeddedEventStore::start(config).await.unwrap(), folder)
}

fn root(store: &EmbeddedEventStore) -> Client {
    let open = store.connection_string();
    Client::new(open.replace("esdb://", "esdb://root:secret@").parse().unwrap()).unwrap()
}

/// A connection of somebody at 127.0.66.X who has no password.
struct Stranger {
    sender: SendRequest<Bytes>,
}

impl Stranger {
    /// What comes for each of its calls is taken as far as the window goes.
    async fn at(x: u8, window: u32, store: &EmbeddedEventStore) -> Self {
        let socket = TcpSocket::new_v4().unwrap();
        socket.bind(([127, 0, 66, x], 0).into()).unwrap();
        let stream = socket.connect(store.address()).await.unwrap();
        let (sender, connection) =
            h2::client::Builder::new().initial_window_size(window).handshake(stream).await.unwrap();
        tokio::spawn(async move {
            let _ = connection.await;
        });
        Stranger { sender }
    }

    /// Begins a call, and sends this much of its body.
    async fn begin(&self, path: &str, body: Vec<u8>) -> (ResponseFuture, SendStream<Bytes>) {
        let request = http::Request::post(format!("http://x{path}"))
            .header("content-type", "application/grpc")
            .header("te", "trailers")
            .body(())
            .unwrap();
        let mut sender = soon(self.sender.clone().ready()).await.unwrap();
        let (answer, mut sending) = sender.send_request(request, false).unwrap();
        if !body.is_empty() {
            sending.send_data(body.into(), false).unwrap();
        }
        (answer, sending)
    }

    /// Asks for a page; gives the answer's beginning.
    async fn page(&self, path: &str) -> Result<http::Response<h2::RecvStream>, h2::Error> {
        let request = http::Request::get(format!("http://x{path}")).body(()).unwrap();
        let mut sender = self.sender.clone().ready().await?;
        sender.send_request(request, true)?.0.await
    }
}

/// A message of this length without its last byte.
fn unfinished(length: u32) -> Vec<u8> {
    let mut message = vec![0];
    message.extend(length.to_be_bytes());
    message.resize(5 + length as usize - 1, 10);
    message
}

/// The gRPC status of an answer, which ends with it if it does not begin with it.
async fn status(answer: ResponseFuture) -> String {
    let status = async {
        let answer = answer.await.unwrap();
        if let Some(status) = answer.headers().get("grpc-status") {
            return status.to_str().unwrap().to_owned();
        }
        let mut body = answer.into_body();
        while let Some(data) = body.data().await {
            let length = data.unwrap().len();
            body.flow_control().release_capacity(length).unwrap();
        }
        let trailers = body.trailers().await.unwrap().unwrap();
        trailers["grpc-status"].to_str().unwrap().to_owned()
    };
    soon(status).await
}

#[tokio::test]
async fn what_needs_a_user_is_refused_before_any_of_it_has_come() {
    let (store, _folder) = start(|config| config.strangers.within = NEVER).await;
    let stranger = Stranger::at(1, WINDOW, &store).await;
    let groups = "/event_store.client.persistent_subscriptions.PersistentSubscriptions";
    let streams = "/event_store.client.streams.Streams";
    for path in [
        APPEND.to_owned(),
        format!("{streams}/Read"),
        format!("{streams}/Delete"),
        format!("{streams}/Tombstone"),
        format!("{groups}/Create"),
        format!("{groups}/Read"),
        format!("{groups}/List"),
    ] {
        let (answer, _sending) = stranger.begin(&path, Vec::new()).await;
        assert_eq!(status(answer).await, PERMISSION_DENIED, "{path}");
    }
}

#[tokio::test]
async fn strangers_messages_that_do_not_end_are_given_up_and_users_go_on() {
    let (store, _folder) = start(|config| config.strangers.within = Duration::from_millis(100)).await;
    let root = root(&store);
    let mut begun = Vec::new();
    for x in 1..=3 {
        let stranger = Stranger::at(x, WINDOW, &store).await;
        for path in [BATCH, GOSSIP, STATS] {
            begun.push((path, stranger.begin(path, unfinished(1_000)).await));
        }
    }
    append(&root, "s", events(1)).await;
    for (path, (answer, _sending)) in begun {
        assert_eq!(status(answer).await, DEADLINE_EXCEEDED, "{path}");
    }
    append(&root, "s", events(1)).await;
}

#[tokio::test]
async fn strangers_messages_are_small_and_few_bytes_of_them_are_kept_in_all() {
    let kept =
        |config: &mut Config| (config.strangers.within, config.strangers.unfinished_bytes) = (NEVER, 50_000);
    let (store, _folder) = start(kept).await;
    let root = root(&store);
    for path in [BATCH, GOSSIP] {
        let large = Stranger::at(1, WINDOW, &store).await;
        let (answer, _sending) = large.begin(path, unfinished(1 << 20)).await;
        assert_eq!(status(answer).await, RESOURCE_EXHAUSTED, "{path}");
    }
    // Each has less than a message may have; together they have more than all may have.
    let mut refused = tokio::task::JoinSet::new();
    for x in 2..=4 {
        let stranger = Stranger::at(x, WINDOW, &store).await;
        let (answer, sending) = stranger.begin(BATCH, unfinished(30_000)).await;
        refused.spawn(async move {
            let status = status(answer).await;
            drop((sending, stranger));
            status
        });
    }
    for _ in 0..2 {
        assert_eq!(soon(refused.join_next()).await.unwrap().unwrap(), RESOURCE_EXHAUSTED);
    }
    append(&root, "s", events(1)).await;
    assert_eq!(refused.len(), 1, "one of them is waited for");
}

#[tokio::test]
async fn an_address_without_a_user_has_few_calls_under_way_and_a_user_has_many() {
    let few = |config: &mut Config| (config.strangers.within, config.strangers.by_address) = (NEVER, 3);
    let (store, _folder) = start(few).await;
    let [first, second] = [Stranger::at(1, WINDOW, &store).await, Stranger::at(1, WINDOW, &store).await];
    let mut open = Vec::new();
    for stranger in [&first, &second, &first] {
        open.push(stranger.begin(BATCH, Vec::new()).await);
    }
    // The answer begins once the call is under way.
    let mut begun = Vec::new();
    for (answer, sending) in open {
        begun.push((soon(answer).await.unwrap(), sending));
    }
    for stranger in [&first, &second] {
        let (answer, _sending) = stranger.begin(GOSSIP, Vec::new()).await;
        assert_eq!(status(answer).await, RESOURCE_EXHAUSTED);
    }
    let elsewhere = Stranger::at(2, WINDOW, &store).await;
    let (answer, mut sending) = elsewhere.begin(GOSSIP, Vec::new()).await;
    sending.send_data(vec![0; 5].into(), true).unwrap();
    assert_eq!(status(answer).await, "0");
    let root = root(&store);
    let writers = (0..20).map(|n| {
        let root = root.clone();
        async move { append(&root, &format!("s-{n}"), events(1)).await }
    });
    soon(futures::future::join_all(writers)).await;
}

#[tokio::test]
async fn answers_that_strangers_do_not_take_are_few_and_end_their_connections() {
    let few = |config: &mut Config| (config.strangers.pages, config.strangers.by_address) = (6, 3);
    let (store, _folder) = start(few).await;
    let (mut unread, mut strangers) = (Vec::new(), Vec::new());
    for x in 1..=2 {
        let stranger = Stranger::at(x, 0, &store).await;
        for _ in 0..3 {
            unread.push(soon(stranger.page("/info")).await.unwrap());
        }
        assert_eq!(soon(stranger.page("/info")).await.unwrap().status(), 429);
        strangers.push(stranger);
    }
    let reader = Stranger::at(3, WINDOW, &store).await;
    let answered = async { while reader.page("/info").await.unwrap().status() != 200 {} };
    soon(answered).await;
    let mut ended = unread.swap_remove(0).into_body();
    assert!(soon(ended.data()).await.is_none_or(|data| data.is_err()), "its connection is closed");
    append(&root(&store), "s", events(1)).await;
}

#[tokio::test]
async fn an_address_that_asks_too_often_is_refused_and_users_and_other_addresses_are_not() {
    let number = |number| NonZeroU32::new(number).unwrap();
    let rare = |config: &mut Config| {
        (config.strangers.a_second, config.strangers.at_once) = (number(1), number(10));
    };
    let (store, _folder) = start(rare).await;
    let mut answers = Vec::new();
    for _ in 0..2 {
        let stranger = Stranger::at(1, WINDOW, &store).await;
        for _ in 0..30 {
            answers.push(soon(stranger.page("/ping")).await.unwrap());
        }
    }
    let refused = answers.iter().filter(|answer| answer.status() == 429).collect::<Vec<_>>();
    // A second gives one more; no machine is so slow that it would give half of them.
    assert!((30..=50).contains(&refused.len()), "{}", refused.len());
    assert!(refused.iter().all(|answer| answer.headers().contains_key("retry-after")));
    let calls = Stranger::at(1, WINDOW, &store).await;
    let mut refusals = 0;
    for _ in 0..3 {
        let (answer, mut sending) = calls.begin(GOSSIP, Vec::new()).await;
        let _ = sending.send_data(vec![0; 5].into(), true);
        refusals += usize::from(status(answer).await == RESOURCE_EXHAUSTED);
    }
    assert!(refusals > 0, "calls and pages count together");
    let elsewhere = Stranger::at(2, WINDOW, &store).await;
    assert_eq!(soon(elsewhere.page("/ping")).await.unwrap().status(), 200);
    for _ in 0..30 {
        assert_eq!(ask(&store, "GET /ping", ROOT).await.status, 200);
    }
    let metrics = ask(&store, "GET /metrics", ROOT).await.body;
    let counted =
        metrics.lines().find_map(|line| line.strip_prefix("eventstore_strangers_refused{reason=\"rate\"} "));
    assert!(counted.is_some_and(|times| times.parse::<usize>().unwrap() >= refused.len()), "{metrics}");
}
