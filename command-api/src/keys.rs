//! Idempotency keys as this process knows them: those of requests under way, and what the last ones were used for.
//!
//! What a key was answered stands in the events, for ever and for every process. Here is what events cannot say: that a
//! request with the same key is still under way, and that a key was used at another address, whose stream is not read
//! now. Both are known to this process only, and the second only of the last [`REMEMBERED`] keys.

use axum::extract::Request;
use axum::http::HeaderName;
use axum::middleware::Next;
use axum::response::Response;
use http_boundary::Caller;
use lru::LruCache;
use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::num::NonZeroUsize;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use thiserror::Error;
use uuid::Uuid;

pub const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");
/// Characters that an anonymous caller's key must have to be beyond guessing.
pub const MIN_ANONYMOUS_KEY: usize = 16;

/// Keys of accepted requests that are remembered: about 10 MB.
const REMEMBERED: NonZeroUsize = NonZeroUsize::new(50_000).expect("not zero");

/// Why a request cannot have its key, or cannot do without one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum KeyError {
    #[error("the request needs an idempotency key")]
    Missing,
    #[error("a request with the same key is under way")]
    InFlight,
    #[error("the key was used for another request")]
    Reused,
    #[error("the key has fewer than {min} characters")]
    TooShort { min: usize },
}

/// The keys. Cheap to clone; all clones are one.
#[derive(Clone)]
pub struct Keys(Arc<Mutex<Known>>);

struct Known {
    /// The fingerprints of the requests under way.
    under_way: HashMap<Uuid, String>,
    /// The fingerprints of those that were accepted.
    used: LruCache<Uuid, String>,
}

/// A request under way; its key is free again when this is dropped.
pub struct UnderWay {
    keys: Keys,
    scope: Uuid,
    fingerprint: String,
}

/// Where the request's key is put when it is read, for [`watch`].
#[derive(Clone, Default)]
pub struct Slot(Arc<OnceLock<UnderWay>>);

impl Default for Keys {
    fn default() -> Self {
        Self(Arc::new(Mutex::new(Known { under_way: HashMap::new(), used: LruCache::new(REMEMBERED) })))
    }
}

impl Keys {
    /// Notes that a request with this key is under way, until what it gives is dropped.
    ///
    /// # Errors
    /// When the key is under way already, or was used for another request.
    pub fn begin(&self, scope: Uuid, fingerprint: &str) -> Result<UnderWay, KeyError> {
        let mut known = self.lock();
        if known.used.get(&scope).is_some_and(|used| used != fingerprint) {
            return Err(KeyError::Reused);
        }
        match known.under_way.entry(scope) {
            Entry::Occupied(other) if other.get() == fingerprint => Err(KeyError::InFlight),
            Entry::Occupied(_) => Err(KeyError::Reused),
            Entry::Vacant(place) => {
                place.insert(fingerprint.to_owned());
                Ok(UnderWay { keys: self.clone(), scope, fingerprint: fingerprint.to_owned() })
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, Known> {
        // Nothing panics while it holds the lock, and what is known is valid at any time.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl UnderWay {
    fn is_accepted(&self) {
        self.keys.lock().used.put(self.scope, self.fingerprint.clone());
    }
}

impl Drop for UnderWay {
    fn drop(&mut self) {
        self.keys.lock().under_way.remove(&self.scope);
    }
}

impl Slot {
    /// Keeps the key until the request is answered, or nobody waits for its answer any more.
    pub fn keep(&self, under_way: UnderWay) {
        // A request's key is read once.
        let _ = self.0.set(under_way);
    }
}

/// The scope of a key: all that the caller does. Those without a token are told apart by their keys alone, so a key of
/// theirs that can be guessed counts at its address only: one shopper's `1` must not stand in another's way.
pub fn scope(caller: Caller, command_id: Uuid, key: &str, path: &str) -> Uuid {
    if caller == Caller::Shopper && key.len() < MIN_ANONYMOUS_KEY {
        Uuid::new_v5(&command_id, path.as_bytes())
    } else {
        command_id
    }
}

/// Keeps the key of a request until it is answered. A key whose request was refused may be used for another.
pub async fn watch(mut request: Request, next: Next) -> Response {
    if !request.headers().contains_key(IDEMPOTENCY_KEY) {
        return next.run(request).await;
    }
    let slot = Slot::default();
    request.extensions_mut().insert(slot.clone());
    let response = next.run(request).await;
    if let Some(under_way) = slot.0.get()
        && response.status().is_success()
    {
        under_way.is_accepted();
    }
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(answer: Result<UnderWay, KeyError>) -> Option<KeyError> {
        answer.err()
    }

    #[test]
    fn a_key_is_busy_while_its_request_is_under_way() {
        let (keys, scope) = (Keys::default(), Uuid::from_u128(1));
        let first = keys.begin(scope, "a").expect("it is free");
        assert_eq!(refusal(keys.begin(scope, "a")), Some(KeyError::InFlight));
        assert_eq!(refusal(keys.begin(scope, "b")), Some(KeyError::Reused));
        assert_eq!(refusal(keys.begin(Uuid::from_u128(2), "a")), None);
        drop(first);
        assert_eq!(refusal(keys.begin(scope, "b")), None);
    }

    #[test]
    fn only_an_accepted_request_takes_its_key_for_good() {
        let (keys, scope) = (Keys::default(), Uuid::from_u128(1));
        keys.begin(scope, "refused").expect("it is free");
        keys.begin(scope, "accepted").expect("it is free").is_accepted();
        assert_eq!(refusal(keys.begin(scope, "refused")), Some(KeyError::Reused));
        assert_eq!(refusal(keys.begin(scope, "accepted")), None);
    }
}
