//! Standard output of a command line, whose reader may go before all is said: `emporium … | head`.

use std::fmt::Arguments;
use std::io::{self, ErrorKind, Write};
use std::sync::atomic::{AtomicBool, Ordering};

static READER_IS_GONE: AtomicBool = AtomicBool::new(false);
static HAS_FAILED: AtomicBool = AtomicBool::new(false);

/// Standard output. What nobody reads any more is dropped, and the command goes on to its end: an import must not stop
/// half-way because its report is cut short. What only writes looks at [`reader_is_gone`] and stops.
#[derive(Debug, Clone, Copy, Default)]
pub struct Stdout;

impl Write for Stdout {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        unless_gone(bytes.len(), io::stdout().write(bytes))
    }

    fn flush(&mut self) -> io::Result<()> {
        unless_gone((), io::stdout().flush())
    }
}

fn unless_gone<T>(all: T, written: io::Result<T>) -> io::Result<T> {
    match written {
        Err(error) if error.kind() == ErrorKind::BrokenPipe => {
            READER_IS_GONE.store(true, Ordering::Relaxed);
            Ok(all)
        }
        other => other,
    }
}

/// Prints, as `print!` does, but never panics. A failure other than that of the reader is told on standard error, once,
/// and makes the command's exit code one of failure.
pub fn print(text: Arguments<'_>) {
    if let Err(error) = Stdout.write_fmt(text)
        && !HAS_FAILED.swap(true, Ordering::Relaxed)
    {
        // If that cannot be said either, the exit code is all there is.
        let _ = writeln!(io::stderr(), "error: standard output cannot be written: {error}");
    }
}

/// `print!` for command lines: that of the standard library panics when the reader of a pipe has gone.
#[macro_export]
macro_rules! print {
    ($($text:tt)*) => {
        $crate::output::print(::std::format_args!($($text)*))
    };
}

/// `println!` for command lines, as [`print!`](crate::print).
#[macro_export]
macro_rules! println {
    () => {
        $crate::output::print(::std::format_args!("\n"))
    };
    ($($text:tt)*) => {
        $crate::output::print(::std::format_args!("{}\n", ::std::format_args!($($text)*)))
    };
}

/// Whether nobody reads standard output any more.
#[must_use]
pub fn reader_is_gone() -> bool {
    READER_IS_GONE.load(Ordering::Relaxed)
}

/// Whether something could not be printed, though somebody reads it.
pub(crate) fn has_failed() -> bool {
    HAS_FAILED.load(Ordering::Relaxed)
}
