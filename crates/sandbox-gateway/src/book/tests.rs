use super::*;

#[test]
fn what_cannot_be_written_is_not_done() {
    let (journal, shelf) = (Journal::that_cannot_write(), Shelf::new(9));
    let mut book = Book {
        journal,
        shelf,
        under_way: HashSet::new(),
        tells: true,
        processing: Duration::ZERO,
        keeps_keys: i64::MAX,
        public_url: String::new(),
        write_anew_at: u64::MAX,
    };
    for body in ["amount=5&currency=gbp", "amount=6&currency=gbp"] {
        let request = Request {
            key: Some("key".to_owned()),
            path: "/v1/payment_intents".to_owned(),
            endpoint: Endpoint::Create,
            params: Params::parse(body.as_bytes()),
            now: 1,
        };
        let Performed::Refused(failure) = book.perform(request) else { panic!("done") };
        assert_eq!(failure.status, 500);
    }
    assert!(book.intents(None, 10).unwrap().0.is_empty() && book.untold().is_empty());
}

const DAY: i64 = 24 * 60 * 60 * 1000;

/// With somebody to tell, who is never told here.
fn open(folder: &std::path::Path, now: i64) -> Book {
    let mut config = SandboxConfig::new(folder);
    let (url, secret) = ("http://nobody/".to_owned(), "whsec_test".to_owned());
    config.webhook = Some(crate::config::Webhook { url, secret, events: vec![] });
    Book::open(&config, now).unwrap()
}

fn ask(book: &mut Book, key: &str, endpoint: Endpoint, body: &str, now: i64) -> Performed {
    let (key, path) = (Some(key.to_owned()), format!("{endpoint:?}"));
    book.perform(Request { key, path, endpoint, params: Params::parse(body.as_bytes()), now })
}

fn done(performed: Performed) -> Done {
    let Performed::Done(done) = performed else { panic!("not done") };
    done
}

const CREATE: &str = "amount=500&currency=gbp&payment_method=pm_card_visa&confirm=true&capture_method=manual";

/// A payment, taken and given back in part; all of it is told.
fn purchase(book: &mut Book, name: &str, now: i64) {
    purchase_by("pm_card_visa", book, name, now);
}

/// Gives the refund's id.
fn purchase_by(card: &str, book: &mut Book, name: &str, now: i64) -> String {
    let create = CREATE.replace("pm_card_visa", card);
    let mut all = done(ask(book, &format!("{name}-make"), Endpoint::Create, &create, now));
    let id = all.answer.intent.as_ref().unwrap().id.clone();
    let capture = Endpoint::Capture(id.clone());
    all.events.extend(done(ask(book, &format!("{name}-take"), capture, "", now)).events);
    let refund = format!("payment_intent={id}&amount=100");
    let back = done(ask(book, &format!("{name}-back"), Endpoint::Refund, &refund, now));
    all.events.extend(back.events);
    all.events.iter().for_each(|event| book.told(&event.id));
    back.answer.refund.as_ref().unwrap().id.clone()
}

/// A book of two days, in which everything stands that there can be.
fn two_days(folder: &std::path::Path) -> Book {
    let mut book = open(folder, 1);
    (0..40).for_each(|number| purchase(&mut book, &format!("old-{number}"), 1));
    let now = DAY + 2;
    (0..3).for_each(|number| purchase(&mut book, &format!("new-{number}"), now));
    // Money that is on its way back, and money that came again after the answer said that it was on its way.
    purchase_by("pm_sandbox_slow_refund", &mut book, "under-way", now);
    let refund = purchase_by("pm_sandbox_slow_refund_fails", &mut book, "came-again", now);
    assert_eq!(book.settle_refund(&refund, now).len(), 1);
    // Not told yet: a slow payment, one that is declined, one that waits for its shopper, and a refusal.
    for (key, card) in
        [("slow", "pm_sandbox_slow"), ("no", "pm_sandbox_decline"), ("ask", "pm_sandbox_requires_action")]
    {
        done(ask(&mut book, key, Endpoint::Create, &CREATE.replace("pm_card_visa", card), now));
    }
    let asked = book.shelf.intents.last_key_value().unwrap().1.id.clone();
    assert!(done(ask(&mut book, "early", Endpoint::Capture(asked), "", now)).answer.failure.is_some());
    book
}

