//! Which commands are taken into work: only so many at once, and when places or the disk run short, first of all no new
//! carts. Orders that are placed can be paid until the last.
//!
//! A request that only waits for an outcome (`Prefer: wait`) has no place.

mod disk;

use api::problem;
use clap::Args;
use disk::{Disk, Shortage};
use futures::FutureExt;
use http_boundary::{Caller, Client, Finding, Health, Problem, Turn, TurnLimits, Turns};
use prometheus_client::metrics::gauge::Gauge;
use serde_json::json;
use std::fmt;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// The name of the disk in `/readyz`.
const DISK: &str = "disk";
/// How many commands of a busy connection wait; an HTTP/1 client sends one after the other.
const WAITING_OF_A_CONNECTION: usize = 64;
/// How long a command of a busy connection waits. It comes sooner unless the event store is away or very slow.
const TURN_WITHIN: Duration = Duration::from_secs(5);

/// Orders with many SKUs that are checked out at once: each takes the processor for as long as dozens of others.
const LARGE_ORDERS: usize = 2;

/// How much is taken on at once.
#[derive(Debug, Clone, Args)]
pub struct AdmissionArgs {
    /// Commands that are in work at once, each for a moment: beyond it they are refused with 503, new carts first,
    /// payments and operators last; 0 for any number
    #[arg(long, env = "EMPORIUM_COMMANDS_IN_WORK", default_value_t = 2_000, value_name = "N")]
    pub commands_in_work: usize,

    /// Commands that are in work at once for busy connections of one address: those that send more than a person does.
    /// Their other commands wait, and leave the processor to others
    #[arg(long, env = "EMPORIUM_COMMANDS_IN_WORK_BY_BUSY_ADDRESS", default_value_t = Self::BY_BUSY_ADDRESS, value_name = "N")]
    pub commands_in_work_by_busy_address: usize,

    /// The same for the busy connections of all addresses together. The default is one for each processor, and two at least
    #[arg(long, env = "EMPORIUM_COMMANDS_IN_WORK_BY_THE_BUSY", default_value_t = TurnLimits::places_of_the_busy(), value_name = "N")]
    pub commands_in_work_by_the_busy: usize,

    /// The folder on this machine where the event store keeps its log, to notice in time that its disk fills up; not
    /// needed for the embedded event store
    #[arg(long, env = "EMPORIUM_EVENT_STORE_FOLDER", value_name = "PATH")]
    pub event_store_folder: Option<PathBuf>,

    /// Room on the event store's disk that is kept for orders and payments, in bytes: with less, shoppers cannot fill
    /// carts, and with less than half of it they cannot check out. Without it a twentieth of the disk, at least 128 MiB
    /// and at most 512 MiB
    #[arg(long, env = "EMPORIUM_DISK_KEPT_FOR_ORDERS", value_name = "BYTES")]
    pub disk_kept_for_orders: Option<u64>,
}

impl AdmissionArgs {
    const BY_BUSY_ADDRESS: usize = 2;

    /// Everything is taken on.
    #[must_use]
    pub fn without_limits() -> Self {
        Self {
            commands_in_work: 0,
            commands_in_work_by_busy_address: usize::MAX,
            commands_in_work_by_the_busy: usize::MAX,
            event_store_folder: None,
            disk_kept_for_orders: None,
        }
    }
}

/// What a command of a shopper is about: the later in a purchase, the longer it is taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Class {
    NewCarts,
    CartLines,
    Checkouts,
    Payments,
}

impl Class {
    /// The part of all places, in hundredths, up to which it is taken.
    fn percent(self) -> usize {
        match self {
            Self::NewCarts => 70,
            Self::CartLines => 80,
            Self::Checkouts => 90,
            Self::Payments => 100,
        }
    }

