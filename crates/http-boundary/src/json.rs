//! Bodies: JSON in UTF-8, as it is, and objects where objects are asked for.

mod objects;

use crate::{MAX_BODY_BYTES, Problem};
use api::problem;
use axum::Json;
use axum::body::Bytes;
use axum::extract::rejection::{BytesRejection, JsonRejection};
use axum::extract::{FromRequest, Request};
use axum::http::{HeaderMap, HeaderName, StatusCode, header};
use objects::Objects;
use serde::de::DeserializeOwned;

/// A request's body, read by the rules of [`read_json`].
#[derive(Debug, Clone, Copy)]
pub struct JsonBody<T>(pub T);

impl<T, S> FromRequest<S> for JsonBody<T>
where
    T: DeserializeOwned,
    S: Send + Sync,
{
    type Rejection = Problem;

    async fn from_request(request: Request, state: &S) -> Result<Self, Problem> {
        let headers = request.headers().clone();
        let body = Bytes::from_request(request, state).await;
        let body = body.map_err(|rejection| unreadable_bytes(&rejection, MAX_BODY_BYTES))?;
        read_json(&headers, &body).map(Self)
    }
}

/// The body could not be read, or has more than so many bytes.
pub fn unreadable_bytes(rejection: &BytesRejection, max_bytes: usize) -> Problem {
    if rejection.status() == StatusCode::PAYLOAD_TOO_LARGE {
        return body_too_large(max_bytes);
    }
    Problem::malformed(rejection.body_text())
}

/// The body has more than so many bytes.
pub fn body_too_large(max_bytes: usize) -> Problem {
    Problem::new(
        problem::BODY_TOO_LARGE,
        format!("A request has at most {max_bytes} bytes here: send it in parts."),
    )
}

/// Reads a body whose bytes have come. A request without a body is one with an empty object.
///
/// # Errors
/// 415 for another encoding, type or charset, 400 for what is no JSON, 422 for what is not what is asked for.
pub fn read_json<T: DeserializeOwned>(headers: &HeaderMap, body: &Bytes) -> Result<T, Problem> {
    let is_other = |name, plain: &str| {
        let encoding = only(headers, name)?;
        Ok::<_, Problem>(encoding.is_some_and(|encoding| !encoding.trim().eq_ignore_ascii_case(plain)))
    };
    if is_other(&header::CONTENT_ENCODING, "identity")? || is_other(&header::TRANSFER_ENCODING, "chunked")? {
        return Err(Problem::new(
            problem::UNSUPPORTED_ENCODING,
            "Bodies are read as they are: send it without Content-Encoding, and with no Transfer-Encoding but chunked.",
        ));
    }
    // Whether an empty object is enough, its type says.
    if body.is_empty() {
        return Json::<T>::from_bytes(b"{}").map(|Json(body)| body).map_err(|error| unreadable(&error));
    }
    check_type(only(headers, &header::CONTENT_TYPE)?.unwrap_or_default())?;
    let mut json = serde_json::Deserializer::from_slice(body);
    let read = T::deserialize(Objects(&mut json)).and_then(|read| json.end().map(|()| read));
    read.map_err(|error| explain::<T>(body, &error))
}

/// What is wrong with a body. It is read again: to know at any time where in it one is would cost all others more.
fn explain<T: DeserializeOwned>(body: &[u8], error: &serde_json::Error) -> Problem {
    match Json::<T>::from_bytes(body) {
        Err(rejection) => unreadable(&rejection),
        Ok(_) => Problem::invalid(format!("An array is not taken for an object: {error}.")),
    }
}

/// The value of a header that a request has once.
fn only<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Result<Option<&'a str>, Problem> {
    let mut values = headers.get_all(name).into_iter();
    let Some(value) = values.next() else { return Ok(None) };
    if values.next().is_some() {
        return Err(Problem::malformed(format!("A request has one `{name}` header: send it once.")));
    }
    value.to_str().map(Some).map_err(|_| Problem::malformed(format!("The `{name}` header cannot be read.")))
}

