//! A shop for one test.

use crate::copying::{copy_history, shared_store};
use crate::databases::Databases;
use crate::http::{Reply, Request};
use crate::limits::Limits;
use crate::services::{Services, is_ready};
use audit_seal::key::SealingKey;
use cluster_front::Cluster;
use command_api::UnpaidArgs;
use embedded_event_store::{EmbeddedEventStore, User};
use event_store::EventStore;
use payment_gateway::{Gateway, GatewayConfig, Intent};
use reqwest::{Method, StatusCode};
use sandbox_gateway::{Delays, SandboxConfig, SandboxGateway, Webhook};
use serde_json::{Value, json};
use sqlx::PgPool;
use std::path::Path;
use std::time::Duration;
use tempfile::TempDir;
use tokio::net::TcpListener;

pub const TOKEN: &str = "the operator's token of the tests";

/// The users of an event store that has some, and the password of both.
const SERVICES: &str = "shop";
const AUDITOR: &str = "auditor";
pub const PASSWORD: &str = "tOpSecret";

pub const DEADLINE: Duration = Duration::from_secs(30);
pub const WEBHOOK_SECRET: &str = "whsec_of_the_tests";

async fn start_gateway(folder: &TempDir, shop: &TcpListener, terms: Terms) -> SandboxGateway {
    let mut config = SandboxConfig::new(folder.path().join("sandbox-gateway"));
    config.listen = "127.0.0.1:0".parse().unwrap();
    config.delays = Delays { processing: Duration::from_millis(300), late_answer: Duration::from_secs(4) };
    let url = format!("http://{}/v1/webhooks/payments", shop.local_addr().unwrap());
    config.keeps_keys = Duration::from_secs(terms.keeps_keys);
    let events = payment_gateway::WEBHOOK_EVENTS.map(str::to_owned).into_iter();
    let events =
        events.filter(|name| terms.tells_of_refunds || name.starts_with("payment_intent.")).collect();
    config.webhook = Some(Webhook { url, secret: WEBHOOK_SECRET.to_owned(), events });
    SandboxGateway::start(config).await.unwrap()
}

/// What differs between the shops of the tests.
#[derive(Debug, Clone, Copy)]
pub struct Terms {
    /// How long an order waits for its money, in seconds.
    pub hold_seconds: u32,
    /// How long the payment gateway keeps its keys, in seconds.
    pub keeps_keys: u64,
    /// Whether the payment gateway tells of money that goes back.
    pub tells_of_refunds: bool,
    /// After how long without an event a live order sends a sign of life, in seconds.
    pub live_heartbeat: u64,
    /// How many may watch live pages.
    pub live: query_api::LiveArgs,
    /// How long an event waits for its seal, in seconds.
    pub seal_seconds: u64,
    pub limits: Limits,
    /// What shoppers hold before they pay: all that they like, as all of a test's come from one address.
    pub unpaid: UnpaidArgs,
    /// Whether the event store has users. The services are then one in the group `$ops`, and have no other right of their own.
    pub store_has_users: bool,
}

impl Default for Terms {
    fn default() -> Self {
        Self {
            hold_seconds: 900,
            keeps_keys: 24 * 60 * 60,
            tells_of_refunds: true,
            live_heartbeat: query_api::Config::LIVE_HEARTBEAT,
            live: query_api::LiveArgs::DEFAULT,
            seal_seconds: 10,
            limits: Limits::default(),
            unpaid: UnpaidArgs { payments_in_part: true, ..UnpaidArgs::unlimited() },
            store_has_users: false,
        }
    }
}

impl Terms {
    /// The event store's address for one of its users.
    fn address(&self, store: &EmbeddedEventStore, user: &str) -> String {
        let address = store.connection_string();
        match self.store_has_users {
            true => address.replacen("://", &format!("://{user}:{PASSWORD}@"), 1),
            false => address,
        }
    }
}

/// One shop: its services, answering on one port as `emporium serve` does, its event store and its gateway.
pub struct Shop {
    store: EmbeddedEventStore,
    gateway: SandboxGateway,
    services: Services,
    folder: TempDir,
    databases: Databases,
    client: reqwest::Client,
    terms: Terms,
    cluster: Option<Cluster>,
}

/// Takes part in the shop from another process.
pub struct SecondMachine {
    pub services: Services,
    client: reqwest::Client,
}

impl SecondMachine {
    /// Where it answers.
    pub fn url(&self) -> &str {
        &self.services.url
    }

    /// Stops its services in order.
    pub fn stop_services(&self) {
        self.services.stop.cancel();
    }

    /// What a part says of itself while it is ready, once it says so: `None` when it has nothing to add.
    pub async fn is_ready(&self, part: &str, how: Option<&str>) {
        is_ready(&self.client, &self.services.url, part, how).await;
    }

