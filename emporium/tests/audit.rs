//! `emporium audit` as a process, on the history of a shop that people have bought from: it is shown to be intact, and
//! every forgery is found and named.

#![allow(clippy::unwrap_used, reason = "a test that panics has failed")]

mod forgery;
#[allow(dead_code, reason = "the tests of the service use more of it")]
mod running;
#[allow(dead_code, reason = "the tests of the event store use more of it")]
mod store_process;
mod unread;

use forgery::History;
use running::Service;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::time::Duration;
use store_process::{StoreProcess, emporium, export, import, text};
use tempfile::TempDir;
use unread::ends_quietly;

const DEADLINE: Duration = Duration::from_secs(60);

/// The history of a shop that has been closed, and what an auditor has of it.
struct Audited {
    folder: TempDir,
    history: History,
    /// The public key, as the shop has told it.
    key: PathBuf,
    /// Its seals, taken away while it was open.
    seals: PathBuf,
    /// How many they are.
    kept: usize,
}

impl Audited {
    async fn shop() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let data = folder.path().join("data");
        fs::create_dir(&data).unwrap();
        let mut service = Service::start(&data, &["--demo-shop", "--audit-seal-seconds", "1"]).await;
        let printed = service.read_until(|line| line.starts_with("curl ")).await;
        let script: Vec<&str> =
            printed.iter().map(String::as_str).filter(|line| line.contains("curl -s")).collect();
        for wanted in 1..=2 {
            let bought = Command::new("bash").arg("-c").arg(script.join("\n")).output().unwrap();
            assert!(String::from_utf8_lossy(&bought.stdout).contains("processing"));
            has_seals(&service, wanted).await;
        }
        // Nothing happens at an order that is packed. What would be appended while the shop closes need not be sealed.
        let seals = all_is_sealed(&service).await;
        let key = service.get("/audit/key").await;
        let [key_file, seals_file, file] =
            ["key.json", "seals.json", "history.ndjson"].map(|name| folder.path().join(name));
        fs::write(&key_file, key.to_string()).unwrap();
        fs::write(&seals_file, seals.to_string()).unwrap();
        service.terminate().await;
        text(export(&["--data-dir", data.join("event-store").to_str().unwrap()], &file));
        let history = History::read(&file);
        let kept = seals["items"].as_array().unwrap().len();
        Self { folder, history, key: key_file, seals: seals_file, kept }
    }

    fn file(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn verify(&self, source: &[&str], more: &[&str]) -> Output {
        let mut command = emporium();
        command.args(["audit", "verify"]).args(source).arg("--key").arg(&self.key).args(more);
        command.output().unwrap()
    }

    /// What is said of a history that must not be taken for the one that was sealed.
    fn findings(&self, history: &History, more: &[&str]) -> String {
        let file = self.file("forged.ndjson");
        history.write(&file);
        let output = self.verify(&[file.to_str().unwrap()], more);
        assert_eq!(output.status.code(), Some(1), "{output:?}");
        assert!(String::from_utf8_lossy(&output.stderr).contains("not the history that was sealed"));
        String::from_utf8(output.stdout).unwrap()
    }
}

/// The shop's seals, once there are so many.
async fn has_seals(service: &Service, wanted: usize) {
    seals_when(service, |seals| seals.len() >= wanted).await;
}

/// The shop's seals, once they cover everything that has happened.
async fn all_is_sealed(service: &Service) -> serde_json::Value {
    let events = service.all("/events?direction=forwards").await;
    let text = |event: &serde_json::Value, field: &str| event[field].as_str().unwrap().to_owned();
    let is_fact =
        |event: &&serde_json::Value| audit_seal::is_fact(&text(event, "stream"), &text(event, "type"));
    let facts = events.iter().filter(is_fact).count() as u64;
    seals_when(service, |seals| seals.first().and_then(|newest| newest["size"].as_u64()) >= Some(facts)).await
}

