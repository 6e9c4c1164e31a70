use super::*;

#[test]
fn what_cannot_be_written_is_not_done() {
    let (journal, shelf) = (Journal::that_cannot_write(), Shelf::default());
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
    let mut all = done(ask(book, &format!("{name}-make"), Endpoint::Create, CREATE, now));
    let id = all.answer.intent.as_ref().unwrap().id.clone();
    let capture = Endpoint::Capture(id.clone());
    all.events.extend(done(ask(book, &format!("{name}-take"), capture, "", now)).events);
    let refund = format!("payment_intent={id}&amount=100");
    all.events.extend(done(ask(book, &format!("{name}-back"), Endpoint::Refund, &refund, now)).events);
    all.events.iter().for_each(|event| book.told(&event.id));
}

/// A book of two days, in which everything stands that there can be.
fn two_days(folder: &std::path::Path) -> Book {
    let mut book = open(folder, 1);
    (0..40).for_each(|number| purchase(&mut book, &format!("old-{number}"), 1));
    let now = DAY + 2;
    (0..3).for_each(|number| purchase(&mut book, &format!("new-{number}"), now));
    // Not told yet: a slow payment, one that is declined, one that waits for its shopper, and a refusal.
    for (key, card) in
        [("slow", "pm_sandbox_slow"), ("no", "pm_sandbox_decline"), ("ask", "pm_sandbox_requires_action")]
    {
        done(ask(&mut book, key, Endpoint::Create, &CREATE.replace("pm_card_visa", card), now));
    }
    let asked = book.shelf.intents.last().unwrap().id.clone();
    assert!(done(ask(&mut book, "early", Endpoint::Capture(asked), "", now)).answer.failure.is_some());
    book
}

#[test]
fn a_journal_that_is_written_anew_amounts_to_the_same_without_the_forgotten_keys() {
    let folder = tempfile::tempdir().unwrap();
    let mut before = two_days(folder.path());
    let length = before.journal.length();
    let now = DAY + 3;
    before.shelf.kept.retain(|_, kept| now - kept.at < DAY);
    assert_eq!((before.shelf.kept.len(), before.shelf.untold.len() > 5), (3 * 3 + 4, true));
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
