//! An exported history, and what forgers do to it.

use audit_seal::Digest;
use audit_seal::chain::{self, Linked, START};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use std::fs;
use std::path::Path;
use uuid::Uuid;

const SEALS: &str = "audit-seals";
const LOG: &str = "log-identity";

/// A line of the file. What is JSON stays byte for byte.
#[derive(Clone, Serialize, Deserialize)]
pub struct Line {
    pub stream: String,
    pub revision: u64,
    pub position: u64,
    pub id: Uuid,
    #[serde(rename = "type")]
    pub event_type: String,
    content_type: String,
    created: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    data: Option<Box<RawValue>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    data_base64: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    metadata: Option<Box<RawValue>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    metadata_base64: Option<String>,
}

#[derive(Clone)]
pub struct History(Vec<Line>);

impl Line {
    fn is_fact(&self) -> bool {
        audit_seal::is_fact(&self.stream, &self.event_type)
    }

    fn data(&self) -> &str {
        self.data.as_ref().unwrap().get()
    }

    fn metadata(&self) -> &[u8] {
        self.metadata.as_ref().unwrap().get().as_bytes()
    }

    fn name(&self) -> String {
        format!("event {} of {} (position {})", self.revision, self.stream, self.position)
    }
}

impl History {
    pub fn read(path: &Path) -> Self {
        let text = fs::read_to_string(path).unwrap();
        Self(text.lines().map(|line| serde_json::from_str(line).unwrap()).collect())
    }

    pub fn write(&self, path: &Path) {
        let lines = self.0.iter().map(|line| serde_json::to_string(line).unwrap() + "\n");
        fs::write(path, lines.collect::<String>()).unwrap();
    }

    /// The numbers of the lines that are facts.
    pub fn facts(&self) -> Vec<usize> {
        (0..self.0.len()).filter(|at| self.0[*at].is_fact()).collect()
    }

    pub fn first_of(&self, category: &str) -> &Line {
        self.0.iter().find(|line| line.stream.starts_with(category)).unwrap()
    }

    /// Without the lines that say how many events there are, as older files are: a forger leaves them out.
    fn unframed(&self) -> Self {
        Self(self.0.iter().filter(|line| line.stream != LOG).cloned().collect())
    }

    pub fn without_seals(&self) -> Self {
        Self(self.unframed().0.into_iter().filter(|line| line.stream != SEALS).collect())
    }

    pub fn up_to_first_seal(&self) -> Self {
        let history = self.unframed().0;
        let seal = history.iter().position(|line| line.stream == SEALS).unwrap();
        Self(history[..=seal].to_vec())
    }

    fn last_of_stream(&self, at: usize) -> usize {
        self.0.iter().rposition(|line| line.stream == self.0[at].stream).unwrap()
    }

    /// Computes revisions and chain of a stream anew, as one would who knows how.
    fn chain_anew(mut self, stream: &str) -> Self {
        let mut last: Digest = START;
        for (revision, line) in (0..).zip(self.0.iter_mut().filter(|line| line.stream == stream)) {
            line.revision = revision;
            let open = chain::split(line.metadata()).0;
            let linked = Linked {
                stream,
                revision,
                id: line.id,
                event_type: &line.event_type,
                data: line.data.as_ref().unwrap().get().as_bytes(),
                metadata: open,
            };
            last = chain::link(&last, &linked);
            let metadata = chain::with_link([open, b"}"].concat(), &last);
            line.metadata = Some(RawValue::from_string(String::from_utf8(metadata).unwrap()).unwrap());
        }
        self
    }
}

