//! Access control lists: which roles have which right. A stream has its own in its metadata, and `$settings` has those of
//! all the others.
//!
//! The rules are those of the protocol's own server. A text is one role and a list any of its roles; a right that a list
//! does not name comes from `$settings`, and one that is not there either from the store's defaults: with ordinary streams
//! everybody who has logged in may do everything, with system streams only the admins may.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::value::RawValue;

/// The role of everybody who has logged in.
const EVERYBODY: &str = "$all";
const OPS: &str = "$ops";
const OF_ORDINARY_STREAMS: &str = "$userStreamAcl";
const OF_SYSTEM_STREAMS: &str = "$systemStreamAcl";
const SCAVENGES: &str = "$scavenges";
/// How the streams begin that system projections write.
const OF_PROJECTIONS: [&str; 5] = ["$ce-", "$et", "$bc-", "$category-", "$streams"];

/// What can be allowed with a stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
pub enum Right {
    /// To read its events.
    #[serde(rename = "$r")]
    Read,
    /// To append events.
    #[serde(rename = "$w")]
    Append,
    /// To delete it, in either way.
    #[serde(rename = "$d")]
    Delete,
    /// To read its metadata.
    #[serde(rename = "$mr")]
    ReadMetadata,
    /// To write its metadata, and so to hide its events.
    #[serde(rename = "$mw")]
    WriteMetadata,
}

impl Right {
    /// Whether it changes nothing.
    pub fn is_to_read(self) -> bool {
        matches!(self, Right::Read | Right::ReadMetadata)
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(untagged)]
enum Roles {
    One(String),
    Any(Vec<String>),
}

impl Roles {
    fn has(&self, is_held: impl Fn(&str) -> bool) -> bool {
        let counts = |role: &String| role == EVERYBODY || is_held(role);
        match self {
            Roles::One(role) => counts(role),
            Roles::Any(roles) => roles.iter().any(counts),
        }
    }
}

/// The roles that a list names for each right. A key that is none of the rights makes the whole list meaningless.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(transparent)]
pub struct Acl(BTreeMap<Right, Roles>);

impl Acl {
    /// The list of a stream that has no metadata: some system streams have one all the same.
    pub fn without_metadata(stream: &str) -> Self {
        let role = |role: &str| Roles::One(role.to_owned());
        if stream == SCAVENGES {
            Acl(BTreeMap::from([(Right::Read, role(OPS))]))
        } else if OF_PROJECTIONS.iter().any(|prefix| stream.starts_with(prefix)) {
            Acl(BTreeMap::from([(Right::Read, role(EVERYBODY)), (Right::ReadMetadata, role(EVERYBODY))]))
        } else {
            Acl::default()
        }
    }
}

/// What `$settings` says: the lists of streams that have none of their own.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Defaults {
    ordinary: Acl,
    system: Acl,
}

impl Defaults {
    /// Reads the settings. If any part cannot be understood, they say nothing.
    pub fn of_settings(json: &[u8]) -> Self {
        let both = || {
            Some(Defaults {
                ordinary: part(json, OF_ORDINARY_STREAMS)?,
                system: part(json, OF_SYSTEM_STREAMS)?,
            })
        };
        both().unwrap_or_default()
    }
}

/// Whether somebody who holds these roles has the right. The admins have every right and are not asked about here.
pub fn allows(
    right: Right,
    stream: &str,
    own: &Acl,
    defaults: &Defaults,
    is_held: impl Fn(&str) -> bool,
) -> bool {
    let is_system = stream.starts_with('$');
    let defaults = if is_system { &defaults.system } else { &defaults.ordinary };
    match own.0.get(&right).or_else(|| defaults.0.get(&right)) {
        Some(roles) => roles.has(is_held),
        None => !is_system,
    }
}

