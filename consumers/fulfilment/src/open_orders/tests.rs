use super::super::settle::Blocked;
use super::*;
use domain::{IntentId, PaymentId};
use uuid::Uuid;

#[tokio::test]
async fn only_questions_in_vain_make_the_pause_longer() {
    let order_id = OrderId(Uuid::nil());
    let intent = IntentId::new("pi_1").unwrap();
    let standing = Standing {
        is_pending: true,
        undecided: vec![(PaymentId(Uuid::nil()), intent)],
        ..Standing::default()
    };
    let mut open = OpenOrders::default();
    for questions in 0..4 {
        // Whatever happens to the order, it is looked at again and the gateway is not asked.
        (0..5).for_each(|_| open.settled(order_id, &standing));
        assert_eq!(open.orders[&order_id].fruitless, questions);
        open.ring_later(order_id);
    }
    open.settled(order_id, &Standing { is_pending: true, ..Standing::default() });
    assert_eq!(open.len(), 0);
}

#[tokio::test]
async fn questions_in_vain_become_rare_and_never_stop() {
    let order_id = OrderId(Uuid::nil());
    let intent = IntentId::new("pi_1").unwrap();
    let undecided = vec![(PaymentId(Uuid::nil()), intent)];
    for (is_pending, longest) in [(true, LONGEST_PAUSE), (false, LONGEST_PAUSE_WHEN_OVER)] {
        let mut open = OpenOrders::default();
        let standing = Standing { is_pending, undecided: undecided.clone(), ..Standing::default() };
        open.settled(order_id, &standing);
        let mut last = Duration::ZERO;
        for _ in 0..100 {
            let pause = open.orders[&order_id].pause();
            assert!(last < pause && pause <= longest || pause == longest, "{last:?} {pause:?}");
            last = pause;
            open.ring_later(order_id);
            assert!(open.orders[&order_id].alarm.is_some());
        }
        assert_eq!(last, longest);
    }
}

#[tokio::test]
async fn only_an_order_whose_events_were_all_seen_is_known_to_be_young() {
    let order_id = OrderId(Uuid::nil());
    let placed_at = Utc::now();
    let mut open = OpenOrders::default();
    open.wait(order_id, placed_at, Wait::ForMoney(60));
    open.wait(order_id, placed_at + chrono::TimeDelta::seconds(5), Wait::ForPayment(PAYMENT, 60));
    assert_eq!(open.known_since(order_id), Some(placed_at));
    // After a restart, what was recorded before it may be as old as it likes.
    let mut restored = OpenOrders::restore(open.keep());
    assert_eq!(restored.known_since(order_id), None);
    restored.wait(order_id, placed_at, Wait::ForPayment(PAYMENT, 120));
    assert_eq!(restored.known_since(order_id), None);
}

const ORDER: OrderId = OrderId(Uuid::nil());
const PAYMENT: PaymentId = PaymentId(Uuid::nil());
const OVER: (OrderId, Alarm) = (ORDER, Alarm::Expire { even_while_paying: false });

fn waiting() -> Standing {
    Standing { is_pending: true, ..Standing::default() }
}

fn paying() -> Standing {
    let intent = IntentId::new("pi_1").unwrap();
    Standing { undecided: vec![(PAYMENT, intent)], ..waiting() }
}

fn seconds_ago(seconds: i64) -> DateTime<Utc> {
    Utc::now() - chrono::TimeDelta::seconds(seconds)
}

#[tokio::test]
async fn a_payment_under_way_is_waited_for_and_a_declined_one_is_not() {
    let mut open = OpenOrders::default();
    open.wait(ORDER, seconds_ago(60), Wait::ForMoney(30));
    open.settled(ORDER, &waiting());
    assert_eq!(open.next().await, OVER);
    // Asked for just before the time was over.
    open.wait(ORDER, seconds_ago(31), Wait::ForPayment(PAYMENT, 60));
    open.settled(ORDER, &paying());
    assert!(open.orders[&ORDER].over_at().is_some_and(|over_at| !from_now(over_at).is_zero()));
    // The gateway said no: the deadline is the one of before.
    open.settled(ORDER, &waiting());
    assert_eq!(open.next().await, OVER);
    // Also after a restart.
    let mut open = OpenOrders::restore(open.keep());
    assert_eq!(open.next().await, OVER);
}

