//! The shop moves to another event store while orders are in every state that there is, and comes to the same end:
//! nothing is charged, given back or shipped twice, by the log and by the gateway's own books.

use super::history::{books_at, cuts};
use super::machine::{Machine, Process};
use super::proxy::{Cut, Proxy};
use super::story::stories;
use super::{Ids, Undisturbed, at_once};
use reqwest::StatusCode;
use rstest::rstest;

impl Undisturbed {
    /// Everything up to an event has happened, and then the shop moves.
    async fn moves(&self, cut: usize, lines: usize) {
        let last = &self.history[cut - 1].event_type;
        let how = format!("moved after event {cut} ({last}) with {lines} lines in the gateway's journal");
        let (history, journal) = (&self.history[..cut], &self.journal[..lines]);
        let mut machine = Machine::begin(history, journal, self.story.hold_seconds, Process::Rests).await;
        machine.move_house(cut % 5).await;
        if !self.is_told(cut) {
            let replies = machine.tell(&self.story.all(), &mut self.ids.clone()).await;
            for (reply, first) in replies.iter().zip(&self.replies) {
                let name = self.story.name;
                assert_eq!(reply.status.is_success(), first.status.is_success(), "{name}, {how}: {reply:?}");
            }
        }
        self.ends(&machine, &how).await;
        self.repeats(&machine, &how).await;
        machine.end().await;
    }

    /// The process has noted how far it is, and asks the gateway, when it is stopped; the shop moves, and back.
    async fn moves_in_the_middle_of_a_question(&self, request: usize, cut: Cut) {
        let how = format!("moved at request {request} to the gateway, {cut:?}");
        let mut machine = Machine::begin(&[], &[], self.story.hold_seconds, Process::Rests).await;
        let proxy = Proxy::start(machine.gateway_address(), request, cut).await;
        machine.restart_behind(&proxy).await;
        let (steps, mut ids) = (self.story.all(), Ids::default());
        tokio::select! {
            replies = machine.tell(&steps, &mut ids) => panic!("{how}: it was not cut: {replies:?}"),
            () = proxy.has_cut() => {}
        }
        machine.has_checkpoint(&how).await;
        machine.move_house(3).await;
        machine.move_house(0).await;
        machine.tell(&steps, &mut self.ids.clone()).await;
        self.ends(&machine, &how).await;
        self.repeats(&machine, &how).await;
        machine.end().await;
    }

    /// The log is a day old, and the gateway is not: its books tell of all that was asked of it since.
    async fn is_restored_from_a_backup(&self, cut: usize) {
        let how = format!("restored as it was after event {cut}");
        let history = &self.history[..cut];
        let mut machine =
            Machine::begin(history, &self.journal, self.story.hold_seconds, Process::Rests).await;
        machine.is_told_of_the_backup().await;
        machine.crash_and_restart().await;
        self.ends(&machine, &how).await;
        self.repeats(&machine, &how).await;
        machine.end().await;
    }
}

#[rstest]
#[tokio::test(flavor = "multi_thread")]
async fn whatever_is_under_way_goes_on_in_another_store(
    #[values(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12)] number: usize,
) {
    let happened = Undisturbed::happens(stories().swap_remove(number)).await;
    // As many lines in the gateway's journal as there can be: the crash tests have all others.
    let moves = cuts(&happened.history, happened.first_cut())
        .into_iter()
        .map(|cut| (cut, *books_at(&happened.history, &happened.journal, cut).end()));
    at_once(moves.map(|(cut, lines)| happened.moves(cut, lines))).await;
}

#[rstest]
#[tokio::test(flavor = "multi_thread")]
async fn a_question_to_the_gateway_goes_on_in_another_store(#[values(0, 6, 7)] number: usize) {
    let happened = Undisturbed::happens(stories().swap_remove(number)).await;
    let moves = (0..happened.journal.len())
        .flat_map(|request| [(request, Cut::BeforeTheEffect), (request, Cut::BeforeTheAnswer)]);
    at_once(moves.map(|(request, cut)| happened.moves_in_the_middle_of_a_question(request, cut))).await;
}

/// What nobody has asked for yet in the restored log was asked for in what is lost: that is for people.
#[rstest]
#[tokio::test(flavor = "multi_thread")]
async fn a_restored_log_asks_the_gateway_for_nothing_twice(#[values(0, 3, 6, 8)] number: usize) {
    let happened = Undisturbed::happens(stories().swap_remove(number)).await;
    let told = cuts(&happened.history, happened.first_cut()).into_iter().filter(|cut| happened.is_told(*cut));
    let told: Vec<_> = told.collect();
    assert!(!told.is_empty());
    assert!(happened.replies.iter().all(|reply| reply.status != StatusCode::INTERNAL_SERVER_ERROR));
    at_once(told.into_iter().map(|cut| happened.is_restored_from_a_backup(cut))).await;
}
