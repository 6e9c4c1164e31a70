use event_store::{EventStore, EventStoreError, Position, RecordedEvent};
use futures::{StreamExt, TryStreamExt};

/// Reads that are under way at once.
const AT_ONCE: usize = 16;
/// Places of the log that are read over, rather than beginning a new read. In stores whose positions are bytes this
/// joins nothing, and each event is a read of its own.
const READ_OVER: u64 = 64;

/// The events at these places of the log, which must come in their order; those that are not there are left out.
pub async fn at_positions(
    store: &EventStore,
    positions: &[Position],
) -> Result<Vec<RecordedEvent>, EventStoreError> {
    let runs: Vec<_> = runs(positions).map(|run| read_run(store, run)).collect();
    let found: Vec<Vec<RecordedEvent>> = futures::stream::iter(runs).buffered(AT_ONCE).try_collect().await?;
    Ok(found.into_iter().flatten().collect())
}

async fn read_run(store: &EventStore, run: &[Position]) -> Result<Vec<RecordedEvent>, EventStoreError> {
    let (Some(&first), Some(&last)) = (run.first(), run.last()) else { return Ok(vec![]) };
    let is_wanted = |event: &RecordedEvent| std::future::ready(run.binary_search(&event.position).is_ok());
    store.read_all_between(first, last).try_filter(is_wanted).try_collect().await
}

/// Positions that are near each other, together.
fn runs(positions: &[Position]) -> impl Iterator<Item = &[Position]> {
    positions.chunk_by(|one, next| next.value().abs_diff(one.value()) <= READ_OVER)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_near_is_read_together() {
        let positions = [1, 2, 66, 131, 132].map(Position::new);
        let runs: Vec<Vec<u64>> =
            runs(&positions).map(|run| run.iter().map(|position| position.value()).collect()).collect();
        assert_eq!(runs, [vec![1, 2, 66], vec![131, 132]]);
        assert_eq!(super::runs(&[]).count(), 0);
    }
}
