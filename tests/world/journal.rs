//! Everything that windlass logs in this process, at its most talkative, kept for tests that look for what must not be
//! there.

use std::io::Write;
use std::sync::Mutex;
use std::sync::Once;

use windlass::cli::LogLevel;

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
    BEGIN.call_once(|| {
        let filter = windlass::telemetry::filter(LogLevel::Trace);
        let filter = tracing_subscriber::EnvFilter::new(filter);
        let format = tracing_subscriber::fmt().with_env_filter(filter).with_ansi(false);
        format.with_writer(|| Journal).init();
    });
}

/// Returns all of it.
pub fn text() -> String {
    String::from_utf8_lossy(&LINES.lock().unwrap()).into_owned()
}
