//! Streams that only system projections write to. This store has none: who reads such a stream would wait in silence.

use std::sync::Arc;

use super::{ReadError, Store, on_disk};

const PREFIXES: [&str; 4] = ["$ce-", "$et-", "$bc-", "$category-"];
const STREAMS: &str = "$streams";

impl Store {
    /// Refuses a stream that only a system projection would write to, unless somebody has appended to it.
    pub async fn refuse_unprojected(&self, stream: &str) -> Result<(), ReadError> {
        if !is_projected(stream) {
            return Ok(());
        }
        let (log, name) = (Arc::clone(&self.log), stream.to_owned());
        match on_disk(move || log.index.stream(&name)).await? {
            Some(_) => Ok(()),
            None => Err(ReadError::Unprojected { stream: stream.to_owned() }),
        }
    }
}

fn is_projected(stream: &str) -> bool {
    stream == STREAMS || PREFIXES.iter().any(|prefix| stream.starts_with(prefix))
}

#[cfg(test)]
mod tests {
    use super::is_projected;

    #[test]
    fn a_projections_stream_is_known_by_its_name() {
        for name in ["$ce-order", "$et-order.placed.v1", "$bc-1", "$category-order", "$streams", "$ce-"] {
            assert!(is_projected(name), "{name}");
        }
        for name in ["ce-order", "order-1", "$$$ce-order", "$ce", "$streams-1", "$stats-127.0.0.1", "$all"] {
            assert!(!is_projected(name), "{name}");
        }
    }
}
