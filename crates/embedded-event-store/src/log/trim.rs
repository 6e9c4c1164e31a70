//! Takes out of the journals what the tables hold already, before the database opens.
//!
//! The database begins a new journal every 64 MB, and replays all that is in its journals when it opens, item by item,
//! also what it then skips because its tables have it. With small events that takes a second and more, as long as
//! everything else together. So the groups at the beginning of the journals that the database would skip are taken out
//! first, by the rule by which it skips them: a table of the key space holds a change with this sequence number, or a
//! later one.

use std::collections::HashMap;
use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};

use lsm_tree::{AbstractTree, SequenceNumberCounter};

use super::journal::{self, JournalError};

/// A journal is written anew only if it becomes this much smaller.
const WORTHWHILE_BYTES: usize = 4 * 1024 * 1024;

/// The newest sequence number in each key space's tables, by the number of the key space.
type InTables = HashMap<u64, u64>;

/// Takes out of the journals what the tables hold. Nobody may have the database open meanwhile. A failure does no harm:
/// the database replays more, that is all.
pub fn trim(database_dir: &Path, key_spaces: &[PathBuf]) -> Result<(), JournalError> {
    let mut journals = journal::journals(database_dir)?;
    let Some(active) = journals.pop() else { return Ok(()) };
    let in_tables = in_tables(key_spaces);
    for path in journals {
        let bytes = journal::read(&path)?;
        let content = content(&bytes, &in_tables);
        if content.needed_from < content.end {
            return keep(&path, &bytes[content.needed_from..content.end], content.needed_from);
        }
        std::fs::remove_file(&path).map_err(|source| JournalError::Io { path, source })?;
    }
    let bytes = journal::read(&active)?;
    let content = content(&bytes, &in_tables);
    // The last group stays: it tells how far the log goes.
    let start = content.needed_from.min(content.last_group);
    keep(&active, &bytes[start..content.end], start)
}

/// What the tables hold. A key space that cannot be read is left out, so that nothing of it is taken for redundant: the
/// database's own opening will say what is wrong with it.
fn in_tables(key_spaces: &[PathBuf]) -> InTables {
    let newest = |folder: &PathBuf| {
        let number = folder.file_name()?.to_str()?.parse().ok()?;
        if !folder.join("current").try_exists().ok()? {
            return None;
        }
        let tree =
            lsm_tree::Config::new(folder, SequenceNumberCounter::default(), SequenceNumberCounter::default());
        Some((number, tree.open().ok()?.get_highest_persisted_seqno()?))
    };
    key_spaces.iter().filter_map(newest).collect()
}

/// What stands where in a journal.
struct Content {
    /// The tables hold the groups before.
    needed_from: usize,
    last_group: usize,
    end: usize,
}

fn content(bytes: &[u8], in_tables: &InTables) -> Content {
    let mut content = Content { needed_from: 0, last_group: 0, end: 0 };
    loop {
        let mut held_up_to = Some(u64::MAX);
        let look = |item: journal::Item<'_>| {
            held_up_to = held_up_to.min(in_tables.get(&item.key_space).copied());
        };
        let Ok(group) = journal::group(bytes, content.end, look) else { return content };
        let held = !group.clears && held_up_to.is_some_and(|newest| group.sequence <= newest);
        if held && content.needed_from == content.end {
            content.needed_from = group.end;
        }
        content.last_group = content.end;
        content.end = group.end;
    }
}

/// Leaves only these bytes in a journal if that takes enough away. A kill leaves the old or the new journal.
fn keep(journal: &Path, bytes: &[u8], taken_away: usize) -> Result<(), JournalError> {
    if taken_away < WORTHWHILE_BYTES {
        return Ok(());
    }
    let new = journal.with_extension("trimmed");
    let replace = || {
        let mut file = File::create(&new)?;
        file.write_all(bytes)?;
        file.sync_all()?;
        std::fs::rename(&new, journal)?;
        journal.parent().map_or(Ok(()), |folder| File::open(folder)?.sync_all())
    };
    replace().map_err(|source| {
        // It takes room, and the next opening makes it anew.
        let _ = std::fs::remove_file(&new);
        JournalError::Io { path: journal.to_path_buf(), source }
    })?;
    tracing::debug!(journal = %journal.display(), taken_away, "the journal has been trimmed");
    Ok(())
}
