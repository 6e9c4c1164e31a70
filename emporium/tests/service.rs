//! The service as a process: started, used, stopped, killed and started again, with everything embedded.

#![allow(clippy::unwrap_used, reason = "a test that panics has failed")]

#[allow(dead_code, reason = "other tests use the rest")]
mod running;
mod unread;

use reqwest::StatusCode;
use running::{Service, emporium, head_passes};
use serde_json::{Value, json};
use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;
use tokio::io::{AsyncBufReadExt, BufReader};
use unread::ends_quietly;

/// The retailer's file, where it is there; it is not part of the project.
fn online_retail() -> Option<PathBuf> {
    let path =
        Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/data/online-retail/online_retail.csv.zst");
    if path.is_file() {
        return Some(path);
    }
    println!("skipped: {} is not there", path.display());
    None
}

#[tokio::test(flavor = "multi_thread")]
async fn the_printed_lines_buy_something_and_read_it_back() {
    let folder = tempfile::tempdir().unwrap();
    let mut service = Service::start(folder.path(), &["--demo-shop"]).await;
    let lines = service.read_until(|line| line.starts_with("curl ")).await;
    let script: Vec<&str> =
        lines.iter().map(String::as_str).filter(|line| line.contains("curl -s")).collect();
    assert_eq!(script.len(), 3, "{lines:?}");
    let output = Command::new("bash").arg("-c").arg(script.join("\n")).output().unwrap();
    let printed = String::from_utf8(output.stdout).unwrap();
    let order = printed.lines().rfind(|line| !line.is_empty()).unwrap();
    let order: Value = serde_json::from_str(order).expect(&printed);
    assert_eq!(order["status"], "processing");
    assert_eq!(order["paid"], order["total"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_start_on_the_same_data_goes_on_where_the_first_ended() {
    let folder = tempfile::tempdir().unwrap();
    let mut service = Service::start(folder.path(), &["--demo-shop"]).await;
    service.read_until(|line| line.starts_with("curl ")).await;
    let products = service.get("/products?limit=500&min-position=head").await;
    let token = service.token();
    service.terminate().await;
    let service = Service::start(folder.path(), &[]).await;
    assert_eq!(service.token(), token);
    assert_eq!(service.get("/products?limit=500&min-position=head").await, products);
    assert!(products["items"].as_array().unwrap().len() >= 24);
}

#[tokio::test(flavor = "multi_thread")]
async fn two_services_on_one_folder_are_refused_with_a_sentence() {
    let folder = tempfile::tempdir().unwrap();
    let service = Service::start(folder.path(), &[]).await;
    let second = emporium()
        .args(["serve", "--listen", "127.0.0.1:0", "--event-store-listen", "127.0.0.1:0", "--data-dir"])
        .arg(folder.path())
        .output()
        .unwrap();
    assert!(!second.status.success());
    let error = String::from_utf8(second.stderr).unwrap();
    assert!(error.contains("error: "), "{error}");
    assert_eq!(service.status("/livez").await, StatusCode::OK);
}

#[tokio::test]
async fn an_address_in_use_is_told_before_anything_is_started() {
    let folder = tempfile::tempdir().unwrap();
    let data_dir = folder.path().join("shop");
    let other = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = other.local_addr().unwrap().to_string();
    let options = ["--listen", "--operations-listen", "--event-store-listen", "--sandbox-listen"];
    for option in options {
        let mut command = emporium();
        command.arg("serve");
        for other in options {
            command.args([other, if other == option { &address } else { "127.0.0.1:0" }]);
        }
        let output = command.arg("--data-dir").arg(&data_dir).output().unwrap();
        let error = String::from_utf8(output.stderr).unwrap();
        assert!(!output.status.success() && error.contains(&address) && error.contains(option), "{error}");
        assert!(!data_dir.exists(), "something was started");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_data_folder_is_for_its_owner_alone_and_operations_have_an_address_of_their_own() {
    let folder = tempfile::tempdir().unwrap();
    let data_dir = folder.path().join("shop");
    std::fs::create_dir(&data_dir).unwrap();
    std::fs::set_permissions(&data_dir, Permissions::from_mode(0o755)).unwrap();
    let service = Service::start(&data_dir, &["--operations-listen", "127.0.0.1:0"]).await;
    assert_eq!(std::fs::metadata(&data_dir).unwrap().permissions().mode() & 0o777, 0o700);
    let health = service.printed.lines().find(|line| line.contains("health")).unwrap();
    let url = health.split_whitespace().find(|word| word.starts_with("http")).unwrap().to_owned();
    let told: Value = reqwest::get(url.as_str()).await.unwrap().json().await.unwrap();
    assert!(told["parts"]["connections"].is_object(), "{told}");
    let metrics = reqwest::get(url.replace("readyz", "metrics")).await.unwrap();
    assert!(metrics.text().await.unwrap().contains("emporium_connections_open"));
    assert_eq!(service.status("/metrics").await, StatusCode::FORBIDDEN);
    service.terminate().await;
}

/// Somebody has a product of the demo shop's first SKU already.
#[tokio::test(flavor = "multi_thread")]
async fn a_demo_shop_that_cannot_be_filled_is_a_warning() {
    let folder = tempfile::tempdir().unwrap();
    let service = Service::start(folder.path(), &[]).await;
    let product = json!({
        "sku": "TEA-001", "merchant_id": "somebody", "name": "Something else",
        "price": { "amount": 1, "currency": "EUR" },
    });
    let posted = reqwest::Client::new().post(products_of(&service.printed)).json(&product);
    let posted = posted.bearer_auth(service.token()).send().await.unwrap();
    assert_eq!(posted.status(), StatusCode::CREATED);
    service.terminate().await;

    let mut command = tokio::process::Command::from(emporium());
    command.args(["serve", "--demo-shop", "--listen", "127.0.0.1:0", "--event-store-listen", "127.0.0.1:0"]);
    command.args(["--sandbox-listen", "127.0.0.1:0", "--data-dir"]).arg(folder.path());
    command.stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
    let mut child = command.spawn().unwrap();
    let mut printed = BufReader::new(child.stdout.take().unwrap()).lines();
    let mut logged = BufReader::new(child.stderr.take().unwrap()).lines();
    let watching = async {
        let url = loop {
            let line = printed.next_line().await.unwrap().expect("it runs");
            if line.contains("/v1/products") {
                break products_of(&line);
            }
        };
        while !logged.next_line().await.unwrap().expect("it runs").contains("could not be filled") {}
        url
    };
    let url = tokio::time::timeout(Duration::from_secs(90), watching).await.expect("it says so in time");
    assert_eq!(reqwest::get(url.replace("/v1/products", "/livez")).await.unwrap().status(), StatusCode::OK);
    assert!(child.try_wait().unwrap().is_none());
}

fn products_of(printed: &str) -> String {
    let products = printed.split_whitespace().find(|word| word.ends_with("/v1/products"));
    products.expect("where to look").to_owned()
}

/// An import goes on to its end all the same.
#[tokio::test(flavor = "multi_thread")]
async fn a_report_whose_reader_goes_ends_quietly() {
    let folder = tempfile::tempdir().unwrap();
    let service = Service::start(&folder.path().join("shop"), &[]).await;
    let file = folder.path().join("invoices.csv");
    let invoices = "InvoiceNo,StockCode,Description,Quantity,InvoiceDate,UnitPrice,CustomerID,Country\n\
                    536365,85123A,HEART,6,2010-12-01 08:26:00,2.55,17850,United Kingdom\n\
                    536366,71053,LANTERN,2,2010-12-01 08:28:00,3.39,17850,France\n";
    std::fs::write(&file, invoices).unwrap();
    ends_quietly(&mut service.import("online-retail", &file, 10));
    assert_eq!(service.all("/orders?min-position=head").await.len(), 2);
    for (of, what) in [
        (&["projections"][..], &["list"][..]),
        (&["projections"], &["compare", "orders"]),
        (&["projections"], &["parked", "orders"]),
        (&["streams"], &["parked"]),
        (&["audit", "reconcile"], &[]),
        (&["audit", "trail"], &[]),
    ] {
        ends_quietly(&mut service.command(of, what));
    }
    service.terminate().await;
}

/// The new store is empty, and the database is the shop's: nothing is decided on the empty log, and the read models stay.
#[tokio::test(flavor = "multi_thread")]
async fn a_forgotten_import_is_named_and_no_command_is_taken() {
    let folder = tempfile::tempdir().unwrap();
    let mut service = Service::start(folder.path(), &["--demo-shop"]).await;
    service.read_until(|line| line.starts_with("curl ")).await;
    let products = service.get("/products?limit=500&min-position=head").await;
    service.terminate().await;
    let log = folder.path().join("event-store");
    std::fs::rename(&log, folder.path().join("aside")).unwrap();

    let service = Service::start(folder.path(), &[]).await;
    let named = async {
        loop {
            let (_, health) = service.page("/readyz").await;
            let health: Value = serde_json::from_str(&health).unwrap();
            if health["parts"]["event log"]["why"]
                .as_str()
                .is_some_and(|why| why.contains("is no copy of it"))
            {
                return health;
            }
        }
    };
    let health = tokio::time::timeout(Duration::from_secs(60), named).await.expect("it is named in time");
    let why = health["parts"]["projections"]["detail"]["why"].as_str().unwrap();
    assert!(why.contains("--replace-read-models"), "{why}");
    let (status, problem) = service.post("/carts", "first", &json!({ "currency": "GBP" })).await.unwrap();
    assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE, "{problem}");
    assert_eq!(service.get("/products?limit=500").await["items"], products["items"]);
    service.terminate().await;

    let service = Service::start(folder.path(), &["--replace-read-models"]).await;
    let none = service.get("/products?min-position=head&limit=500").await;
    assert_eq!(none["items"], json!([]));
    service.terminate().await;
}

/// It is the first line of a server's log, because the limits for connections follow from it. Other commands have no word of it.
#[test]
fn a_raised_limit_for_open_files_is_in_the_log() {
    let mut shell = Command::new("sh");
    shell.args(["-c", "ulimit -S -n 256 && exec \"$0\" \"$@\"", env!("CARGO_BIN_EXE_emporium")]);
    shell.args(["event-store", "serve", "--users", "no-such-file"]);
    let ended = shell.env("RUST_LOG", "info").env("NO_COLOR", "1").output().unwrap();
    let logged = String::from_utf8(ended.stderr).unwrap();
    let line = logged.lines().find(|line| line.contains("limit for open files and connections"));
    let line = line.unwrap_or_else(|| panic!("{logged}"));
    let figure = |name: &str| -> u64 {
        let figure = line.split_whitespace().find_map(|word| word.strip_prefix(name));
        figure.expect(line).parse().unwrap()
    };
    assert_eq!(figure("before="), 256);
    assert!(figure("limit=") > 256, "{line}");
    let mut asked = emporium();
    asked.args(["event-store", "info", "--data-dir", "no-such-folder"]).env("RUST_LOG", "info");
    let logged = String::from_utf8(asked.output().unwrap().stderr).unwrap();
    assert!(!logged.contains("limit for open files"), "{logged}");
}

/// Where the shop is may be said before and after what is asked, and the sandbox tells how a payment is declined.
#[test]
fn the_command_line_tells_what_it_takes() {
    let error = |args: &[&str]| {
        let output = emporium().args(args).env_remove("EMPORIUM_OPERATOR_TOKEN").output().unwrap();
        String::from_utf8(output.stderr).unwrap()
    };
    let (url, token_file) = (["--url", "http://127.0.0.1:1"], ["--token-file", "no-such-file"]);
    for what in [&["projections", "list"][..], &["projections", "parked", "orders"], &["streams", "parked"]] {
        let after = [what, &url, &token_file].concat();
        let before = [&what[..1], &url, &token_file, &what[1..]].concat();
        for args in [after, before] {
            let said = error(&args);
            assert!(said.contains("cannot be read from no-such-file"), "{args:?}: {said}");
        }
    }
    let help = emporium().args(["sandbox-gateway", "--help"]).output().unwrap().stdout;
    let help = String::from_utf8(help).unwrap();
    assert!(help.contains("pm_sandbox_decline") && help.contains("pm_sandbox_requires_action"), "{help}");
}

#[test]
fn production_embeds_nothing_by_accident() {
    let folder = tempfile::tempdir().unwrap();
    let output = emporium()
        .args([
            "serve",
            "--profile",
            "production",
            "--event-store",
            "esdb://127.0.0.1:1?tls=false",
            "--data-dir",
        ])
        .arg(folder.path())
        .output()
        .unwrap();
    assert!(!output.status.success());
    let error = String::from_utf8(output.stderr).unwrap();
    assert!(error.contains("--database-url"), "{error}");
}

/// The first thousand orders of a year, with the service killed in the middle: the same figures as if nothing had
/// happened, and again the same when the import is repeated.
#[tokio::test(flavor = "multi_thread")]
async fn an_import_that_was_killed_in_the_middle_adds_up_exactly() {
    let Some(file) = online_retail() else { return };
    let folder = tempfile::tempdir().unwrap();
    let mut service = Service::start(folder.path(), &[]).await;
    let mut import = service.import("online-retail", &file, 1_000).spawn().unwrap();
    for position in [30_000, 70_000] {
        head_passes(&service, position).await;
        service = service.kill_and_restart().await;
    }
    // It survives the restarts by itself.
    assert!(import.wait().unwrap().success());
    check_the_first_thousand(&service).await;

    let again = service.import("online-retail", &file, 1_000).output().unwrap();
    assert!(again.status.success());
    let report = String::from_utf8(again.stdout).unwrap();
    assert!(report.contains("(0 new, 1,000 already there)"), "{report}");
    check_the_first_thousand(&service).await;
}

async fn check_the_first_thousand(service: &Service) {
    let days = service.get("/sales/days?currency=GBP&limit=500&min-position=head").await;
    let days = days["items"].as_array().unwrap();
    let sum = |field: &dyn Fn(&Value) -> i64| days.iter().map(field).sum::<i64>();
    assert_eq!(sum(&|day| day["orders"].as_i64().unwrap()), 1_000);
    assert_eq!(sum(&|day| day["lines"].as_i64().unwrap()), 27_989);
    assert_eq!(sum(&|day| day["revenue"]["amount"].as_i64().unwrap()), 54_293_642);

    let orders = service.all("/orders?status=delivered&min-position=head").await;
    assert_eq!(orders.len(), 1_000);
    let total: i64 = orders.iter().map(|order| order["total"]["amount"].as_i64().unwrap()).sum();
    assert_eq!(total, 54_293_642);

    let stock = service.all("/stock?min-position=head").await;
    for sku in &stock {
        let units = |field: &str| sku[field].as_i64().unwrap();
        let held = units("available") + units("reserved") + units("shipped");
        assert_eq!(units("received") + units("adjusted"), held, "{sku}");
        assert_eq!(units("reserved"), 0, "{sku}");
    }
    assert_eq!(stock.iter().map(|sku| sku["shipped"].as_i64().unwrap()).sum::<i64>(), 225_625);
}
