//! Everything that windlass logs in this process, at its most talkative, kept for tests that look for what must not be
//! there.

use std::io::Write;
use std::sync::Mutex;
use std::sync::Once;

use tracing_subscriber::Layer;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;
use windlass::cli::LogLevel;
use windlass::telemetry::Recorder;

static LINES: Mutex<Vec<u8>> = Mutex::new(Vec::new());
static BEGIN: Once = Once::new();

struct Journal;

impl Write for Journal {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        LINES.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// Begins to keep what is logged; again, it changes nothing.
pub fn begin() {
    begin_with(None);
}

/// The same, with a recorder that hears of every span.
pub fn begin_with(recorder: Option<Recorder>) {
    BEGIN.call_once(|| {
        let filter = windlass::telemetry::filter(LogLevel::Trace);
        let filter = tracing_subscriber::EnvFilter::new(filter);
        let lines = tracing_subscriber::fmt::layer().with_ansi(false).with_writer(|| Journal);
        let lines = lines.with_filter(filter);
        tracing_subscriber::registry().with(lines).with(recorder.map(Recorder::layer)).init();
    });
}

/// Returns all of it.
pub fn text() -> String {
    String::from_utf8_lossy(&LINES.lock().unwrap()).into_owned()
}
