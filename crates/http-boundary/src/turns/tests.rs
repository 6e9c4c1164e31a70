use super::*;
use futures::FutureExt;
use futures::future::BoxFuture;
use std::net::Ipv4Addr;

const LIMITS: TurnLimits = TurnLimits {
    places: 1,
    places_of_a_busy_address: 2,
    places_of_the_busy: 100,
    waiting_of_a_connection: 100,
    waiting_of_an_address: 1_000,
    waiting: 2_000,
    patience: Duration::from_secs(5),
};

fn client(address: u32, connection: u64) -> Client {
    Client { address: Ipv4Addr::from_bits(address).into(), connection, is_busy: false }
}

fn busy(address: u32, connection: u64) -> Client {
    Client { is_busy: true, ..client(address, connection) }
}

type Waiter = BoxFuture<'static, Result<Turn, NoTurn>>;

/// Somebody who has asked for a place and waits.
fn waiter(turns: &Turns, client: Client) -> Waiter {
    let turns = turns.clone();
    let mut waiter = async move { turns.take(client).await }.boxed();
    assert!((&mut waiter).now_or_never().is_none(), "{client:?} has a place");
    waiter
}

/// Gives the place back until this one has it: so many had it before.
async fn before(mut place: Turn, mut others: Vec<Waiter>, mut waiter: Waiter) -> usize {
    for served in 0.. {
        drop(place);
        if (&mut waiter).now_or_never().is_some_and(|turn| turn.is_ok()) {
            return served;
        }
        let called = |(at, other): (usize, &mut Waiter)| Some((at, other.now_or_never()?));
        let (at, turn) = others.iter_mut().enumerate().find_map(called).expect("somebody has it");
        drop(others.swap_remove(at));
        place = turn.expect("there was room");
    }
    unreachable!("a turn comes")
}

async fn take(turns: &Turns) -> Turn {
    turns.take(client(9, 9)).await.expect("a place is free")
}

#[tokio::test]
async fn a_flood_over_one_connection_delays_another_by_one() {
    let turns = Turns::new(LIMITS);
    let place = take(&turns).await;
    let flood: Vec<_> = (0..100).map(|_| waiter(&turns, client(1, 1))).collect();
    let visitor = waiter(&turns, client(1, 2));
    assert_eq!(before(place, flood, visitor).await, 1);
}

#[tokio::test]
async fn a_flood_over_many_connections_delays_another_address_by_one() {
    let turns = Turns::new(LIMITS);
    let place = take(&turns).await;
    let flood: Vec<_> = (0..500).map(|connection| waiter(&turns, client(1, connection))).collect();
    let visitor = waiter(&turns, client(2, 7_777));
    assert_eq!(before(place, flood, visitor).await, 1);
}

#[tokio::test]
async fn connections_of_one_address_have_their_turns() {
    let turns = Turns::new(LIMITS);
    let place = take(&turns).await;
    let flood: Vec<_> = (0..300).map(|number| waiter(&turns, client(1, number % 100))).collect();
    let visitor = waiter(&turns, client(1, 7_777));
    assert_eq!(before(place, flood, visitor).await, 100);
}

#[tokio::test]
async fn each_bound_refuses_at_once_and_nobody_else() {
    let turns =
        Turns::new(TurnLimits { waiting_of_a_connection: 2, waiting_of_an_address: 3, waiting: 4, ..LIMITS });
    let _place = take(&turns).await;
    let _waiting = [waiter(&turns, client(1, 1)), waiter(&turns, client(1, 1))];
    assert!(matches!(turns.take(client(1, 1)).now_or_never(), Some(Err(NoTurn))));
    let _another = waiter(&turns, client(1, 2));
    assert!(matches!(turns.take(client(1, 3)).now_or_never(), Some(Err(NoTurn))));
    let _elsewhere = waiter(&turns, client(2, 4));
    assert!(matches!(turns.take(client(3, 5)).now_or_never(), Some(Err(NoTurn))));
}

