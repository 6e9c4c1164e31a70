//! How fresh an answer must be (`min-position`), how long its reader would wait for that (`Prefer: wait`), and what
//! came of it.
//!
//! Every query takes both, and each handler takes them from here, together with its own filter.

use crate::answer::failed_read;
use crate::asker::Asker;
use api::problem;
use axum::extract::{FromRef, FromRequestParts, Query};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderName, HeaderValue, Uri};
use event_store::{EventStore, LogId, Position};
use form_urlencoded::Serializer;
use http_boundary::{OperatorToken, Problem, Wait};
use http_routes::{Description, Takes};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use std::time::Duration;
use utoipa::openapi::path::{ParameterBuilder, ParameterIn};
use utoipa::{IntoParams, PartialSchema};

pub const EMPORIUM_POSITION: HeaderName = HeaderName::from_static("emporium-position");
/// Which log that position is a place in.
pub const EMPORIUM_LOG: HeaderName = HeaderName::from_static("emporium-log");
const MIN_POSITION: &str = "min-position";
/// How long a request waits that does not say how long it would.
const WAIT_UNASKED: Duration = Duration::from_secs(2);

/// So far beyond the end of the log a position may be that is waited for: it may be one that is about to be written.
const IN_SIGHT: u64 = 1 << 24;

/// What a query asks: its filter, and how fresh the answer must be.
pub struct Asked<T = NoFilter> {
    pub filter: T,
    pub freshness: Freshness,
}

/// Of a query that has only its path.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
pub struct NoFilter {}

/// How fresh an answer must be.
#[derive(Debug, Clone, Copy)]
pub struct Freshness {
    pub wanted: Option<MinPosition>,
    /// The log whose place the position is, if its reader says so.
    of_log: Option<LogId>,
    /// Who waits for it.
    pub asker: Asker,
    wait: Option<Wait>,
}

/// The position that an answer must be true at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MinPosition {
    /// `min-position=4711`: the `Emporium-Position` of a command.
    At(Position),
    /// `min-position=head`: everything that is in the log now.
    Head,
}

/// What came of it: the position at which the answer is true at least.
#[derive(Debug, Clone, Copy, Default)]
pub struct Reached {
    pub position: Option<Position>,
    /// The log whose place that is.
    log_id: Option<LogId>,
    /// The preference that was followed.
    wait: Option<Wait>,
}

impl<T, S> FromRequestParts<S> for Asked<T>
where
    T: DeserializeOwned,
    OperatorToken: FromRef<S>,
    S: Send + Sync,
{
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let Ok(asker) = Asker::from_request_parts(parts, state).await;
        let (mut wanted, mut of_log, mut filter) = (None, None, Serializer::new("/?".to_owned()));
        for (name, value) in form_urlencoded::parse(parts.uri.query().unwrap_or_default().as_bytes()) {
            if name != MIN_POSITION {
                filter.append_pair(&name, &value);
                continue;
            }
            let (position, log_id) = MinPosition::read(&value)?;
            of_log = log_id;
            if wanted.replace(position).is_some() {
                return Err(Problem::invalid("An answer has one `min-position`: give it once."));
            }
        }
        let filter = filter.finish().parse::<Uri>().map_err(|error| Problem::malformed(error.to_string()))?;
        let filter = Query::<T>::try_from_uri(&filter);
        let Query(filter) = filter.map_err(|rejection| Problem::invalid(rejection.body_text()))?;
        Ok(Self { filter, freshness: Freshness { wanted, of_log, asker, wait: Wait::read(&parts.headers) } })
    }
}

impl<T: IntoParams> Takes for Asked<T> {
    fn describe(description: &mut Description) {
        description.query::<T>();
        let about = "The position of the log that the answer must be true at: the `Emporium-Position` of a command, or `head`.";
        let min_position = ParameterBuilder::new().name(MIN_POSITION).parameter_in(ParameterIn::Query);
        description.parameter(
            min_position.description(Some(about)).schema(Some(<String as PartialSchema>::schema())),
        );
        description.header("prefer", "`wait=N`: wait at most so many seconds for that position.");
    }
}

/// Whether a position is so near to one that is known that it may be reached soon.
pub fn is_in_sight(wanted: Position, known: Option<Position>) -> bool {
    wanted.value().saturating_sub(known.map_or(0, Position::value)) <= IN_SIGHT
}

