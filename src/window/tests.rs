use super::Cron;
use super::Gate;
use super::Kind;
use super::OnDrift;
use super::Pattern;
use super::Schedule;
use super::State;
use super::Window;
use super::Zone;
use crate::application::Name;
use crate::application::Target;
use crate::moment::Moment;
use crate::pause::Pause;
use crate::pause::Scope;

fn window(kind: Kind, cron: &str, hours: f64, zone: &str) -> Window {
    let schedule = Schedule::new(Cron::parse(cron).unwrap(), Zone::parse(zone).unwrap()).unwrap();
    let (applications, clusters) = (Vec::new(), Vec::new());
    #[allow(clippy::cast_possible_truncation, reason = "a test has few hours")]
    let seconds = (hours * 3_600.0) as i64;
    Window {
        name: cron.replace(' ', "_"),
        kind,
        schedule,
        seconds,
        applications,
        clusters,
        drift: OnDrift::Correct,
    }
}

fn deny(cron: &str, hours: f64) -> Window {
    window(Kind::Deny, cron, hours, "Europe/Berlin")
}

fn allow(cron: &str, hours: f64) -> Window {
    window(Kind::Allow, cron, hours, "Europe/Berlin")
}

/// Reads a time as UTC.
fn at(text: &str) -> Moment {
    Moment(format!("{text}:00Z").parse::<jiff::Timestamp>().unwrap().as_millisecond())
}

fn target() -> Target {
    Target { application: Name::parse("shop").unwrap(), cluster: Name::parse("east").unwrap() }
}

/// Returns whether the windows leave open, and until when.
fn judged(windows: &[Window], now: Moment) -> (bool, Option<Moment>, String) {
    match Gate::new(windows, Vec::new(), now).push(&target()) {
        State::Open { until } => (true, until, String::new()),
        State::Closed(closed) => (false, closed.until, closed.why),
    }
}

#[test]
fn what_windows_say_by_table() {
    // windows, now → open, until; all in UTC, an hour or two behind Berlin
    let cases: Vec<(Vec<Window>, &str, bool, Option<&str>)> = vec![
        (vec![], "2026-12-01T12:00", true, None),
        // Across midnight, to the second.
        (vec![deny("0 22 * * *", 10.0)], "2026-12-01T20:59", true, Some("2026-12-01T21:00")),
        (vec![deny("0 22 * * *", 10.0)], "2026-12-01T21:00", false, Some("2026-12-02T07:00")),
        (vec![deny("0 22 * * *", 10.0)], "2026-12-02T06:59", false, Some("2026-12-02T07:00")),
        (vec![deny("0 22 * * *", 10.0)], "2026-12-02T07:00", true, Some("2026-12-02T21:00")),
        // Across the end of a month, and of a year.
        (vec![deny("0 18 31 * *", 62.0)], "2027-01-01T12:00", false, Some("2027-01-03T07:00")),
        (vec![deny("0 18 31 * *", 62.0)], "2027-01-03T07:00", true, Some("2027-01-31T17:00")),
        // A weekend.
        (vec![deny("0 16 * * FRI", 62.0)], "2026-11-28T12:00", false, Some("2026-11-30T05:00")),
        // Inside any of those that allow.
        (vec![allow("0 9 * * *", 2.0)], "2026-12-01T08:30", true, Some("2026-12-01T10:00")),
        (vec![allow("0 9 * * *", 2.0)], "2026-12-01T10:00", false, Some("2026-12-02T08:00")),
        (
            vec![allow("0 9 * * *", 2.0), allow("0 10 * * *", 4.0)],
            "2026-12-01T08:30",
            true,
            Some("2026-12-01T13:00"),
        ),
        // One that denies counts most.
        (
            vec![allow("0 9 * * *", 8.0), deny("0 12 * * *", 1.0)],
            "2026-12-01T11:30",
            false,
            Some("2026-12-01T12:00"),
        ),
        (
            vec![allow("0 9 * * *", 8.0), deny("0 12 * * *", 1.0)],
            "2026-12-01T10:30",
            true,
            Some("2026-12-01T11:00"),
        ),
        // Closed by one, then by the other, then outside.
        (
            vec![allow("0 9 * * *", 3.0), deny("0 10 * * *", 4.0)],
            "2026-12-01T09:30",
            false,
            Some("2026-12-02T08:00"),
        ),
        // Those that overlap or touch are one.
        (
            vec![deny("0 8 * * *", 2.0), deny("0 9 * * *", 2.0), deny("0 11 * * *", 1.0)],
            "2026-12-01T07:00",
            false,
            Some("2026-12-01T11:00"),
        ),
        (vec![deny("0 0 * 12 *", 24.0)], "2026-12-10T12:00", false, Some("2026-12-31T23:00")),
        // Without an end.
        (vec![deny("* * * * *", 1.0)], "2026-12-01T12:00", false, None),
        (vec![allow("* * * * *", 1.0)], "2026-12-01T12:00", true, None),
    ];
    for (windows, now, open, until) in cases {
        let (found, found_until, why) = judged(&windows, at(now));
        let names: Vec<&str> = windows.iter().map(|one| one.name.as_str()).collect();
        assert_eq!((found, found_until), (open, until.map(at)), "{names:?} at {now}: {why}");
    }
}

