//! What `/readyz` and `/metrics` say of streams that cannot be read: they keep nobody else from their work, so the process
//! is ready, and somebody has to look at them.

use executor::Executor;
use fulfilment::ParkedOrders;
use futures::FutureExt;
use http_boundary::{Finding, Health};
use prometheus_client::metrics::gauge::Gauge;
use serde_json::json;
use std::sync::Arc;

/// Their name in `/readyz`.
const PART: &str = "parked-streams";

#[derive(Clone, Default)]
struct Gauges {
    streams: Gauge,
    orders: Gauge,
    payments: Gauge,
}

/// Tells of them from now on.
pub fn report(health: &Health, executor: &Arc<Executor>, orders: &ParkedOrders) {
    let (said_executor, said_orders) = (Arc::clone(executor), orders.clone());
    // Whoever asks for the health need not know whose they are.
    health.ask(PART, move || {
        let (payments, money) = said_orders.at_stake();
        let (streams, orders) = (said_executor.parked.len(), said_orders.count());
        let mut detail = json!({ "streams": streams, "orders": orders });
        if streams + orders > 0 {
            detail["payments_of_parked_orders"] = json!(payments);
            detail["money_of_parked_orders"] = json!(money);
            detail["see"] = json!("GET /parked-streams");
        }
        async move { Finding { ready: true, detail } }.boxed()
    });
    let gauges = Gauges::default();
    health.metrics().register(|registry| {
        let registry = registry.sub_registry_with_prefix("parked");
        let mut add = |name, help: &str, gauge: &Gauge| registry.register(name, help, gauge.clone());
        add("streams", "Streams that this process has met and cannot read", &gauges.streams);
        add("orders", "Orders that wait for a stream that cannot be read", &gauges.orders);
        add("payments", "Payments of those orders that are under way or taken", &gauges.payments);
    });
    let (executor, orders) = (Arc::clone(executor), orders.clone());
    health.metrics().refresh(move || {
        let of = |count: usize| i64::try_from(count).unwrap_or(i64::MAX);
        gauges.streams.set(of(executor.parked.len()));
        gauges.orders.set(of(orders.count()));
        gauges.payments.set(of(orders.at_stake().0));
        async {}.boxed()
    });
}
