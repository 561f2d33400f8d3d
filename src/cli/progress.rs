//! Progress on standard error: a line that lives on a terminal, one line a phase elsewhere, nothing when quiet.

use indicatif::{HumanCount, ProgressBar, ProgressDrawTarget, ProgressStyle};

use crate::base::{Instant, Span};
use crate::drive::Progress;
use crate::event::Phase;

use super::terminal::{Terminal, say};

/// Draws progress as it is told.
pub(super) struct Display {
    bar: Option<ProgressBar>,
    quiet: bool,
    phase: Option<Phase>,
    last: Progress,
}

impl Display {
    pub(super) fn new(terminal: Terminal, quiet: bool) -> Self {
        let bar = (terminal.progress && !quiet).then(|| {
            let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr_with_hz(10));
            if let Ok(style) = ProgressStyle::with_template("{spinner} {elapsed} {wide_msg}") {
                bar.set_style(style);
            }
            bar
        });
        Self { bar, quiet, phase: None, last: Progress::default() }
    }

    /// Takes a reading.
    pub(super) fn show(&mut self, progress: &Progress) {
        if self.quiet {
            return;
        }
        let entered = progress.phase != self.phase;
        self.phase = progress.phase;
        match &self.bar {
            Some(bar) => {
                bar.set_message(message(progress, &self.last));
                bar.tick();
            }
            None if entered => say(&format!("{:>8}  {}", Instant::from_nanos(progress.at_ns).to_string(), message(progress, progress))),
            None => {}
        }
        self.last = *progress;
    }

    /// Takes the line away, so that the report begins on a clean one.
    pub(super) fn finish(&self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}

fn word(phase: Option<Phase>) -> &'static str {
    match phase {
        Some(Phase::Ramp) | None => "ramp",
        Some(Phase::WarmUp) => "warm-up",
        Some(Phase::Steady) => "steady",
        Some(Phase::Drain) => "drain",
        Some(Phase::Close | Phase::Done) => "close",
    }
}

#[expect(clippy::cast_precision_loss, clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a rate for the eye")]
fn message(now: &Progress, before: &Progress) -> String {
    let mut out = format!("{:<7}  {} of {} clients", word(now.phase), HumanCount(now.open), HumanCount(now.planned));
    if now.failed > 0 {
        out += &format!(", {} failed", HumanCount(now.failed));
    }
    if now.sent > 0 {
        out += &format!("  {} published  {} copies", HumanCount(now.sent), HumanCount(now.copies));
        let span = Instant::from_nanos(now.at_ns) - Instant::from_nanos(before.at_ns);
        if !span.is_zero() {
            out += &format!("  {}/s", HumanCount((now.copies.saturating_sub(before.copies) as f64 / span.as_secs_f64()) as u64));
        }
        out += &format!("  {} outstanding  p99 {}", HumanCount(now.missing), Span::from_nanos(now.p99_ns));
    }
    out
}
