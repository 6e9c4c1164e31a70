//! The streams service: each of its methods, handed to the part that knows it.

use std::sync::Arc;

use futures::stream::BoxStream;
use tonic::{Request, Response, Status, Streaming};

use super::messages::streams::streams_server::Streams;
use super::messages::streams::{
    AppendReq, AppendResp, BatchAppendReq, BatchAppendResp, DeleteReq, DeleteResp, ReadReq, TombstoneReq,
    TombstoneResp,
};
use super::{access, append, batch, read};
use crate::service::Store;

/// Serves a store's streams.
pub struct StreamsService {
    store: Arc<Store>,
}

impl StreamsService {
    /// Serves the streams of `store`.
    pub fn new(store: Arc<Store>) -> Self {
        StreamsService { store }
    }
}

#[tonic::async_trait]
impl Streams for StreamsService {
    type ReadStream = read::Answers;
    type BatchAppendStream = BoxStream<'static, Result<BatchAppendResp, Status>>;

    async fn read(&self, request: Request<ReadReq>) -> Result<Response<Self::ReadStream>, Status> {
        let rights = access::rights(&request)?;
        Ok(Response::new(read::read(&self.store, rights, request.into_inner()).await?))
    }

    async fn append(&self, request: Request<Streaming<AppendReq>>) -> Result<Response<AppendResp>, Status> {
        let rights = access::rights(&request)?;
        Ok(Response::new(append::append(&self.store, &rights, request.into_inner()).await?))
    }

    async fn delete(&self, request: Request<DeleteReq>) -> Result<Response<DeleteResp>, Status> {
        let rights = access::rights(&request)?;
        Ok(Response::new(append::delete(&self.store, &rights, request.into_inner()).await?))
    }

    async fn tombstone(&self, request: Request<TombstoneReq>) -> Result<Response<TombstoneResp>, Status> {
        let rights = access::rights(&request)?;
        Ok(Response::new(append::tombstone(&self.store, &rights, request.into_inner()).await?))
    }

    async fn batch_append(
        &self,
        request: Request<Streaming<BatchAppendReq>>,
    ) -> Result<Response<Self::BatchAppendStream>, Status> {
        let rights = access::rights(&request)?;
        Ok(Response::new(batch::answers(Arc::clone(&self.store), rights, request.into_inner())))
    }
}