#[test]
fn a_journal_that_is_written_anew_amounts_to_the_same_without_the_forgotten_keys() {
    let folder = tempfile::tempdir().unwrap();
    let mut before = two_days(folder.path());
    let length = before.journal.length();
    let now = DAY + 3;
    before.shelf.forget_keys_before(now - DAY + 1);
    assert_eq!((before.shelf.kept.len(), before.shelf.untold.len() > 5), (5 * 3 + 4, true));
    let Book { journal, shelf, .. } = before;
    drop(journal);

    // The start writes it anew, and the next one reads that.
    let after = open(folder.path(), now);
    assert_eq!(after.shelf, shelf);
    assert!(after.journal.length() < length / 2, "{} of {length}", after.journal.length());
    assert_eq!(after.journal.records(), shelf.size());
    drop(after);
    let mut again = open(folder.path(), now);
    assert_eq!(again.shelf, shelf);

    // A key of today is known, one of yesterday is free, and what comes next comes after all that.
    let replayed = ask(&mut again, "new-0-make", Endpoint::Create, CREATE, now);
    assert!(matches!(replayed, Performed::Replayed(_)));
    let made = done(ask(&mut again, "old-0-make", Endpoint::Create, CREATE, now));
    assert_eq!(made.answer.intent.as_ref().unwrap().number, shelf.intents.len());
    let (length, records) = (again.journal.length(), again.journal.records());
    drop(again);
    let last = open(folder.path(), now);
    assert_eq!((last.journal.length(), last.journal.records()), (length, records));
}

#[test]
fn a_gateway_that_was_killed_while_it_wrote_the_journal_anew_has_the_old_one() {
    let folder = tempfile::tempdir().unwrap();
    let Book { journal, shelf, .. } = two_days(folder.path());
    drop(journal);
    // A whole one without its name, and a torn one.
    let path = folder.path().join("journal.jsonl");
    let old = std::fs::read(&path).unwrap();
    for left_over in [&old[..], &old[..old.len() / 3]] {
        std::fs::write(folder.path().join("journal.jsonl.new"), left_over).unwrap();
        std::fs::write(&path, &old).unwrap();
        // At a time when nothing is forgotten yet, so that it is read as it is.
        let after = open(folder.path(), 2);
        assert_eq!(after.shelf, shelf);
        assert!(!folder.path().join("journal.jsonl.new").exists());
    }
}

#[test]
fn a_journal_that_grows_too_long_is_written_anew_while_the_gateway_runs() {
    let folder = tempfile::tempdir().unwrap();
    let mut book = two_days(folder.path());
    let length = book.journal.length();
    book.write_anew_at = length + 1;
    let now = DAY + 3;
    purchase(&mut book, "last", now);
    assert!(book.journal.length() < length / 2 && book.write_anew_at > length);
    let Book { journal, shelf, .. } = book;
    drop(journal);
    assert_eq!(open(folder.path(), now).shelf, shelf);
}

#[test]
fn a_journal_that_cannot_be_written_anew_stays_as_it_is() {
    let folder = tempfile::tempdir().unwrap();
    let Book { journal, shelf, .. } = two_days(folder.path());
    drop(journal);
    // Nothing can be written under the new one's name, nor can it be removed by the way.
    let mut book = open(folder.path(), 2);
    std::fs::create_dir(folder.path().join("journal.jsonl.new")).unwrap();
    let length = book.journal.length();
    book.write_anew_at = 0;
    book.write_anew_if_worth_it(DAY + 3);
    assert_eq!(book.journal.length(), length);
    purchase(&mut book, "next", DAY + 3);
    assert_eq!(book.shelf.intents.len(), shelf.intents.len() + 1);
    assert!(book.journal.length() > length);
}

