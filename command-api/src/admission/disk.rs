//! How much room the event store's disk has, as far as this process can see it.

use http_boundary::PerSecond;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU8, Ordering};

const MIB: u64 = 1024 * 1024;
/// With less, the embedded event store takes no events.
const STORE_STOPS_AT: u64 = 32 * MIB;
/// An order with its payment needs some kilobytes, and one of hundreds of SKUs almost a
/// megabyte, so the lower half is kept for payments alone.
const KEPT_AT_LEAST: u64 = 128 * MIB;
const KEPT_AT_MOST: u64 = 512 * MIB;
/// Of a small disk a twentieth is kept.
const PART_KEPT: u64 = 20;

/// The disk that a folder is on.
pub struct Disk {
    folder: PathBuf,
    kept: Option<u64>,
    /// It is looked at once a second at most: that is soon enough, and the others only read what was seen.
    looking: PerSecond,
    shortage: AtomicU8,
}

/// What the room is kept for. The later ones are worse.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Shortage {
    /// There is room for everything.
    None,
    /// What is left is kept for orders and payments.
    OfCarts,
    /// What is left is kept for payments.
    OfOrders,
    /// The event store takes no events.
    OfEverything,
}

/// What was seen, in bytes.
#[derive(Debug, Clone, Copy)]
pub struct Room {
    pub free: u64,
    /// For orders and payments.
    pub kept: u64,
}

impl Room {
    pub fn shortage(self) -> Shortage {
        if self.free < STORE_STOPS_AT {
            Shortage::OfEverything
        } else if self.free >= self.kept {
            Shortage::None
        } else if self.free >= self.kept / 2 {
            Shortage::OfCarts
        } else {
            Shortage::OfOrders
        }
    }
}

impl Shortage {
    fn of(number: u8) -> Self {
        let mut known = [Self::None, Self::OfCarts, Self::OfOrders].into_iter();
        known.find(|known| *known as u8 == number).unwrap_or(Self::OfEverything)
    }

    /// What shoppers can do.
    pub fn shoppers(self) -> &'static str {
        match self {
            Self::None => "can fill carts",
            Self::OfCarts => "cannot fill carts; orders and payments go on",
            Self::OfOrders => "cannot fill carts or order; payments go on",
            Self::OfEverything => {
                "cannot fill carts, order or pay: the event store takes no events; pages go on"
            }
        }
    }
}

impl Disk {
    pub fn of(folder: &Path, kept: Option<u64>) -> Self {
        Self {
            folder: folder.to_owned(),
            kept,
            looking: PerSecond::once(),
            shortage: AtomicU8::new(Shortage::None as u8),
        }
    }

    /// What is short.
    pub fn shortage(&self) -> Shortage {
        if self.looking.is_due()
            && let Some(room) = self.room()
        {
            self.note(room);
        }
        Shortage::of(self.shortage.load(Ordering::Relaxed))
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
        let shortage = room.shortage();
        if self.shortage.swap(shortage as u8, Ordering::Relaxed) == shortage as u8 {
            return;
        }
        let folder = self.folder.display();
        if shortage == Shortage::None {
            tracing::info!(%folder, free_bytes = room.free, "the disk has room: shoppers can fill carts again");
        } else {
            tracing::error!(
                %folder,
                free_bytes = room.free,
                kept_bytes = room.kept,
                "the disk is nearly full: until there is room, shoppers {}",
                shortage.shoppers()
            );
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    /// Of 256 MiB that are kept.
    #[rstest]
    #[case(256, Shortage::None)]
    #[case(255, Shortage::OfCarts)]
    #[case(128, Shortage::OfCarts)]
    #[case(127, Shortage::OfOrders)]
    #[case(32, Shortage::OfOrders)]
    #[case(31, Shortage::OfEverything)]
    #[case(0, Shortage::OfEverything)]
    fn what_is_short_follows_from_what_is_left(#[case] free_mib: u64, #[case] short: Shortage) {
        let room = Room { free: free_mib * MIB, kept: 256 * MIB };
        assert_eq!(room.shortage(), short);
    }

    #[test]
    fn each_shortage_is_remembered_as_what_it_is() {
        for shortage in [Shortage::None, Shortage::OfCarts, Shortage::OfOrders, Shortage::OfEverything] {
            assert_eq!(Shortage::of(shortage as u8), shortage);
        }
    }
}