/// A list in a JSON object: an empty one if it is not there, `None` if it or the object cannot be understood.
fn part(json: &[u8], key: &str) -> Option<Acl> {
    let object: BTreeMap<String, &RawValue> = serde_json::from_slice(json).ok()?;
    match object.get(key) {
        Some(list) => serde_json::from_str(list.get()).ok(),
        None => Some(Acl::default()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metadata::StreamMetadata;
    use rstest::rstest;

    fn ann(role: &str) -> bool {
        ["ann", "team"].contains(&role)
    }

    #[rstest]
    #[case::no_list("{}", true)]
    #[case::an_empty_list(r#"{"$acl":{}}"#, true)]
    #[case::everybody(r#"{"$acl":{"$r":"$all"}}"#, true)]
    #[case::by_name(r#"{"$acl":{"$r":"ann"}}"#, true)]
    #[case::by_group(r#"{"$acl":{"$r":"team"}}"#, true)]
    #[case::one_of_many(r#"{"$acl":{"$r":["$ops","ann"]}}"#, true)]
    #[case::everybody_among_many(r#"{"$acl":{"$r":["$ops","$all"]}}"#, true)]
    #[case::somebody_else(r#"{"$acl":{"$r":"bob"}}"#, false)]
    #[case::another_case(r#"{"$acl":{"$r":"ANN"}}"#, false)]
    #[case::nobody(r#"{"$acl":{"$r":[]}}"#, false)]
    #[case::a_role_without_a_name(r#"{"$acl":{"$r":""}}"#, false)]
    #[case::admins(r#"{"$acl":{"$r":"$admins"}}"#, false)]
    #[case::another_right(r#"{"$acl":{"$w":"bob"}}"#, true)]
    #[case::null(r#"{"$acl":{"$r":null}}"#, true)]
    #[case::a_number(r#"{"$acl":{"$r":5}}"#, true)]
    #[case::a_number_among_many(r#"{"$acl":{"$r":["bob",5]}}"#, true)]
    #[case::no_object(r#"{"$acl":"$userStreamAcl"}"#, true)]
    #[case::null_for_the_list(r#"{"$acl":null}"#, true)]
    #[case::a_key_that_is_no_right(r#"{"$acl":{"$r":"bob","read":"ann"}}"#, true)]
    #[case::keys_of_its_own(r#"{"owner":"bob","$acl":{"$r":"bob"}}"#, false)]
    #[case::not_json(r#"{"$acl":{"$r":"bob"}"#, true)]
    #[case::another_key_meaningless(r#"{"$maxCount":"x","$acl":{"$r":"bob"}}"#, true)]
    fn a_streams_list_says_who_may_read(#[case] metadata: &str, #[case] expected: bool) {
        let own = StreamMetadata::parse(metadata.as_bytes()).acl;
        assert_eq!(allows(Right::Read, "s", &own, &Defaults::default(), ann), expected);
    }

    #[rstest]
    #[case::nothing("{}", "s", Right::Read, true)]
    #[case::nothing_about_system_streams("{}", "$s", Right::Read, false)]
    #[case::ordinary(r#"{"$userStreamAcl":{"$r":"bob"}}"#, "s", Right::Read, false)]
    #[case::each_right_by_itself(r#"{"$userStreamAcl":{"$r":"bob"}}"#, "s", Right::Append, true)]
    #[case::the_streams_own_right_is_first(r#"{"$userStreamAcl":{"$d":"bob"}}"#, "s", Right::Delete, true)]
    #[case::system(r#"{"$systemStreamAcl":{"$r":"ann"}}"#, "$s", Right::Read, true)]
    #[case::the_log(r#"{"$systemStreamAcl":{"$r":"$all"}}"#, "$all", Right::Read, true)]
    #[case::other_keys(r#"{"x":{},"$systemStreamAcl":{"$r":"ann"}}"#, "$s", Right::Read, true)]
    #[case::one_part_meaningless(
        r#"{"$systemStreamAcl":{"$r":"ann"},"$userStreamAcl":5}"#,
        "$s",
        Right::Read,
        false
    )]
    #[case::not_json("nonsense", "s", Right::Read, true)]
    fn settings_hold_for_what_a_stream_does_not_say(
        #[case] settings: &str,
        #[case] stream: &str,
        #[case] right: Right,
        #[case] expected: bool,
    ) {
        let own = StreamMetadata::parse(br#"{"$acl":{"$d":"ann"}}"#).acl;
        assert_eq!(allows(right, stream, &own, &Defaults::of_settings(settings.as_bytes()), ann), expected);
    }

    #[rstest]
    #[case::scavenges("$scavenges", Right::Read, false)]
    #[case::category("$ce-order", Right::Read, true)]
    #[case::event_type("$et-order.placed.v1", Right::ReadMetadata, true)]
    #[case::streams("$streams", Right::Read, true)]
    #[case::to_write("$ce-order", Right::Append, false)]
    #[case::others("$users", Right::Read, false)]
    fn some_system_streams_are_read_by_more_than_the_admins(
        #[case] stream: &str,
        #[case] right: Right,
        #[case] expected: bool,
    ) {
        let own = Acl::without_metadata(stream);
        assert_eq!(allows(right, stream, &own, &Defaults::default(), ann), expected);
        let ops = allows(right, stream, &own, &Defaults::default(), |role| role == OPS);
        assert_eq!(ops, expected || stream == SCAVENGES);
    }
}
