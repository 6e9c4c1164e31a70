//! What differs between two pages of one thing.

use api::history::Change;
use serde_json::{Map, Value};
use std::collections::BTreeSet;

/// What names an element of a list, the first of these that all elements have.
const KEYS: [&[&str]; 5] =
    [&["refund_id", "payment_id"], &["line_id"], &["payment_id"], &["shipment_id"], &["sku"]];
/// They differ between any two points, and are told beside: the events themselves.
const TOLD_BESIDE: [&str; 3] = ["history", "revision", "changed_at"];

/// Every value that differs, in the order of the paths.
pub fn changes(before: &Value, after: &Value) -> Vec<Change> {
    let mut found = Vec::new();
    compare("", before, after, &mut found);
    found
}

fn compare(path: &str, before: &Value, after: &Value, found: &mut Vec<Change>) {
    if before == after {
        return;
    }
    match (before, after) {
        (Value::Object(before), Value::Object(after)) if !is_one_value(before) => {
            members(path, before, after, found);
        }
        (Value::Array(was), Value::Array(is)) => match (keyed(was, is), keyed(is, was)) {
            (Some(before), Some(after)) => members(path, &before, &after, found),
            _ => found.push(Change { path: path.to_owned(), before: before.clone(), after: after.clone() }),
        },
        _ => found.push(Change { path: path.to_owned(), before: before.clone(), after: after.clone() }),
    }
}

/// An amount of money is told as a whole.
fn is_one_value(object: &Map<String, Value>) -> bool {
    object.contains_key("currency") && object.contains_key("amount") && object.len() == 2
}

fn members(path: &str, before: &Map<String, Value>, after: &Map<String, Value>, found: &mut Vec<Change>) {
    let names: BTreeSet<&String> = before.keys().chain(after.keys()).collect();
    for name in names.into_iter().filter(|name| !path.is_empty() || !TOLD_BESIDE.contains(&name.as_str())) {
        let nothing = &Value::Null;
        let (before, after) = (before.get(name).unwrap_or(nothing), after.get(name).unwrap_or(nothing));
        compare(&format!("{path}/{name}"), before, after, found);
    }
}

/// The elements by what names them; none if nothing names all of both lists.
fn keyed(elements: &[Value], others: &[Value]) -> Option<Map<String, Value>> {
    let names = KEYS.into_iter().find(|names| {
        elements.iter().chain(others).all(|element| element.get(names[0]).is_some_and(Value::is_string))
    })?;
    let key = |element: &Value| {
        let parts: Vec<&str> =
            names.iter().filter_map(|name| element.get(name).and_then(Value::as_str)).collect();
        parts.join("+")
    };
    Some(elements.iter().map(|element| (key(element), element.clone())).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;
    use serde_json::json;

    #[rstest]
    #[case::the_same(json!({"a": [1]}), json!({"a": [1]}), vec![])]
    #[case::a_value(json!({"status": "open"}), json!({"status": "abandoned"}),
        vec![("/status", json!("open"), json!("abandoned"))])]
    #[case::money_as_a_whole(json!({"paid": {"amount": 0, "currency": "GBP"}}), json!({"paid": {"amount": 5, "currency": "GBP"}}),
        vec![("/paid", json!({"amount": 0, "currency": "GBP"}), json!({"amount": 5, "currency": "GBP"}))])]
    #[case::what_came_and_what_went(json!({"x": 1}), json!({"y": 2}),
        vec![("/x", json!(1), Value::Null), ("/y", Value::Null, json!(2))])]
    #[case::lines_by_their_ids(
        json!({"lines": [{"line_id": "a", "sku": "S", "quantity": 1}, {"line_id": "b", "sku": "S", "quantity": 1}]}),
        json!({"lines": [{"line_id": "b", "sku": "S", "quantity": 2}]}),
        vec![("/lines/a", json!({"line_id": "a", "sku": "S", "quantity": 1}), Value::Null),
             ("/lines/b/quantity", json!(1), json!(2))])]
    #[case::parts_of_one_refund(
        json!({"refunds": [{"refund_id": "r", "payment_id": "p"}]}),
        json!({"refunds": [{"refund_id": "r", "payment_id": "p"}, {"refund_id": "r", "payment_id": "q"}]}),
        vec![("/refunds/r+q", Value::Null, json!({"refund_id": "r", "payment_id": "q"}))])]
    #[case::lists_of_anything_else(json!({"l": [1, 2]}), json!({"l": [2]}), vec![("/l", json!([1, 2]), json!([2]))])]
    #[case::what_is_told_beside(json!({"revision": 1, "history": [], "changed_at": "x"}),
        json!({"revision": 2, "history": [1], "changed_at": "y"}), vec![])]
    #[case::before_it_was_there(Value::Null, json!({"a": 1}), vec![("", Value::Null, json!({"a": 1}))])]
    fn names_what_differs(
        #[case] before: Value,
        #[case] after: Value,
        #[case] expected: Vec<(&str, Value, Value)>,
    ) {
        let expected: Vec<Change> = expected
            .into_iter()
            .map(|(path, before, after)| Change { path: path.to_owned(), before, after })
            .collect();
        assert_eq!(changes(&before, &after), expected);
    }
}