/// The forgeries, each with what must be said of it.
pub fn all(history: &History) -> Vec<(&'static str, History, String)> {
    let is_priced = |line: &&Line| line.event_type.starts_with("product.defined");
    let price = history.0.iter().position(|line| is_priced(&line)).unwrap();
    let name = history.0[price].name();
    let stream = history.0[price].stream.clone();
    let mut cheaper = history.clone();
    let data = cheaper.0[price].data().replacen(r#""amount":"#, r#""amount":1"#, 1);
    assert_ne!(data, history.0[price].data());
    cheaper.0[price].data = Some(RawValue::from_string(data).unwrap());

    let order = history.0.iter().position(|line| line.stream.starts_with("order-")).unwrap();
    let mut gap = history.clone();
    gap.0.remove(order);
    let after = gap.0.iter().find(|line| line.stream == history.0[order].stream).unwrap();

    let end = history.last_of_stream(order);
    let mut no_end = history.clone();
    no_end.0.remove(end);

    let swapped_at = history.facts().into_iter().find(|at| is_swap(history, *at)).unwrap();
    let mut swapped = history.clone();
    swapped.0.swap(swapped_at, swapped_at + 1);

    let mut one_more = history.clone();
    let new =
        Line { id: Uuid::from_u128(1), revision: history.0[end].revision + 1, ..history.0[end].clone() };
    let added = new.name();
    one_more.0.insert(end + 1, new);
    let order_stream = history.0[order].stream.clone();

    let mut all = vec![
        ("forged", cheaper.clone(), format!("CHANGED  {name}")),
        ("forged, with the chain computed anew", cheaper.chain_anew(&stream), format!("CHANGED  {name}")),
        (
            "dropped",
            gap.clone(),
            format!("DROPPED  event 0 of {order_stream} is missing before {}", after.name()),
        ),
        ("dropped at a stream's end", no_end.clone(), missing_after(&no_end, end)),
        ("swapped", swapped.clone(), format!("MOVED    {}", swapped.0[swapped_at].name())),
        (
            "inserted, with the chain computed anew",
            one_more.chain_anew(&order_stream),
            format!("ADDED    {added}"),
        ),
    ];
    all.extend(that_change_no_digest(history, end));
    all
}

/// Those that leave every link and every root as it was. The last event of an order stands at `end`.
fn that_change_no_digest(history: &History, end: usize) -> [(&'static str, History, String); 3] {
    let line = &history.0[end];
    let open = chain::split(line.metadata()).0;
    let mut cut = history.clone();
    cut.0[end].metadata = None;
    cut.0[end].metadata_base64 = Some(STANDARD.encode(open));

    let mut unlinked = history.clone();
    let metadata = String::from_utf8([open, b"}"].concat()).unwrap();
    let new = Line {
        id: Uuid::from_u128(1),
        revision: line.revision + 1,
        metadata: Some(RawValue::from_string(metadata).unwrap()),
        ..line.clone()
    };
    let added = new.name();
    // After the last seal.
    unlinked.0.push(new);

    let mut hidden = history.clone();
    let all_of_it = RawValue::from_string(r#"{"$tb":9223372036854775807}"#.to_owned()).unwrap();
    let hiding = Line {
        stream: format!("$${}", line.stream),
        revision: 0,
        event_type: "$metadata".to_owned(),
        data: Some(all_of_it),
        metadata: None,
        ..line.clone()
    };
    let hides = hiding.name();
    hidden.0.push(hiding);

    [
        ("its link cut off", cut, format!("CHANGED  {}", line.name())),
        ("appended without a link", unlinked, format!("UNLINKED {added}")),
        ("a stream deleted for its readers", hidden, format!("FOREIGN  {hides}")),
    ]
}

/// Whether this line and the next can change places without any chain telling of it.
fn is_swap(history: &History, at: usize) -> bool {
    let Some(next) = history.0.get(at + 1) else { return false };
    next.is_fact() && next.stream != history.0[at].stream
}

/// What is said when the event that stood here is gone and no chain can tell.
fn missing_after(history: &History, at: usize) -> String {
    let next = &history.0[at];
    if next.is_fact() {
        return format!("DROPPED  a sealed event is missing before {}", next.name());
    }
    let before = history.0[..at].iter().rfind(|line| line.is_fact()).unwrap();
    format!("DROPPED  sealed events are missing after {}", before.name())
}