#[tokio::test]
async fn who_went_away_neither_has_a_place_nor_keeps_one() {
    let turns = Turns::new(LIMITS);
    let place = take(&turns).await;
    let gone: Vec<_> = (0..10).map(|number| waiter(&turns, client(number, 1))).collect();
    let mut staying = waiter(&turns, client(99, 1));
    drop(gone);
    drop(place);
    let turn = (&mut staying).now_or_never().expect("it is called").expect("there was room");
    assert_eq!(turns.waiting(), 0);
    // Called, and gone before it noticed.
    let called = waiter(&turns, client(5, 1));
    drop(turn);
    drop(called);
    take(&turns).await;
}

#[tokio::test]
async fn busy_connections_of_an_address_have_few_places_even_if_more_are_free() {
    let turns = Turns::new(TurnLimits { places: 10, ..LIMITS });
    let mut flood: Vec<_> = [1, 2].map(|connection| turns.take(busy(1, connection)).now_or_never()).into();
    assert!(flood.iter().all(|turn| matches!(turn, Some(Ok(_)))));
    let mut third = waiter(&turns, busy(1, 3));
    let others = [client(1, 4), client(2, 5), busy(2, 6), busy(2, 7)].map(|other| turns.take(other));
    let others = others.map(|other| other.now_or_never().expect("a place is free"));
    assert!(others.iter().all(Result::is_ok) && (&mut third).now_or_never().is_none());
    drop(others);
    assert!((&mut third).now_or_never().is_none(), "its own address has what it may have");
    flood.pop();
    assert!(matches!((&mut third).now_or_never(), Some(Ok(_))));
    drop((flood, third));
    let room = turns.lock();
    assert_eq!((room.free, room.busy.len(), room.waiting), (10, 0, 0));
}

#[tokio::test]
async fn an_ordinary_connection_comes_before_the_busy_ones_of_its_address() {
    let turns = Turns::new(LIMITS);
    let place = take(&turns).await;
    let flood: Vec<_> = (0..100).map(|connection| waiter(&turns, busy(1, connection))).collect();
    let visitor = waiter(&turns, client(1, 7_777));
    assert_eq!(before(place, flood, visitor).await, 0);
}

#[tokio::test]
async fn addresses_whose_busy_connections_have_enough_are_passed_over() {
    let turns = Turns::new(TurnLimits { places: 3, places_of_a_busy_address: 1, ..LIMITS });
    let place = take(&turns).await;
    let having = [1, 2].map(|address| turns.take(busy(address, 1)).now_or_never().unwrap().unwrap());
    let mut waiting = [1, 2, 3].map(|address| waiter(&turns, busy(address, 2)));
    drop(place);
    let called = waiting.each_mut().map(|waiter| waiter.now_or_never().is_some());
    assert_eq!(called, [false, false, true]);
    drop(having);
    assert!(waiting[..2].iter_mut().all(|waiter| matches!(waiter.now_or_never(), Some(Ok(_)))));
}

#[tokio::test]
async fn a_turn_that_does_not_come_is_given_up() {
    let turns = Turns::new(TurnLimits { patience: Duration::ZERO, ..LIMITS });
    let _place = take(&turns).await;
    assert!(turns.take(client(1, 1)).await.is_err());
}

#[tokio::test]
async fn the_busy_of_many_addresses_have_no_more_places_together_than_they_may() {
    let turns = Turns::new(TurnLimits { places: 10, places_of_the_busy: 3, ..LIMITS });
    let mut places = Vec::new();
    for address in 1..=3 {
        places.push(turns.take(busy(address, 1)).now_or_never().expect("it is free").unwrap());
    }
    let mut waiters: Vec<_> = (4..=40).map(|address| waiter(&turns, busy(address, 1))).collect();
    // There are places for everybody else, and a busy one's place is the next busy one's.
    let mut others = Vec::new();
    for address in 100..107 {
        others.push(turns.take(client(address, 1)).now_or_never().expect("it is free").unwrap());
    }
    let mut visitor = waiter(&turns, client(200, 1));
    drop(places.pop());
    let has_place = |waiter: &mut Waiter| waiter.now_or_never().map(Result::unwrap);
    let called = waiters.first_mut().and_then(has_place);
    assert!(called.is_some(), "the first of them");
    assert!(has_place(&mut visitor).is_none());
    // No busy one may have this, though 36 came before the visitor.
    drop(others.pop());
    assert!(has_place(&mut visitor).is_some());
    assert!(waiters.iter_mut().skip(1).all(|waiter| has_place(waiter).is_none()));
    assert_eq!(turns.waiting(), 36);
}
