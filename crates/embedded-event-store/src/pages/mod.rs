//! The pages that are answered over plain HTTP, 1.1 or 2, on the port of the calls: whether the store lives, what it is,
//! and how it does. Monitoring and load balancers ask for them as they ask the protocol's own server.

mod answer;
mod format;
mod gossip;
mod metrics;

use std::sync::Arc;

use axum::response::Response;
use http::request::Parts;
use http::{HeaderValue, Method, StatusCode};
use serde_json::{Value, json};

use crate::groups::Groups;
use crate::node::{Node, VERSION};
use crate::service::{Access, Rights, Store};
use crate::stats::{self, System};
use crate::strangers::Strangers;
use answer::{Cors, empty, not_allowed, with_body};
use format::{Format, Refused};

pub use answer::{too_often, wrong_password};

const MAX_AGE_OF_STATS: HeaderValue = HeaderValue::from_static("max-age=1, public");
const NOT_KEPT: HeaderValue = HeaderValue::from_static("max-age=0, no-cache, must-revalidate");
const PING: &str = "Ping request successfully handled";

/// How many connections are open.
pub type OpenConnections = Arc<dyn Fn() -> u64 + Send + Sync>;

/// What the pages tell of.
pub struct Pages {
    /// The node.
    pub node: Arc<Node>,
    /// Its store.
    pub store: Arc<Store>,
    /// Its persistent subscriptions.
    pub groups: Arc<Groups>,
    /// Who may use it.
    pub access: Arc<Access>,
    /// How many connections it has.
    pub open_connections: OpenConnections,
    /// Those who are refused because they are no users and ask for too much.
    pub strangers: Arc<Strangers>,
    /// The process and the machine.
    pub system: System,
}

/// A page that there is.
enum Page<'a> {
    Live,
    Ping,
    Info,
    Gossip,
    /// The keys that lead to a part of it.
    Stats(&'a str),
    /// The page of something that this store has none of: the subsystems, which only administrators and operators may
    /// see, or what is measured of other parts, whose answers name a method twice.
    NoneOf(Cors),
    Metrics,
}

impl<'a> Page<'a> {
    fn at(path: &'a str) -> Option<Self> {
        const STATS: &str = "/stats";
        let path = path.trim_end_matches('/');
        Some(match path.to_ascii_lowercase().as_str() {
            "/health/live" => Page::Live,
            "/ping" => Page::Ping,
            "/info" => Page::Info,
            "/gossip" => Page::Gossip,
            "/stats/replication" | "/stats/tcp" => Page::NoneOf(Cors::ReadTwice),
            "/sys/subsystems" => Page::NoneOf(Cors::Read),
            "/metrics" => Page::Metrics,
            STATS => Page::Stats(""),
            lower if lower.starts_with("/stats/") => Page::Stats(&path[STATS.len() + 1..]),
            _ => return None,
        })
    }

    /// Whether somebody who has not logged in may see it.
    fn is_open(&self) -> bool {
        matches!(self, Page::Live | Page::Ping | Page::Info | Page::Gossip)
    }

    fn cors(&self) -> Cors {
        match self {
            Page::NoneOf(cors) => *cors,
            _ => Cors::Read,
        }
    }
}

impl Pages {
    /// Answers a request by a caller with these rights.
    pub async fn answer(&self, request: &Parts, rights: &Rights) -> Response {
        let Some(page) = Page::at(request.uri.path()) else { return empty(StatusCode::NOT_FOUND) };
        let query = request.uri.query().unwrap_or_default();
        match (&page, &request.method) {
            (Page::Live, &Method::GET | &Method::HEAD) => return empty(live_code(query)),
            (Page::Live, _) => return empty(StatusCode::METHOD_NOT_ALLOWED),
            (_, &Method::GET) => {}
            (Page::Metrics, _) => return empty(StatusCode::METHOD_NOT_ALLOWED),
            (page, &Method::OPTIONS) => return page.cors().on(empty(StatusCode::OK)),
            (page, &Method::HEAD) => return page.cors().on(empty(StatusCode::METHOD_NOT_ALLOWED)),
            _ => return not_allowed(),
        }
        let may_see = match &page {
            Page::NoneOf(Cors::Read) => rights.may_manage_groups(),
            page => page.is_open() || rights.is_logged_in(),
        };
        if !may_see {
            return empty(StatusCode::UNAUTHORIZED);
        }
        if matches!(page, Page::Metrics) {
            return self.metrics().await;
        }
        let formats = match page {
            Page::Stats(_) | Page::NoneOf(_) => format::WITHOUT_TEXT,
            _ => format::ALL,
        };
        match Format::asked_for(&request.headers, query, formats) {
            Ok(format) => page.cors().on(self.page(&page, format).await),
            Err(Refused::NotAcceptable) => Cors::Failed.on(empty(StatusCode::NOT_ACCEPTABLE)),
            Err(Refused::Unknown) => Cors::Failed.on(empty(StatusCode::INTERNAL_SERVER_ERROR)),
        }
    }

