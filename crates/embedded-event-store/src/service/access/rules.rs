//! The access control lists as they are now: read from the log, and kept until one of them may have changed.

use std::num::NonZeroUsize;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use lru::LruCache;

use crate::acl::{Acl, Defaults};
use crate::log::record::Record;
use crate::log::{Log, StorageError};
use crate::metadata::{StreamMetadata, metadata_stream};
use crate::service::view::{StreamState, View};

const SETTINGS: &str = "$settings";
const KEPT: NonZeroUsize = NonZeroUsize::new(10_000).expect("not zero");

/// What holds for one stream.
#[derive(Clone)]
pub struct Lists {
    /// The stream's own list.
    pub own: Arc<Acl>,
    /// What holds for everything that it does not say.
    pub defaults: Arc<Defaults>,
}

struct Kept {
    /// The newest record that may have changed a list, when these were read.
    as_of: u64,
    defaults: Option<Arc<Defaults>>,
    own: LruCache<String, Arc<Acl>>,
}

/// The lists of a log.
pub struct Rules {
    log: Arc<Log>,
    kept: Mutex<Kept>,
}

impl Rules {
    /// The lists of this log.
    pub fn new(log: Arc<Log>) -> Self {
        let kept = Kept { as_of: 0, defaults: None, own: LruCache::new(KEPT) };
        Rules { log, kept: Mutex::new(kept) }
    }

    /// The log.
    pub fn log(&self) -> &Log {
        &self.log
    }

    /// The lists that hold for a stream, if they are kept in memory.
    pub fn kept(&self, stream: &str) -> Option<Lists> {
        let mut kept = self.current(self.log.lists_as_of());
        let own = kept.own.get(stream).cloned()?;
        Some(Lists { own, defaults: kept.defaults.clone()? })
    }

    /// The lists that hold for a stream. May wait for the disk.
    pub fn of(&self, stream: &str) -> Result<Lists, StorageError> {
        if let Some(lists) = self.kept(stream) {
            return Ok(lists);
        }
        let as_of = self.log.lists_as_of();
        let own = match self.newest(&metadata_stream(stream))? {
            Some(record) => StreamMetadata::of(&record).acl,
            None => Acl::without_metadata(stream),
        };
        let settings = self.newest(SETTINGS)?;
        let defaults = settings.map(|record| Defaults::of_settings(record.data())).unwrap_or_default();
        let lists = Lists { own: Arc::new(own), defaults: Arc::new(defaults) };
        let mut kept = self.current(as_of);
        // Something newer may have been read meanwhile.
        if kept.as_of == as_of {
            kept.own.put(stream.to_owned(), Arc::clone(&lists.own));
            kept.defaults = Some(Arc::clone(&lists.defaults));
        }
        Ok(lists)
    }

    /// What is kept, without what was read before `as_of`.
    fn current(&self, as_of: u64) -> MutexGuard<'_, Kept> {
        // Nothing panics while it holds the lock.
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        if kept.as_of < as_of {
            *kept = Kept { as_of, defaults: None, own: LruCache::new(KEPT) };
        }
        kept
    }

    fn newest(&self, stream: &str) -> Result<Option<Arc<Record>>, StorageError> {
        let StreamState::Visible(view) = View::of(&self.log, stream, self.log.head())? else {
            return Ok(None);
        };
        let Some(position) = self.log.index.position(view.number, view.last)? else { return Ok(None) };
        Ok(Some(self.log.record(position)?).filter(|record| view.first <= view.last && view.shows(record)))
    }
}
