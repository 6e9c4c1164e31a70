//! Shows how far a long command is: a bar on a terminal, a line in the log every tenth elsewhere.

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use std::io::IsTerminal;
use std::time::{Duration, Instant};
use tracing::info;

const STEADY: Duration = Duration::from_millis(250);
const STYLE: &str = "{elapsed_precise} [{bar:32}] {msg} · {eta} left";

/// How far a command is. What is counted for the bar (positions, bytes) need not be what is told (events).
#[derive(Debug)]
pub struct Progress {
    bar: ProgressBar,
    is_drawn: bool,
    verb: &'static str,
    total: u64,
    started: Instant,
    tenths_logged: u64,
}

impl Progress {
    /// Begins.
    pub fn start(verb: &'static str, total: u64) -> Self {
        let is_drawn = std::io::stderr().is_terminal();
        let target = if is_drawn { ProgressDrawTarget::stderr() } else { ProgressDrawTarget::hidden() };
        let bar = ProgressBar::with_draw_target(Some(total), target);
        if let Ok(style) = ProgressStyle::with_template(STYLE) {
            bar.set_style(style);
        }
        bar.set_message(verb);
        if is_drawn {
            bar.enable_steady_tick(STEADY);
        }
        Self { bar, is_drawn, verb, total, started: Instant::now(), tenths_logged: 0 }
    }

    /// It has come to `done` of the total, and has gone through so many events.
    pub fn at(&mut self, done: u64, events: u64) {
        self.bar.set_position(done);
        if self.is_drawn {
            self.bar.set_message(format!("{}: {events} events", self.verb));
            return;
        }
        let tenths = done.saturating_mul(10) / self.total.max(1);
        if tenths > self.tenths_logged {
            self.tenths_logged = tenths;
            let seconds = self.started.elapsed().as_secs_f64();
            info!(percent = tenths * 10, events, seconds = format_args!("{seconds:.1}"), "{}", self.verb);
        }
    }

    /// Takes the bar away and says how long it took.
    pub fn finish(self) -> Duration {
        self.bar.finish_and_clear();
        self.started.elapsed()
    }
}