#[test]
fn a_window_follows_its_clock_when_that_is_changed() {
    // In 2026 Berlin's clock skips 02:00 to 03:00 on March 29th, at 01:00 UTC, and shows it twice on October 25th.
    let cases = [
        // Skipped: the window begins when its beginning was skipped.
        (deny("30 2 * * *", 1.0), "2026-03-29T00:59", true, "2026-03-29T01:00"),
        (deny("30 2 * * *", 1.0), "2026-03-29T01:00", false, "2026-03-29T02:00"),
        (deny("0 3 * * *", 1.0), "2026-03-29T00:59", true, "2026-03-29T01:00"),
        // Shown twice: it begins twice.
        (deny("30 2 * * *", 0.25), "2026-10-25T00:30", false, "2026-10-25T00:45"),
        (deny("30 2 * * *", 0.25), "2026-10-25T00:45", true, "2026-10-25T01:30"),
        (deny("30 2 * * *", 0.25), "2026-10-25T01:30", false, "2026-10-25T01:45"),
        (deny("30 2 * * *", 0.25), "2026-10-25T01:45", true, "2026-10-26T01:30"),
        // An hour of a window is an hour, whatever the clock shows at its end.
        (deny("0 22 * * *", 10.0), "2026-03-28T22:00", false, "2026-03-29T07:00"),
        (deny("0 22 * * *", 10.0), "2026-10-24T22:00", false, "2026-10-25T06:00"),
        // The beginning is by the clock of its season.
        (deny("0 22 * * *", 1.0), "2026-07-01T12:00", true, "2026-07-01T20:00"),
        (deny("0 22 * * *", 1.0), "2026-01-01T12:00", true, "2026-01-01T21:00"),
        // Half an hour, on Lord Howe Island: 02:00 to 02:30 is skipped on October 4th, at 15:30 UTC of the 3rd.
        (
            window(Kind::Deny, "10 2 * * *", 1.0, "Australia/Lord_Howe"),
            "2026-10-03T15:29",
            true,
            "2026-10-03T15:30",
        ),
    ];
    for (window, now, open, until) in cases {
        let (found, found_until, _) = judged(std::slice::from_ref(&window), at(now));
        assert_eq!((found, found_until), (open, Some(at(until))), "{} at {now}", window.name);
    }
    for now in ["2026-03-29T00:30", "2026-03-29T01:30", "2026-10-25T00:30", "2026-10-25T01:30"] {
        let minute = [deny("* * * * *", 1.0 / 60.0)];
        assert!(!judged(&minute, at(now)).0, "one that begins each minute has no hole at {now}");
    }
}

