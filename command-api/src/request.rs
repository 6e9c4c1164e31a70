//! What every command request has: a caller, perhaps an idempotency key, a business time, a body.

use axum::body::{Body, Bytes, HttpBody};
use axum::extract::{DefaultBodyLimit, FromRef, FromRequest, FromRequestParts, Request};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderName};
use chrono::{DateTime, SubsecRound, Utc};
use event_store::{EventStore, read_time};
use http_boundary::{
    Caller, Client, ClientShare, MAX_BODY_BYTES, OperatorToken, Problem, Wait, body_too_large, read_json,
    unreadable_bytes,
};
use http_routes::{Description, Takes};
use serde::de::DeserializeOwned;
use sha2::{Digest, Sha256};
use thiserror::Error;
use utoipa::ToSchema;
use uuid::Uuid;

use crate::admission::{Admission, Class, Place};
use crate::keys::{self, IDEMPOTENCY_KEY, KeyError, Keys, Slot};
use executor::{Envelope, Fingerprint};

const OCCURRED_AT: HeaderName = HeaderName::from_static("emporium-occurred-at");
const MAX_KEY_CHARACTERS: usize = 255;
/// The scope of the ids that follow from idempotency keys.
const KEYS: Uuid = Uuid::from_u128(0x0d5f_1c1e_9a3e_4b1f_8a2c_6b1f_4e2d_7c10);

/// Bytes that the body of an ordinary command has at most: ten times as many as the longest texts make.
pub const MAX_COMMAND_BYTES: usize = 16 * 1024;

/// The event store has not answered for a while, so the command was not even tried.
#[derive(Debug, Clone, Copy, Error)]
#[error("the event store does not answer")]
pub struct EventStoreAway;

/// A command request with its body read, which has at most so many bytes. The operator's has [`MAX_BODY_BYTES`].
#[derive(Debug)]
pub struct CommandRequest<T, const MAX_BYTES: usize = MAX_COMMAND_BYTES> {
    pub body: T,
    pub context: Context,
}

/// A request's circumstances.
#[derive(Debug)]
pub struct Context {
    pub caller: Caller,
    pub idempotency_key: Option<String>,
    /// Follows from the caller and the key; without a key it is new.
    pub command_id: Uuid,
    pub occurred_at: DateTime<Utc>,
    /// `Prefer: wait=N`.
    pub wait: Option<Wait>,
    fingerprint: Fingerprint,
    place: Place,
}

impl Context {
    /// The metadata of a command of this request. `correlation_id` is the same for all of one purchase.
    #[must_use]
    pub fn envelope(&self, correlation_id: Uuid) -> Envelope {
        Envelope {
            command_id: self.command_id,
            correlation_id,
            causation_id: self.command_id,
            actor: self.caller.name().to_owned(),
            occurred_at: self.occurred_at,
            fingerprint: self.fingerprint.clone(),
        }
    }

    /// From here on the request waits for what others do: it is no longer in work.
    pub fn only_waits(&self) {
        self.place.leave();
    }

    /// For commands that must not happen twice.
    ///
    /// # Errors
    /// When there is no idempotency key.
    pub fn require_key(&self) -> Result<(), KeyError> {
        if self.idempotency_key.is_some() { Ok(()) } else { Err(KeyError::Missing) }
    }

    /// A new id that a repetition of the request gets again.
    #[must_use]
    pub fn new_id(&self, of_what: &str) -> Uuid {
        Uuid::new_v5(&self.command_id, of_what.as_bytes())
    }
}

impl<T: ToSchema, const MAX_BYTES: usize> Takes for CommandRequest<T, MAX_BYTES> {
    fn describe(description: &mut Description) {
        let about =
            "Names the request: a second one with the same key is the same one, and gets the same answer.";
        description.header(IDEMPOTENCY_KEY.as_str(), about);
        description.header("prefer", "`wait=N`: wait at most so many seconds for the outcome.");
        let about = "When it happened, for what the operator records later: RFC 3339.";
        description.header(OCCURRED_AT.as_str(), about);
        description.json_body::<T>();
    }
}

impl<T, S, const MAX_BYTES: usize> FromRequest<S> for CommandRequest<T, MAX_BYTES>
where
    T: DeserializeOwned,
    OperatorToken: FromRef<S>,
    Keys: FromRef<S>,
    Admission: FromRef<S>,
    EventStore: FromRef<S>,
    S: Send + Sync,
{
    type Rejection = Problem;

    async fn from_request(request: Request, state: &S) -> Result<Self, Problem> {
        let (mut parts, body) = request.into_parts();
        let caller = Caller::from_request_parts(&mut parts, state).await?;
        let Ok(client) = Client::from_request_parts(&mut parts, state).await;
        let Ok(share) = ClientShare::from_request_parts(&mut parts, state).await;
        let class = parts.extensions.get().copied().unwrap_or(Class::Payments);
        let slot = parts.extensions.remove::<Slot>();
        let max_bytes = if caller.is_operator() { MAX_BODY_BYTES } else { MAX_BYTES };
        let bytes = read_bytes(body, max_bytes).await?;
        share.charge_for_body(bytes.len())?;
        if EventStore::from_ref(state).away().is_some() {
            return Err(EventStoreAway.into());
        }
        // Only now: a client that is slow to send takes no place from others.
        let place = Admission::from_ref(state).admit(class, caller, client).await?;
        let body = read_json(&parts.headers, &bytes)?;
        let context = Context::of(caller, place, &parts, &bytes)?;
        context.take_key(slot.as_ref(), parts.uri.path(), &Keys::from_ref(state))?;
        Ok(Self { body, context })
    }
}

