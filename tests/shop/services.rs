//! The three services of a shop in this process, built as the program builds them.

use crate::databases::Databases;
use crate::harness::{DEADLINE, TOKEN, Terms, WEBHOOK_SECRET, audit_signing_key};
use event_store::EventStore;
use http_boundary::{ClientLimits, Health, HttpArgs, HttpLimits, OperatorToken};
use sandbox_gateway::SandboxGateway;
use serde_json::Value;
use std::num::NonZeroU32;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

/// The same on every machine.
pub const QUERIES_AT_ONCE: NonZeroU32 = NonZeroU32::new(6).unwrap();

/// They answer on one port, as `emporium serve` does.
pub struct Services {
    pub url: String,
    pub stop: CancellationToken,
    tasks: Vec<JoinHandle<()>>,
}

impl Services {
    /// Ends all of it without any order.
    pub fn crash(&self) {
        self.tasks.iter().for_each(JoinHandle::abort);
    }

    pub async fn start(
        event_store: &str,
        databases: &Databases,
        gateway: &SandboxGateway,
        listener: TcpListener,
        terms: Terms,
    ) -> Self {
        let event_store = EventStore::connect(event_store).unwrap();
        let listen = listener.local_addr().unwrap();
        let health = Health::default();
        let commands = command_api::Application::build(
            command_api::Config {
                listen,
                http: HttpArgs::default(),
                event_store: event_store.clone(),
                operator_token: TOKEN.to_owned(),
                cart_id_secret: "a secret of the tests".to_owned(),
                audit_signing_key: audit_signing_key(),
                sealing: command_api::SealingArgs {
                    audit_retired_keys: vec![],
                    audit_seal_seconds: terms.seal_seconds,
                    audit_verify_every_hours: 0,
                    audit_verify_whole: false,
                },
                order_hold_seconds: terms.hold_seconds,
                unpaid: terms.unpaid,
                fulfilment: command_api::FulfilmentArgs::default(),
                payments: command_api::PaymentConfig {
                    payment_gateway: Some(format!("http://{}", gateway.address())),
                    payment_gateway_key: Some(sandbox_gateway::DEFAULT_SECRET_KEY.to_owned()),
                    payment_webhook_secret: Some(WEBHOOK_SECRET.to_owned()),
                    payment_gateway_timeout: 2,
                    payment_gateway_keeps_keys: terms.keeps_keys,
                },
                client_limits: terms.limits.of_clients(),
                admission: terms.limits.of_commands(),
                only_writer: false,
            },
            &health,
        )
        .unwrap();
        let projections = projections::Application::build(
            projections::Config {
                listen,
                http: HttpArgs::default(),
                event_store: event_store.clone(),
                database_url: databases.shop.clone(),
                analytics_database_url: databases.analytics.clone(),
                operator_token: TOKEN.to_owned(),
                client_limits: terms.limits.of_clients(),
                reconcile_every_hours: 0,
                read_models: projections::ReadModelArgs::default(),
            },
            &health,
        )
        .unwrap();
        let queries = query_api::Application::build(
            query_api::Config {
                listen,
                http: HttpArgs::default(),
                event_store,
                database_url: databases.shop.clone(),
                analytics_database_url: databases.analytics.clone(),
                operator_token: TOKEN.to_owned(),
                client_limits: terms.limits.of_clients(),
                database: query_api::DatabaseArgs {
                    queries_waiting: terms.limits.queries_waiting,
                    queries_at_once: QUERIES_AT_ONCE,
                    ..query_api::DatabaseArgs::default()
                },
                live_heartbeat: terms.live_heartbeat,
                live: terms.live,
            },
            &health,
        )
        .unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let router = commands
            .routes()
            .merge(queries.routes())
            .merge(projections.routes())
            .into_router()
            .merge(health.routes(OperatorToken::new(TOKEN)));
        let (token, refusals) = (OperatorToken::new(TOKEN), health.refusals().clone());
        let clients = ClientLimits::new(&terms.limits.of_clients(), token, refusals);
        let clients = clients.except(command_api::WEBHOOKS);
        let stop = CancellationToken::new();
        let (requests, commanding, projecting, querying) =
            (stop.clone(), stop.clone(), stop.clone(), stop.clone());
        let tasks = vec![
            tokio::spawn(async move {
                http_boundary::serve(listener, router, clients, &HttpLimits::default(), requests).await;
            }),
            tokio::spawn(async move { commands.run_processes(commanding).await }),
            tokio::spawn(async move { projections.run(projecting).await }),
            tokio::spawn(async move { queries.run(querying).await }),
        ];
        Self { url, stop, tasks }
    }
}

impl Drop for Services {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

/// Waits until a part of the service at this address is ready and says so of itself.
pub async fn is_ready(client: &reqwest::Client, url: &str, part: &str, how: Option<&str>) {
    let asking = async {
        loop {
            let health = client.get(format!("{url}/readyz")).bearer_auth(TOKEN).send().await.unwrap();
            let health: Value = health.json().await.unwrap();
            let part = &health["parts"][part];
            if part["ready"] == true && part["how"].as_str() == how {
                return;
            }
        }
    };
    tokio::time::timeout(DEADLINE, asking).await.expect("the part is ready in time");
}
