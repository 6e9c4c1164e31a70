//! Persistent subscriptions: making, changing and asking about groups, and consuming from them.

use std::sync::Arc;

use futures::stream::{self, BoxStream, Stream, StreamExt};
use tokio_util::sync::{CancellationToken, DropGuard};
use tonic::{Request, Response, Status, Streaming};
use uuid::Uuid;

use super::access;
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
use crate::groups::{Consumer, Delivery, End, GroupError, GroupId, Groups, Joined, Nack, Newcomer, Source};
use crate::service::{Act, Rights};

const CONNECTION_NAME: &str = "connection-name";
/// What consumers are called that do not say who they are.
const NO_USER: &str = "system";
const NO_NAME: &str = "<unknown>";
const NEGATIVE_STOP: &str = "Cannot stop replaying parked message at a negative version.";

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
        access::must_manage_groups(&request)?;
        let (id, settings) = group_of("CreateReq", request.into_inner().options)?;
        self.groups.create(id, settings).await.map_err(group_status)?;
        Ok(Response::new(CreateResp {}))
    }

    async fn update(&self, request: Request<UpdateReq>) -> Result<Response<UpdateResp>, Status> {
        access::must_manage_groups(&request)?;
        let (id, settings) = group_of("UpdateReq", request.into_inner().options)?;
        self.groups.update(id, settings).await.map_err(group_status)?;
        Ok(Response::new(UpdateResp {}))
    }

    async fn delete(&self, request: Request<DeleteReq>) -> Result<Response<DeleteResp>, Status> {
        use delete_req::options::StreamOption;
        access::must_manage_groups(&request)?;
        let options = request.into_inner().options.ok_or_else(no_options)?;
        let source = match options.stream_option.ok_or_else(no_source)? {
            StreamOption::StreamIdentifier(identifier) => Some(identifier),
            StreamOption::All(_) => None,
        };
        self.groups.delete(&named(source, options.group_name)?).await.map_err(group_status)?;
        Ok(Response::new(DeleteResp {}))
    }

    async fn read(&self, request: Request<Streaming<ReadReq>>) -> Result<Response<Self::ReadStream>, Status> {
        let rights = access::rights(&request)?;
        access::must_consume(&rights)?;
        let (user, connection_name) = who(&request, &rights);
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
        access::check(&rights, Act::Read, id.source.name()).await?;
        let newcomer = Newcomer { user, connection_name, slots };
        let joined = self.groups.join(&id, newcomer).await.map_err(group_status)?;
        let call = Call { gone: CancellationToken::new(), said_all: CancellationToken::new() };
        tokio::spawn(hear(joined.consumer.clone(), requests, call.clone()));
        Ok(Response::new(answers(id, joined, (rights, uuids), call, self.groups.stopping().clone())))
    }

    async fn get_info(&self, request: Request<GetInfoReq>) -> Result<Response<GetInfoResp>, Status> {
        use get_info_req::options::StreamOption;
        access::must_be_logged_in(&request)?;
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
        access::must_manage_groups(&request)?;
        let options = request.into_inner().options.ok_or_else(no_options)?;
        let source = match options.stream_option.ok_or_else(no_source)? {
            StreamOption::StreamIdentifier(identifier) => Some(identifier),
            StreamOption::All(_) => None,
        };
        let id = named(source, options.group_name)?;
        let before = match options.stop_at_option {
            Some(StopAtOption::StopAt(revision)) => Some(
                u64::try_from(revision)
                    .map_err(|_| group_status(GroupError::unworkable(&id, NEGATIVE_STOP)))?,
            ),
            Some(StopAtOption::NoLimit(_)) | None => None,
        };
        self.groups.replay(&id, before).await.map_err(group_status)?;
        Ok(Response::new(ReplayParkedResp {}))
    }

    async fn list(&self, request: Request<ListReq>) -> Result<Response<ListResp>, Status> {
        use list_req::options::ListOption;
        use list_req::stream_option::StreamOption;
        access::must_be_logged_in(&request)?;
        let options = request.into_inner().options.ok_or_else(no_options)?;
        let source = match options.list_option.ok_or_else(no_options)? {
            ListOption::ListAllSubscriptions(_) => None,
            ListOption::ListForStream(option) => Some(match option.stream_option.ok_or_else(no_source)? {
                StreamOption::Stream(identifier) => stream_of(Some(identifier))?,
                StreamOption::All(_) => Source::All,
            }),
        };
        let found = self.groups.list(source.as_ref()).await.map_err(group_status)?;
        Ok(Response::new(ListResp { subscriptions: found.into_iter().map(info).collect() }))
    }

    async fn restart_subsystem(&self, request: Request<Empty>) -> Result<Response<Empty>, Status> {
        access::must_manage_groups(&request)?;
        self.groups.restart().await.map_err(group_status)?;
        Ok(Response::new(Empty {}))
    }
}

/// The consumer's user and its connection's name.
fn who<T>(request: &Request<T>, rights: &Rights) -> (String, String) {
    let user = rights.user_name().unwrap_or(NO_USER);
    let name = request.metadata().get(CONNECTION_NAME).and_then(|name| name.to_str().ok()).unwrap_or(NO_NAME);
    (user.to_owned(), name.to_owned())
}

/// What the two halves of a consumer's call know of each other.
#[derive(Clone)]
struct Call {
    /// Nobody listens any more.
    gone: CancellationToken,
    /// The consumer has ended its half of the call in good order.
    said_all: CancellationToken,
}

