//! In which format a page is wanted, and how it is written.

use http::header::ACCEPT;
use http::{HeaderMap, HeaderValue};
use serde_json::Value;

const XML_NAMESPACES: &str =
    "xmlns:xsi=\"http://www.w3.org/2001/XMLSchema-instance\" xmlns:xsd=\"http://www.w3.org/2001/XMLSchema\"";

/// A format of a page.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// JSON; the first choice.
    Json,
    /// XML, asked for as text.
    Xml,
    /// XML, asked for as data.
    ApplicationXml,
    /// Text for people.
    Text,
}

/// Why a page cannot be given.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refused {
    /// The page has none of the formats that are accepted.
    NotAcceptable,
    /// The query names a format that there is not.
    Unknown,
}

/// All formats, the first choice first.
pub const ALL: &[Format] = &[Format::Json, Format::Xml, Format::ApplicationXml, Format::Text];
/// Those for programs.
pub const WITHOUT_TEXT: &[Format] = &[Format::Json, Format::Xml, Format::ApplicationXml];

impl Format {
    /// The format that a request asks for, of those that a page has. The query counts before the header.
    pub fn asked_for(headers: &HeaderMap, query: &str, of: &[Format]) -> Result<Format, Refused> {
        let named =
            form_urlencoded::parse(query.as_bytes()).find(|(key, _)| key.eq_ignore_ascii_case("format"));
        if let Some((_, name)) = named {
            let format = Self::named(&name).ok_or(Refused::Unknown)?;
            return if of.contains(&format) { Ok(format) } else { Err(Refused::NotAcceptable) };
        }
        let Some(accept) = headers.get(ACCEPT) else {
            return of.first().copied().ok_or(Refused::NotAcceptable);
        };
        let accept = accept.to_str().map_err(|_| Refused::NotAcceptable)?;
        let mut types: Vec<_> = accept.split(',').map(weighed).filter(|(_, weight)| *weight > 0.0).collect();
        types.sort_by(|(_, a), (_, b)| b.total_cmp(a));
        types
            .into_iter()
            .find_map(|(media_type, _)| of.iter().find(|format| format.is_meant_by(media_type)))
            .copied()
            .ok_or(Refused::NotAcceptable)
    }

    fn named(name: &str) -> Option<Self> {
        match name.to_ascii_lowercase().as_str() {
            "json" => Some(Format::Json),
            "xml" => Some(Format::Xml),
            "text" => Some(Format::Text),
            _ => None,
        }
    }

    fn media_type(self) -> &'static str {
        match self {
            Format::Json => "application/json",
            Format::Xml => "text/xml",
            Format::ApplicationXml => "application/xml",
            Format::Text => "text/plain",
        }
    }

    fn is_meant_by(self, media_type: &str) -> bool {
        let own = self.media_type();
        let group = own.split('/').next().unwrap_or_default();
        media_type == "*/*"
            || media_type.eq_ignore_ascii_case(own)
            || media_type.strip_suffix("/*").is_some_and(|wanted| wanted.eq_ignore_ascii_case(group))
    }

    /// The header that names it.
    pub fn content_type(self) -> HeaderValue {
        HeaderValue::from_static(match self {
            Format::Json => "application/json; charset=utf-8",
            Format::Xml => "text/xml; charset=utf-8",
            Format::ApplicationXml => "application/xml; charset=utf-8",
            Format::Text => "text/plain; charset=utf-8",
        })
    }

    /// A body in this format.
    pub fn body(self, value: &Value, xml: impl FnOnce() -> String, text: impl FnOnce() -> String) -> Vec<u8> {
        match self {
            Format::Json => json(value),
            Format::Xml | Format::ApplicationXml => xml().into_bytes(),
            Format::Text => text().into_bytes(),
        }
    }
}

/// A media type and how much it is wanted.
fn weighed(part: &str) -> (&str, f32) {
    let mut parameters = part.split(';').map(str::trim);
    let media_type = parameters.next().unwrap_or_default();
    let weight = parameters.find_map(|parameter| parameter.strip_prefix("q="));
    (media_type, weight.map_or(1.0, |weight| weight.parse().unwrap_or(0.0)))
}

/// JSON for people too.
pub fn json(value: &Value) -> Vec<u8> {
    format!("{value:#}").into_bytes()
}

/// A value as an XML document: the keys are elements, and begin with a capital.
pub fn xml(root: &str, value: &Value) -> String {
    let mut document = format!("<?xml version=\"1.0\" encoding=\"utf-8\"?><{root} {XML_NAMESPACES}>");
    write_xml(&mut document, value);
    document + &format!("</{root}>")
}

fn write_xml(document: &mut String, value: &Value) {
    match value {
        Value::Object(members) => {
            for (key, member) in members {
                let mut rest = key.chars();
                let name: String = rest.next().into_iter().flat_map(char::to_uppercase).chain(rest).collect();
                element(document, &name, member);
            }
        }
        Value::Array(items) => items.iter().for_each(|item| element(document, "ClientMemberInfo", item)),
        Value::String(text) => {
            document.push_str(&text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;"));
        }
        Value::Null => {}
        Value::Bool(_) | Value::Number(_) => document.push_str(&value.to_string()),
    }
}

fn element(document: &mut String, name: &str, value: &Value) {
    document.push_str(&format!("<{name}>"));
    write_xml(document, value);
    document.push_str(&format!("</{name}>"));
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn asked(accept: Option<&'static str>, query: &str, of: &[Format]) -> Result<Format, Refused> {
        let header = accept.map(|accept| (ACCEPT, HeaderValue::from_static(accept)));
        Format::asked_for(&header.into_iter().collect(), query, of)
    }

    #[test]
    fn the_best_of_the_accepted_formats_is_given() {
        for (accept, format) in [
            (None, Format::Json),
            (Some("*/*"), Format::Json),
            (Some("application/*"), Format::Json),
            (Some("text/*"), Format::Xml),
            (Some("APPLICATION/XML"), Format::ApplicationXml),
            (Some("text/html, text/plain;q=0.5, text/xml;q=0.8"), Format::Xml),
            (Some("application/json;q=0, text/plain"), Format::Text),
        ] {
            assert_eq!(asked(accept, "", ALL), Ok(format), "{accept:?}");
        }
        assert_eq!(asked(Some("text/html"), "", ALL), Err(Refused::NotAcceptable));
        assert_eq!(asked(Some("text/plain"), "", WITHOUT_TEXT), Err(Refused::NotAcceptable));
    }

    #[test]
    fn the_query_counts_before_the_header() {
        assert_eq!(asked(Some("text/html"), "format=json", ALL), Ok(Format::Json));
        assert_eq!(asked(None, "format=XML", ALL), Ok(Format::Xml));
        assert_eq!(asked(None, "x=1&format=text", ALL), Ok(Format::Text));
        assert_eq!(asked(None, "format=text", WITHOUT_TEXT), Err(Refused::NotAcceptable));
        assert_eq!(asked(Some("*/*"), "format=nope", ALL), Err(Refused::Unknown));
    }

    #[test]
    fn a_value_becomes_elements() {
        let value = json!({ "a": 1, "bC": ["<&>"], "none": null });
        let document = xml("Root", &value);
        let body = "<A>1</A><BC><ClientMemberInfo>&lt;&amp;&gt;</ClientMemberInfo></BC><None></None></Root>";
        assert!(
            document.starts_with("<?xml version=\"1.0\" encoding=\"utf-8\"?><Root xmlns:xsi="),
            "{document}"
        );
        assert!(document.ends_with(body), "{document}");
    }
}
