//! What the server is told on its command line, which wins over any configuration file in the cluster.

use crate::{Config, Durability};

/// For a small machine that also runs the service: about 200 MB in all when busy.
const ALWAYS: &[(&str, &str)] = &[
    ("listen_addresses", ""),
    ("port", "5432"),
    ("unix_socket_permissions", "0700"),
    ("ssl", "off"),
    ("timezone", "UTC"),
    ("log_timezone", "UTC"),
    // Standard error is our log file.
    ("logging_collector", "off"),
    ("log_destination", "stderr"),
    ("log_line_prefix", "%m [%p] "),
    ("log_checkpoints", "off"),
    ("log_autovacuum_min_duration", "-1"),
    ("shared_buffers", "128MB"),
    ("huge_pages", "off"),
    ("effective_cache_size", "512MB"),
    ("work_mem", "8MB"),
    ("maintenance_work_mem", "64MB"),
    ("max_wal_size", "1GB"),
    ("min_wal_size", "80MB"),
    ("wal_compression", "on"),
    ("checkpoint_completion_target", "0.9"),
    ("random_page_cost", "1.1"),
    // Our statements are short: planning them with jit costs more than it gains.
    ("jit", "off"),
    // Parallel queries need room in /dev/shm, of which containers have little, and cores, of which we have two.
    ("max_parallel_workers_per_gather", "0"),
    ("max_parallel_maintenance_workers", "0"),
];

const THROWAWAY: &[(&str, &str)] = &[
    ("fsync", "off"),
    ("full_page_writes", "off"),
    ("wal_level", "minimal"),
    ("max_wal_senders", "0"),
    ("checkpoint_timeout", "30min"),
];

const DURABLE: &[(&str, &str)] = &[("fsync", "on"), ("full_page_writes", "on"), ("wal_level", "replica")];

/// As arguments: `-c name=value` for each setting.
pub(crate) fn arguments(config: &Config, socket_folder: &str) -> Vec<String> {
    let by_durability = match config.durability {
        Durability::Durable => DURABLE,
        Durability::Throwaway => THROWAWAY,
    };
    let mut settings: Vec<String> =
        ALWAYS.iter().chain(by_durability).map(|(name, value)| format!("{name}={value}")).collect();
    settings.push(format!("max_connections={}", config.max_connections));
    // The value is a list: quoted, a comma in the path stays a comma.
    settings.push(format!("unix_socket_directories=\"{}\"", socket_folder.replace('"', "\"\"")));
    settings.into_iter().flat_map(|setting| ["-c".to_owned(), setting]).collect()
}