#[tokio::test]
async fn a_payment_is_never_waited_for_longer_than_its_event_says() {
    let mut open = OpenOrders::default();
    open.wait(ORDER, seconds_ago(60), Wait::ForMoney(30));
    open.wait(ORDER, seconds_ago(50), Wait::ForPayment(PAYMENT, 40));
    open.settled(ORDER, &paying());
    assert_eq!(open.next().await, (ORDER, Alarm::Expire { even_while_paying: true }));
}

/// The log is read behind: the deadline rings, and only the look at the order finds that it is being paid.
#[tokio::test]
async fn a_payment_whose_event_was_not_read_yet_is_waited_for() {
    let is_over = |open: &OpenOrders| open.orders[&ORDER].over_at().is_some_and(|at| from_now(at).is_zero());
    let mut open = OpenOrders::default();
    open.wait(ORDER, seconds_ago(60), Wait::ForMoney(30));
    for _ in 0..2 {
        assert_eq!(open.next().await, OVER);
        open.settled(ORDER, &paying());
        assert!(!is_over(&open));
        // Over a restart too, also after a checkpoint that does not know until when.
        let mut kept = open.keep();
        open = OpenOrders::restore(kept.clone());
        assert!(!is_over(&open));
        kept[0].paying_until = None;
        assert!(!is_over(&OpenOrders::restore(kept)));
        // It was declined, and another one is asked for.
        open.settled(ORDER, &waiting());
    }
    open.settled(ORDER, &paying());
    // Its event says how long ago it was asked for.
    open.wait(ORDER, seconds_ago(50), Wait::ForPayment(PAYMENT, 40));
    assert_eq!(open.next().await, (ORDER, Alarm::Expire { even_while_paying: true }));
}

/// The client cuts the fraction of a second off from when the store recorded something.
#[tokio::test]
async fn an_order_has_all_of_its_time_and_at_most_a_second_more() {
    let read = DateTime::from_timestamp(1_800_000_000, 0).unwrap();
    for fraction in [0, 1, 500, 999] {
        let mut open = OpenOrders::default();
        open.wait(ORDER, read, Wait::ForMoney(30));
        let promised = read.timestamp_millis() + fraction + 30_000;
        let late = open.orders[&ORDER].over_at().unwrap() * 1_000 - promised;
        assert!((0..=1_000).contains(&late), "{late} ms after the time that was promised");
    }
    let now = read + chrono::TimeDelta::milliseconds(250);
    assert_eq!(time_left(read.timestamp() + 1, now), Duration::from_millis(750));
    assert_eq!(time_left(read.timestamp(), now), Duration::ZERO);
}

#[tokio::test]
async fn payments_one_after_the_other_are_waited_for_once() {
    let (mut open, placed_at) = (OpenOrders::default(), Utc::now());
    open.wait(ORDER, placed_at, Wait::ForMoney(30));
    open.settled(ORDER, &paying());
    for second in 0..200 {
        open.wait(ORDER, placed_at + chrono::TimeDelta::seconds(second), Wait::ForPayment(PAYMENT, 60));
    }
    assert_eq!(open.orders[&ORDER].over_at(), Some(placed_at.timestamp() + 1 + 30 + 60));
    // An order that waits long waits no less for a payment at its beginning.
    let mut open = OpenOrders::default();
    open.wait(ORDER, placed_at, Wait::ForMoney(900));
    open.wait(ORDER, placed_at, Wait::ForPayment(PAYMENT, 60));
    open.settled(ORDER, &paying());
    assert_eq!(open.orders[&ORDER].over_at(), Some(placed_at.timestamp() + 1 + 900));
}

fn parked(stream: &str) -> Parked {
    Parked { stream: stream.to_owned(), cart: Some((CartId(Uuid::nil()), 3)) }
}

#[tokio::test]
async fn a_parked_order_is_kept_with_what_is_to_be_done_and_rings_when_its_stream_is_freed() {
    let mut open = OpenOrders::default();
    open.park(ORDER, parked("order-1"));
    let kept = open.keep();
    assert_eq!(kept[0].parked, Some(parked("order-1")));
    assert!(serde_json::to_vec(&kept[0]).unwrap().len() <= kept[0].bytes());
    let mut open = OpenOrders::restore(kept);
    // A restart tries again.
    assert_eq!(open.next().await, (ORDER, Alarm::Look));
    let job = open.complete(ORDER, Job::of_order(ORDER));
    assert_eq!((job.cart, job.after_gap), (Some((CartId(Uuid::nil()), 3)), true));
    (0..20).for_each(|_| open.park(ORDER, parked("order-1")));
    open.ring_parked(Some("order-2"));
    assert_eq!(open.orders[&ORDER].pause(), LONGEST_PAUSE_WHEN_OVER);
    open.ring_parked(Some("order-1"));
    assert_eq!(open.next().await, (ORDER, Alarm::Look));
    open.settled(ORDER, &Standing::default());
    assert_eq!(open.len(), 0);
}

