//! The sections in single brackets.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use crate::application::Name;
use crate::application::ServiceAccount;
use crate::bucket::Rate;
use crate::cli::LogFormat;
use crate::cli::LogLevel;
use crate::forge::Link;
use crate::object::GroupKind;
use crate::server::Limits;
use crate::server::Network;
use crate::settings::checks;
use crate::settings::kinds;
use crate::settings::reader::Section;

const HOUR: Duration = Duration::from_secs(3600);
/// How many requests in a minute may a rate allow at most? More is no bound.
const MOST_A_MINUTE: u64 = 1_000_000;
const SECOND: Duration = Duration::from_secs(1);

/// `[door]`: where windlass listens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Door {
    /// The address.
    pub listen: SocketAddr,
    /// The proxies before it, whose word about addresses counts.
    pub trusted_proxies: Vec<Network>,
    /// How many requests may one address send that are not signed? `None` for any number.
    pub unsigned: Option<Rate>,
    /// How many deliveries may there be about one source? `None` for any number.
    pub about_a_source: Option<Rate>,
    /// The bounds.
    pub limits: Limits,
}

/// `[reconcile]`: how much is done at once, and what holds for applications that say nothing else.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reconcile {
    /// How many targets are worked on at once?
    pub parallel: usize,
    /// How many requests may be under way at one cluster?
    pub requests: usize,
    /// How long may objects take to become healthy, where an application does not say?
    pub health_deadline: Duration,
    /// The ServiceAccount in whose name an application is written that names none; windlass itself without one.
    pub service_account: Option<ServiceAccount>,
}

/// `[work]`: what is said of a process without the door.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Work {
    /// Where it says so.
    pub listen: Option<SocketAddr>,
}

/// `[guard]`: how much one commit may delete.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Guard {
    /// This many objects always.
    pub least: usize,
    /// This share of a target's objects, in percent.
    pub percent: usize,
    /// The kinds of which a commit prunes nothing without consent, beside those that hold data.
    pub kinds: Vec<GroupKind>,
}

/// `[source]`: what is taken from a repository.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SourceLimits {
    /// How many files?
    pub files: usize,
    /// How many bytes in one file?
    pub file_bytes: u64,
    /// How many bytes in all files?
    pub total_bytes: u64,
    /// How many folders deep?
    pub depth: usize,
    /// How many bytes in one fetch?
    pub fetch_bytes: u64,
    /// How long may a fetch take?
    pub fetch_within: Duration,
}

/// `[report]`: what statuses say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Report {
    /// Where they lead; `None` for nowhere.
    pub link: Option<Link>,
}

/// `[log]`: what is logged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Log {
    /// How lines look.
    pub format: LogFormat,
    /// How much.
    pub level: LogLevel,
}

/// `[telemetry]`: what is exported.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Telemetry {
    /// The collector of spans; `None` for none.
    pub otlp: Option<String>,
    /// How many percent of all traces are exported?
    pub sample: u8,
}

pub fn data(mut section: Section<'_>) -> Option<(PathBuf, Name)> {
    let folder = section.path("dir");
    let installation = section.parsed("installation", Name::parse);
    section.finish();
    Some((folder?, installation?))
}

pub fn door(mut section: Section<'_>) -> Option<Door> {
    let listen = section.parsed("listen", address);
    let trusted_proxies = section.each("trusted_proxies", str::parse::<Network>);
    let unsigned = section.whole("unsigned_rate", 0..=MOST_A_MINUTE);
    let about_a_source = section.whole("source_rate", 0..=MOST_A_MINUTE);
    let body_bytes = section.size("body_limit", &(1 << 10..=25 << 20));
    let body_within = section.duration("body_within", &(SECOND..=60 * SECOND));
    let idle_within = section.duration("idle_within", &(SECOND..=600 * SECOND));
    let connections = section.whole("connections", 1..=65_536);
    let workers = section.whole("workers", 1..=64);
    let announce_for = section.duration("announce_for", &(Duration::ZERO..=60 * SECOND));
    let stop_within = section.duration("stop_within", &(SECOND..=600 * SECOND));
    section.finish();
    let limits = Limits {
        body_bytes: usize::try_from(body_bytes?).ok()?,
        body_within: body_within?,
        idle_within: idle_within?,
        connections: usize::try_from(connections?).ok()?,
        workers: usize::try_from(workers?).ok()?,
        announce_for: announce_for?,
        stop_within: stop_within?,
    };
    Some(Door {
        listen: listen?,
        trusted_proxies: trusted_proxies?,
        unsigned: rate(unsigned?),
        about_a_source: rate(about_a_source?),
        limits,
    })
}

/// Makes a rate of so many in a minute, which may all come at once; none is no bound.
fn rate(a_minute: u64) -> Option<Rate> {
    let a_minute = u32::try_from(a_minute).ok().filter(|number| *number > 0)?;
    Some(Rate { a_minute, at_once: a_minute })
}

/// Reads `poll` of `[sweep]` or of a source: the inner nothing is `off`.
#[expect(clippy::option_option, reason = "absent or wrong, off, and a time are three answers")]
pub fn poll(section: &mut Section<'_>) -> Option<Option<Duration>> {
    let off = section.any("poll").is_some_and(|(value, _)| value.as_str() == Some("off"));
    if off { Some(None) } else { section.duration("poll", &(10 * SECOND..=24 * HOUR)).map(Some) }
}

pub fn sweep(mut section: Section<'_>) -> Option<Duration> {
    let poll = poll(&mut section);
    section.finish();
    poll.flatten()
}

