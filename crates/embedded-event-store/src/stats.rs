//! How the process and the machine do, in the form of the protocol's own server. What this store does not have, such as a
//! garbage collector or queues inside, is left out.

use std::collections::HashMap;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use chrono::{DateTime, SecondsFormat, Utc};
use serde_json::{Value, json};
use sysinfo::{LoadAvg, MemoryRefreshKind, Pid, ProcessRefreshKind, ProcessesToUpdate, System as Machine};

/// What is looked at. Clones look at the same.
#[derive(Clone)]
pub struct System {
    /// It remembers what it saw last: the use of processors is what has changed since. `None` on a system that cannot be
    /// looked at.
    machine: Arc<Option<Mutex<Machine>>>,
    /// What was measured last, and when. It is waited for by all who ask meanwhile.
    latest: Arc<tokio::sync::Mutex<Option<(Instant, Value)>>>,
    folder: PathBuf,
}

/// What was measured counts for so long, however many ask.
const COUNTS_FOR: Duration = Duration::from_millis(50);

impl System {
    /// Looks at this process, this machine, and the disk that holds the folder.
    pub fn new(folder: PathBuf) -> Self {
        let machine = Arc::new(Machine::new().ok().map(Mutex::new));
        System { machine, latest: Arc::default(), folder }
    }

    /// What is measured now, with the newest position of the log; `None` if nothing can be measured.
    pub async fn measured(&self, head: u64) -> Option<Value> {
        let mut latest = self.latest.lock().await;
        let kept = latest.as_ref().filter(|(at, _)| at.elapsed() < COUNTS_FOR);
        let mut stats = match kept {
            Some((_, stats)) => stats.clone(),
            None => {
                let system = self.clone();
                let stats = tokio::task::spawn_blocking(move || system.measure()).await.ok()??;
                *latest = Some((Instant::now(), stats.clone()));
                stats
            }
        };
        stats["es"] = json!({ "checksum": head, "checksumNonFlushed": head });
        Some(stats)
    }

    fn measure(&self) -> Option<Value> {
        let pid = Pid::from_u32(std::process::id());
        // Nothing is left half done by whoever panics with it.
        let mut machine = Option::as_ref(&self.machine)?.lock().unwrap_or_else(PoisonError::into_inner);
        let process = ProcessRefreshKind::nothing().with_cpu().with_memory().with_disk_usage().with_tasks();
        machine.refresh_processes_specifics(ProcessesToUpdate::Some(&[pid]), false, process);
        machine.refresh_cpu_usage();
        machine.refresh_memory_specifics(MemoryRefreshKind::nothing().with_ram());
        Some(json!({
            "proc": process_of(&machine, pid),
            "sys": self.machine_of(&machine),
        }))
    }

    fn machine_of(&self, machine: &Machine) -> Value {
        let load = Machine::load_average().ok();
        let load = |of: fn(&LoadAvg) -> f64| load.as_ref().map(of);
        json!({
            "cpu": machine.global_cpu_usage(),
            "loadavg": { "1m": load(|l| l.one), "5m": load(|l| l.five), "15m": load(|l| l.fifteen) },
            "freeMem": machine.available_memory(),
            "totalMem": machine.total_memory(),
            "drive": { mount_of(&self.folder).display().to_string(): self.drive() },
        })
    }

    fn drive(&self) -> Value {
        let Ok(disk) = rustix::fs::statvfs(&self.folder) else { return json!({}) };
        let total = disk.f_blocks.saturating_mul(disk.f_frsize);
        let available = disk.f_bavail.saturating_mul(disk.f_frsize);
        let used = total.saturating_sub(available);
        json!({
            "availableBytes": available,
            "totalBytes": total,
            "usage": format!("{}%", used.saturating_mul(100) / total.max(1)),
            "usedBytes": used,
        })
    }
}

/// Where the disk is mounted that holds the folder; the folder itself if that cannot be found out.
fn mount_of(folder: &Path) -> PathBuf {
    let disk_of = |path: &Path| path.metadata().map(|found| found.dev()).ok();
    let Ok(whole) = folder.canonicalize() else { return folder.to_path_buf() };
    let disk = disk_of(&whole);
    let mount = whole.ancestors().take_while(|above| disk_of(above) == disk).last();
    mount.unwrap_or(folder).to_path_buf()
}

fn process_of(machine: &Machine, pid: Pid) -> Value {
    let Some(process) = machine.process(pid) else { return json!({}) };
    let disk = process.disk_usage();
    let started = SystemTime::UNIX_EPOCH + Duration::from_secs(process.start_time());
    json!({
        "startTime": DateTime::<Utc>::from(started).to_rfc3339_opts(SecondsFormat::Micros, true),
        "id": pid.as_u32(),
        "mem": process.memory(),
        "cpu": process.cpu_usage(),
        "threadsCount": process.tasks().map_or(0, |tasks| tasks.len()),
        "diskIo": { "readBytes": disk.total_read_bytes, "writtenBytes": disk.total_written_bytes },
    })
}

/// A part of the whole, by the keys that lead to it; `None` if there is no such part, or if it has no parts itself.
pub fn part<'a>(stats: &'a Value, keys: &str) -> Option<&'a Value> {
    let mut keys = keys.split('/').filter(|key| !key.is_empty());
    keys.try_fold(stats, |value, key| value.get(key)).filter(|part| part.is_object())
}

/// The whole as names with values, a name being the keys that lead to the value.
pub fn flat(stats: &Value) -> HashMap<String, String> {
    let mut names = HashMap::new();
    flatten(&mut names, String::new(), stats);
    names
}

fn flatten(names: &mut HashMap<String, String>, name: String, value: &Value) {
    match value {
        Value::Object(members) => {
            for (key, member) in members {
                let name = if name.is_empty() { key.clone() } else { format!("{name}-{key}") };
                flatten(names, name, member);
            }
        }
        Value::String(text) => {
            names.insert(name, text.clone());
        }
        other => {
            names.insert(name, other.to_string());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_part_is_found_by_the_keys_that_lead_to_it() {
        let stats = json!({ "es": { "queue": { "main": { "length": 1 } } } });
        assert_eq!(part(&stats, ""), Some(&stats));
        assert_eq!(part(&stats, "es/queue/main"), Some(&json!({ "length": 1 })));
        assert_eq!(part(&stats, "es/queue/main/length"), None, "a leaf is no page");
        assert_eq!(part(&stats, "proc"), None);
    }

    #[test]
    fn a_value_is_named_by_the_keys_that_lead_to_it() {
        let stats = json!({ "sys": { "drive": { "/": { "usage": "7%" } }, "cpu": 1.5 } });
        let names = flat(&stats);
        assert_eq!(names.len(), 2);
        assert_eq!((names["sys-drive-/-usage"].as_str(), names["sys-cpu"].as_str()), ("7%", "1.5"));
    }

    #[tokio::test]
    async fn the_process_and_the_machine_are_measured() {
        let stats = System::new(std::env::temp_dir()).measured(7).await.unwrap();
        assert_eq!(stats["es"]["checksum"], 7);
        assert_eq!(stats["proc"]["id"], std::process::id());
        for number in ["/proc/mem", "/proc/threadsCount", "/sys/totalMem", "/sys/freeMem"] {
            assert!(stats.pointer(number).and_then(Value::as_u64) > Some(0), "{number}: {stats}");
        }
        let drives = stats["sys"]["drive"].as_object().unwrap();
        assert!(drives.values().all(|drive| drive["totalBytes"].as_u64() > Some(0)), "{stats}");
    }
}
