//! A disk that is full, and a disk that fails.

use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;

use embedded_event_store::{Config, EXIT_DISK_FAILED};
use eventstore::{Client, EventData, ReadAllOptions, ReadStreamOptions, StreamState};
use tempfile::TempDir;

use crate::killing::{client_of, start_process};
use crate::support::{Running, all_of, append, client, events, expecting, positions, soon};

const TMPFS_BYTES: u64 = 56 * 1024 * 1024;

/// A small file system of its own, as long as this lives.
struct SmallDisk {
    folder: TempDir,
}

impl SmallDisk {
    /// `None`, with a notice, where it cannot be made.
    fn mount() -> Option<SmallDisk> {
        let folder = tempfile::tempdir().unwrap();
        let mounted = Command::new("mount")
            .args(["-t", "tmpfs", "-o", &format!("size={TMPFS_BYTES}"), "tmpfs"])
            .arg(folder.path())
            .output();
        if mounted.is_ok_and(|output| output.status.success()) {
            return Some(SmallDisk { folder });
        }
        println!("SKIPPED: a tmpfs cannot be mounted here (it takes root)");
        None
    }

    fn store(&self) -> PathBuf {
        self.folder.path().join("store")
    }

    /// Takes all the room that is left, to the last byte.
    fn fill(&self) -> Ballast {
        let path = self.folder.path().join("ballast");
        let mut file = File::options().create(true).append(true).open(&path).unwrap();
        for size in [1 << 20, 4096, 1] {
            while file.write_all(&vec![1; size]).is_ok() {}
        }
        Ballast(path)
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        // Lazily: a store may not have closed its files yet.
        let _ = Command::new("umount").arg("-l").arg(self.folder.path()).status();
    }
}

struct Ballast(PathBuf);

impl Drop for Ballast {
    fn drop(&mut self) {
        std::fs::remove_file(&self.0).unwrap();
    }
}

async fn start_in(folder: &Path, reserved_disk_bytes: u64) -> Running {
    let config = Config { reserved_disk_bytes, ..Config::on_any_port(folder) };
    let store = embedded_event_store::EmbeddedEventStore::start(config).await.unwrap();
    Running { client: client(&store), store, folder: tempfile::tempdir().unwrap() }
}

/// About 400 KB in events.
fn some() -> Vec<EventData> {
    (0..100).map(|n: u8| EventData::binary("t", vec![n; 4000].into())).collect()
}

/// Appends until the store refuses; gives the refusal, and adds to the count of appends.
async fn append_until_refused(client: &Client, appended: &mut u64) -> String {
    for _ in 0..1000 {
        match soon(client.append_to_stream("s", &expecting(StreamState::Any), some())).await {
            Ok(_) => *appended += 1,
            Err(refused) => return refused.to_string(),
        }
    }
    panic!("the disk has no end");
}

async fn all_can_be_read(client: &Client, appended: u64) {
    let all = all_of(client.read_all(&ReadAllOptions::default()).await.unwrap()).await;
    // Not by assert_eq: nobody wants to see all the numbers.
    assert!(positions(&all).into_iter().eq(1..=appended * 100), "{} of {}", all.len(), appended * 100);
    let stream = all_of(client.read_stream("s", &ReadStreamOptions::default()).await.unwrap()).await;
    assert_eq!(stream.len() as u64, appended * 100);
}

#[tokio::test]
async fn a_store_that_fills_its_disk_says_so_and_goes_on_when_there_is_room() {
    let Some(disk) = SmallDisk::mount() else { return };
    let running = start_in(&disk.store(), 16 * 1024 * 1024).await;
    let mut appended = 0;
    let refused = append_until_refused(&running.client, &mut appended).await;
    assert!(refused.contains("make room"), "{refused}");
    assert!(appended > 10, "{appended}");
    all_can_be_read(&running.client, appended).await;
    let ballast = disk.fill();
    let refused = append_until_refused(&running.client, &mut appended).await;
    assert!(refused.contains("make room"), "{refused}");
    all_can_be_read(&running.client, appended).await;
    soon(running.store.stop()).await;
    // It even starts on a disk without a single free byte.
    let running = start_in(&disk.store(), 16 * 1024 * 1024).await;
    all_can_be_read(&running.client, appended).await;
    drop(ballast);
    remount(&disk, TMPFS_BYTES * 2);
    append(&running.client, "s", some()).await;
    all_can_be_read(&running.client, appended + 1).await;
}