    async fn page(&self, page: &Page<'_>, format: Format) -> Response {
        match page {
            Page::Ping => {
                let json = json!({ "text": PING, "label": "Http" });
                let xml = || format::xml("TextMessage", &json!({ "text": PING }));
                with_body(format, format.body(&json, xml, || format!("Text: {PING}")))
            }
            // Whatever type it is asked for, it is written in one form.
            Page::Info => with_body(format, format::json(&self.info())),
            Page::Gossip => {
                let members = gossip::Cluster::of(&self.node, self.store.head());
                answer::varying(with_body(format, members.body(format)), NOT_KEPT)
            }
            Page::Stats(part) => match self.system.measured(self.store.head()).await {
                Some(stats) => match stats::part(&stats, part) {
                    Some(part) => {
                        answer::varying(with_body(format, stats_in(format, part)), MAX_AGE_OF_STATS)
                    }
                    None => answer::as_text(empty(StatusCode::NOT_FOUND)),
                },
                None => empty(StatusCode::INTERNAL_SERVER_ERROR),
            },
            Page::NoneOf(Cors::ReadTwice) => {
                answer::varying(with_body(format, stats_in(format, &json!([]))), MAX_AGE_OF_STATS)
            }
            Page::NoneOf(_) => with_body(format, stats_in(format, &json!([]))),
            Page::Live | Page::Metrics => empty(StatusCode::NOT_FOUND),
        }
    }

    fn info(&self) -> Value {
        let authentication = if self.access.is_open() { "insecure" } else { "internal" };
        json!({
            "esVersion": VERSION,
            "state": "leader",
            "features": { "projections": false, "userManagement": false, "atomPub": false },
            "authentication": { "type": authentication, "properties": [] },
        })
    }

    async fn metrics(&self) -> Response {
        let (store, connections) = (&self.store, (self.open_connections)());
        let groups = self.groups.list(None).await.unwrap_or_default();
        match self.system.measured(store.head()).await {
            Some(stats) => {
                let counts = (connections, &*self.strangers.refused());
                answer::metrics(metrics::text(&self.node, store.head(), counts, &groups, &stats))
            }
            None => empty(StatusCode::INTERNAL_SERVER_ERROR),
        }
    }
}

/// The protocol's own server writes these in JSON alone: in XML there is nothing.
fn stats_in(format: Format, value: &Value) -> Vec<u8> {
    format.body(value, String::new, String::new)
}

/// The status that somebody wants to be told, or that there is nothing more to say.
fn live_code(query: &str) -> StatusCode {
    let asked =
        form_urlencoded::parse(query.as_bytes()).find(|(key, _)| key.eq_ignore_ascii_case("liveCode"));
    asked
        .and_then(|(_, code)| code.parse().ok())
        .and_then(|code| StatusCode::from_u16(code).ok())
        // Those below are for what goes on after them.
        .filter(|code| !code.is_informational())
        .unwrap_or(StatusCode::NO_CONTENT)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn somebody_may_choose_the_status_of_a_store_that_lives() {
        let code = |query| live_code(query).as_u16();
        assert_eq!(["", "liveCode=abc", "liveCode=100", "liveCode=1000", "other=200"].map(code), [204; 5]);
        assert_eq!(["liveCode=200", "x=1&livecode=503", "liveCode=999"].map(code), [200, 503, 999]);
    }

    #[test]
    fn a_page_is_found_in_any_case_and_with_a_slash_at_the_end() {
        for path in ["/health/live", "/Health/Live", "/health/live/"] {
            assert!(matches!(Page::at(path), Some(Page::Live)), "{path}");
        }
        assert!(matches!(Page::at("/stats"), Some(Page::Stats(""))));
        assert!(matches!(Page::at("/Stats/es/Queue"), Some(Page::Stats("es/Queue"))));
        assert!(matches!(Page::at("/stats/tcp"), Some(Page::NoneOf(_))));
        for path in [
            "/",
            "/health",
            "/web/index.html",
            "/streams/x",
            "/statsx",
            "/event_store.client.streams.Streams/Read",
        ] {
            assert!(Page::at(path).is_none(), "{path}");
        }
    }
}
