//! Every step fails once: the process is stopped before and after each effect of a purchase, starts again, and comes to
//! the same end, by the log and by the payment gateway's own books. And every request comes again, late, and changes
//! nothing.
//!
//! A crash leaves a part of the history behind, so the history of a whole purchase gives every crash that there can be:
//! the service is started on each part of it, with each state that the gateway's books can have had then.

mod history;
mod machine;
mod moving;
mod proxy;
mod story;

use domain::OrderId;
use event_store::RecordedEvent;
use futures::{StreamExt, pin_mut};
use history::{books_at, cuts};
pub use machine::{Ids, Machine, Process, Reply};
use proxy::{Cut, Proxy};
use reqwest::StatusCode;
use rstest::rstest;
use std::time::Duration;
pub use story::Step;
use story::{End, Story, stories};

const DEADLINE: Duration = Duration::from_secs(40);
/// Machines at once: most of the time they wait for the disk.
const AT_ONCE: usize = 6;

/// How far the process has noted its work when it dies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Notes {
    AsTheyAre,
    /// Up to the event that made it ask the gateway: after the restart only its list of open orders tells of the question.
    WithACheckpoint,
}

/// A purchase that nothing has disturbed.
struct Undisturbed {
    story: Story,
    history: Vec<RecordedEvent>,
    journal: Vec<String>,
    ids: Ids,
    replies: Vec<Reply>,
}

impl Undisturbed {
    async fn happens(story: Story) -> Self {
        let begins = if story.before.is_empty() { Process::Runs } else { Process::Rests };
        let mut machine = Machine::begin(&[], &[], story.hold_seconds, begins).await;
        let mut ids = Ids::default();
        let mut replies = machine.tell(&story.before, &mut ids).await;
        if begins == Process::Rests {
            machine.crash_and_restart().await;
        }
        replies.extend(machine.tell(&story.steps, &mut ids).await);
        let happened = Self { story, history: vec![], journal: vec![], ids, replies };
        happened.ends(&machine, "undisturbed").await;
        let (history, journal) = (machine.history().await, machine.journal());
        machine.end().await;
        Self { history, journal, ..happened }
    }

    fn order_id(&self) -> OrderId {
        self.ids.order.as_deref().unwrap().parse().unwrap()
    }

    /// The first place at which it is stopped.
    fn first_cut(&self) -> usize {
        let is_first = |event: &RecordedEvent| event.event_type == self.story.from;
        self.history.iter().rposition(is_first).unwrap_or_else(|| panic!("{}", self.story.from)) + 1
    }

    /// Whether the last request has been taken after so many events.
    fn is_told(&self, cut: usize) -> bool {
        let last = self
            .history
            .iter()
            .rposition(|event| event.metadata().is_ok_and(|metadata| !metadata.fingerprint.is_empty()));
        last.is_some_and(|last| last < cut)
    }

    /// Waits until everything stands as it must in the end.
    async fn ends(&self, machine: &Machine, how: &str) {
        let order_id = self.order_id();
        let events = machine.store().subscribe_all(None);
        pin_mut!(events);
        let ending = async {
            while End::now(machine, order_id).await != self.story.end {
                events.next().await;
            }
        };
        if tokio::time::timeout(DEADLINE, ending).await.is_err() {
            let (is, history) = (End::now(machine, order_id).await, machine.history().await);
            let types: Vec<&str> = history.iter().map(|event| event.event_type.as_str()).collect();
            panic!("{}, {how}:\n{is:#?}\nbut should be\n{:#?}\n{types:#?}", self.story.name, self.story.end);
        }
    }

    /// Sends every request again, twice: the end must be the same, and nothing may happen any more.
    async fn repeats(&self, machine: &Machine, how: &str) {
        let before = machine.history().await.len();
        for _ in 0..2 {
            let replies = machine.tell(&self.story.all(), &mut self.ids.clone()).await;
            for (step, (reply, first)) in self.story.all().iter().zip(replies.iter().zip(&self.replies)) {
                let at = format!("{}, {how}: {} {reply:?}", self.story.name, step.path);
                assert_eq!(reply.status.is_success(), first.status.is_success(), "{at}");
                assert_eq!(reply.replayed, first.status.is_success(), "{at}");
            }
        }
        assert_eq!(machine.history().await.len(), before, "{}, {how}", self.story.name);
        assert_eq!(End::now(machine, self.order_id()).await, self.story.end, "{}, {how}", self.story.name);
    }