#[test]
fn what_closes_a_target_is_said_in_one_line() {
    let nights = Window { name: "nights".into(), ..deny("0 22 * * *", 10.0) };
    let days = Window { name: "days".into(), ..allow("0 9 * * 1-5", 8.0) };
    let freeze = Window { name: "freeze".into(), ..deny("* * * * *", 24.0) };
    let cases: [(&[Window], &str, &str); 4] = [
        (
            std::slice::from_ref(&nights),
            "2026-11-30T22:00",
            "closed until 2026-12-01 08:00 CET by window nights",
        ),
        (
            std::slice::from_ref(&nights),
            "2026-06-30T22:00",
            "closed until 2026-07-01 08:00 CEST by window nights",
        ),
        (
            &[days, nights.clone()],
            "2026-11-27T22:00",
            "closed until 2026-11-30 09:00 CET, outside window days",
        ),
        (&[freeze], "2026-11-27T22:00", "closed, and no opening is in sight by window freeze"),
    ];
    for (windows, now, expected) in cases {
        assert_eq!(judged(windows, at(now)).2, expected);
    }
}

#[test]
fn a_window_is_for_the_targets_that_it_names() {
    let pattern = |text: &str| vec![Pattern::parse(text).unwrap()];
    let named = |applications: &[&str], clusters: &[&str]| Window {
        applications: applications.iter().flat_map(|text| pattern(text)).collect(),
        clusters: clusters.iter().flat_map(|text| pattern(text)).collect(),
        ..deny("* * * * *", 24.0)
    };
    for (window, closed) in [
        (named(&["shop"], &[]), true),
        (named(&["blog", "sh*"], &[]), true),
        (named(&[], &["east"]), true),
        (named(&["shop"], &["east"]), true),
        // Both must fit where both are given.
        (named(&["shop"], &["west"]), false),
        (named(&["blog"], &["east"]), false),
    ] {
        assert_eq!(!judged(std::slice::from_ref(&window), at("2026-12-01T12:00")).0, closed, "{window:?}");
    }
}

#[test]
fn drift_waits_only_where_a_window_says_so() {
    let wait = |window: Window| Window { drift: OnDrift::Wait, ..window };
    let always = || deny("* * * * *", 24.0);
    let never = || allow("0 0 1 1 *", 1.0);
    for (windows, drift) in [
        (vec![always()], true),
        (vec![wait(always())], false),
        (vec![always(), wait(deny("0 0 1 1 *", 1.0))], true),
        (vec![wait(never())], false),
        // Open for a commit is open for drift.
        (vec![wait(never()), allow("* * * * *", 24.0)], true),
    ] {
        let gate = Gate::new(&windows, Vec::new(), at("2026-12-01T12:00"));
        assert_eq!(matches!(gate.drift(&target()), State::Open { .. }), drift, "{windows:?}");
    }
}

#[test]
fn a_pause_closes_for_all_and_without_an_end() {
    let scope = Scope { application: Some(Name::parse("shop").unwrap()), cluster: None };
    let pause = Pause { scope, by: "ana".into(), why: "disk is full".into(), since: at("2026-12-01T12:00") };
    let windows = [allow("* * * * *", 24.0)];
    let gate = Gate::new(&windows, vec![pause], at("2026-12-01T12:30"));
    for state in [gate.push(&target()), gate.drift(&target())] {
        let State::Closed(closed) = state else { panic!("{state:?}") };
        let why = "shop is paused by ana since 2026-12-01 12:00 UTC: disk is full";
        assert_eq!((closed.until, closed.why.as_str()), (None, why));
    }
    let other = Target { application: Name::parse("blog").unwrap(), ..target() };
    assert!(matches!(gate.push(&other), State::Open { .. }));
}

/// A small generator of numbers, the same in each run.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % sides
    }
}