    /// The least shortage of the disk at which it is refused: orders that are placed can be paid until the last.
    fn refused_at(self) -> Shortage {
        match self {
            Self::NewCarts | Self::CartLines => Shortage::OfCarts,
            Self::Checkouts => Shortage::OfOrders,
            Self::Payments => Shortage::OfEverything,
        }
    }
}

/// The places of a process. Cheap to clone; all clones are one.
#[derive(Clone)]
pub struct Admission(Arc<Places>);

struct Places {
    /// Zero: any number.
    all: usize,
    taken: AtomicUsize,
    /// Only for busy connections: of all places together there are others above.
    of_the_busy: Turns,
    of_large_orders: Turns,
    disk: Option<Disk>,
}

/// A command in work. It has its place until this is dropped, or until it leaves it.
pub struct Place {
    admission: Admission,
    has_left: AtomicBool,
    /// Of a busy connection.
    turn: Mutex<Option<Turn>>,
}

impl Admission {
    /// Places, none of which is taken.
    pub fn new(args: &AdmissionArgs, health: &Health) -> Self {
        let disk = args.event_store_folder.as_ref().map(|folder| Disk::of(folder, args.disk_kept_for_orders));
        // Where any number may be in work, any number may wait for that.
        let waiting = if args.commands_in_work == 0 { usize::MAX } else { args.commands_in_work / 2 };
        let busy = TurnLimits {
            places: usize::MAX,
            places_of_a_busy_address: args.commands_in_work_by_busy_address,
            places_of_the_busy: args.commands_in_work_by_the_busy,
            waiting_of_a_connection: WAITING_OF_A_CONNECTION,
            waiting_of_an_address: (waiting / 2).max(1),
            waiting: waiting.max(1),
            patience: TURN_WITHIN,
        };
        let of_large_orders = TurnLimits {
            places: LARGE_ORDERS,
            places_of_a_busy_address: LARGE_ORDERS,
            places_of_the_busy: LARGE_ORDERS,
            ..busy
        };
        let of_large_orders = Turns::new(of_large_orders);
        let (all, taken) = (args.commands_in_work, AtomicUsize::new(0));
        let of_the_busy = Turns::new(busy);
        let admission = Self(Arc::new(Places { all, taken, of_the_busy, of_large_orders, disk }));
        admission.report(health);
        admission
    }

    /// Takes a command on, of a busy connection when it is its turn.
    ///
    /// # Errors
    /// 503 `overloaded` when too many are in work, 503 `storage-nearly-full` for carts, and later for orders, when the disk fills up.
    pub async fn admit(&self, class: Class, caller: Caller, client: Client) -> Result<Place, Problem> {
        let turn = if client.is_busy {
            Some(self.0.of_the_busy.take(client).await.map_err(|_| overloaded())?)
        } else {
            None
        };
        let place = self.admit_now(class, caller)?;
        *place.turn.lock().unwrap_or_else(PoisonError::into_inner) = turn;
        Ok(place)
    }

    /// Takes a command on that is nobody's flood.
    ///
    /// # Errors
    /// As [`Self::admit`].
    pub fn admit_now(&self, class: Class, caller: Caller) -> Result<Place, Problem> {
        let Places { all, taken, disk, .. } = &*self.0;
        let is_first_of_all = caller.is_operator();
        let percent = if is_first_of_all { 100 } else { class.percent() };
        let before = taken.fetch_add(1, Ordering::Relaxed);
        // Dropped with a refusal.
        let place =
            Place { admission: self.clone(), has_left: AtomicBool::new(false), turn: Mutex::default() };
        // At least one place is everybody's.
        if *all > 0 && before >= (all.saturating_mul(percent) / 100).max(1) {
            return Err(overloaded());
        }
        let shortage = disk.as_ref().map_or(Shortage::None, Disk::shortage);
        if !is_first_of_all && shortage >= class.refused_at() {
            return Err(storage_nearly_full(shortage));
        }
        Ok(place)
    }