#[tokio::test]
async fn a_parked_order_whose_time_is_over_does_not_ring_all_the_time() {
    let mut open = OpenOrders::default();
    open.wait(ORDER, seconds_ago(60), Wait::ForMoney(30));
    for _ in 0..20 {
        open.park(ORDER, parked("order-1"));
    }
    open.wait(ORDER, seconds_ago(60), Wait::ForMoney(30));
    let rings = tokio::time::timeout(Duration::from_millis(50), open.next());
    assert!(rings.await.is_err());
    // It is called off as soon as it can be read.
    open.settled(ORDER, &waiting());
    assert_eq!(open.next().await, OVER);
}

#[tokio::test]
async fn an_order_whose_stock_cannot_be_read_is_still_called_off_at_its_deadline() {
    let mut open = OpenOrders::default();
    open.wait(ORDER, Utc::now(), Wait::ForMoney(1));
    let blocked = Blocked { stream: "inventory-MUG".to_owned(), why: "unknown".to_owned() };
    for _ in 0..20 {
        open.settled(ORDER, &Standing { blocked: Some(blocked.clone()), ..waiting() });
    }
    assert_eq!(open.next().await, OVER);
}

/// A penny through 3-D Secure.
#[tokio::test]
async fn a_payment_that_leaves_something_due_is_not_waited_for() {
    let mut open = OpenOrders::default();
    open.wait(ORDER, seconds_ago(60), Wait::ForMoney(30));
    open.wait(ORDER, seconds_ago(31), Wait::ForPayment(PAYMENT, 600));
    open.settled(ORDER, &Standing { is_short: true, ..paying() });
    assert_eq!(open.next().await, (ORDER, Alarm::Expire { even_while_paying: true }));
}

/// Orders for which the gateway was to be asked, a second between their deadlines.
fn inherited(count: i64) -> OpenOrders {
    let kept = |number: i64| Kept {
        order_id: OrderId(Uuid::from_u128(number.unsigned_abs().into())),
        deadline: Some(Utc::now().timestamp() + 3_600 + number),
        paying_until: None,
        is_asking: true,
        parked: None,
    };
    OpenOrders::restore((0..count).map(kept).collect())
}

/// When the orders ring, and which, from now on.
fn alarms(open: &OpenOrders) -> Vec<(Duration, OrderId)> {
    let now = tokio::time::Instant::now();
    let alarm = |(order_id, open_order): (&OrderId, &Open)| {
        let rings_at = open.alarms.deadline(open_order.alarm.as_ref().unwrap());
        (rings_at.saturating_duration_since(now), *order_id)
    };
    let mut alarms: Vec<_> = open.orders.iter().map(alarm).collect();
    alarms.sort_unstable();
    alarms
}

#[tokio::test]
async fn after_a_restart_payments_that_hang_are_asked_about_one_by_one() {
    let mut open = inherited(500);
    let alarms = alarms(&open);
    let numbers: Vec<u128> = alarms.iter().map(|(_, order_id)| order_id.0.as_u128()).collect();
    assert_eq!(numbers, Vec::from_iter((0..500).rev()), "the youngest first");
    let upto = |second| alarms.iter().filter(|(after, _)| *after < Duration::from_secs(second)).count();
    for second in 1..=20 {
        let count = upto(second);
        let expected = usize::try_from(second).unwrap() * 20;
        assert!(count <= expected + 20, "{count} within {second} s");
    }
    assert!(alarms[499].0 <= Duration::from_secs(25));
    // Asked in vain, it is left in peace for a while.
    let (_, youngest) = alarms[0];
    open.ring_later(youngest);
    assert_eq!(open.orders[&youngest].pause(), Duration::from_secs(16));
}

#[tokio::test]
async fn after_a_restart_all_are_asked_about_within_a_minute_however_many_they_are() {
    let open = inherited(5_000);
    let last = alarms(&open)[4_999].0;
    assert!(last <= ALL_INHERITED_WITHIN && last > ALL_INHERITED_WITHIN / 2, "{last:?}");
}
