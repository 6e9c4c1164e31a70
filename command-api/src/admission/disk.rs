//! How much room the event store's disk has, as far as this process can see it.

use http_boundary::PerSecond;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};

const MIB: u64 = 1024 * 1024;
/// The store itself stops at 32 MiB; an order with its payment needs some kilobytes.
const KEPT_AT_LEAST: u64 = 64 * MIB;
const KEPT_AT_MOST: u64 = 512 * MIB;
/// Of a small disk a twentieth is kept.
const PART_KEPT: u64 = 20;

/// The disk that a folder is on.
pub struct Disk {
    folder: PathBuf,
    kept: Option<u64>,
    /// It is looked at once a second at most: that is soon enough, and the others only read what was seen.
    looking: PerSecond,
    is_nearly_full: AtomicBool,
}

/// What was seen, in bytes.
#[derive(Debug, Clone, Copy)]
pub struct Room {
    pub free: u64,
    /// For orders and payments.
    pub kept: u64,
}

impl Room {
    pub fn is_nearly_full(self) -> bool {
        self.free < self.kept
    }
}

impl Disk {
    pub fn of(folder: &Path, kept: Option<u64>) -> Self {
        Self {
            folder: folder.to_owned(),
            kept,
            looking: PerSecond::once(),
            is_nearly_full: AtomicBool::new(false),
        }
    }

    /// Whether what is left is kept for orders and payments.
    pub fn is_nearly_full(&self) -> bool {
        if self.looking.is_due()
            && let Some(room) = self.room()
        {
            self.note(room);
        }
        self.is_nearly_full.load(Ordering::Relaxed)
    }

    /// Looks; none if the folder is not there.
    pub fn room(&self) -> Option<Room> {
        let disk = rustix::fs::statvfs(&self.folder).ok()?;
        let part = disk.f_blocks.saturating_mul(disk.f_frsize) / PART_KEPT;
        Some(Room {
            free: disk.f_bavail.saturating_mul(disk.f_frsize),
            kept: self.kept.unwrap_or(part.clamp(KEPT_AT_LEAST, KEPT_AT_MOST)),
        })
    }

    fn note(&self, room: Room) {
        let is_nearly_full = room.is_nearly_full();
        if self.is_nearly_full.swap(is_nearly_full, Ordering::Relaxed) == is_nearly_full {
            return;
        }
        let folder = self.folder.display();
        if is_nearly_full {
            tracing::error!(
                %folder,
                free_bytes = room.free,
                kept_bytes = room.kept,
                "the disk is nearly full: shoppers cannot fill carts until there is room; orders and payments go on"
            );
        } else {
            tracing::info!(%folder, free_bytes = room.free, "the disk has room: shoppers can fill carts again");
        }
    }
}
