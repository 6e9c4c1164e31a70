use super::verification::VerificationConfig;
use audit_seal::key::{PublicKey, PublicKeys, SealingKey};
use chrono::TimeDelta;
use clap::Args;
use std::time::Duration;

/// How the history is sealed and verified, without the key.
#[derive(Debug, Clone, Args)]
pub struct SealingArgs {
    /// Public keys that sealed the history before the present key, in hexadecimal digits
    #[arg(long, env = "EMPORIUM_AUDIT_RETIRED_KEYS", value_delimiter = ',', value_name = "HEX")]
    pub audit_retired_keys: Vec<PublicKey>,

    /// How many seconds an event waits for its seal, at most
    #[arg(long, env = "EMPORIUM_AUDIT_SEAL_SECONDS", default_value_t = 10, value_parser = clap::value_parser!(u64).range(1..))]
    pub audit_seal_seconds: u64,

    /// How often the history is verified from the last verified seal on, in hours; 0 for never
    #[arg(long, env = "EMPORIUM_AUDIT_VERIFY_EVERY_HOURS", default_value_t = 24, value_name = "HOURS")]
    pub audit_verify_every_hours: u32,

    /// Verify the whole history every time, from its first event on
    #[arg(long, env = "EMPORIUM_AUDIT_VERIFY_WHOLE")]
    pub audit_verify_whole: bool,
}

/// How the history is sealed.
// Not Debug: it holds a secret.
#[derive(Clone)]
pub struct SealingConfig {
    pub key: SealingKey,
    /// Those that sealed before it.
    pub retired_keys: Vec<PublicKey>,
    pub pace: Pace,
}

/// When a seal is due.
#[derive(Debug, Clone, Copy)]
pub struct Pace {
    /// An event waits no longer.
    pub every: Duration,
    /// No more events wait.
    pub events: usize,
}

/// Each event takes 11 bytes of its seal.
const MAX_UNSEALED: usize = 10_000;

impl SealingArgs {
    /// The whole, with the key.
    #[must_use]
    pub fn with(&self, key: SealingKey) -> SealingConfig {
        let pace = Pace { every: Duration::from_secs(self.audit_seal_seconds), events: MAX_UNSEALED };
        SealingConfig { key, retired_keys: self.audit_retired_keys.clone(), pace }
    }

    /// How the history is verified, with the key.
    #[must_use]
    pub fn verification(&self, key: SealingKey) -> VerificationConfig {
        let hours = i64::from(self.audit_verify_every_hours);
        VerificationConfig {
            keys: self.with(key.clone()).known_keys(),
            key,
            every: (hours > 0).then(|| TimeDelta::hours(hours)),
            is_whole: self.audit_verify_whole,
        }
    }
}

impl SealingConfig {
    /// The keys whose seals may be gone on from.
    #[must_use]
    pub fn known_keys(&self) -> PublicKeys {
        self.retired_keys.iter().copied().chain([self.key.public()]).collect()
    }
}
