//! How many histories are read and folded at once.

use crate::asker::Asker;
use crate::gate::{Gate, Pass};
use crate::places::{Limits, Place, Places};
use api::problem;
use http_boundary::Problem;
use std::sync::Arc;
use std::time::Duration;

/// For each that reads, so many may wait.
const WAITING_FOR_EACH: usize = 16;
/// Of one address, busy connections read one after the other: a long history takes a processor for itself.
const OF_BUSY_ADDRESS: usize = 1;
/// How long one waits.
const PATIENCE: Duration = Duration::from_secs(10);

/// Those who read histories, and those who wait for that. Cheap to clone; all clones are one.
#[derive(Clone)]
pub struct Readers {
    line: Places,
    gate: Arc<Gate>,
}

/// Whoever has it reads.
pub struct Reader {
    _pass: Pass,
    _place: Place,
}

impl Readers {
    /// So many at once; of one address half of them, and the operator has as many of its own.
    #[must_use]
    pub fn new(at_once: usize) -> Self {
        let at_once = at_once.max(1);
        let (of_address, in_line) = (at_once.div_ceil(2), at_once * WAITING_FOR_EACH);
        let limits = Limits {
            in_all: 2 * in_line,
            for_operator: in_line,
            for_address: in_line.div_ceil(4),
            over_connection: in_line.div_ceil(4),
        };
        Self {
            line: Places::new(limits),
            gate: Arc::new(Gate::new(at_once, of_address, OF_BUSY_ADDRESS, at_once)),
        }
    }

    /// Waits for its turn to read.
    ///
    /// # Errors
    /// 503 `overloaded` when too many wait, or when it was not its turn in time.
    pub async fn enter(&self, asker: Asker) -> Result<Reader, Problem> {
        let place = self.line.take(asker).map_err(|_| overloaded())?;
        match tokio::time::timeout(PATIENCE, self.gate.enter(asker)).await {
            Ok(pass) => Ok(Reader { _pass: pass, _place: place }),
            Err(_) => Err(overloaded()),
        }
    }
}

fn overloaded() -> Problem {
    Problem::new(problem::OVERLOADED, "Too many histories are read at the moment: ask again in a moment.")
        .retry_after(2)
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::http::StatusCode;
    use futures::FutureExt;
    use http_boundary::Client;

    fn asker(address: u8, is_operator: bool) -> Asker {
        let client =
            Client { address: [192, 0, 2, address].into(), connection: address.into(), is_busy: false };
        Asker { client, is_operator }
    }

    /// What an asker is told at once: none if it waits.
    fn told(readers: &Readers, asker: Asker) -> Option<Result<Reader, &'static str>> {
        readers.enter(asker).now_or_never().map(|answer| answer.map_err(|problem| problem.id()))
    }

    #[tokio::test]
    async fn a_few_read_some_wait_and_one_more_is_told_to_come_back() {
        let readers = Readers::new(2);
        let reading: Vec<_> = [1, 2].map(|address| told(&readers, asker(address, false))).into();
        assert!(reading.iter().all(|answer| matches!(answer, Some(Ok(_)))));
        // One address waits with a part of the line only.
        let mut waiting = Vec::new();
        for address in 1..=4 {
            loop {
                let mut entering = Box::pin(readers.enter(asker(address, false)));
                match (&mut entering).now_or_never() {
                    None => waiting.push(entering),
                    Some(answer) => {
                        let problem = answer.map(drop).unwrap_err();
                        assert_eq!(
                            (problem.id(), problem.status()),
                            ("overloaded", StatusCode::SERVICE_UNAVAILABLE)
                        );
                        break;
                    }
                }
            }
        }
        assert_eq!(waiting.len(), 2 * WAITING_FOR_EACH - 2);
        assert!(matches!(told(&readers, asker(9, true)), Some(Ok(_))), "the operator reads");
        drop((reading, waiting));
        assert!(matches!(told(&readers, asker(5, false)), Some(Ok(_))));
    }
}