async fn seals_when(
    service: &Service,
    is_enough: impl Fn(&[serde_json::Value]) -> bool,
) -> serde_json::Value {
    let asking = async {
        loop {
            let seals = service.get("/audit/seals?limit=100").await;
            if is_enough(seals["items"].as_array().unwrap()) {
                return seals;
            }
        }
    };
    tokio::time::timeout(DEADLINE, asking).await.expect("it is sealed in time")
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_intact_is_shown_and_what_was_forged_is_named() {
    let audited = Audited::shop().await;
    let file = audited.file("history.ndjson");
    let file = file.to_str().unwrap();
    let seals = audited.seals.to_str().unwrap();

    let intact = text(audited.verify(&[file], &["--seal", seals]));
    assert!(intact.starts_with("intact: ") && intact.contains("unsealed   0\n"), "{intact}");
    let kept = audited.kept;
    assert!(intact.contains(&format!("kept seals {kept} of {kept} stand in the history")), "{intact}");
    let data = audited.file("data/event-store");
    let stopped = text(audited.verify(&["--data-dir", data.to_str().unwrap()], &["--json"]));
    let stopped: serde_json::Value = serde_json::from_str(&stopped).unwrap();
    let outcome = &stopped["outcome"];
    assert!(outcome["events"] == outcome["sealed"] && outcome["findings"] == serde_json::json!([]));
    assert_eq!(outcome["events"].as_u64().unwrap(), audited.history.facts().len() as u64);

    for (forgery, history, expected) in forgery::all(&audited.history) {
        let said = audited.findings(&history, &[]);
        assert!(said.starts_with("ALTERED: ") && said.contains(&expected), "{forgery}: {expected}\n{said}");
    }

    let key = audited.key.to_str().unwrap();
    ends_quietly(emporium().args(["audit", "verify", file, "--key", key]));
    let event = audited.history.first_of("order-");
    ends_quietly(emporium().args(["audit", "prove", &event.stream, &event.revision.to_string(), file]));
    a_cut_off_tail_is_found_by_a_kept_seal(&audited);
    another_shops_key_proves_nothing(&audited, file);
    a_single_event_is_proved(&audited, file);
    a_forged_copy_in_another_store_is_found(&audited).await;
}

fn a_cut_off_tail_is_found_by_a_kept_seal(audited: &Audited) {
    let cut = audited.history.up_to_first_seal();
    let file = audited.file("cut.ndjson");
    cut.write(&file);
    // Nothing in the file itself can tell.
    text(audited.verify(&[file.to_str().unwrap()], &[]));
    let said = audited.findings(&cut, &["--seal", audited.seals.to_str().unwrap()]);
    assert!(said.contains(&format!("CUT OFF  the log has {} events", cut.facts().len())), "{said}");
}

fn another_shops_key_proves_nothing(audited: &Audited, file: &str) {
    let other = audit_seal::key::SealingKey::from_bytes(&[9; 32]).public();
    let mut command = emporium();
    let output = command.args(["audit", "verify", file, "--key", &other.to_hex()]).output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    let said = String::from_utf8(output.stdout).unwrap();
    assert!(
        said.contains("SEAL     event 0 of audit-seals") && said.contains("not among the keys given"),
        "{said}"
    );

    let without_seals = audited.history.without_seals();
    let unsealed = audited.file("unsealed.ndjson");
    without_seals.write(&unsealed);
    let output = audited.verify(&[unsealed.to_str().unwrap()], &[]);
    assert_eq!(output.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&output.stderr).contains("nothing is shown"));
}

fn a_single_event_is_proved(audited: &Audited, file: &str) {
    let event = audited.history.first_of("order-");
    let prove = |stream: &str, revision: u64| {
        let mut command = emporium();
        command.args(["audit", "prove", stream, &revision.to_string(), file]).output().unwrap()
    };
    let check = |path: &Path| {
        let mut command = emporium();
        command.args(["audit", "verify-proof"]).arg(path).arg("--key").arg(&audited.key).output().unwrap()
    };
    let proof = text(prove(&event.stream, event.revision));
    let path = audited.file("proof.json");
    fs::write(&path, &proof).unwrap();
    let proved = text(check(&path));
    assert!(proved.contains(&format!("proved: event {} of {}", event.revision, event.stream)), "{proved}");

    fs::write(&path, proof.replacen("order.placed.v1", "order.placed.v2", 1)).unwrap();
    let forged = check(&path);
    assert_eq!(forged.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&forged.stderr).contains("proves nothing"));
    let missing = prove(&event.stream, 10_000);
    assert!(String::from_utf8_lossy(&missing.stderr).contains("there is no event 10000"));
}

/// The forger has the store itself, and not only a file.
async fn a_forged_copy_in_another_store_is_found(audited: &Audited) {
    let (_, forged, expected) = forgery::all(&audited.history).into_iter().next().unwrap();
    let [sound, changed] = [("sound", &audited.history), ("changed", &forged)].map(|(name, history)| {
        let file = audited.file(&format!("{name}.ndjson"));
        history.write(&file);
        (audited.file(name), file)
    });
    for ((data, file), is_sound) in [(sound, true), (changed, false)] {
        let store = StoreProcess::start(&data).await;
        text(import(&file, &store.url));
        let output = audited.verify(&["--url", &store.url], &["--seal", audited.seals.to_str().unwrap()]);
        assert_eq!(output.status.success(), is_sound, "{output:?}");
        let said = String::from_utf8(output.stdout).unwrap();
        // In the copy it has another position.
        let expected = expected.split(" (position").next().unwrap();
        assert!(is_sound || said.contains(expected), "{expected}: {said}");
        store.terminate().await;
    }
}