    pub async fn post_as_operator(&self, path: &str, body: Value) -> Reply {
        let builder = self
            .client
            .post(shop_client::address_of(&self.services.url, path))
            .timeout(Duration::from_secs(30));
        let request = Request::new(builder);
        request.operator().new_key().header("prefer", "wait=20").json(&body).send().await
    }
}

impl Shop {
    /// Where it answers.
    pub fn url(&self) -> &str {
        &self.services.url
    }

    pub async fn open(pool: &PgPool) -> Self {
        Self::open_on(pool, Terms::default()).await
    }

    pub async fn open_on(pool: &PgPool, terms: Terms) -> Self {
        Self::open_in(Databases::one(pool), terms, 1).await
    }

    /// On a cluster of three nodes.
    pub async fn open_on_cluster(pool: &PgPool) -> Self {
        Self::open_in(Databases::one(pool), Terms::default(), 3).await
    }

    /// The cluster that it is on.
    pub fn cluster(&self) -> &Cluster {
        self.cluster.as_ref().expect("it was opened on a cluster")
    }

    /// With a database of their own for analytics.
    pub async fn open_with_analytics_in(pool: &PgPool, analytics: &PgPool) -> Self {
        Self::open_in(Databases::two(pool, analytics), Terms::default(), 1).await
    }

    async fn open_in(databases: Databases, terms: Terms, nodes: usize) -> Self {
        let folder = tempfile::tempdir().unwrap();
        // Its first events are somebody else's: no place in the log tells how many events the shop has written.
        shared_store(&folder.path().join("event-store"), 5).await.stop().await;
        let store = start_store(&folder, terms).await;
        let cluster = match nodes {
            1 => None,
            nodes => Some(Cluster::start(store.address(), nodes).await.unwrap()),
        };
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let gateway = start_gateway(&folder, &listener, terms).await;
        let address = match &cluster {
            Some(cluster) => cluster.connection_string(),
            None => terms.address(&store, SERVICES),
        };
        let services = Services::start(&address, &databases, &gateway, listener, terms).await;
        Self { store, gateway, services, folder, databases, client: reqwest::Client::new(), terms, cluster }
    }

    /// Ends every service without any order, as a crash would, and starts them on the same data.
    pub async fn crash_and_reopen(self) -> Self {
        self.reopen(false).await
    }

    /// The same with a payment gateway that has lost its books.
    pub async fn crash_and_reopen_with_empty_books(self) -> Self {
        self.reopen(true).await
    }

    async fn reopen(self, books_are_lost: bool) -> Self {
        self.services.crash();
        self.store.stop().await;
        self.gateway.stop().await;
        if books_are_lost {
            std::fs::remove_dir_all(self.folder.path().join("sandbox-gateway")).unwrap();
        }
        let store = start_store(&self.folder, self.terms).await;
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let gateway = start_gateway(&self.folder, &listener, self.terms).await;
        let address = self.terms.address(&store, SERVICES);
        let services = Services::start(&address, &self.databases, &gateway, listener, self.terms).await;
        Self { store, gateway, services, ..self }
    }

    /// Moves to another event store, as docs/operations.md says, and starts there on the same database.
    pub async fn move_house(self, new: &str) -> Self {
        let Self { store, gateway, services, folder, databases, client, terms, cluster } = self;
        services.crash();
        let target = shared_store(&folder.path().join(new), 5).await;
        copy_history(&store, &target, folder.path()).await;
        store.stop().await;
        gateway.stop().await;
        let (gateway, services) = begin(&target, &folder, &databases, terms).await;
        Self { store: target, gateway, services, folder, databases, client, terms, cluster }
    }

    /// Ends the services, does something with the folder of the log, and starts them on the same database.
    pub async fn while_closed(self, doing: impl FnOnce(&Path)) -> Self {
        let Self { store, gateway, services, folder, databases, client, terms, cluster } = self;
        services.crash();
        store.stop().await;
        gateway.stop().await;
        doing(&folder.path().join("event-store"));
        let store = start_store(&folder, terms).await;
        let (gateway, services) = begin(&store, &folder, &databases, terms).await;
        Self { store, gateway, services, folder, databases, client, terms, cluster }
    }

    /// Waits until a part is ready and says so of itself.
    pub async fn is_ready(&self, part: &str, how: Option<&str>) {
        is_ready(&self.client, &self.services.url, part, how).await;
    }