impl MinPosition {
    /// The position, and the log that it is a place in, if that is said.
    fn read(text: &str) -> Result<(Self, Option<LogId>), Problem> {
        if text == "head" {
            return Ok((Self::Head, None));
        }
        let read = |text: &str| {
            let (number, log_id) =
                text.split_once('@').map_or((text, None), |(number, id)| (number, Some(id)));
            let log_id = log_id.map(str::parse).transpose().ok()?;
            Some((Self::At(number.parse().ok()?), log_id))
        };
        read(text).ok_or_else(|| {
            Problem::invalid(
                "`min-position` is the number of an `Emporium-Position` header, or `head`. It may have `@` and the \
                 `Emporium-Log` of the same answer behind it.",
            )
        })
    }
}

impl Freshness {
    /// Where nothing is asked for, this is.
    pub fn or(self, wanted: MinPosition) -> Self {
        Self { wanted: self.wanted.or(Some(wanted)), ..self }
    }

    /// What must be waited for in any case.
    pub fn at(self, position: Position) -> Self {
        Self { wanted: Some(MinPosition::At(position)), ..self }
    }

    /// The present log, of which the position must be a place if its reader says of which it is.
    ///
    /// # Errors
    /// 409 `position-of-another-log` when it is not.
    pub async fn log_id(&self, store: &EventStore) -> Result<LogId, Problem> {
        let identity = store.log_identity().await.map_err(failed_read)?;
        match (self.wanted, self.of_log) {
            (Some(MinPosition::At(wanted)), Some(of_log)) if !identity.has(Some(of_log), wanted) => {
                let detail = format!(
                    "Position {wanted} is a place in the log {of_log}, and the shop's present log is {}: the shop has moved, or \
                     was restored from a backup. Ask with `min-position=head`.",
                    identity.id()
                );
                let problem = Problem::new(problem::POSITION_OF_ANOTHER_LOG, detail);
                Err(problem.with("log", identity.id().to_string()))
            }
            _ => Ok(identity.id()),
        }
    }

    /// The read model shows another log than the present one.
    pub fn of_another_log(self) -> Problem {
        let problem = Problem::new(
            problem::READ_MODEL_OF_ANOTHER_LOG,
            "It still shows the log that the shop had before, and is being filled from the present one: ask again later, or \
             without `min-position` for what it shows.",
        );
        problem.retry_after(5)
    }

    /// How long to wait for what is wanted.
    pub fn patience(&self) -> Duration {
        self.wait.map_or(WAIT_UNASKED, Wait::duration)
    }

    /// What is wanted is there: true at this position.
    pub fn reached(self, position: Option<Position>) -> Reached {
        // Who wants no position did not wait.
        Reached { position, log_id: None, wait: self.wait.filter(|_| self.wanted.is_some()) }
    }

    /// What is wanted was not there in time.
    pub fn not_reached(self, wanted: Position, position: Option<Position>) -> Problem {
        let detail = format!("Position {wanted} was not reached in time: ask again in a moment.");
        self.reached(position).tell(not_reached(detail, wanted, position))
    }

    /// The log is not nearly so long that what is wanted could be there in time: nobody waits for it.
    pub fn out_of_sight(self, wanted: Position, position: Option<Position>) -> Problem {
        let detail = format!(
            "Position {wanted} is far beyond the end of the log, and is not waited for: ask with an `Emporium-Position` of this \
             shop."
        );
        let reached = Reached { position, ..Reached::default() };
        reached.tell(not_reached(detail, wanted, position))
    }
}

fn not_reached(detail: String, wanted: Position, position: Option<Position>) -> Problem {
    Problem::new(problem::POSITION_NOT_REACHED, detail)
        .with("wanted", wanted.value())
        .with("reached", position.map(Position::value))
        .retry_after(1)
}

impl Reached {
    /// The log whose place the position is.
    pub fn in_log(self, log_id: Option<LogId>) -> Self {
        Self { log_id, ..self }
    }

    /// For an answer from two read models.
    pub fn and(self, other: Self) -> Self {
        let (position, wait) = (self.position.min(other.position), self.wait.or(other.wait));
        // Of two logs there is no position that both have come to.
        let is_one_log = self.log_id == other.log_id;
        Self { position: position.filter(|_| is_one_log), log_id: self.log_id.filter(|_| is_one_log), wait }
    }

    /// Says it in the headers of an answer.
    pub fn write(self, headers: &mut HeaderMap) {
        headers.extend(self.headers());
    }

