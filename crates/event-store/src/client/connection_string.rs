//! Reading the event store's address. It may hold a password, so nothing of the text goes into an error.

use crate::InvalidConnectionString;
use eventstore::ClientSettings;

/// The settings that an address stands for.
pub(super) fn settings(address: &str) -> Result<ClientSettings, InvalidConnectionString> {
    let invalid = |reason: &str| InvalidConnectionString { reason: reason.to_owned() };
    let (_, rest) = address.split_once("://").ok_or_else(|| invalid("it does not begin with esdb://"))?;
    let (authority, behind) = rest.split_at(rest.find(['/', '?', '#']).unwrap_or(rest.len()));
    let user = authority.rsplit_once('@').map(|(user, _)| user);
    // The client would take the end of such a password for something else, and name it in its own errors and warnings.
    if user.is_some_and(|user| user.contains([',', '@'])) || user.is_none() && behind.contains('@') {
        return Err(invalid("a user's name and password cannot have / ? # @ or , in them: choose others"));
    }
    address.parse::<ClientSettings>().map_err(|error| match error.error() {
        // Its message is the whole address then.
        Some(error) => invalid(&error.to_string()),
        None => invalid(error.message()),
    })
}

#[cfg(test)]
mod tests {
    use crate::EventStore;
    use rstest::rstest;

    #[rstest]
    #[case::port("esdb://shop:tOpSecret@host:99999?tls=false")]
    #[case::ports("esdb://shop:tOpSecret@host:1,other:99999?tls=false")]
    #[case::host("esdb://shop:tOpSecret@ho st:1")]
    #[case::no_host("esdb://shop:tOpSecret@")]
    #[case::scheme("http://shop:tOpSecret@host:1")]
    #[case::no_scheme("shop:tOpSecret@host:1")]
    #[case::path("esdb://shop:tOpSecret@host:1/path")]
    #[case::parameter("esdb://shop:tOpSecret@host:1?tls=perhaps")]
    #[case::slash("esdb://shop:12/tOpSecret@host:1")]
    #[case::question_mark("esdb://shop:12?tOpSecret@host:1")]
    #[case::hash("esdb://shop:12#tOpSecret@host:1")]
    #[case::at("esdb://shop:tOp@tOpSecret@host:1")]
    #[case::comma("esdb://shop:12,tOpSecret@host:1")]
    fn no_error_tells_the_password(#[case] address: &str) {
        let error = EventStore::connect(address).unwrap_err();
        for text in [format!("{error}"), format!("{error:?}")] {
            assert!(!text.contains("tOp"), "{text}");
        }
    }

    #[rstest]
    #[case::plain("esdb://host:2113?tls=false")]
    #[case::with_a_user("esdb://shop:tOpSecret@host:2113?tls=false")]
    #[case::encoded("esdb://shop:tOp%2FSecret@host?connectionName=me@here")]
    #[case::cluster("esdb://shop:tOpSecret@a:1,b:2,c:3?nodePreference=leader")]
    fn an_address_is_read_and_not_shown(#[case] address: &str) {
        assert!(!format!("{:?}", EventStore::connect(address).unwrap()).contains("tOp"));
    }
}
