//! Persistent subscriptions: making, changing and asking about groups, and consuming from them.

use std::sync::Arc;

use futures::stream::{self, BoxStream, StreamExt};
use tokio_util::sync::{CancellationToken, DropGuard};
use tonic::{Request, Response, Status, Streaming};
use uuid::Uuid;

use super::access::{self, Caller};
use super::errors::{self, group_status};
use super::event_message::UuidForm;
use super::group_event_message::GroupEventMessage;
use super::group_settings::{group_of, info, stream_of};
use super::messages::persistent_subscriptions::persistent_subscriptions_server::PersistentSubscriptions;
use super::messages::persistent_subscriptions::read_req::nack::Action;
use super::messages::persistent_subscriptions::read_req::options::uuid_option::Content as UuidContent;
use super::messages::persistent_subscriptions::read_req::{self, Content as Asked};
use super::messages::persistent_subscriptions::read_resp::{Content, SubscriptionConfirmation};
use super::messages::persistent_subscriptions::{
    CreateReq, CreateResp, DeleteReq, DeleteResp, GetInfoReq, GetInfoResp, ListReq, ListResp, ReadReq,
    ReadResp, ReplayParkedReq, ReplayParkedResp, UpdateReq, UpdateResp, delete_req, get_info_req, list_req,
    replay_parked_req,
};
use super::messages::{Empty, StreamIdentifier, Uuid as WireUuid};
use super::names::uuid;
use crate::groups::{Consumer, End, GroupError, GroupId, Groups, Joined, Nack, Newcomer, Source};

const CONNECTION_NAME: &str = "connection-name";

/// Serves a store's groups.
pub struct PersistentService {
    groups: Arc<Groups>,
}

impl PersistentService {
    /// Serves these groups.
    pub fn new(groups: Arc<Groups>) -> Self {
        PersistentService { groups }
    }
}

#[tonic::async_trait]
impl PersistentSubscriptions for PersistentService {
    type ReadStream = BoxStream<'static, Result<ReadResp, Status>>;

    async fn create(&self, request: Request<CreateReq>) -> Result<Response<CreateResp>, Status> {
        access::may_write(&request)?;
        let (id, settings) = group_of(request.into_inner().options)?;
        self.groups.create(id, settings).await.map_err(group_status)?;
        Ok(Response::new(CreateResp {}))
    }

    async fn update(&self, request: Request<UpdateReq>) -> Result<Response<UpdateResp>, Status> {
        access::may_write(&request)?;
        let (id, settings) = group_of(request.into_inner().options)?;
        self.groups.update(id, settings).await.map_err(group_status)?;
        Ok(Response::new(UpdateResp {}))
    }

    async fn delete(&self, request: Request<DeleteReq>) -> Result<Response<DeleteResp>, Status> {
        use delete_req::options::StreamOption;
        access::may_write(&request)?;
        let options = request.into_inner().options.ok_or_else(no_options)?;
        let source = match options.stream_option.ok_or_else(no_source)? {
            StreamOption::StreamIdentifier(identifier) => Some(identifier),
            StreamOption::All(_) => None,
        };
        self.groups.delete(&named(source, options.group_name)?).await.map_err(group_status)?;
        Ok(Response::new(DeleteResp {}))
    }

    async fn read(&self, request: Request<Streaming<ReadReq>>) -> Result<Response<Self::ReadStream>, Status> {
        access::may_write(&request)?;
        let (address, user, connection_name) = who(&request);
        let mut requests = request.into_inner();
        let Some(Asked::Options(options)) = requests.message().await?.and_then(|request| request.content)
        else {
            return Err(Status::invalid_argument("a subscription begins with its options; send them first"));
        };
        let slots =
            usize::try_from(options.buffer_size).ok().filter(|slots| *slots > 0).ok_or_else(|| {
                Status::invalid_argument("a consumer's buffer holds at least one message; set buffer_size")
            })?;
        let uuids = match options.uuid_option.and_then(|option| option.content) {
            Some(UuidContent::Structured(_)) => UuidForm::Structured,
            Some(UuidContent::String(_)) | None => UuidForm::Text,
        };
        let source = match options.stream_option.ok_or_else(no_source)? {
            read_req::options::StreamOption::StreamIdentifier(identifier) => Some(identifier),
            read_req::options::StreamOption::All(_) => None,
        };
        let id = named(source, options.group_name)?;
        let newcomer = Newcomer { address, user, connection_name, slots };
        let joined = self.groups.join(&id, newcomer).await.map_err(group_status)?;
        let gone = CancellationToken::new();
        tokio::spawn(hear(joined.consumer.clone(), requests, gone.clone()));
        Ok(Response::new(answers(id, joined, uuids, gone.drop_guard())))
    }

    async fn get_info(&self, request: Request<GetInfoReq>) -> Result<Response<GetInfoResp>, Status> {
        use get_info_req::options::StreamOption;
        let options = request.into_inner().options.ok_or_else(no_options)?;
        let source = match options.stream_option.ok_or_else(no_source)? {
            StreamOption::StreamIdentifier(identifier) => Some(identifier),
            StreamOption::All(_) => None,
        };
        let found = self.groups.info(&named(source, options.group_name)?).await.map_err(group_status)?;
        Ok(Response::new(GetInfoResp { subscription_info: Some(info(found)) }))
    }