fn check_type(content_type: &str) -> Result<(), Problem> {
    let mut parts = content_type.split(';').map(str::trim);
    if !parts.next().is_some_and(|essence| essence.eq_ignore_ascii_case("application/json")) {
        return Err(Problem::new(problem::NOT_JSON, "Send the body with `Content-Type: application/json`."));
    }
    let mut charsets = parts.filter_map(|parameter| {
        let (name, value) = parameter.split_once('=')?;
        name.trim().eq_ignore_ascii_case("charset").then_some(value.trim().trim_matches('"'))
    });
    if charsets.all(|charset| ["utf-8", "utf8"].iter().any(|utf8| charset.eq_ignore_ascii_case(utf8))) {
        return Ok(());
    }
    Err(Problem::new(
        problem::UNSUPPORTED_CHARSET,
        "JSON is read as UTF-8: send it so, with `Content-Type: application/json`.",
    ))
}

fn unreadable(rejection: &JsonRejection) -> Problem {
    match rejection {
        JsonRejection::JsonDataError(_) => Problem::invalid(rejection.body_text()),
        _ => Problem::malformed(rejection.body_text()),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test that panics has failed")]
mod tests {
    use super::*;
    use api::AtMost;
    use rstest::rstest;
    use serde::{Deserialize, Deserializer};

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Body {
        #[serde(rename = "lines")]
        _lines: Vec<Line>,
        #[serde(rename = "total")]
        _total: Option<Money>,
        #[serde(rename = "kind")]
        _kind: Option<Kind>,
        #[serde(rename = "ids", default = "none")]
        _ids: AtMost<3, u32>,
    }

    fn none() -> AtMost<3, u32> {
        AtMost(vec![])
    }

    #[derive(Debug, Deserialize)]
    struct Line {
        #[serde(rename = "sku")]
        _sku: String,
        #[serde(rename = "quantity")]
        _quantity: u32,
    }

    #[derive(Debug, Deserialize)]
    struct Money {
        #[serde(rename = "amount")]
        _amount: i64,
    }

    #[derive(Debug, Deserialize)]
    #[serde(rename_all = "snake_case")]
    enum Kind {
        Plain,
        Of {
            #[serde(rename = "amount")]
            _amount: i64,
        },
    }

    const JSON: (HeaderName, &str) = (header::CONTENT_TYPE, "application/json");

    fn outcome(headers: &[(HeaderName, &str)], body: &str) -> &'static str {
        let headers = headers.iter().map(|(name, value)| (name.clone(), value.parse().unwrap())).collect();
        let read = read_json::<Body>(&headers, &Bytes::copy_from_slice(body.as_bytes()));
        read.err().map_or("read", |problem| problem.id())
    }

    #[rstest]
    #[case::objects(r#"{"lines":[{"sku":"A","quantity":1}],"total":{"amount":1}}"#, "read")]
    #[case::variants(r#"{"lines":[],"kind":"plain"}"#, "read")]
    #[case::a_variant_with_more(r#"{"lines":[],"kind":{"of":{"amount":1}}}"#, "read")]
    #[case::nothing_given(r#"{"lines":[],"total":null}"#, "read")]
    #[case::the_whole_as_an_array("[[]]", "invalid-request")]
    #[case::the_whole_with_all_fields("[[],null,null]", "invalid-request")]
    #[case::a_line_as_an_array(r#"{"lines":[["A",1]]}"#, "invalid-request")]
    #[case::a_field_as_an_array(r#"{"lines":[],"total":[1]}"#, "invalid-request")]
    #[case::within_a_variant(r#"{"lines":[],"kind":{"of":[1]}}"#, "invalid-request")]
    #[case::as_many_as_may(r#"{"lines":[],"ids":[1,2,3]}"#, "read")]
    #[case::more(r#"{"lines":[],"ids":[1,2,3,4]}"#, "invalid-request")]
    #[case::more_of_anything(r#"{"lines":[],"ids":[1,2,3,[]]}"#, "invalid-request")]
    #[case::no_list(r#"{"lines":[],"ids":{}}"#, "invalid-request")]
    #[case::more_behind_it("{\"lines\":[]}{}", "malformed-request")]
    #[case::a_field_twice(r#"{"lines":[],"lines":[]}"#, "invalid-request")]
    #[case::an_unknown_field(r#"{"lines":[],"more":[]}"#, "invalid-request")]
    #[case::cut_off(r#"{"lines":["#, "malformed-request")]
    fn objects_are_objects(#[case] body: &str, #[case] expected: &str) {
        assert_eq!(outcome(&[JSON], body), expected);
    }

    #[rstest]
    #[case::plain(&[JSON], "read")]
    #[case::utf_8(&[(header::CONTENT_TYPE, "Application/JSON; charset=\"UTF-8\"")], "read")]
    #[case::as_it_is(&[JSON, (header::CONTENT_ENCODING, "identity")], "read")]
    #[case::packed(&[JSON, (header::CONTENT_ENCODING, "gzip")], "unsupported-encoding")]
    #[case::packed_twice(&[JSON, (header::CONTENT_ENCODING, "identity, gzip")], "unsupported-encoding")]
    #[case::two_charsets(
        &[(header::CONTENT_TYPE, "application/json; charset=utf-8; charset=utf-16")], "unsupported-charset"
    )]
    #[case::packed_on_its_way(&[JSON, (header::TRANSFER_ENCODING, "gzip, chunked")], "unsupported-encoding")]
    #[case::in_chunks(&[JSON, (header::TRANSFER_ENCODING, "chunked")], "read")]
    #[case::another_charset(
        &[(header::CONTENT_TYPE, "application/json; charset=utf-16")], "unsupported-charset"
    )]
    #[case::another_type(&[(header::CONTENT_TYPE, "text/json")], "not-json")]
    #[case::no_type(&[], "not-json")]
    #[case::two_types(&[JSON, (header::CONTENT_TYPE, "text/plain")], "malformed-request")]
    fn a_body_is_read_as_it_is_declared(#[case] headers: &[(HeaderName, &str)], #[case] expected: &str) {
        assert_eq!(outcome(headers, r#"{"lines":[]}"#), expected);
    }

    #[test]
    fn what_comes_after_a_full_list_is_not_read() {
        let rest = "[".repeat(100);
        let read = serde_json::from_str::<AtMost<3, u32>>(&format!("[1,2,3,4,{rest}"));
        let why = read.unwrap_err();
        assert!(why.is_data() && why.to_string().contains("more than 3"), "{why}");
    }

    /// Counts the lists that are begun.
    struct Counted;

    static COUNTED: std::sync::atomic::AtomicUsize = std::sync::atomic::AtomicUsize::new(0);

    impl<'de> Deserialize<'de> for Counted {
        fn deserialize<D: Deserializer<'de>>(value: D) -> Result<Self, D::Error> {
            COUNTED.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
            Vec::<u32>::deserialize(value).map(|_| Self)
        }
    }

    #[test]
    fn a_good_body_is_read_once() {
        let headers = [(header::CONTENT_TYPE, "application/json".parse().unwrap())].into_iter().collect();
        assert!(read_json::<Counted>(&headers, &Bytes::from_static(b"[1,2]")).is_ok());
        assert_eq!(COUNTED.load(std::sync::atomic::Ordering::Relaxed), 1);
    }

    #[test]
    fn an_encoded_body_of_nothing_is_refused_as_well() {
        assert_eq!(outcome(&[(header::CONTENT_ENCODING, "br")], ""), "unsupported-encoding");
        assert_eq!(outcome(&[], ""), "invalid-request");
    }
}
