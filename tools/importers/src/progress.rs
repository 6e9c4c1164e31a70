//! Shows how far the import is: a bar on a terminal, a line in the log every tenth elsewhere.

use super::report::grouped;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use std::cell::Cell;
use std::io::IsTerminal;
use std::time::{Duration, Instant};
use tracing::info;

const STEADY: Duration = Duration::from_millis(250);
const STYLE: &str = "{elapsed_precise} [{bar:32}] {msg} · {per_sec} · {eta} left";

/// How far the import is.
#[derive(Debug)]
pub struct Progress {
    bar: ProgressBar,
    is_drawn: bool,
    started: Instant,
    orders: u64,
    lines: u64,
    orders_done: Cell<u64>,
    lines_done: Cell<u64>,
    tenths_logged: Cell<u64>,
}

impl Progress {
    /// Begins; the bar counts lines, because orders differ too much to tell the time left.
    #[must_use]
    pub fn start(orders: usize, lines: u64) -> Self {
        let is_drawn = std::io::stderr().is_terminal();
        let target = if is_drawn { ProgressDrawTarget::stderr() } else { ProgressDrawTarget::hidden() };
        let bar = ProgressBar::with_draw_target(Some(lines), target);
        if let Ok(style) = ProgressStyle::with_template(STYLE) {
            bar.set_style(style.with_key(
                "per_sec",
                |state: &indicatif::ProgressState, w: &mut dyn std::fmt::Write| {
                    // A missing figure on the screen is nothing to fail for.
                    let _ = write!(w, "{:.0} lines/s", state.per_sec());
                },
            ));
        }
        if is_drawn {
            bar.enable_steady_tick(STEADY);
        }
        let progress = Self {
            bar,
            is_drawn,
            started: Instant::now(),
            orders: orders as u64,
            lines,
            orders_done: Cell::new(0),
            lines_done: Cell::new(0),
            tenths_logged: Cell::new(0),
        };
        progress.show();
        progress
    }

    /// An order with so many lines is through, imported or refused.
    pub fn order_done(&self, lines: usize) {
        self.orders_done.update(|done| done + 1);
        self.lines_done.update(|done| done + lines as u64);
        self.bar.set_position(self.lines_done.get());
        self.show();
        if !self.is_drawn {
            self.log();
        }
    }

    fn show(&self) {
        self.bar.set_message(format!(
            "{} of {} orders",
            grouped(self.orders_done.get()),
            grouped(self.orders)
        ));
    }

    fn log(&self) {
        let tenths = self.lines_done.get() * 10 / self.lines.max(1);
        if tenths > self.tenths_logged.replace(tenths) {
            let seconds = self.started.elapsed().as_secs_f64();
            info!(
                percent = tenths * 10,
                orders = self.orders_done.get(),
                lines = self.lines_done.get(),
                seconds = format_args!("{seconds:.1}"),
                "importing"
            );
        }
    }

    /// Takes the bar away and says how long it took.
    #[must_use]
    pub fn finish(self) -> Duration {
        self.bar.finish_and_clear();
        self.started.elapsed()
    }
}