/// What of it takes memory.
fn things(book: &Book) -> [usize; 4] {
    let shelf = &book.shelf;
    [shelf.intents.len(), shelf.refunds.len(), shelf.kept.len(), shelf.untold.len()]
}

#[test]
fn of_more_payments_than_are_kept_the_oldest_are_forgotten_that_are_over() {
    let folder = tempfile::tempdir().unwrap();
    let mut config = SandboxConfig::new(folder.path());
    config.keeps_payments = 20;
    config.webhook = Some(crate::config::Webhook {
        url: "http://nobody/".to_owned(),
        secret: "whsec_test".to_owned(),
        events: vec![],
    });
    let mut book = Book::open(&config, 1).unwrap();
    let make = |book: &mut Book, card: &str| {
        let made = done(ask(book, card, Endpoint::Create, &CREATE.replace("pm_card_visa", card), 1));
        (made.answer.intent.as_ref().unwrap().id.clone(), made.events)
    };
    // One that waits for its shopper, one that is held, one of which something is to be told, and one whose money is on its way back.
    let (waits, mut told) = make(&mut book, "pm_sandbox_requires_action");
    let (held, more) = make(&mut book, "pm_card_visa");
    told.extend(more);
    told.iter().for_each(|event| book.told(&event.id));
    let (untold, events) = make(&mut book, "pm_sandbox_decline");
    let refund = purchase_by("pm_sandbox_slow_refund", &mut book, "slow", 1);
    let slow = book.refund(&refund).unwrap().intent.clone();
    let left = [waits, held, untold.clone(), slow];
    let forgotten = purchase_by("pm_card_visa", &mut book, "first", 1);
    let of_forgotten = book.refund(&forgotten).unwrap().intent.clone();

    (0..200).for_each(|number| purchase(&mut book, &format!("one-{number}"), 1));
    assert_eq!(things(&book), [20, 17, 3 * 17 + 3, events.len()]);
    assert!(left.iter().all(|id| book.intent(id).is_some()));
    let newest = &book.shelf.intents.range(book.shelf.next_intent() - 10..).count();
    assert_eq!(*newest, 10, "of the newest, none is forgotten");

    // As Stripe has it, and its key is free.
    assert!(book.intent(&of_forgotten).is_none() && book.refund(&forgotten).is_none());
    let refund = format!("payment_intent={of_forgotten}&amount=1");
    let Performed::Refused(failure) = ask(&mut book, "late", Endpoint::Refund, &refund, 1) else {
        panic!("it is known")
    };
    assert_eq!((failure.status, failure.code.as_deref()), (404, Some("resource_missing")));
    done(ask(&mut book, "first-make", Endpoint::Create, CREATE, 1));

    // What is over later goes too, and a restart changes nothing.
    events.iter().for_each(|event| book.told(&event.id));
    (0..40).for_each(|number| purchase(&mut book, &format!("two-{number}"), 1));
    assert!(book.intent(&untold).is_none());
    let Book { journal, shelf, .. } = book;
    drop(journal);
    let mut again = Book::open(&config, 1).unwrap();
    assert_eq!((again.shelf.intents.len(), again.shelf.next_intent()), (20, shelf.next_intent()));
    let (page, has_more) = again.intents(None, 100).unwrap();
    assert_eq!((page.len(), has_more), (20, false));
    let (page, has_more) = again.intents(None, 10).unwrap();
    assert_eq!((page.len(), has_more), (10, true));
    again.write_anew_at = 0;
    again.write_anew_if_worth_it(1);
    assert_eq!(again.journal.records(), again.shelf.size());
}
