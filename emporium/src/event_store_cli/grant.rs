//! `emporium event-store grant`: lets a user read the whole log, as the services have to.

use super::EventStoreCliError;
use crate::store_password;
use clap::Args;
use event_store::{EventStore, ExpectedRevision, RawEvent};
use futures::TryStreamExt;
use serde_json::{Map, Value, json};
use std::pin::pin;
use uuid::Uuid;

/// The metadata of the whole log.
const STREAM: &str = "$$$all";
const METADATA_TYPE: &str = "$metadata";
const ACL: &str = "$acl";
const READERS: &str = "$r";
const ADMINS: &str = "$admins";

/// `emporium event-store grant …`
#[derive(Debug, Args)]
pub struct GrantArgs {
    /// A running store with an admin in its address, for example esdb://admin:…@127.0.0.1:2113
    #[arg(long, value_name = "URL")]
    pub url: String,
    /// The user who may read the log from now on, or a group of users
    #[arg(long, value_name = "NAME")]
    pub user: String,
}

/// Writes the user into the list of those who may read the log, and leaves everything else in it as it is.
pub async fn run(args: GrantArgs) -> Result<(), EventStoreCliError> {
    let store = EventStore::connect(&store_password::found_for(&args.url))?;
    let newest = pin!(store.read_raw_stream_end(STREAM)).try_next().await?;
    let metadata = newest.as_ref().map_or(&b"{}"[..], |record| &record.event.data);
    let Some(metadata) = with_reader(metadata, &args.user) else {
        println!("`{}` may read the log already", args.user);
        return Ok(());
    };
    let expected =
        newest.as_ref().map_or(ExpectedRevision::NoStream, |record| ExpectedRevision::Exact(record.revision));
    let event = RawEvent {
        id: Uuid::new_v4(),
        event_type: METADATA_TYPE.to_owned(),
        is_json: true,
        data: metadata.to_string().into(),
        metadata: Vec::new().into(),
    };
    let failed = |source| EventStoreCliError::Append { stream: STREAM.to_owned(), source };
    store.append_raw(STREAM, expected, vec![event]).await.map_err(failed)?;
    println!("`{}` may read the log from now on", args.user);
    Ok(())
}

/// The log's metadata with one more reader; `None` if it has that one. What cannot be understood counts as nothing, as it
/// does for the store.
fn with_reader(metadata: &[u8], user: &str) -> Option<Value> {
    let mut metadata: Map<String, Value> = serde_json::from_slice(metadata).unwrap_or_default();
    let acl = metadata.entry(ACL).or_insert_with(|| json!({}));
    let mut readers = match acl.get(READERS) {
        Some(Value::String(role)) => vec![role.clone()],
        Some(Value::Array(roles)) => roles.iter().filter_map(Value::as_str).map(str::to_owned).collect(),
        _ => vec![ADMINS.to_owned()],
    };
    if readers.iter().any(|reader| reader == user) {
        return None;
    }
    readers.push(user.to_owned());
    match acl {
        Value::Object(rights) => drop(rights.insert(READERS.to_owned(), json!(readers))),
        meaningless => *meaningless = json!({ READERS: readers }),
    }
    Some(Value::Object(metadata))
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    #[rstest]
    #[case::nothing("{}", Some(r#"{"$acl":{"$r":["$admins","shop"]}}"#))]
    #[case::one(r#"{"$acl":{"$r":"ann"}}"#, Some(r#"{"$acl":{"$r":["ann","shop"]}}"#))]
    #[case::many(r#"{"$acl":{"$r":["ann","bob"]}}"#, Some(r#"{"$acl":{"$r":["ann","bob","shop"]}}"#))]
    #[case::already(r#"{"$acl":{"$r":["shop"]}}"#, None)]
    #[case::alone(r#"{"$acl":{"$r":"shop"}}"#, None)]
    #[case::other_rights(
        r#"{"$acl":{"$mr":"ann"},"mine":1}"#,
        Some(r#"{"$acl":{"$mr":"ann","$r":["$admins","shop"]},"mine":1}"#)
    )]
    #[case::meaningless(r#"{"$acl":5}"#, Some(r#"{"$acl":{"$r":["$admins","shop"]}}"#))]
    #[case::not_json("nonsense", Some(r#"{"$acl":{"$r":["$admins","shop"]}}"#))]
    fn a_reader_is_added_to_what_is_there(#[case] before: &str, #[case] after: Option<&str>) {
        let expected = after.map(|after| serde_json::from_str::<Value>(after).unwrap());
        assert_eq!(with_reader(before.as_bytes(), "shop"), expected);
    }
}
