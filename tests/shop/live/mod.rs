//! What happens, as it happens, over server-sent events.

mod carts;
mod many;
mod orders;
mod places;
mod states;

use crate::harness::{DEADLINE, Shop, TOKEN};
use futures::StreamExt;
use reqwest::{Client, Response, StatusCode};
use serde_json::Value;

/// One who listens as a browser does.
pub struct Listener {
    response: Response,
    text: String,
}

#[derive(Debug, Clone, PartialEq)]
pub struct Heard {
    pub id: u64,
    pub name: String,
    pub data: Value,
}

impl Listener {
    /// Connects, as the operator, who may watch everything.
    pub async fn connect(url: &str, path: &str, last_event_id: Option<u64>) -> Self {
        Self::connect_by(&Client::new(), url, path, last_event_id).await
    }

    pub async fn connect_by(client: &Client, url: &str, path: &str, last_event_id: Option<u64>) -> Self {
        let request = client.get(shop_client::address_of(url, path)).bearer_auth(TOKEN);
        let request = match last_event_id {
            Some(id) => request.header("last-event-id", id.to_string()),
            None => request,
        };
        let response = request.send().await.unwrap();
        assert_eq!(response.status(), StatusCode::OK);
        assert_eq!(response.headers()["content-type"], "text/event-stream");
        Self { response, text: String::new() }
    }

    /// The next event; none when the stream has ended as it should.
    pub async fn next(&mut self) -> Option<Heard> {
        loop {
            if let Some(heard) = heard(&self.next_block().await?) {
                return Some(heard);
            }
        }
    }

    /// What comes next, be it an event or a comment.
    pub async fn next_block(&mut self) -> Option<String> {
        let hearing = async {
            loop {
                if let Some((block, rest)) = self.text.split_once("\n\n") {
                    let (block, rest) = (block.to_owned(), rest.to_owned());
                    self.text = rest;
                    return Some(block);
                }
                let chunk = self.response.chunk().await.expect("the stream ends in order")?;
                self.text.push_str(std::str::from_utf8(&chunk).unwrap());
            }
        };
        tokio::time::timeout(DEADLINE, hearing).await.expect("it is told in time")
    }

    /// Everything until something is so, that included.
    pub async fn until_it(&mut self, is_so: impl Fn(&Heard) -> bool) -> Vec<Heard> {
        let mut all = Vec::new();
        loop {
            let heard = self.next().await.expect("the stream goes on");
            let is_there = is_so(&heard);
            all.push(heard);
            if is_there {
                return all;
            }
        }
    }

    pub async fn until(&mut self, status: &str) -> Vec<Heard> {
        self.until_it(|heard| heard.data["status"] == status).await
    }
}

fn heard(block: &str) -> Option<Heard> {
    let field = |name: &str| block.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": "));
    Some(Heard {
        // Behind the position is the log that it is a place in.
        id: field("id")?.split_once('@')?.0.parse().unwrap(),
        name: field("event")?.to_owned(),
        data: serde_json::from_str(field("data")?).unwrap(),
    })
}

/// A stream's events as an auditor sees them: position and type.
pub async fn history(shop: &Shop, stream: &str) -> Vec<(u64, String)> {
    let events = shop.events().read_stream(stream, 0, usize::MAX);
    events.map(|event| event.map(|event| (event.position.value(), event.event_type)).unwrap()).collect().await
}
