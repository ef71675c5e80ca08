//! What the demo shows: a timeline for each push. Colours only on a terminal, and never against NO_COLOR.

use std::io::IsTerminal;
use std::io::Write;
use std::sync::Arc;

use crate::news::Mark;
use crate::news::News;
use crate::stage::Stage;

/// How wide is a line when the terminal does not say?
const WIDTH: usize = 100;

/// Where does the text of a timeline's line begin?
const INDENT: usize = 35;

const DIM: &str = "2";
const BOLD: &str = "1";
const RED: &str = "31";
const GREEN: &str = "32";
const YELLOW: &str = "33";
const MAGENTA: &str = "35";

/// The screen; clones write to the same one.
#[derive(Clone)]
pub struct Screen {
    colors: bool,
    width: usize,
    started: Arc<tokio::time::Instant>,
}

impl Screen {
    /// Looks at what standard output is. `scripts/demo` says in COLUMNS how wide it is.
    pub fn new() -> Self {
        let no_color = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
        let columns = std::env::var("COLUMNS").ok().and_then(|text| text.parse().ok());
        Self {
            colors: !no_color && std::io::stdout().is_terminal(),
            width: columns.filter(|columns| *columns >= 2 * INDENT).unwrap_or(WIDTH),
            started: Arc::new(tokio::time::Instant::now()),
        }
    }

    fn paint(&self, color: &str, text: &str) -> String {
        if self.colors { format!("\u{1b}[{color}m{text}\u{1b}[0m") } else { text.to_owned() }
    }

    fn line(&self, text: &str) {
        let mut out = std::io::stdout();
        // A reader that went away is no reason to leave things behind in the cluster.
        drop(writeln!(out, "{text}"));
        drop(out.flush());
    }

    /// Says what the demo plays on.
    pub fn opened(&self, stage: &Stage, door: &str) {
        let (place, repository) = (&stage.place, &stage.forge.full_name);
        let pairs = [
            ("forge", format!("Gitea; {repository} has a webhook to {door}")),
            (
                "cluster",
                format!("{}, Kubernetes {} at {}", place.cluster, stage.cluster.version, place.server),
            ),
            ("namespace", place.namespace.clone()),
        ];
        self.line("");
        for (what, text) in pairs {
            self.line(&format!("  {}{text}", self.paint(DIM, &format!("{what:<11}"))));
        }
    }

    /// Begins a timeline.
    pub fn act(&self, number: usize, title: &str, commit: &str) {
        let title = self.paint(BOLD, &format!("{number}  {title}"));
        self.line(&format!("\n{title}  {}", self.paint(DIM, &format!("commit {commit}"))));
    }

    /// Adds a line to it; `after` is the time since the delivery was accepted, in milliseconds.
    pub fn news(&self, news: &News, after: Option<i64>) {
        let (glyph, color) = match news.mark {
            Mark::Step => ("·", ""),
            Mark::Open => ("○", YELLOW),
            Mark::Good => ("✓", GREEN),
            Mark::Bad => ("✗", RED),
            Mark::Hand => ("!", MAGENTA),
        };
        let time = after.map_or_else(String::new, |after| format!("{after} ms"));
        let head = format!("{glyph} {:<19}", news.what);
        let head = if color.is_empty() { head } else { self.paint(color, &head) };
        let text = wrapped(&news.detail, self.width - INDENT, INDENT);
        self.line(&format!("{}  {head}  {text}", self.paint(DIM, &format!("{time:>10}"))));
    }

    /// Says what was found to be so when it was looked for.
    pub fn checked(&self, text: &str) {
        let text = wrapped(text, self.width - INDENT, INDENT);
        let head = self.paint(GREEN, &format!("= {:<19}", "checked"));
        self.line(&format!("{:>10}  {head}  {text}", ""));
    }

    /// Ends the demo; `cleared` is what was taken away.
    pub fn closed(&self, cleared: &str) {
        let took = self.started.elapsed().as_secs_f64();
        let all = self.paint(GREEN, "All of it happened");
        self.line(&format!("\n{all}, in {took:.1} s. {}\n", self.paint(DIM, &format!("Now {cleared}."))));
    }

    /// Says that something did not happen, and what.
    pub fn failed(&self, why: &str) {
        let mut out = std::io::stderr();
        drop(writeln!(out, "\n{}  {why}", self.paint(RED, "demo failed:")));
    }

    /// Shows the end of windlass's log.
    pub fn log(&self, said: &str) {
        if said.is_empty() {
            return;
        }
        drop(writeln!(std::io::stderr(), "\nwindlass's last words were:\n{said}"));
    }
}

/// Breaks a text at spaces, so that no line is longer than `width`; further lines begin with `indent` spaces.
fn wrapped(text: &str, width: usize, indent: usize) -> String {
    let (mut lines, mut line) = (Vec::new(), String::new());
    for word in text.split(' ') {
        if !line.is_empty() && line.chars().count() + 1 + word.chars().count() > width {
            lines.push(std::mem::take(&mut line));
        }
        if !line.is_empty() {
            line.push(' ');
        }
        line.push_str(word);
    }
    lines.push(line);
    lines.join(&format!("\n{:indent$}", ""))
}
