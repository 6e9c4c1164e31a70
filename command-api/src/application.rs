use crate::admission::Admission;
use crate::config::Config;
use crate::event_store_report;
use crate::ids::CartIdSecret;
use crate::keys::Keys;
use crate::parked_report;
use crate::rights;
use crate::routes::{self, Parts, Shared, WEBHOOKS};
use axum::middleware::map_response_with_state;
use event_store::EventStore;
use executor::Executor;
use fulfilment::{FulfilmentRunner, ParkedOrders, Reading};
use http_boundary::{ClientLimits, Health, ListenError, Listeners, OperatorToken};
use http_routes::Routes;
use payment_gateway::{Gateway, InvalidGateway, Webhooks};
use sealing::{Figures, PART as SEALING, SealingRunner, VerificationRunner};
use std::sync::Arc;
use thiserror::Error;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use unpaid_orders::Unpaid;

/// How it is named in `/readyz` whether the event store still holds the log that it held at the start.
const LOG_PART: &str = "event log";

/// The command side, ready to run.
pub struct Application {
    config: Config,
    store: EventStore,
    executor: Arc<Executor>,
    keys: Keys,
    admission: Admission,
    gateway: Option<Gateway>,
    webhooks: Option<Webhooks>,
    unpaid: Unpaid,
    health: Health,
    sealing_figures: Figures,
    parked_orders: ParkedOrders,
    reading: Reading,
}

/// Why the command side cannot run.
#[derive(Debug, Error)]
pub enum BuildError {
    /// The payment gateway's address is wrong.
    #[error(transparent)]
    PaymentGateway(#[from] InvalidGateway),
}

impl Application {
    /// Puts the parts together. Connects to nothing yet.
    ///
    /// # Errors
    /// When the configuration is wrong.
    pub fn build(config: Config, health: &Health) -> Result<Self, BuildError> {
        let store = config.event_store.clone();
        store.use_whole_logs_only();
        let executor = Arc::new(Executor::new(&store, config.writers()));
        event_store_report::report(health, &store);
        let gateway = config.payments.gateway()?;
        let webhooks = config.payments.payment_webhook_secret.as_deref().map(Webhooks::new).transpose()?;
        let keys = Keys::default();
        let admission = Admission::new(&config.admission, health);
        let unpaid = Unpaid::new(&config.unpaid);
        let sealing_figures = Figures::default();
        sealing_figures.register(health.metrics());
        let parked_orders = ParkedOrders::default();
        parked_report::report(health, &executor, &parked_orders);
        let reading = Reading::new(store.clone(), &config.fulfilment);
        reading.report(health);
        Ok(Self {
            config,
            store,
            executor,
            keys,
            admission,
            gateway,
            webhooks,
            unpaid,
            health: health.clone(),
            sealing_figures,
            parked_orders,
            reading,
        })
    }

    /// The commands over HTTP.
    pub fn routes(&self) -> Routes {
        let shared = Shared::new(Parts {
            executor: Arc::clone(&self.executor),
            operator_token: OperatorToken::new(&self.config.operator_token),
            admission: self.admission.clone(),
            parked_orders: self.parked_orders.clone(),
            cart_id_secret: CartIdSecret::new(&self.config.cart_id_secret),
            keys: self.keys.clone(),
            gateway: self.gateway.clone(),
            webhooks: self.webhooks.clone(),
            hold_seconds: self.config.order_hold_seconds,
            unpaid: self.unpaid.clone(),
            store: self.store.clone(),
            audit_key: self.config.audit_signing_key.public(),
        });
        let name_log = map_response_with_state(self.store.clone(), routes::name_log);
        routes::routes().with_state(shared).layered(|router| router.route_layer(name_log))
    }

    /// Runs the order fulfilment process and the sealing of the history until told to stop. Should one fail, `/readyz`
    /// and the log say so, and commands are still taken: what they set off is made up for when the process runs again.
    pub async fn run_processes(&self, stop: CancellationToken) {
        // A task of its own: should it die, fulfilment lives on.
        let mut sealing = JoinSet::new();
        sealing.spawn(self.sealing_runner().run(stop.clone()));
        let sealing = async {
            let error: Box<dyn std::error::Error> = match sealing.join_next().await {
                Some(Err(died)) => Box::new(died),
                Some(Ok(Err(error))) => Box::new(error),
                Some(Ok(Ok(()))) | None => return,
            };
            tracing::error!(error = &*error, "the sealing of the history has stopped");
            // It keeps nobody from buying: the shop stays in service.
            self.health.is_well_so(SEALING, format!("it has stopped: {error}"));
        };
        let rights = stop.run_until_cancelled(rights::watch(self.store.clone(), self.health.clone()));
        let log = stop.run_until_cancelled(self.store.watch_log(self.health.teller(LOG_PART)));
        let others = stop.run_until_cancelled(self.executor.follow(&self.store));
        tokio::join!(sealing, self.run_fulfilment(stop.clone()), rights, log, others);
    }

    /// Verifies the history now and then, until told to stop. It can wait for everything else, and may run where it gives
    /// way: it has a connection of its own.
    pub fn verify_history(&self, stop: CancellationToken) -> impl Future<Output = ()> + Send + use<> {
        let config = self.config.sealing.verification(self.config.audit_signing_key.clone());
        let (health, figures) = (self.health.clone(), self.sealing_figures.clone());
        VerificationRunner::new(self.store.another(), config, health, figures).run(stop)
    }

    fn sealing_runner(&self) -> SealingRunner {
        let config = self.config.sealing();
        let figures = self.sealing_figures.clone();
        let runner = SealingRunner::new(self.store.clone(), config, self.health.clone(), figures);
        runner.watching_over(vec![fulfilment::CHECKPOINTS])
    }

    async fn run_fulfilment(&self, stop: CancellationToken) {
        let runner = FulfilmentRunner::new(
            self.store.clone(),
            Arc::clone(&self.executor),
            self.gateway.clone(),
            self.unpaid.clone(),
            self.health.clone(),
            (self.parked_orders.clone(), self.reading.clone()),
        );
        if let Err(error) = runner.run(stop).await {
            tracing::error!(error = &error as &dyn std::error::Error, "order fulfilment has stopped");
        }
    }

    /// Answers HTTP on the configured address and runs the process, until told to stop.
    ///
    /// # Errors
    /// When an address cannot be listened on.
    pub async fn run_until_stopped(self, stop: CancellationToken) -> Result<(), ListenError> {
        let http = &self.config.http;
        let listeners = Listeners::bind(self.config.listen, http).await?;
        tracing::info!(address = %listeners.main, "command-api answers");
        let token = OperatorToken::new(&self.config.operator_token);
        let clients = ClientLimits::new(&self.config.client_limits, token, self.health.refusals().clone());
        let clients = clients.except(WEBHOOKS);
        let serving = listeners.serve(self.routes().into_router(), &self.health, clients, http, stop.clone());
        tokio::join!(serving, self.run_processes(stop));
        Ok(())
    }
}