    /// Says it in the headers of a refusal.
    pub fn tell(self, problem: Problem) -> Problem {
        self.headers().fold(problem, |problem, (name, value)| problem.header(name, value))
    }

    fn headers(self) -> impl Iterator<Item = (HeaderName, HeaderValue)> {
        let position = self.position.map(|position| (EMPORIUM_POSITION, HeaderValue::from(position.value())));
        let log_id = self.log_id.filter(|_| self.position.is_some());
        let log_id = log_id.and_then(|log_id| HeaderValue::try_from(log_id.to_string()).ok());
        let log_id = log_id.map(|log_id| (EMPORIUM_LOG, log_id));
        position.into_iter().chain(log_id).chain(self.wait.map(Wait::applied))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::http::Request;

    #[derive(Debug, PartialEq, Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Filter {
        name: Option<String>,
        limit: Option<usize>,
    }

    async fn asked(uri: &str) -> Result<Asked<Filter>, Problem> {
        let (mut parts, ()) = Request::get(uri).header("prefer", "wait=7").body(()).unwrap().into_parts();
        Asked::from_request_parts(&mut parts, &OperatorToken::new("of the tests")).await
    }

    #[tokio::test]
    async fn what_is_asked_for_comes_apart_wherever_it_stands() {
        for uri in [
            "/x?name=J%26M%20%C3%BC+b&min-position=12&limit=3",
            "/x?min-position=12&limit=3&name=J%26M+%C3%BC%20b",
        ] {
            let Asked { filter, freshness } = asked(uri).await.unwrap();
            assert_eq!(filter, Filter { name: Some("J&M ü b".to_owned()), limit: Some(3) });
            assert_eq!(freshness.wanted, Some(MinPosition::At(Position::new(12))));
            assert_eq!(freshness.patience(), Duration::from_secs(7));
        }
        assert_eq!(asked("/x").await.unwrap().filter, Filter { name: None, limit: None });
        let log_id = "0193a1b2-0000-7000-8000-000000000007";
        let of_a_log = asked(&format!("/x?min-position=12@{log_id}")).await.unwrap().freshness;
        assert_eq!(of_a_log.wanted, Some(MinPosition::At(Position::new(12))));
        assert_eq!(of_a_log.of_log.map(|id| id.to_string()).as_deref(), Some(log_id));
        assert_eq!(asked("/x?min-position=head").await.unwrap().freshness.wanted, Some(MinPosition::Head));
    }

    #[tokio::test]
    async fn what_cannot_be_is_refused() {
        for query in [
            "min-position=soon",
            "min-position=",
            "min-position=7@",
            "min-position=7@x",
            "min-position=head@x",
            "min-position=1&min-position=2",
            "what=1",
            "limit=x",
        ] {
            let refused = asked(&format!("/x?{query}")).await.err().map(|problem| problem.id());
            assert_eq!(refused, Some("invalid-request"), "{query}");
        }
    }

    #[test]
    fn what_the_log_may_soon_have_is_waited_for() {
        let is_in_sight =
            |wanted, known: Option<u64>| is_in_sight(Position::new(wanted), known.map(Position::new));
        assert!(is_in_sight(0, None) && is_in_sight(5, Some(7)) && is_in_sight(8, Some(7)));
        assert!(is_in_sight(7 + IN_SIGHT, Some(7)) && !is_in_sight(8 + IN_SIGHT, Some(7)));
        assert!(!is_in_sight(u64::MAX, None));
    }

    #[test]
    fn only_who_wants_a_position_is_told_how_long_it_would_have_waited() {
        let wait =
            Wait::read(&[("prefer".parse().unwrap(), "wait=7".parse().unwrap())].into_iter().collect());
        let client = http_boundary::Client { address: [127, 0, 0, 1].into(), connection: 1, is_busy: false };
        let asker = Asker { client, is_operator: false };
        let headers = |wanted| {
            let mut headers = HeaderMap::new();
            Freshness { wanted, of_log: None, asker, wait }
                .reached(Some(Position::new(9)))
                .write(&mut headers);
            headers.into_iter().map(|(_, value)| value.to_str().unwrap().to_owned()).collect::<Vec<_>>()
        };
        assert_eq!(headers(Some(MinPosition::Head)), ["9", "wait=7"]);
        assert_eq!(headers(None), ["9"]);
    }
}