    /// Lets an order with many SKUs be checked out when it is its turn, by address.
    ///
    /// # Errors
    /// 503 `overloaded` when too many wait, or it takes too long.
    pub async fn admit_large_order(&self, client: Client) -> Result<Turn, Problem> {
        self.0.of_large_orders.take(client).await.map_err(|_| overloaded())
    }

    fn report(&self, health: &Health) {
        let (taken, free) = (Gauge::<i64>::default(), Gauge::<i64>::default());
        health.metrics().register(|registry| {
            registry.register("commands_in_work", "Commands that are in work", taken.clone());
            if self.0.disk.is_some() {
                registry.register("disk_free_bytes", "Room on the event store's disk", free.clone());
            }
        });
        let places = Arc::clone(&self.0);
        health.metrics().refresh(move || {
            taken.set(i64::try_from(places.taken.load(Ordering::Relaxed)).unwrap_or(i64::MAX));
            if let Some(room) = places.disk.as_ref().and_then(Disk::room) {
                free.set(i64::try_from(room.free).unwrap_or(i64::MAX));
            }
            async {}.boxed()
        });
        if self.0.disk.is_some() {
            let places = Arc::clone(&self.0);
            health.ask(DISK, move || {
                let room = places.disk.as_ref().and_then(Disk::room);
                let ready = room.is_none_or(|room| room.shortage() < Shortage::OfEverything);
                let detail = room.map_or(json!({ "free_bytes": null }), |room| {
                    let shoppers = room.shortage().shoppers();
                    json!({ "free_bytes": room.free, "kept_for_orders_bytes": room.kept, "shoppers": shoppers })
                });
                // As long as payments go on, the process is ready.
                async move { Finding { ready, detail } }.boxed()
            });
        }
    }
}

impl Place {
    /// From here on the request only waits.
    pub fn leave(&self) {
        if !self.has_left.swap(true, Ordering::Relaxed) {
            self.admission.0.taken.fetch_sub(1, Ordering::Relaxed);
            // Nothing panics while it holds the lock.
            drop(self.turn.lock().unwrap_or_else(PoisonError::into_inner).take());
        }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.leave();
    }
}

impl fmt::Debug for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Place").field("has_left", &self.has_left).finish_non_exhaustive()
    }
}

fn overloaded() -> Problem {
    Problem::new(
        problem::OVERLOADED,
        "More commands come than can be worked on: nothing was changed, send it again in a moment.",
    )
    .retry_after(1)
}