    /// Waits until a part says that it does not do its work, and gives its reason.
    pub async fn is_not_ready(&self, part: &str) -> String {
        let asking = async {
            loop {
                let health = self.health().await;
                let part = &health.body["parts"][part];
                if let Some(why) = part["why"].as_str().or(part["detail"]["why"].as_str()) {
                    return why.to_owned();
                }
            }
        };
        tokio::time::timeout(DEADLINE, asking).await.expect("the part says so in time")
    }

    /// Ends this machine's services without any order, as a crash of the machine would. The store runs on.
    pub fn crash_services(&self) {
        self.services.crash();
    }

    /// A second machine: services of its own on the same event store and database.
    pub async fn second(&self) -> SecondMachine {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let store = self.terms.address(&self.store, SERVICES);
        let services = Services::start(&store, &self.databases, &self.gateway, listener, self.terms).await;
        SecondMachine { services, client: self.client.clone() }
    }

    /// Its event store, as an auditor sees it.
    pub fn events(&self) -> EventStore {
        EventStore::connect(&self.terms.address(&self.store, AUDITOR)).unwrap()
    }

    pub fn request(&self, method: Method, path: &str) -> Request {
        let builder = self.client.request(method, shop_client::address_of(&self.services.url, path));
        Request::new(builder)
    }

    pub async fn post(&self, path: &str, body: Value) -> Reply {
        self.request(Method::POST, path).new_key().json(&body).send().await
    }

    pub async fn post_as_operator(&self, path: &str, body: Value) -> Reply {
        self.request(Method::POST, path).operator().new_key().json(&body).send().await
    }

    pub async fn get(&self, path: &str) -> Reply {
        self.request(Method::GET, path).send().await
    }

    /// How the parts of the services are, as the operator is told.
    pub async fn health(&self) -> Reply {
        self.request(Method::GET, "/readyz").operator().send().await
    }

    /// The figures of the services, as the operator is told them.
    pub async fn metrics(&self) -> String {
        let metrics = self.client.get(format!("{}/metrics", self.url())).bearer_auth(TOKEN);
        metrics.send().await.unwrap().text().await.unwrap()
    }

    /// What a query says when everything that is in the log now is applied.
    pub async fn get_now(&self, path: &str) -> Reply {
        let separator = if path.contains('?') { '&' } else { '?' };
        let path = format!("{path}{separator}min-position=head");
        // A shop that has just been opened makes its tables first.
        self.request(Method::GET, &path).operator().header("prefer", "wait=25").send().await
    }

    /// The answer to a query when it is as wanted.
    pub async fn get_when(&self, path: &str, is_wanted: impl Fn(&Value) -> bool) -> Value {
        let asking = async {
            loop {
                let answer = self.get_now(path).await;
                if answer.status == StatusCode::OK && is_wanted(&answer.body) {
                    return answer.body;
                }
            }
        };
        tokio::time::timeout(DEADLINE, asking).await.expect("it comes to that in time")
    }

    /// The gateway's own books.
    pub async fn intents(&self) -> Vec<Intent> {
        self.gateway_client().intents(None).await.unwrap().items
    }

    /// Where the gateway answers.
    pub fn gateway_url(&self) -> String {
        format!("http://{}", self.gateway.address())
    }

    /// Talks to the gateway as the shop does.
    pub fn gateway_client(&self) -> Gateway {
        let config = GatewayConfig {
            base_url: self.gateway_url(),
            secret_key: sandbox_gateway::DEFAULT_SECRET_KEY.to_owned(),
            timeout: DEADLINE,
            keeps_keys: GatewayConfig::STRIPE_KEEPS_KEYS,
        };
        Gateway::new(&config).unwrap()
    }
}

/// Starts a gateway with the books that are in the folder, and services on an event store.
async fn begin(
    store: &EmbeddedEventStore,
    folder: &TempDir,
    databases: &Databases,
    terms: Terms,
) -> (SandboxGateway, Services) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let gateway = start_gateway(folder, &listener, terms).await;
    let address = store.connection_string();
    let services = Services::start(&address, databases, &gateway, listener, terms).await;
    (gateway, services)
}

/// The key that every shop of the tests is sealed with.
pub fn audit_signing_key() -> SealingKey {
    SealingKey::from_bytes(&[1; 32])
}

pub fn gbp(amount: i64) -> Value {
    json!({ "amount": amount, "currency": "GBP" })
}

async fn start_store(folder: &TempDir, terms: Terms) -> EmbeddedEventStore {
    let mut config = embedded_event_store::Config::on_any_port(folder.path().join("event-store"));
    if terms.store_has_users {
        let groups = vec!["$ops".to_owned()];
        let services =
            User { name: SERVICES.to_owned(), password: PASSWORD.to_owned(), groups, read_only: false };
        config.users = vec![User::admin(AUDITOR, PASSWORD), services];
    }
    EmbeddedEventStore::start(config).await.unwrap()
}
