//! Measurements in the text format of Prometheus, under the names of the protocol's own server.

use std::fmt::Write;

use serde_json::Value;

use crate::groups::{GroupInfo, Source};
use crate::node::{Node, VERSION};

/// Labels and values of one measurement.
type Samples = Vec<(String, f64)>;

/// All measurements, of a node whose newest event is at `head`. The counts are of open connections, and of callers without a
/// user that were refused, by the reason.
pub fn text(
    node: &Node,
    head: u64,
    (connections, refused): (u64, &[(&str, u64)]),
    groups: &[GroupInfo],
    stats: &Value,
) -> String {
    let mut text = String::from("# TYPE target_info gauge\n# HELP target_info Target metadata\n");
    let _ = writeln!(
        text,
        "target_info{{service_name=\"eventstore\",service_version=\"{VERSION}\",service_instance_id=\"{}\"}} 1",
        node.instance
    );
    let number = |pointer: &str| stats.pointer(pointer).and_then(Value::as_f64).unwrap_or_default();
    let one = |value: f64| vec![(String::new(), value)];
    let head = exact(head);
    let by = |label: &str, values: &[(&str, f64)]| -> Samples {
        values.iter().map(|(name, value)| (format!("{label}=\"{name}\""), *value)).collect()
    };
    let (free, total) = (number("/sys/freeMem"), number("/sys/totalMem"));
    let refused: Vec<_> = refused.iter().map(|(reason, times)| (*reason, exact(*times))).collect();
    let figures: [(&str, &str, Samples); 10] = [
        (
            "eventstore_checkpoints",
            "gauge",
            ["chaser", "index", "replication", "writer"]
                .map(|name| (format!("name=\"{name}\",read=\"non-flushed\""), head))
                .to_vec(),
        ),
        ("eventstore_kestrel_connections", "gauge", one(exact(connections))),
        ("eventstore_strangers_refused", "counter", by("reason", &refused)),
        ("eventstore_proc_cpu", "gauge", one(number("/proc/cpu"))),
        ("eventstore_proc_mem_bytes", "gauge", by("kind", &[("working-set", number("/proc/mem"))])),
        ("eventstore_proc_thread_count", "gauge", one(number("/proc/threadsCount"))),
        (
            "eventstore_disk_io_bytes",
            "counter",
            by(
                "activity",
                &[
                    ("read", number("/proc/diskIo/readBytes")),
                    ("written", number("/proc/diskIo/writtenBytes")),
                ],
            ),
        ),
        ("eventstore_sys_cpu", "gauge", one(number("/sys/cpu"))),
        ("eventstore_sys_mem_bytes", "gauge", by("kind", &[("free", free), ("total", total)])),
        (
            "eventstore_sys_load_avg",
            "gauge",
            by(
                "period",
                &["1m", "5m", "15m"].map(|period| (period, number(&format!("/sys/loadavg/{period}")))),
            ),
        ),
    ];
    for (name, kind, samples) in figures.into_iter().chain(of_groups(groups)) {
        write_samples(&mut text, name, kind, &samples);
    }
    text
}

fn of_groups(groups: &[GroupInfo]) -> [(&'static str, &'static str, Samples); 8] {
    let each = |value: fn(&GroupInfo) -> Option<u64>| -> Samples {
        groups.iter().filter_map(|group| Some((labels(group), exact(value(group)?)))).collect()
    };
    let is_all = |group: &GroupInfo| group.id.source == Source::All;
    let split = |value: fn(&GroupInfo) -> Option<u64>, all: bool| -> Samples {
        let of = groups.iter().filter(|group| is_all(group) == all);
        of.filter_map(|group| Some((labels(group), exact(value(group)?)))).collect()
    };
    [
        ("eventstore_persistent_sub_connections", "gauge", each(|group| Some(group.consumers.len() as u64))),
        ("eventstore_persistent_sub_parked_messages", "gauge", each(|group| Some(group.parked))),
        ("eventstore_persistent_sub_in_flight_messages", "gauge", each(|group| Some(group.in_flight as u64))),
        ("eventstore_persistent_sub_items_processed", "counter", each(|group| Some(group.total_items))),
        (
            "eventstore_persistent_sub_last_known_event_number",
            "counter",
            split(|group| group.last_known, false),
        ),
        (
            "eventstore_persistent_sub_last_known_event_commit_position",
            "counter",
            split(|group| group.last_known, true),
        ),
        (
            "eventstore_persistent_sub_checkpointed_event_number",
            "counter",
            split(|group| group.checkpoint, false),
        ),
        (
            "eventstore_persistent_sub_checkpointed_event_commit_position",
            "counter",
            split(|group| group.checkpoint, true),
        ),
    ]
}

fn labels(group: &GroupInfo) -> String {
    let (stream, name) = (escaped(group.id.source.name()), escaped(&group.id.name));
    format!("event_stream_id=\"{stream}\",group_name=\"{name}\"")
}

fn escaped(label: &str) -> String {
    label.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n")
}

fn write_samples(text: &mut String, name: &str, kind: &str, samples: &Samples) {
    if samples.is_empty() {
        return;
    }
    // Writing to a text does not fail.
    let _ = writeln!(text, "# TYPE {name} {kind}");
    for (labels, value) in samples {
        let _ = match labels.as_str() {
            "" => writeln!(text, "{name} {value}"),
            labels => writeln!(text, "{name}{{{labels}}} {value}"),
        };
    }
}

/// Positions and counts as the format has them: they are exact as far as anybody counts.
#[allow(clippy::cast_precision_loss, reason = "the format has no other numbers")]
fn exact(number: u64) -> f64 {
    number as f64
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn measurements_have_the_names_of_the_servers_own() {
        let node = Node::new(([127, 0, 0, 1], 2113).into(), None, None);
        let stats =
            json!({ "proc": { "mem": 12345, "threadsCount": 3 }, "sys": { "loadavg": { "1m": 0.5 } } });
        let text = text(&node, 77, (2, &[("rate", 5)]), &[], &stats);
        let first = "# TYPE target_info gauge\n# HELP target_info Target metadata\ntarget_info{service_name=";
        assert!(text.starts_with(first), "{text}");
        for line in [
            "# TYPE eventstore_checkpoints gauge",
            "eventstore_checkpoints{name=\"writer\",read=\"non-flushed\"} 77",
            "eventstore_kestrel_connections 2",
            "eventstore_strangers_refused{reason=\"rate\"} 5",
            "eventstore_proc_mem_bytes{kind=\"working-set\"} 12345",
            "eventstore_sys_load_avg{period=\"1m\"} 0.5",
        ] {
            assert!(text.lines().any(|found| found == line), "{line}\n{text}");
        }
        assert!(!text.contains("persistent_sub"), "there is no group");
    }

    #[test]
    fn names_of_streams_cannot_break_the_format() {
        assert_eq!(escaped("a\"b\\c\nd"), "a\\\"b\\\\c\\nd");
    }
}
