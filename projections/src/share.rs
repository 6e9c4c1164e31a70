//! What one worker fills: a version of a projection's tables, or one shard of it.

use xxhash_rust::xxh3::xxh3_64;

/// The work of one worker. A shard has the streams whose hash is its own, so that several runners can fill one
/// version together: all events of a stream are applied by the same one, in order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Share {
    /// The projection.
    pub name: &'static str,
    /// The version of its tables.
    pub version: i32,
    /// Which shard, from 0.
    pub shard: i16,
    /// How many there are.
    pub shards: i16,
}

impl Share {
    /// A version that is not divided.
    #[must_use]
    pub const fn whole(name: &'static str, version: i32) -> Self {
        Self { name, version, shard: 0, shards: 1 }
    }

    /// All parts of a version.
    pub(crate) fn all_of(name: &'static str, version: i32, shards: i16) -> impl Iterator<Item = Self> {
        (0..shards).map(move |shard| Self { name, version, shard, shards })
    }

    /// Whether a stream's events are for this worker.
    #[must_use]
    pub fn has(&self, stream: &str) -> bool {
        self.shards == 1 || i64::from(self.shard) == shard_of(stream, self.shards)
    }

    /// The schema in which this version's tables are while another one serves.
    #[must_use]
    pub fn schema(&self) -> String {
        schema_of(self.name, self.version)
    }
}

/// The schema of a version that does not serve.
#[must_use]
pub fn schema_of(name: &str, version: i32) -> String {
    format!("projection_{name}_v{version}")
}

fn shard_of(stream: &str, shards: i16) -> i64 {
    let shards = u64::from(shards.unsigned_abs().max(1));
    // Smaller than the number of shards.
    i64::try_from(xxh3_64(stream.as_bytes()) % shards).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_stream_is_in_one_shard_and_no_shard_is_empty() {
        let shards: Vec<_> =
            (0..4).map(|shard| Share { shard, shards: 4, ..Share::whole("carts", 1) }).collect();
        let mut sizes = [0; 4];
        for number in 0..1_000 {
            let stream = format!("cart-{number}");
            let mine: Vec<_> = (0..4).filter(|shard| shards[*shard].has(&stream)).collect();
            assert_eq!(mine.len(), 1, "{stream}");
            sizes[mine[0]] += 1;
        }
        assert!(sizes.iter().all(|size| *size > 150), "{sizes:?}");
    }

    /// A checkpoint is only worth something as long as the same streams belong to it.
    #[test]
    fn a_stream_stays_in_its_shard_for_ever() {
        let of_ten: Vec<_> = (0..10).map(|number| shard_of(&format!("order-{number}"), 8)).collect();
        assert_eq!(of_ten, [3, 6, 4, 4, 5, 7, 2, 3, 3, 1]);
    }
}
