//! How the store does, told again and again to whoever asks.

use std::sync::Arc;
use std::time::Duration;

use futures::stream::{self, BoxStream, StreamExt};
use tonic::{Request, Response, Status};

use super::messages::monitoring::monitoring_server::Monitoring;
use super::messages::monitoring::{StatsReq, StatsResp};
use crate::service::Store;
use crate::stats::{self, System};

/// Nobody is told more often. The protocol's own server floods whoever asks for no pause at all.
const LEAST_PAUSE: Duration = Duration::from_millis(100);

/// Tells how a store does.
pub struct MonitoringService {
    store: Arc<Store>,
    system: System,
}

impl MonitoringService {
    /// Tells how this store does, on this machine.
    pub fn new(store: Arc<Store>, system: System) -> Self {
        MonitoringService { store, system }
    }
}

#[tonic::async_trait]
impl Monitoring for MonitoringService {
    type StatsStream = BoxStream<'static, Result<StatsResp, Status>>;

    async fn stats(&self, request: Request<StatsReq>) -> Result<Response<Self::StatsStream>, Status> {
        let pause = Duration::from_millis(request.into_inner().refresh_time_period_in_ms).max(LEAST_PAUSE);
        let (store, system) = (Arc::clone(&self.store), self.system.clone());
        let stopping = store.stopping().clone();
        let told = stream::unfold(false, move |is_told| {
            let (store, system) = (Arc::clone(&store), system.clone());
            async move {
                if is_told {
                    tokio::time::sleep(pause).await;
                }
                let stats = system.measured(store.head()).await;
                let stats = stats.ok_or_else(|| Status::internal("this system cannot be measured"));
                Some((stats.map(|stats| StatsResp { stats: stats::flat(&stats) }), true))
            }
        });
        Ok(Response::new(told.take_until(stopping.cancelled_owned()).boxed()))
    }
}
