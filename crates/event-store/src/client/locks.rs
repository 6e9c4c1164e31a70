//! Named locks. A lock is a persistent subscription that takes one consumer, to a stream in which nothing ever
//! happens: whoever is its consumer holds the lock, and the server lets the next one in when the connection of the one
//! before is gone.

use super::apart::ClientApart;
use super::patience::{backoff, pause};
use super::translate::{failed_read, is_failed_precondition};
use super::{EventStore, NO_ANSWER};
use crate::{EventStoreError, Lock, NotLocked, OwnStream};
use eventstore::{
    Client, Endpoint, Error, PersistentSubscription, PersistentSubscriptionEvent,
    PersistentSubscriptionOptions, SubscribeToPersistentSubscriptionOptions,
};
use futures::StreamExt;
use futures::stream::FuturesUnordered;
use std::time::Duration;
use tokio::sync::watch;
use tokio::time::{Instant, MissedTickBehavior, interval_at, timeout};

/// The consumers' group of every lock's stream.
const GROUP: &str = "holder";
/// How long one attempt may take.
const DEADLINE: Duration = Duration::from_secs(10);
/// After how long without an answer the attempt asks once more. A node that has just become the leader drops requests for
/// groups until it has read them, without a word.
const ASK_AGAIN_AFTER: Duration = Duration::from_secs(1);
/// How often somebody who waits for the holder asks again.
const ASK_EVERY: Duration = Duration::from_secs(1);
/// How often the holder looks whether somebody has closed the lock's stream: the others lock its successor then.
const LOOK_EVERY: Duration = Duration::from_secs(5);

impl EventStore {
    /// Waits until it gets the lock of this name. `waiting` hears of every attempt that did not get it.
    ///
    /// Its stream is `lock-{name}`, or the first successor of it that nobody has closed: a group of a closed stream drops
    /// its consumers.
    pub async fn lock(&self, name: &str, mut waiting: impl FnMut(NotLocked)) -> Lock {
        let base = Lock::stream_of(name);
        let mut client = None;
        let mut delays = backoff();
        loop {
            let attempt = timeout(DEADLINE, self.attempt(&base, client.take())).await;
            let error = match attempt {
                Ok(Ok((stream, holding))) => return watched(self.clone(), stream, holding),
                Ok(Err(NotGot { error, client: kept })) => {
                    client = kept;
                    error
                }
                Err(_) => NotLocked::Unavailable(NO_ANSWER.to_owned()),
            };
            let is_held = error == NotLocked::HeldElsewhere;
            waiting(error);
            if is_held {
                delays = backoff();
                tokio::time::sleep(ASK_EVERY).await;
            } else {
                pause(&mut delays).await;
            }
        }
    }

    /// Asks, and while nothing is answered asks again and again. Each request may still be answered: a server that is only
    /// slow gets the time that it needs.
    async fn attempt(&self, base: &str, client: Option<ClientApart>) -> Result<(OwnStream, Holding), NotGot> {
        let mut asked = FuturesUnordered::from_iter([self.ask(base, client)]);
        loop {
            match timeout(ASK_AGAIN_AFTER, asked.next()).await {
                Ok(Some(answer)) => return answer,
                Ok(None) | Err(_) => asked.push(self.ask(base, None)),
            }
        }
    }

    /// One request, with a client of its own: the lock must not be lost because somebody else's call failed.
    async fn ask(&self, base: &str, client: Option<ClientApart>) -> Result<(OwnStream, Holding), NotGot> {
        let stream = self.own_stream(base).await.map_err(unreadable)?;
        let mut client = match client {
            Some(client) => client,
            None => self.client_for(None)?,
        };
        let (mut is_missing, mut is_elsewhere) = (false, false);
        loop {
            let error = match consume(&client, stream.name()).await {
                Ok(subscription) => {
                    self.shared.nagle.has_answered(true, Duration::ZERO);
                    return Ok((stream, Holding { subscription, client }));
                }
                Err(Error::ResourceNotFound) if !is_missing => {
                    is_missing = true;
                    match create(&client, stream.name()).await {
                        Ok(()) => continue,
                        Err(error) => error,
                    }
                }
                Err(error) => error,
            };
            match error {
                Error::NotLeaderException(leader) if !is_elsewhere => {
                    is_elsewhere = true;
                    client = self.client_for(Some(&leader))?;
                }
                error => {
                    let error = not_locked(&error);
                    // A client that met an error may never work again.
                    let client = (error == NotLocked::HeldElsewhere).then_some(client);
                    return Err(NotGot { error, client });
                }
            }
        }
    }

