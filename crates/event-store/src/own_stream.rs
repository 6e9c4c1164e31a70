use std::fmt;

/// A stream of a process's own (a checkpoint, seals, a lock), which goes on under a successor's name when somebody has
/// closed it for good: `name`, then `name-2`, `name-3` and so on. All processes find the same one: the first that is not
/// closed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OwnStream {
    base: String,
    number: u32,
    name: String,
}

impl OwnStream {
    /// The first of its names.
    #[must_use]
    pub fn first(base: &str) -> Self {
        Self { base: base.to_owned(), number: 1, name: base.to_owned() }
    }

    /// The next of its names.
    #[must_use]
    pub fn successor(&self) -> Self {
        let number = self.number.saturating_add(1);
        Self { base: self.base.clone(), number, name: format!("{}-{number}", self.base) }
    }

    /// The stream's name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Whether the stream before it was closed.
    #[must_use]
    pub fn is_successor(&self) -> bool {
        self.number > 1
    }

    /// What to tell the operator of a successor; nothing of the first name.
    #[must_use]
    pub fn notice(&self) -> Option<String> {
        self.is_successor()
            .then(|| format!("somebody has deleted `{}`: `{}` is used in its place", self.base, self.name))
    }
}

impl fmt::Display for OwnStream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn successors_are_numbered_from_two() {
        let first = OwnStream::first("process-x");
        assert_eq!((first.name(), first.notice()), ("process-x", None));
        let third = first.successor().successor();
        assert_eq!(third.name(), "process-x-3");
        assert!(third.notice().is_some_and(|notice| notice.contains("`process-x-3`")));
    }
}
