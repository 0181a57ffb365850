//! How far a long command is, on standard error: a bar for people, a line now and then for logs.

use std::borrow::Cow;
use std::io::IsTerminal;
use std::time::{Duration, Instant};

use indicatif::{HumanBytes, ProgressBar, ProgressStyle};

/// Between two lines where no bar can be drawn.
const LINE_INTERVAL: Duration = Duration::from_secs(5);

pub(super) struct Progress {
    bar: ProgressBar,
    what: Cow<'static, str>,
    lines: bool,
    bytes: bool,
    last_line: Instant,
}

impl Progress {
    /// Counts bytes of a file, whose size may be unknown.
    pub(super) fn bytes(what: impl Into<Cow<'static, str>>, total: Option<u64>) -> Self {
        Self::new(
            what.into(),
            total,
            true,
            "{msg} {bar:30} {bytes}/{total_bytes} {eta}",
        )
    }

    /// Counts things.
    pub(super) fn count(what: impl Into<Cow<'static, str>>, total: u64) -> Self {
        Self::new(
            what.into(),
            Some(total),
            false,
            "{msg} {bar:30} {pos}/{len} {eta}",
        )
    }

    /// Counts rows of unknown number.
    pub(super) fn rows(what: impl Into<Cow<'static, str>>) -> Self {
        let progress = Self::new(what.into(), None, false, "");
        let style = ProgressStyle::with_template("{msg} {spinner} {pos} rows {elapsed}");
        progress.bar.set_style(style.expect("a valid template"));
        progress
    }

    fn new(what: Cow<'static, str>, total: Option<u64>, bytes: bool, template: &str) -> Self {
        let bar = match total {
            Some(total) => ProgressBar::new(total)
                .with_style(ProgressStyle::with_template(template).expect("a valid template")),
            None => ProgressBar::new_spinner().with_style(
                ProgressStyle::with_template("{msg} {spinner} {bytes}").expect("a valid template"),
            ),
        };
        bar.set_message(what.clone());
        Self {
            bar,
            what,
            lines: !std::io::stderr().is_terminal(),
            bytes,
            last_line: Instant::now(),
        }
    }

    pub(super) fn set(&mut self, position: u64) {
        self.bar.set_position(position);
        if self.lines && self.last_line.elapsed() >= LINE_INTERVAL {
            self.last_line = Instant::now();
            let show = |amount| {
                if self.bytes {
                    HumanBytes(amount).to_string()
                } else {
                    format!("{amount}")
                }
            };
            let of = self
                .bar
                .length()
                .map(|total| format!(" of {}", show(total)))
                .unwrap_or_default();
            eprintln!("{}: {}{of}", self.what, show(position));
        }
    }

    /// Prints a line without tearing the bar.
    pub(super) fn say(&self, line: &str) {
        self.bar.suspend(|| eprintln!("{line}"));
    }

    pub(super) fn finish(self) {
        self.bar.finish_and_clear();
    }
}