/// Nothing of a body is read that says that it is too large.
async fn read_bytes(body: Body, max: usize) -> Result<Bytes, Problem> {
    if body.size_hint().lower() > max as u64 {
        return Err(body_too_large(max));
    }
    let mut unread = Request::new(body);
    DefaultBodyLimit::max(max).apply(&mut unread);
    Bytes::from_request(unread, &()).await.map_err(|rejection| unreadable_bytes(&rejection, max))
}

impl Context {
    fn of(caller: Caller, place: Place, parts: &Parts, body: &[u8]) -> Result<Self, Problem> {
        let idempotency_key = idempotency_key(&parts.headers)?;
        let command_id = match &idempotency_key {
            Some(key) => Uuid::new_v5(&KEYS, format!("{}:{key}", caller.name()).as_bytes()),
            None => Uuid::now_v7(),
        };
        let fingerprint = match &idempotency_key {
            Some(_) => fingerprint(parts, body),
            None => Fingerprint::none(),
        };
        let occurred_at = occurred_at(&parts.headers, caller)?;
        let wait = Wait::read(&parts.headers);
        Ok(Self { caller, idempotency_key, command_id, occurred_at, wait, fingerprint, place })
    }
}

impl Context {
    /// Keeps others from using the key while this request is under way.
    fn take_key(&self, slot: Option<&Slot>, path: &str, keys: &Keys) -> Result<(), KeyError> {
        let (Some(key), Some(slot)) = (&self.idempotency_key, slot) else { return Ok(()) };
        let scope = keys::scope(self.caller, self.command_id, key, path);
        slot.keep(keys.begin(scope, self.fingerprint.as_str())?);
        Ok(())
    }
}

fn idempotency_key(headers: &HeaderMap) -> Result<Option<String>, Problem> {
    let mut values = headers.get_all(IDEMPOTENCY_KEY).into_iter();
    let Some(value) = values.next() else { return Ok(None) };
    if values.next().is_some() {
        return Err(Problem::malformed("A request has one Idempotency-Key: send the header once."));
    }
    match value.to_str().map(str::trim) {
        Ok(key) if !key.is_empty() && key.len() <= MAX_KEY_CHARACTERS => Ok(Some(key.to_owned())),
        _ => Err(Problem::malformed(format!(
            "The Idempotency-Key must have 1 to {MAX_KEY_CHARACTERS} visible ASCII characters."
        ))),
    }
}

fn occurred_at(headers: &HeaderMap, caller: Caller) -> Result<DateTime<Utc>, Problem> {
    let now = Utc::now().trunc_subsecs(6);
    let Some(value) = headers.get(OCCURRED_AT) else { return Ok(now) };
    caller.require_operator()?;
    let time = value.to_str().ok().and_then(|text| read_time(text).ok());
    let time = time.map(|time| time.trunc_subsecs(6));
    match time {
        Some(time) if time < DateTime::UNIX_EPOCH => {
            Err(Problem::invalid("Emporium-Occurred-At lies before 1970: nothing that old is taken."))
        }
        Some(time) if time <= now => Ok(time),
        Some(_) => Err(Problem::invalid("Emporium-Occurred-At lies in the future: it may be past or now.")),
        None => Err(Problem::invalid(
            "Emporium-Occurred-At is not a time: give it as RFC 3339, for example 2010-12-01T08:26:00Z.",
        )),
    }
}

/// What makes a request the same request: method, address and what its body says. The order of the fields and the white
/// space between them say nothing.
fn fingerprint(parts: &Parts, body: &[u8]) -> Fingerprint {
    let as_sent = digest_of(parts, body);
    // The fields of a value are sorted by name.
    let said = serde_json::from_slice::<serde_json::Value>(body).and_then(|body| serde_json::to_vec(&body));
    let request = said.map_or_else(|_| as_sent.clone(), |said| digest_of(parts, &said));
    Fingerprint::new(request, as_sent)
}

/// 128 bits are plenty to tell two apart.
fn digest_of(parts: &Parts, body: &[u8]) -> String {
    let mut digest = Sha256::new();
    digest.update(parts.method.as_str());
    digest.update([0]);
    digest.update(parts.uri.path());
    digest.update([0]);
    digest.update(body);
    digest.finalize().iter().take(16).map(|byte| format!("{byte:02x}")).collect()
}