    /// Starts on what a crash has left, and comes to the end.
    async fn recovers(&self, cut: usize, lines: usize) {
        let last = &self.history[cut - 1].event_type;
        let how = format!("stopped after event {cut} ({last}) with {lines} lines in the gateway's journal");
        let (history, journal) = (&self.history[..cut], &self.journal[..lines]);
        let machine = Machine::begin(history, journal, self.story.hold_seconds, Process::Runs).await;
        // Who does not know whether a request was taken sends it again; what was taken needs nobody.
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

    /// Crashes when the gateway is asked for the time of that number, and comes to the end.
    async fn survives(&self, request: usize, cut: Cut, notes: Notes) {
        let how = format!("crashed at request {request} to the gateway, {cut:?}, {notes:?}");
        let mut machine = Machine::begin(&[], &[], self.story.hold_seconds, Process::Rests).await;
        let proxy = Proxy::start(machine.gateway_address(), request, cut).await;
        machine.restart_behind(&proxy).await;
        let steps = self.story.all();
        let mut ids = Ids::default();
        tokio::select! {
            replies = machine.tell(&steps, &mut ids) => panic!("{how}: it was not cut: {replies:?}"),
            () = proxy.has_cut() => {}
        }
        if notes == Notes::WithACheckpoint {
            machine.has_checkpoint(&how).await;
        }
        machine.crash_and_restart().await;
        machine.tell(&steps, &mut self.ids.clone()).await;
        self.ends(&machine, &how).await;
        self.repeats(&machine, &how).await;
        machine.end().await;
    }
}

async fn at_once(runs: impl IntoIterator<Item = impl Future<Output = ()>>) {
    futures::stream::iter(runs).buffer_unordered(AT_ONCE).collect::<()>().await;
}

#[rstest]
#[tokio::test(flavor = "multi_thread")]
async fn whatever_a_crash_leaves_comes_to_the_same_end(
    #[values(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12)] number: usize,
) {
    let story = stories().swap_remove(number);
    let happened = Undisturbed::happens(story).await;
    let crashes = cuts(&happened.history, happened.first_cut())
        .into_iter()
        .flat_map(|cut| books_at(&happened.history, &happened.journal, cut).map(move |lines| (cut, lines)));
    let crashes: Vec<_> = crashes.collect();
    // Each answer of the gateway that comes after the first cut is missing once.
    let recorded = crashes.first().map_or(0, |(_, lines)| *lines);
    let unrecorded = crashes.windows(2).filter(|pair| pair[0].0 == pair[1].0).count();
    assert!(unrecorded >= happened.journal.len() - recorded, "{crashes:?}");
    at_once(crashes.into_iter().map(|(cut, lines)| happened.recovers(cut, lines))).await;
}

#[test]
fn every_story_is_told() {
    assert_eq!(stories().len(), 13);
}

#[rstest]
#[tokio::test(flavor = "multi_thread")]
async fn a_crash_in_the_middle_of_a_question_to_the_gateway(#[values(0, 1, 2, 3, 6, 7, 9)] number: usize) {
    let story = stories().swap_remove(number);
    let happened = Undisturbed::happens(story).await;
    let crashes = (0..happened.journal.len())
        .flat_map(|request| [(request, Cut::BeforeTheEffect), (request, Cut::BeforeTheAnswer)]);
    at_once(crashes.map(|(request, cut)| happened.survives(request, cut, Notes::AsTheyAre))).await;
}

#[rstest]
#[tokio::test(flavor = "multi_thread")]
async fn a_question_to_the_gateway_outlives_the_checkpoint_after_it(#[values(0, 7)] number: usize) {
    let story = stories().swap_remove(number);
    let happened = Undisturbed::happens(story).await;
    let crashes = (0..happened.journal.len())
        .flat_map(|request| [(request, Cut::BeforeTheEffect), (request, Cut::BeforeTheAnswer)]);
    at_once(crashes.map(|(request, cut)| happened.survives(request, cut, Notes::WithACheckpoint))).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_half_done_purchase_is_continued_and_not_replayed() {
    let happened = Undisturbed::happens(stories().swap_remove(0)).await;
    let checked_out = happened.history.iter().position(|event| event.event_type == "cart.checked_out.v1");
    let history = &happened.history[..=checked_out.unwrap()];
    // Nobody but the request itself can place the order.
    let machine = Machine::begin(history, &[], happened.story.hold_seconds, Process::Rests).await;
    let mut check_out =
        happened.story.steps.iter().find(|step| step.path.ends_with("/checkout")).unwrap().clone();
    check_out.waits = false;
    let steps = [check_out.clone(), check_out];
    let replies = machine.tell(&steps, &mut happened.ids.clone()).await;
    assert_eq!(replies.iter().map(|reply| reply.status).collect::<Vec<_>>(), [StatusCode::ACCEPTED; 2]);
    assert_eq!(replies.iter().map(|reply| reply.replayed).collect::<Vec<_>>(), [false, true]);
    let placed = machine.history().await;
    assert_eq!(placed.iter().filter(|event| event.event_type == "order.placed.v1").count(), 1);
    machine.end().await;
}