fn storage_nearly_full(shortage: Shortage) -> Problem {
    let why = match shortage {
        Shortage::None | Shortage::OfCarts => "nearly full: what is left is kept for orders and payments",
        Shortage::OfOrders => "nearly full: what is left is kept for payments",
        Shortage::OfEverything => "full",
    };
    Problem::new(
        problem::STORAGE_NEARLY_FULL,
        format!("The shop's disk is {why}. Nothing was changed, try again later."),
    )
    .retry_after(60)
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    fn admission(places: usize) -> Admission {
        let args = AdmissionArgs { commands_in_work: places, ..AdmissionArgs::without_limits() };
        Admission::new(&args, &Health::default())
    }

    fn refusal(answer: Result<Place, Problem>) -> Option<&'static str> {
        answer.err().map(|problem| problem.id())
    }

    #[rstest]
    #[case::new_carts(Class::NewCarts, Caller::Shopper, 70)]
    #[case::cart_lines(Class::CartLines, Caller::Shopper, 80)]
    #[case::checkouts(Class::Checkouts, Caller::Shopper, 90)]
    #[case::payments(Class::Payments, Caller::Shopper, 100)]
    #[case::the_operators_carts(Class::NewCarts, Caller::Operator, 100)]
    fn new_carts_are_refused_first_and_payments_last(
        #[case] class: Class,
        #[case] caller: Caller,
        #[case] last: usize,
    ) {
        let admission = admission(100);
        let mut places: Vec<_> = (0..last).map(|_| admission.admit_now(class, caller).unwrap()).collect();
        assert_eq!(refusal(admission.admit_now(class, caller)), Some("overloaded"));
        // A refusal takes no place, and one that is given back is free.
        places.pop();
        assert_eq!(refusal(admission.admit_now(class, caller)), None);
    }

    #[test]
    fn who_only_waits_has_no_place() {
        let admission = admission(1);
        let first = admission.admit_now(Class::Payments, Caller::Shopper).unwrap();
        assert_eq!(refusal(admission.admit_now(Class::Payments, Caller::Shopper)), Some("overloaded"));
        first.leave();
        let second = admission.admit_now(Class::Payments, Caller::Shopper).unwrap();
        // Left once, however often it is said.
        first.leave();
        drop(first);
        assert_eq!(refusal(admission.admit_now(Class::Payments, Caller::Shopper)), Some("overloaded"));
        drop(second);
        assert_eq!(refusal(admission.admit_now(Class::NewCarts, Caller::Shopper)), None);
    }

    #[rstest]
    #[case::new_carts(Class::NewCarts, Caller::Shopper, [true, true])]
    #[case::cart_lines(Class::CartLines, Caller::Shopper, [true, true])]
    #[case::checkouts(Class::Checkouts, Caller::Shopper, [false, true])]
    #[case::payments(Class::Payments, Caller::Shopper, [false, false])]
    #[case::the_operators_carts(Class::NewCarts, Caller::Operator, [false, false])]
    fn a_disk_that_fills_up_is_kept_for_orders_and_then_for_payments(
        #[case] class: Class,
        #[case] caller: Caller,
        #[case] is_refused: [bool; 2],
    ) {
        let folder = tempfile::tempdir().unwrap();
        let args = |kept| AdmissionArgs {
            event_store_folder: Some(folder.path().to_owned()),
            disk_kept_for_orders: Some(kept),
            ..AdmissionArgs::without_limits()
        };
        let free = Disk::of(folder.path(), None).room().unwrap().free;
        // Two thirds of what is kept are free, and then next to nothing of it.
        for (kept, is_refused) in [free + free / 2, u64::MAX].into_iter().zip(is_refused) {
            let nearly_full = Admission::new(&args(kept), &Health::default());
            let expected = is_refused.then_some("storage-nearly-full");
            assert_eq!(refusal(nearly_full.admit_now(class, caller)), expected, "{kept}");
        }
        let roomy = Admission::new(&args(0), &Health::default());
        assert_eq!(refusal(roomy.admit_now(class, caller)), None);
    }

    #[rstest]
    #[case::of_many_places(2_000)]
    #[case::of_any_number(0)]
    #[tokio::test]
    async fn a_flood_of_one_address_waits_for_itself_and_for_nobody_else(#[case] commands_in_work: usize) {
        let args = AdmissionArgs { commands_in_work_by_busy_address: 2, ..AdmissionArgs::without_limits() };
        let args = AdmissionArgs { commands_in_work, ..args };
        let admission = Admission::new(&args, &Health::default());
        let client = |address: u8, connection, is_busy| Client {
            address: [192, 0, 2, address].into(),
            connection,
            is_busy,
        };
        let admit = |client| admission.admit(Class::NewCarts, Caller::Shopper, client);
        let first = admit(client(1, 1, true)).now_or_never().unwrap().unwrap();
        let _second = admit(client(1, 2, true)).now_or_never().unwrap().unwrap();
        let mut third = Box::pin(admit(client(1, 3, true)));
        assert!((&mut third).now_or_never().is_none());
        for other in [client(1, 4, false), client(2, 5, true)] {
            assert!(admit(other).now_or_never().is_some(), "{other:?}");
        }
        // Once it only waits for an outcome, the next one is taken on.
        first.leave();
        assert!(matches!(third.now_or_never(), Some(Ok(_))));
    }
}