fn any_window(dice: &mut Dice) -> Window {
    let zones = ["Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "Asia/Kathmandu", "UTC"];
    let minute = ["0", "30", "*/15", "7"][usize::try_from(dice.roll(4)).unwrap()];
    let hour = ["*", "2", "22", "1-3", "*/6"][usize::try_from(dice.roll(5)).unwrap()];
    let day = ["* * *", "* * 1-5", "1,15 * *", "* * SUN"][usize::try_from(dice.roll(4)).unwrap()];
    let kind = if dice.roll(2) == 0 { Kind::Allow } else { Kind::Deny };
    let minutes = [5, 15, 60, 90, 600, 1_500][usize::try_from(dice.roll(6)).unwrap()];
    let zone = zones[usize::try_from(dice.roll(5)).unwrap()];
    Window { seconds: minutes * 60, ..window(kind, &format!("{minute} {hour} {day}"), 1.0, zone) }
}

/// How many minutes before and after now are counted in the slow and plain way? The longest window is shorter.
const BEFORE: i64 = 1_500;
const AFTER: i64 = 600;

/// Says of each minute from [`BEFORE`] to [`AFTER`] whether a window is on, by a look at the clock in each of them.
fn counted(window: &Window, now: i64) -> Vec<bool> {
    let zone = window.schedule.zone.plain();
    let shown = |second: i64| {
        let at = zone.to_datetime(jiff::Timestamp::from_second(second).unwrap());
        at.to_zoned(jiff::tz::TimeZone::UTC).unwrap().timestamp().as_second().div_euclid(60)
    };
    let begins = (-BEFORE..=AFTER).map(|minute| {
        let second = now + minute * 60;
        let (before, here) = (shown(second - 60), shown(second));
        // What the clock skipped counts here too.
        let from = if here > before { before + 1 } else { here };
        window.schedule.cron.first(from, here + 1).is_some()
    });
    let mut left = 0;
    let on = begins.map(|begins| {
        left = if begins { window.seconds / 60 } else { left - 1 };
        left > 0
    });
    on.collect()
}

#[test]
fn any_windows_say_what_counting_minutes_says_and_their_next_change_is_the_next() {
    let mut dice = Dice(7);
    // Around both changes of the clock, a month's end, and whenever.
    let starts = ["2026-03-28T20:00", "2026-10-24T20:00", "2026-10-03T10:00", "2026-11-30T20:00"].map(at);
    for round in 0..300 {
        let windows: Vec<Window> = (0..=dice.roll(3)).map(|_| any_window(&mut dice)).collect();
        let start = starts[usize::try_from(dice.roll(4)).unwrap()].0 / 1_000;
        let now = start + i64::try_from(dice.roll(600)).unwrap() * 60;
        let counted: Vec<Vec<bool>> = windows.iter().map(|one| counted(one, now)).collect();
        let any_allows = windows.iter().any(|one| one.kind == Kind::Allow);
        let plain = |minute: i64| {
            let place = usize::try_from(minute + BEFORE).unwrap();
            let on = |kind| windows.iter().zip(&counted).any(|(one, on)| one.kind == kind && on[place]);
            !on(Kind::Deny) && (!any_allows || on(Kind::Allow))
        };
        let (open, until, why) = judged(&windows, Moment(now * 1_000 + 999));
        let text = || format!("round {round}, {windows:?} at {now}: {open} until {until:?} {why}");
        let until = until.map_or(i64::MAX, |until| (until.0 / 1_000 - now) / 60);
        for minute in 0..AFTER.min(until) {
            assert_eq!(plain(minute), open, "minute {minute} is before the next change: {}", text());
        }
        if until <= AFTER {
            assert_eq!(plain(until), !open, "{}", text());
        }
    }
}

#[test]
fn no_moment_is_too_far() {
    let windows = [deny("0 22 * * *", 10.0), allow("*/5 * 29 2 *", 1.0)];
    for now in [i64::MIN, -1, 0, i64::MAX / 2, i64::MAX] {
        let _state = Gate::new(&windows, Vec::new(), Moment(now)).push(&target());
    }
}

#[test]
fn schedules_that_never_come_and_zones_that_are_none_are_refused() {
    let never = Schedule::new(Cron::parse("0 0 30 2 *").unwrap(), Zone::utc());
    assert!(never.unwrap_err().contains("never comes"));
    assert!(Zone::parse("Europe/Atlantis").unwrap_err().contains("no time zone \"Europe/Atlantis\""));
}