/// Hears a consumer's answers until it goes, or says something that makes no sense.
async fn hear(
    consumer: Consumer,
    mut requests: impl Stream<Item = Result<ReadReq, Status>> + Unpin,
    call: Call,
) {
    loop {
        let request = tokio::select! {
            request = requests.next() => request,
            () = call.gone.cancelled() => break,
        };
        let content = match request {
            Some(Ok(ReadReq { content: Some(content) })) => content,
            Some(_) => break,
            None => {
                call.said_all.cancel();
                break;
            }
        };
        match content {
            Asked::Ack(ack) => {
                let Ok(ids) = ids_of(ack.ids) else { break };
                consumer.ack(ids).await;
            }
            Asked::Nack(nack) => {
                let action = match nack.action() {
                    Action::Park => Nack::Park,
                    Action::Retry | Action::Unknown => Nack::Retry,
                    // The protocol's own server does no more for this one either: the consumer stays.
                    Action::Skip | Action::Stop => Nack::Skip,
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
    (rights, uuids): (Rights, UuidForm),
    call: Call,
    stopping: CancellationToken,
) -> BoxStream<'static, Result<ReadResp, Status>> {
    let Joined { deliveries, end, .. } = joined;
    let Call { gone, said_all } = call;
    let gone: DropGuard = gone.drop_guard();
    let confirmation = SubscriptionConfirmation { subscription_id: id.to_string() };
    let confirmation = Ok(answer(Content::SubscriptionConfirmation(confirmation)));
    let messages = stream::unfold((deliveries, gone), |(mut deliveries, gone)| async move {
        let delivery = deliveries.recv().await?;
        Some((delivery, (deliveries, gone)))
    });
    let messages = messages.then(move |delivery| {
        let rights = rights.clone();
        async move {
            let delivery = readable(delivery, &rights).await?;
            Ok::<_, Status>(answer(Content::Event(GroupEventMessage::new(delivery, uuids))))
        }
    });
    let farewell = stream::once(async move {
        if end.get().is_none() && said_all.is_cancelled() {
            // It is about to go. An error now would reach it as one of its own.
            stopping.cancelled().await;
            return Err(group_status(GroupError::Stopping));
        }
        // A consumer that said something strange is told the same as one that was dropped.
        Err(match end.get().unwrap_or(&End::Dropped) {
            End::Dropped => errors::dropped(&id),
            End::Failed => errors::failed(&id),
            End::Stopping => group_status(GroupError::Stopping),
        })
    });
    stream::once(std::future::ready(confirmation)).chain(messages).chain(farewell).boxed()
}

/// A delivery without what its link leads to, if the consumer may not read that.
async fn readable(mut delivery: Delivery, rights: &Rights) -> Result<Delivery, Status> {
    if delivery.event.link.is_none() || rights.reads_everything() {
        return Ok(delivery);
    }
    if let Some(target) = &delivery.event.event {
        let stream = String::from_utf8_lossy(target.stream());
        let is_readable = rights.may(Act::Read, &stream).await.map_err(|e| errors::read_status(e.into()))?;
        if !is_readable {
            delivery.event.event = None;
        }
    }
    Ok(delivery)
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

#[cfg(test)]
mod tests {
    use tokio::sync::watch;
    use tonic::Code;

    use super::*;
    use crate::config::Config;
    use crate::groups::{Settings, Start, Strategy};
    use crate::service::Store;

    fn settings() -> Settings {
        Settings {
            resolve_links: false,
            start_from: Start::Beginning,
            extra_statistics: false,
            max_retry_count: 1,
            message_timeout_ms: 1000,
            checkpoint_after_ms: 1000,
            min_checkpoint_count: 1,
            max_checkpoint_count: 10,
            max_subscriber_count: 0,
            live_buffer_size: 10,
            read_batch_size: 9,
            history_buffer_size: 10,
            strategy: Strategy::RoundRobin,
            filter: None,
        }
    }

    async fn joined(groups: &Groups, id: &GroupId) -> Joined {
        let who = || String::from("who");
        let newcomer = Newcomer { user: who(), connection_name: who(), slots: 1 };
        groups.join(id, newcomer).await.unwrap()
    }

    /// Lets a consumer say something, and then stops the store. Gives the error with which its messages end.
    async fn end_after(requests: Vec<Result<ReadReq, Status>>) -> Code {
        let folder = tempfile::tempdir().unwrap();
        let (store, _writer) = Store::open(&Config::new(folder.path()), watch::channel(false).0).unwrap();
        let groups = Groups::start(Arc::clone(&store)).await.unwrap();
        let id = GroupId { source: Source::Stream("s".into()), name: "g".into() };
        groups.create(id.clone(), settings()).await.unwrap();
        let joined = joined(&groups, &id).await;
        let call = Call { gone: CancellationToken::new(), said_all: CancellationToken::new() };
        hear(joined.consumer.clone(), stream::iter(requests), call.clone()).await;
        let mut answers = answers(
            id.clone(),
            joined,
            (store.access().own_rights(), UuidForm::Text),
            call,
            groups.stopping().clone(),
        );
        assert!(answers.next().await.unwrap().is_ok(), "the confirmation");
        assert!(groups.info(&id).await.unwrap().consumers.is_empty(), "it has left the group");
        store.end_subscriptions();
        let end = answers.next().await.unwrap().unwrap_err().code();
        groups.stop().await;
        store.stop_writing();
        end
    }

    #[tokio::test]
    async fn a_consumer_that_has_said_all_is_not_told_that_it_was_dropped() {
        assert_eq!(end_after(Vec::new()).await, Code::Unavailable);
        assert_eq!(end_after(vec![Ok(ReadReq { content: None })]).await, Code::Cancelled);
    }
}
