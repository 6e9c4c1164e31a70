//! Pages of a list: a limit, and a cursor that names the last row of the page before.

use api::Page;
use http_boundary::Problem;
use serde::Serialize;
use serde::de::DeserializeOwned;

const DEFAULT_LIMIT: usize = 50;
const MAX_LIMIT: usize = 500;

/// Which page is asked for.
#[derive(Debug, PartialEq, Eq)]
pub struct PageRequest<K> {
    pub limit: usize,
    /// The key of the last row of the page before.
    pub after: Option<K>,
}

impl<K: DeserializeOwned + Serialize> PageRequest<K> {
    /// Reads `limit` and `cursor`.
    pub fn read(limit: Option<usize>, cursor: Option<&str>) -> Result<Self, Problem> {
        let limit = limit.unwrap_or(DEFAULT_LIMIT);
        if !(1..=MAX_LIMIT).contains(&limit) {
            return Err(Problem::invalid(format!("`limit` is a number from 1 to {MAX_LIMIT}, not {limit}.")));
        }
        let after = match cursor.filter(|cursor| !cursor.is_empty()) {
            None => None,
            Some(cursor) => Some(decode(cursor).ok_or_else(|| {
                Problem::invalid("The `cursor` is not of this list: give the `next_cursor` of its last page.")
            })?),
        };
        Ok(Self { limit, after })
    }

    /// Rows to ask for: one more than the page has, to know whether there is a next one.
    pub fn fetch(&self) -> i64 {
        i64::try_from(self.limit).unwrap_or(i64::MAX).saturating_add(1)
    }

    /// The page of what was fetched.
    pub fn page<R, T>(&self, mut rows: Vec<R>, key: impl Fn(&R) -> K, view: impl Fn(R) -> T) -> Page<T> {
        let has_more = rows.len() > self.limit;
        rows.truncate(self.limit);
        let next_cursor = rows.last().filter(|_| has_more).and_then(|last| encode(&key(last)));
        Page { items: rows.into_iter().map(view).collect(), next_cursor }
    }
}

/// A key as a cursor: opaque to clients, and safe in an address.
fn encode<K: Serialize>(key: &K) -> Option<String> {
    let json = serde_json::to_vec(key).ok()?;
    Some(json.iter().map(|byte| format!("{byte:02x}")).collect())
}

fn decode<K: DeserializeOwned>(cursor: &str) -> Option<K> {
    let digits: Vec<u8> =
        cursor.chars().map(|digit| digit.to_digit(16)?.try_into().ok()).collect::<Option<_>>()?;
    let (pairs, []) = digits.as_chunks::<2>() else { return None };
    let json: Vec<u8> = pairs.iter().map(|[high, low]| high * 16 + low).collect();
    // No key has this character, and Postgres does not take it.
    if json.windows(6).any(|escape| escape == br"\u0000") {
        return None;
    }
    serde_json::from_slice(&json).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    type Key = (i64, String);

    #[test]
    fn a_page_with_more_behind_it_names_its_last_row() {
        let request = PageRequest::<Key>::read(Some(2), None).unwrap();
        assert_eq!(request.fetch(), 3);
        let rows = vec![(1, "a"), (2, "ü b"), (3, "c")];
        let page = request.page(rows, |row| (row.0, row.1.to_owned()), |row| row.0);
        assert_eq!(page.items, [1, 2]);
        let next = PageRequest::<Key>::read(None, page.next_cursor.as_deref()).unwrap();
        assert_eq!(next, PageRequest { limit: 50, after: Some((2, "ü b".to_owned())) });
    }

    #[test]
    fn the_last_page_has_no_next() {
        let request = PageRequest::<Key>::read(Some(2), Some("")).unwrap();
        let page = request.page(vec![(1, "a"), (2, "b")], |row| (row.0, row.1.to_owned()), |row| row.0);
        assert_eq!((page.items, page.next_cursor), (vec![1, 2], None));
    }

    #[test]
    fn refuses_limits_and_cursors_that_make_no_sense() {
        for limit in [0, 501, usize::MAX] {
            assert_eq!(PageRequest::<Key>::read(Some(limit), None).unwrap_err().id(), "invalid-request");
        }
        for cursor in ["x", "0", "zz", "é", "7b7d", "00"] {
            assert_eq!(PageRequest::<Key>::read(None, Some(cursor)).unwrap_err().id(), "invalid-request");
        }
    }
}