/// Reads the time that objects may take to become healthy.
pub fn health_deadline(section: &mut Section<'_>) -> Option<Duration> {
    section.duration("health_deadline", &(SECOND..=24 * HOUR))
}

/// Reads the time that objects must stay healthy, in milliseconds.
pub fn stable_for(section: &mut Section<'_>) -> Option<u64> {
    if !section.has("stable_for") {
        section.skip("stable_for");
        return None;
    }
    u64::try_from(section.duration("stable_for", &(SECOND..=HOUR))?.as_millis()).ok()
}

pub fn reconcile(mut section: Section<'_>) -> Option<Reconcile> {
    let parallel = section.whole("parallel", 1..=64);
    let requests = section.whole("requests", 1..=64);
    let health_deadline = health_deadline(&mut section);
    let service_account = section.parsed("service_account", |text| {
        Some(text).filter(|text| !text.is_empty()).map(checks::service_account).transpose()
    });
    section.finish();
    Some(Reconcile {
        parallel: usize::try_from(parallel?).ok()?,
        requests: usize::try_from(requests?).ok()?,
        health_deadline: health_deadline?,
        service_account: service_account?,
    })
}

pub fn work(mut section: Section<'_>) -> Option<Work> {
    let listen =
        section.parsed("listen", |text| Some(text).filter(|text| !text.is_empty()).map(address).transpose());
    section.finish();
    Some(Work { listen: listen? })
}

/// Reads an address to listen at.
fn address(text: &str) -> Result<SocketAddr, &'static str> {
    text.parse().map_err(|_| "must be an IP address and a port, such as \"127.0.0.1:8080\" or \"[::]:8080\"")
}

pub fn guard(mut section: Section<'_>) -> Option<Guard> {
    let least = section.whole("least", 0..=10_000);
    let percent = section.whole("percent", 0..=100);
    let kinds = section.each("kinds", kinds::group_kind);
    section.finish();
    let (least, percent) = (usize::try_from(least?).ok()?, usize::try_from(percent?).ok()?);
    Some(Guard { least, percent, kinds: kinds? })
}

pub fn source(mut section: Section<'_>) -> Option<SourceLimits> {
    let files = section.whole("files", 1..=100_000);
    let file_bytes = section.size("file_bytes", &(1 << 10..=64 << 20));
    let total_bytes = section.size("total_bytes", &(1 << 10..=1 << 30));
    let depth = section.whole("depth", 1..=64);
    let fetch_bytes = section.size("fetch_bytes", &(1 << 20..=16 << 30));
    let fetch_within = section.duration("fetch_within", &(SECOND..=HOUR));
    section.finish();
    Some(SourceLimits {
        files: usize::try_from(files?).ok()?,
        file_bytes: file_bytes?,
        total_bytes: total_bytes?,
        depth: usize::try_from(depth?).ok()?,
        fetch_bytes: fetch_bytes?,
        fetch_within: fetch_within?,
    })
}

pub fn report(mut section: Section<'_>) -> Option<Report> {
    let link = section
        .parsed("link", |text| Some(text).filter(|text| !text.is_empty()).map(Link::parse).transpose());
    section.finish();
    Some(Report { link: link? })
}

pub fn log(mut section: Section<'_>) -> Option<Log> {
    let formats = [("text", LogFormat::Text), ("json", LogFormat::Json)];
    let levels = [
        ("error", LogLevel::Error),
        ("warn", LogLevel::Warn),
        ("info", LogLevel::Info),
        ("debug", LogLevel::Debug),
        ("trace", LogLevel::Trace),
    ];
    let format = section.parsed("format", |text| checks::word(text, &formats));
    let level = section.parsed("level", |text| checks::word(text, &levels));
    section.finish();
    Some(Log { format: format?, level: level? })
}

pub fn telemetry(mut section: Section<'_>) -> Option<Telemetry> {
    let otlp = section
        .parsed("otlp", |text| Some(text).filter(|text| !text.is_empty()).map(checks::url).transpose());
    let sample = section.whole("sample", 0..=100);
    section.finish();
    Some(Telemetry { otlp: otlp?, sample: u8::try_from(sample?).ok()? })
}

#[cfg(test)]
mod tests {
    use crate::settings::tests::folder;
    use crate::settings::tests::load;

    #[test]
    fn traces_go_to_a_collector_where_one_is_named() {
        let folder = folder();
        let otlp = |more: &[(&str, &str)]| load(folder.path(), "", more).map(|settings| settings.telemetry);
        let none = otlp(&[]).unwrap();
        assert_eq!((none.otlp, none.sample), (None, 100));
        let more =
            [("WINDLASS__TELEMETRY__OTLP", "http://127.0.0.1:4318/"), ("WINDLASS__TELEMETRY__SAMPLE", "10")];
        let some = otlp(&more).unwrap();
        assert_eq!((some.otlp.as_deref(), some.sample), (Some("http://127.0.0.1:4318"), 10));
        for (key, value, said) in [
            (
                "WINDLASS__TELEMETRY__OTLP",
                "127.0.0.1:4318",
                "telemetry.otlp: must start with https:// or http://",
            ),
            ("WINDLASS__TELEMETRY__OTLP", "http://u:p@h", "telemetry.otlp: must not hold credentials"),
            ("WINDLASS__TELEMETRY__SAMPLE", "101", "telemetry.sample: must be a whole number from 0 to 100"),
        ] {
            let problems = otlp(&[(key, value)]).unwrap_err();
            assert!(problems[0].contains(said), "{problems:?}");
        }
    }
}