    async fn replay_parked(
        &self,
        request: Request<ReplayParkedReq>,
    ) -> Result<Response<ReplayParkedResp>, Status> {
        use replay_parked_req::options::{StopAtOption, StreamOption};
        access::may_write(&request)?;
        let options = request.into_inner().options.ok_or_else(no_options)?;
        let source = match options.stream_option.ok_or_else(no_source)? {
            StreamOption::StreamIdentifier(identifier) => Some(identifier),
            StreamOption::All(_) => None,
        };
        let limit = match options.stop_at_option {
            Some(StopAtOption::StopAt(count)) => Some(u64::try_from(count).map_err(|_| {
                Status::invalid_argument(format!("stop_at is {count}; give a number that is not negative"))
            })?),
            Some(StopAtOption::NoLimit(_)) | None => None,
        };
        let id = named(source, options.group_name)?;
        self.groups.replay(&id, limit).await.map_err(group_status)?;
        Ok(Response::new(ReplayParkedResp {}))
    }

    async fn list(&self, request: Request<ListReq>) -> Result<Response<ListResp>, Status> {
        use list_req::options::ListOption;
        use list_req::stream_option::StreamOption;
        let options = request.into_inner().options.ok_or_else(no_options)?;
        let source = match options.list_option.ok_or_else(no_options)? {
            ListOption::ListAllSubscriptions(_) => None,
            ListOption::ListForStream(option) => Some(match option.stream_option.ok_or_else(no_source)? {
                StreamOption::Stream(identifier) => stream_of(Some(identifier))?,
                StreamOption::All(_) => Source::All,
            }),
        };
        let found = self.groups.list(source.as_ref()).await.map_err(group_status)?;
        if let (Some(source), true) = (source, found.is_empty()) {
            let missing = GroupError::Missing { source_name: source.name().to_owned(), name: String::new() };
            return Err(group_status(missing));
        }
        Ok(Response::new(ListResp { subscriptions: found.into_iter().map(info).collect() }))
    }

    async fn restart_subsystem(&self, request: Request<Empty>) -> Result<Response<Empty>, Status> {
        access::may_write(&request)?;
        self.groups.restart().await.map_err(group_status)?;
        Ok(Response::new(Empty {}))
    }
}

/// The consumer's address, its user and its connection's name.
fn who<T>(request: &Request<T>) -> (String, String, String) {
    let address = request.remote_addr().map(|address| address.to_string()).unwrap_or_default();
    let user = request.extensions().get::<Caller>().map(|caller| caller.name.clone()).unwrap_or_default();
    let name =
        request.metadata().get(CONNECTION_NAME).and_then(|name| name.to_str().ok()).unwrap_or_default();
    (address, user, name.to_owned())
}

/// Hears a consumer's answers until it goes, or says something that makes no sense.
async fn hear(consumer: Consumer, mut requests: Streaming<ReadReq>, gone: CancellationToken) {
    loop {
        let request = tokio::select! {
            request = requests.message() => request,
            () = gone.cancelled() => break,
        };
        let Ok(Some(ReadReq { content: Some(content) })) = request else { break };
        match content {
            Asked::Ack(ack) => {
                let Ok(ids) = ids_of(ack.ids) else { break };
                consumer.ack(ids).await;
            }
            Asked::Nack(nack) => {
                let action = match nack.action() {
                    Action::Park => Nack::Park,
                    Action::Retry | Action::Unknown => Nack::Retry,
                    Action::Skip => Nack::Skip,
                    Action::Stop => Nack::Stop,
                };
                let Ok(ids) = ids_of(nack.ids) else { break };
                consumer.nack(ids, action, nack.reason).await;
            }
            Asked::Options(_) => break,
        }
    }
    consumer.leave().await;
}

fn ids_of(ids: Vec<WireUuid>) -> Result<Vec<Uuid>, Status> {
    ids.into_iter().map(|id| uuid(Some(id))).collect()
}

/// The confirmation, the messages as they are handed out, and in the end the reason for it.
fn answers(
    id: GroupId,
    joined: Joined,
    uuids: UuidForm,
    gone: DropGuard,
) -> BoxStream<'static, Result<ReadResp, Status>> {
    let Joined { deliveries, end, .. } = joined;
    let confirmation = SubscriptionConfirmation { subscription_id: id.to_string() };
    let confirmation = Ok(answer(Content::SubscriptionConfirmation(confirmation)));
    let messages = stream::unfold((deliveries, gone), |(mut deliveries, gone)| async move {
        let delivery = deliveries.recv().await?;
        Some((delivery, (deliveries, gone)))
    });
    let messages =
        messages.map(move |delivery| Ok(answer(Content::Event(GroupEventMessage::new(delivery, uuids)))));
    // A consumer that left by itself is told the same as one that was dropped, should it still listen.
    let farewell = stream::once(async move {
        Err(match end.get().unwrap_or(&End::Dropped) {
            End::Dropped => errors::dropped(&id),
            End::Failed => errors::failed(&id),
            End::Stopping => group_status(GroupError::Stopping),
        })
    });
    stream::once(std::future::ready(confirmation)).chain(messages).chain(farewell).boxed()
}

fn answer(content: Content) -> ReadResp {
    ReadResp { content: Some(content) }
}

fn named(stream: Option<StreamIdentifier>, name: String) -> Result<GroupId, Status> {
    let source = match stream {
        Some(identifier) => stream_of(Some(identifier))?,
        None => Source::All,
    };
    Ok(GroupId { source, name })
}

fn no_options() -> Status {
    Status::invalid_argument("the request has no options; set them")
}

fn no_source() -> Status {
    Status::invalid_argument("the request names no stream; set it, or the whole log")
}