    fn client_for(&self, leader: Option<&Endpoint>) -> Result<ClientApart, NotLocked> {
        let client = ClientApart::new(self.settings_for(leader));
        client.map_err(|error| NotLocked::Unavailable(error.to_string()))
    }
}

/// Why a request did not get the lock, and the client if it may be used again.
struct NotGot {
    error: NotLocked,
    client: Option<ClientApart>,
}

impl From<NotLocked> for NotGot {
    fn from(error: NotLocked) -> Self {
        Self { error, client: None }
    }
}

/// What is held. The client's connection ends with it.
struct Holding {
    subscription: PersistentSubscription,
    client: ClientApart,
}

/// Becomes the consumer. The server may refuse at once, or with what should have been its first message.
async fn consume(client: &Client, stream: &str) -> Result<PersistentSubscription, Error> {
    let options = SubscribeToPersistentSubscriptionOptions::default();
    let mut subscription = client.subscribe_to_persistent_subscription(stream, GROUP, &options).await?;
    loop {
        if let PersistentSubscriptionEvent::Confirmed(_) = subscription.next_subscription_event().await? {
            return Ok(subscription);
        }
    }
}

/// Makes the group of a lock, if it is not there.
pub(super) async fn create(client: &Client, stream: &str) -> Result<(), Error> {
    let options = PersistentSubscriptionOptions::default().max_subscriber_count(1);
    match client.create_persistent_subscription(stream, GROUP, &options).await {
        // Somebody else may have been faster.
        Err(Error::ResourceAlreadyExists) => Ok(()),
        created => created,
    }
}

fn not_locked(error: &Error) -> NotLocked {
    match error {
        // The one consumer is there.
        Error::Grpc { code, .. } if is_failed_precondition(*code as i32) => NotLocked::HeldElsewhere,
        error => unreadable(failed_read(error)),
    }
}

fn unreadable(error: EventStoreError) -> NotLocked {
    match error {
        EventStoreError::Unavailable(error) => NotLocked::Unavailable(error),
        EventStoreError::Refused(error) => NotLocked::Refused(error),
        EventStoreError::AccessDenied => NotLocked::Refused("access denied".to_owned()),
        // Just now: the next attempt finds the successor.
        error @ EventStoreError::Deleted => NotLocked::Unavailable(error.to_string()),
    }
}

/// A task that notices when the subscription ends, or when the stream is closed. Should the client panic over the way in
/// which it ends, the lock is lost as well.
fn watched(store: EventStore, stream: OwnStream, holding: Holding) -> Lock {
    let (sender, lost) = watch::channel(None);
    let lock_stream = stream.clone();
    let watching = tokio::spawn(async move {
        // Both: the subscription ends with the client.
        let Holding { mut subscription, client: _client } = holding;
        let ended = async {
            loop {
                match subscription.next_subscription_event().await {
                    // Nothing should be in that stream; whatever is, is no business of ours.
                    Ok(PersistentSubscriptionEvent::EventAppeared { event, .. }) => {
                        if let Err(error) = subscription.ack(&event).await {
                            break error.to_string();
                        }
                    }
                    Ok(PersistentSubscriptionEvent::Confirmed(_)) => {}
                    Err(error) => break error.to_string(),
                }
            }
        };
        let reason = tokio::select! {
            reason = ended => reason,
            () = closed(&store, stream.name()) => format!("somebody has deleted its stream `{stream}`"),
        };
        // Nobody may want to know any more.
        let _ = sender.send(Some(reason));
    });
    Lock::new(lock_stream, lost, watching)
}

/// Waits until somebody has closed the stream. A store that does not answer says nothing of that: then the subscription
/// ends by itself.
async fn closed(store: &EventStore, stream: &str) {
    let mut looks = interval_at(Instant::now() + LOOK_EVERY, LOOK_EVERY);
    looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        looks.tick().await;
        if matches!(store.is_closed(stream).await, Ok(true)) {
            return;
        }
    }
}