fn remount(disk: &SmallDisk, bytes: u64) {
    let done = Command::new("mount")
        .args(["-o", &format!("remount,size={bytes}")])
        .arg(disk.folder.path())
        .status()
        .unwrap();
    assert!(done.success());
}

/// Another program takes the last byte before a write, so that the write fails in its middle.
#[tokio::test]
async fn a_write_that_meets_the_end_of_the_disk_is_undone_and_refused() {
    let Some(disk) = SmallDisk::mount() else { return };
    // Nothing reserved: the store finds out by writing.
    let running = start_in(&disk.store(), 0).await;
    let mut appended = 0;
    for _ in 0..3 {
        append(&running.client, "s", some()).await;
        appended += 1;
        let ballast = disk.fill();
        for _ in 0..3 {
            let refused = append_until_refused(&running.client, &mut appended).await;
            assert!(refused.contains("make room"), "{refused}");
            all_can_be_read(&running.client, appended).await;
        }
        drop(ballast);
        append(&running.client, "s", some()).await;
        appended += 1;
        all_can_be_read(&running.client, appended).await;
    }
    // Then the store itself fills the disk, with its work in the background.
    let refused = append_until_refused(&running.client, &mut appended).await;
    assert!(refused.contains("make room"), "{refused}");
    all_can_be_read(&running.client, appended).await;
    remount(&disk, TMPFS_BYTES * 3);
    append(&running.client, "s", some()).await;
    appended += 1;
    soon(running.store.stop()).await;
    let running = start_in(&disk.store(), 0).await;
    all_can_be_read(&running.client, appended).await;
}

/// Makes fsync and fdatasync fail in a program as soon as the file exists that is named in the environment.
const FAILING_FSYNC: &str = r#"
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

static int broken(void) {
    const char *name = getenv("BREAK_FSYNC");
    return name && access(name, F_OK) == 0;
}

int fsync(int file) {
    if (broken()) { errno = EIO; return -1; }
    return ((int (*)(int))dlsym(RTLD_NEXT, "fsync"))(file);
}

int fdatasync(int file) {
    if (broken()) { errno = EIO; return -1; }
    return ((int (*)(int))dlsym(RTLD_NEXT, "fdatasync"))(file);
}
"#;

/// Compiles the library; `None`, with a notice, where there is no C compiler or nothing can be loaded beforehand.
fn failing_fsync(folder: &Path) -> Option<PathBuf> {
    let (source, library) = (folder.join("failing.c"), folder.join("failing.so"));
    std::fs::write(&source, FAILING_FSYNC).unwrap();
    let compiled =
        Command::new("cc").args(["-shared", "-fPIC", "-o"]).arg(&library).arg(&source).arg("-ldl").status();
    if cfg!(target_os = "linux") && compiled.is_ok_and(|status| status.success()) {
        return Some(library);
    }
    println!("SKIPPED: it takes Linux and a C compiler to make fsync fail");
    None
}

#[tokio::test]
async fn the_process_ends_when_the_disk_does_not_confirm_and_nothing_acknowledged_is_lost() {
    let folder = tempfile::tempdir().unwrap();
    let Some(library) = failing_fsync(folder.path()) else { return };
    let broken = folder.path().join("broken");
    let store = folder.path().join("store");
    let mut child =
        start_process(&store).env("LD_PRELOAD", &library).env("BREAK_FSYNC", &broken).spawn().unwrap();
    let client = client_of(&mut child);
    for _ in 0..5 {
        append(&client, "s", events(3)).await;
    }
    File::create(&broken).unwrap();
    let refused = soon(client.append_to_stream("s", &expecting(StreamState::Any), events(3))).await;
    assert!(refused.is_err(), "it was acknowledged, but the disk had not confirmed it");
    let ended = soon(tokio::task::spawn_blocking(move || child.wait().unwrap())).await.unwrap();
    assert_eq!(ended.code(), Some(EXIT_DISK_FAILED));
    let running = start_in(&store, 0).await;
    let all = all_of(running.client.read_all(&ReadAllOptions::default()).await.unwrap()).await;
    assert!(all.len() == 15 || all.len() == 18, "the last append is there as a whole or not at all");
}
