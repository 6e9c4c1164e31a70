//! HTTP to command: one file for each kind of thing.

mod audit;
mod carts;
mod checkout;
mod orders;
mod parked_streams;
mod payments;
mod products;
mod refunds;
mod shipments;
mod stock;
mod webhooks;

use crate::admission::Admission;
use crate::answer::{LOG, POSITION};
use crate::ids::CartIdSecret;
use crate::keys::{self, Keys};
use audit_seal::key::PublicKey;
use axum::extract::{FromRef, Request, State};
use axum::http::HeaderValue;
use axum::middleware::{Next, from_fn};
use axum::response::Response;
use event_store::EventStore;
use executor::{Executor, Reader};
use fulfilment::ParkedOrders;
use http_boundary::OperatorToken;
use http_routes::Routes;
use payment_gateway::{Gateway, Webhooks};
use std::ops::Deref;
use std::sync::Arc;
use unpaid_orders::Unpaid;

pub use webhooks::WEBHOOKS;

/// What the handlers share. A clone costs next to nothing: axum makes several for each request.
#[derive(Clone)]
pub struct Shared(Arc<Parts>);

/// The parts of what they share.
pub struct Parts {
    pub executor: Arc<Executor>,
    /// Orders that wait for a stream that cannot be read.
    pub parked_orders: ParkedOrders,
    pub operator_token: OperatorToken,
    pub cart_id_secret: CartIdSecret,
    pub keys: Keys,
    pub admission: Admission,
    pub gateway: Option<Gateway>,
    pub webhooks: Option<Webhooks>,
    /// How long an order waits for its money if the checkout does not say.
    pub hold_seconds: u32,
    /// What shoppers hold before they pay.
    pub unpaid: Unpaid,
    /// Where commands are taken down, and where the seals are.
    pub store: EventStore,
    /// What they are checked with.
    pub audit_key: PublicKey,
}

impl Shared {
    pub fn new(parts: Parts) -> Self {
        Self(Arc::new(parts))
    }
}

impl Deref for Shared {
    type Target = Parts;

    fn deref(&self) -> &Parts {
        &self.0
    }
}

impl FromRef<Shared> for OperatorToken {
    fn from_ref(shared: &Shared) -> Self {
        shared.operator_token.clone()
    }
}

impl FromRef<Shared> for Keys {
    fn from_ref(shared: &Shared) -> Self {
        shared.keys.clone()
    }
}

impl FromRef<Shared> for EventStore {
    fn from_ref(shared: &Shared) -> Self {
        shared.store.clone()
    }
}

impl FromRef<Shared> for Admission {
    fn from_ref(shared: &Shared) -> Self {
        shared.admission.clone()
    }
}

/// Says of which log the position of an answer is a place.
pub async fn name_log(State(store): State<EventStore>, mut response: Response) -> Response {
    let has_position = response.headers().contains_key(POSITION);
    if let Some(log_id) = store.known_log_id().filter(|_| has_position)
        && let Ok(log_id) = HeaderValue::try_from(log_id.to_string())
    {
        response.headers_mut().insert(LOG, log_id);
    }
    response
}

/// What is read for a request is read for its client, and its key is free again when it is answered.
async fn for_its_client(request: Request, next: Next) -> Response {
    let reader = Reader::of(request.extensions());
    Reader::work(reader, keys::watch(request, next)).await
}

/// All commands: the table that everything else about them follows from.
pub fn routes() -> Routes<Shared> {
    Routes::new()
        .merge(products::routes())
        .merge(stock::routes())
        .merge(carts::routes())
        .merge(checkout::routes())
        .merge(orders::routes())
        .merge(payments::routes())
        .merge(shipments::routes())
        .merge(audit::routes())
        .merge(parked_streams::routes())
        .layered(|router| router.route_layer(from_fn(for_its_client)))
        .merge(webhooks::routes())
}
