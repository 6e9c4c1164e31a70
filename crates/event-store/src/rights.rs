//! What the service's user must be allowed to do in the event store, and what is missing.

use std::collections::BTreeMap;
use std::fmt;
use thiserror::Error;

/// Something that the user of an event store may be allowed to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Right {
    /// To read the whole log, and to follow it.
    ReadLog,
    /// To read this stream.
    Read(&'static str),
    /// To append to this stream.
    Append(&'static str),
    /// To write the metadata of this stream, which hides its beginning.
    WriteMetadata(&'static str),
    /// To make and consume the persistent subscription behind the lock with this stream.
    Lock(&'static str),
}

impl fmt::Display for Right {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::ReadLog => f.write_str("read the log ($all)"),
            Self::Read(stream) => write!(f, "read streams such as `{stream}`"),
            Self::Append(stream) => write!(f, "append to streams such as `{stream}`"),
            Self::WriteMetadata(stream) => write!(f, "write the metadata of streams such as `{stream}`"),
            Self::Lock(stream) => write!(f, "make and consume persistent subscriptions (to `{stream}`)"),
        }
    }
}

/// A right that a part of the service needs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Need {
    /// The part, as the operator knows it.
    pub part: &'static str,
    /// What it must be allowed to do.
    pub right: Right,
}

/// The rights that are missing, and who needs them.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{}", sentence(.needs, *.has_none))]
pub struct MissingRights {
    /// What is missing; at least one.
    pub needs: Vec<Need>,
    /// Nothing that was asked for is allowed. A wrong password looks so too.
    pub has_none: bool,
}

fn sentence(needs: &[Need], has_none: bool) -> String {
    let mut parts: BTreeMap<Right, Vec<&str>> = BTreeMap::new();
    for need in needs {
        parts.entry(need.right).or_default().push(need.part);
    }
    let missing: Vec<String> =
        parts.iter().map(|(right, parts)| format!("{right} ({} needs it)", parts.join(", "))).collect();
    let missing = missing.join("; ");
    let what_to_do = match has_none {
        true => "check the user and the password in the event store's address, or give the user these rights",
        false => "give the user these rights",
    };
    format!(
        "the event store's user may not {missing}: {what_to_do}, as docs/operations.md says under \"The event store's user\""
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_sentence_names_each_missing_right_and_who_needs_it() {
        let need = |part, right| Need { part, right };
        let needs = vec![
            need("order fulfilment", Right::ReadLog),
            need("the sealing", Right::ReadLog),
            need("the sealing", Right::Append("audit-seals")),
        ];
        let missing = MissingRights { needs, has_none: false }.to_string();
        let expected = "the event store's user may not read the log ($all) (order fulfilment, the sealing needs it); \
                        append to streams such as `audit-seals` (the sealing needs it): give the user these rights, as \
                        docs/operations.md says under \"The event store's user\"";
        assert_eq!(missing, expected);
        let needs = vec![need("commands", Right::Read("order-1"))];
        assert!(
            MissingRights { needs, has_none: true }.to_string().contains("check the user and the password")
        );
    }
}
