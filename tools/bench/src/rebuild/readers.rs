//! Readers who ask for what cannot change any more, again and again, and note every answer that did.

use crate::error::BenchError;
use reqwest::header::AUTHORIZATION;
use serde_json::Value;
use std::collections::BTreeMap;
use std::sync::Arc;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

/// A year that is over: whatever the importer writes has later dates.
const YEAR: &str = "from=2010-12-01&to=2011-12-31";
/// Orders whose pages are read.
const ORDERS: usize = 40;

/// What they saw.
#[derive(Debug, Default, Clone, Copy)]
pub struct Read {
    pub answers: u64,
    pub failed: u64,
    pub wrong: u64,
}

/// They read until they are stopped.
pub struct Readers {
    stop: CancellationToken,
    reading: JoinSet<Read>,
}

struct Asking {
    http: reqwest::Client,
    url: String,
    authorization: String,
}

impl Readers {
    /// Notes what the answers are, and starts so many readers.
    pub async fn start(url: &str, token: &str, count: usize) -> Result<Self, BenchError> {
        let http = reqwest::Client::builder().no_proxy().build().map_err(BenchError::Http)?;
        let asking = Asking { http, url: url.to_owned(), authorization: format!("Bearer {token}") };
        let mut paths: Vec<String> = ["days", "skus", "merchants", "countries"]
            .map(|by| format!("/sales/{by}?{YEAR}&limit=50"))
            .into();
        let list = format!("/orders?{YEAR}&limit={ORDERS}");
        let listed = asking.ask(&list).await?;
        let ids =
            listed["items"].as_array().into_iter().flatten().filter_map(|order| order["order_id"].as_str());
        paths.extend(ids.map(|id| format!("/orders/{id}")));
        paths.push(list);
        let mut answers = BTreeMap::new();
        for path in paths {
            let answer = asking.ask(&path).await?;
            answers.insert(path, answer);
        }
        let (asking, answers) = (Arc::new(asking), Arc::new(answers));
        let stop = CancellationToken::new();
        let reading = (0..count)
            .map(|_| {
                let (asking, answers, stop) = (asking.clone(), answers.clone(), stop.clone());
                async move { read(&asking, &answers, &stop).await }
            })
            .collect();
        Ok(Self { stop, reading })
    }

    /// What they saw, together.
    pub async fn stop(self) -> Read {
        self.stop.cancel();
        self.reading.join_all().await.into_iter().fold(Read::default(), |sum, one| Read {
            answers: sum.answers + one.answers,
            failed: sum.failed + one.failed,
            wrong: sum.wrong + one.wrong,
        })
    }
}

async fn read(asking: &Asking, answers: &BTreeMap<String, Value>, stop: &CancellationToken) -> Read {
    let mut read = Read::default();
    loop {
        for (path, known) in answers {
            if stop.is_cancelled() {
                return read;
            }
            read.answers += 1;
            match asking.ask(path).await {
                Ok(answer) => read.wrong += u64::from(answer != *known),
                Err(error) => {
                    tracing::warn!(%error, path, "a query failed");
                    read.failed += 1;
                }
            }
        }
    }
}

impl Asking {
    async fn ask(&self, path: &str) -> Result<Value, BenchError> {
        let request = self
            .http
            .get(shop_client::address_of(&self.url, path))
            .header(AUTHORIZATION, &self.authorization);
        let answer = request.send().await.map_err(BenchError::Http)?;
        let status = answer.status();
        let body: Value = answer.json().await.map_err(BenchError::Http)?;
        if status.is_success() {
            Ok(body)
        } else {
            Err(BenchError::Unexpected {
                path: path.to_owned(),
                status: status.as_u16(),
                body: body.to_string(),
            })
        }
    }
}
