//! The windows: when targets may be written to, and when not.

use std::ops::RangeInclusive;
use std::time::Duration;

use crate::settings::checks;
use crate::settings::lists::Names;
use crate::settings::reader::Section;
use crate::window::Cron;
use crate::window::Kind;
use crate::window::OnDrift;
use crate::window::Pattern;
use crate::window::Schedule;
use crate::window::Window;
use crate::window::Zone;

/// How long may a window be? One that shall last longer begins again each month, or is a pause.
const LONG: RangeInclusive<Duration> = Duration::from_mins(1)..=Duration::from_hours(31 * 24);

/// Reads a window; `names` are those of windows, and `known` those of all applications and of all clusters.
pub fn window(
    section: &mut Section<'_>,
    names: &mut Names,
    (applications, clusters): (&Names, &Names),
) -> Option<Window> {
    let name = names.take(section);
    let kind = section
        .required("kind", "\"allow\" or \"deny\"")
        .and_then(|text| word(section, "kind", &text, &[("allow", Kind::Allow), ("deny", Kind::Deny)]));
    let cron = section
        .required("schedule", "five fields as of cron, such as \"0 22 * * 1-5\"")
        .and_then(|text| Cron::parse(&text).map_err(|error| section.wrong("schedule", error)).ok());
    if !section.has("duration") {
        section.wrong("duration", "is missing: give how long it lasts, such as \"10h\"");
    }
    let duration = section.duration("duration", &LONG);
    let zone = section
        .required("time_zone", "the IANA name of a time zone, such as \"Europe/Berlin\" or \"UTC\"")
        .and_then(|text| Zone::parse(&text).map_err(|error| section.wrong("time_zone", error)).ok());
    let schedule = cron.zip(zone).and_then(|(cron, zone)| {
        Schedule::new(cron, zone).map_err(|error| section.wrong("schedule", error)).ok()
    });
    let patterns = [
        patterns(section, "applications", "application", applications),
        patterns(section, "clusters", "cluster", clusters),
    ];
    if !section.has("applications") && !section.has("clusters") {
        section.wrong("", "give applications, or clusters, or both: [\"*\"] are all");
    }
    let drift = match section.text("drift") {
        Some(text) => {
            word(section, "drift", &text, &[("correct", OnDrift::Correct), ("wait", OnDrift::Wait)])?
        }
        None => OnDrift::default(),
    };
    let [applications, clusters] = patterns;
    Some(Window {
        name: name?.to_string(),
        kind: kind?,
        schedule: schedule?,
        seconds: i64::try_from(duration?.as_secs()).ok()?,
        applications,
        clusters,
        drift,
    })
}

fn word<T: Copy>(section: &mut Section<'_>, key: &'static str, text: &str, known: &[(&str, T)]) -> Option<T> {
    checks::word(text, known).map_err(|error| section.wrong(key, error)).ok()
}

/// Reads patterns of names, each of which must fit one that there is.
pub fn patterns(section: &mut Section<'_>, key: &'static str, what: &str, known: &Names) -> Vec<Pattern> {
    if !section.has(key) {
        section.skip(key);
        return Vec::new();
    }
    let read = |text: &str| {
        let pattern = Pattern::parse(text)?;
        if known.iter().any(|name| pattern.fits(name.as_str())) {
            Ok(pattern)
        } else {
            Err(format!("fits no {what}: \"{text}\"; {}", known.text()))
        }
    };
    let found = section.each(key, read).unwrap_or_default();
    if section.list(key).is_some_and(|items| items.is_empty()) {
        section.wrong(key, format!("must name at least one {what}; [\"*\"] are all"));
    }
    found
}

#[cfg(test)]
mod tests {
    use crate::settings::tests::GOOD;
    use crate::settings::tests::folder;
    use crate::settings::tests::load;
    use crate::window::Kind;
    use crate::window::OnDrift;

    const NIGHTS: &str = "name = \"nights\"\nkind = \"deny\"\nschedule = \"0 22 * * *\"\nduration = \"10h\"\n\
                          time_zone = \"Europe/Berlin\"\napplications = [\"sh*\"]\n";

    #[test]
    fn a_window_is_read_with_what_it_is_for() {
        let folder = folder();
        let more = "clusters = [\"east\"]\ndrift = \"wait\"\n";
        let settings = load(folder.path(), &format!("{GOOD}\n[[windows]]\n{NIGHTS}{more}"), &[]).unwrap();
        let [window] = &settings.windows[..] else { panic!("{:?}", settings.windows) };
        assert_eq!((window.name.as_str(), window.kind, window.seconds), ("nights", Kind::Deny, 36_000));
        assert_eq!((window.applications.len(), window.clusters.len()), (1, 1));
        assert_eq!(window.drift, OnDrift::Wait);
        let settings = load(folder.path(), &format!("{GOOD}\n[[windows]]\n{NIGHTS}"), &[]).unwrap();
        assert_eq!(settings.windows[0].drift, OnDrift::Correct, "a freeze is about commits");
    }

    #[test]
    fn a_window_that_is_none_is_refused_with_what_to_do() {
        let folder = folder();
        let told = |from: &str, to: &str| {
            assert!(NIGHTS.contains(from), "{from}");
            let text = format!("{GOOD}\n[[windows]]\n{}", NIGHTS.replace(from, to));
            load(folder.path(), &text, &[]).err().unwrap_or_default().join("\n")
        };
        for (from, to, expected) in [
            ("name = \"nights\"\n", "", "windows[0].name: is missing"),
            ("deny", "refuse", "windows[0].kind"),
            ("kind = \"deny\"\n", "", "windows[0].kind: is missing: give \"allow\" or \"deny\""),
            ("0 22 * * *", "22 * *", "windows[0].schedule: must be five fields"),
            ("0 22 * * *", "0 25 * * *", "windows[0].schedule: has no hour \"25\""),
            ("0 22 * * *", "0 0 30 2 *", "windows[0].schedule: never comes"),
            (
                "10h",
                "0s",
                "windows[0].duration: must be a time such as \"90s\" or \"5m\", from \"1m\" to \"744h\"",
            ),
            ("10h", "745h", "windows[0].duration"),
            ("duration = \"10h\"\n", "", "windows[0].duration: is missing"),
            (
                "Europe/Berlin",
                "Europe/Atlantis",
                "windows[0].time_zone: there is no time zone \"Europe/Atlantis\"",
            ),
            ("time_zone = \"Europe/Berlin\"\n", "", "windows[0].time_zone: is missing"),
            ("sh*", "blog", "windows[0].applications[0]: fits no application: \"blog\"; known: shop"),
            ("sh*", "Shop", "windows[0].applications[0]: must be a name"),
            ("[\"sh*\"]", "[]", "windows[0].applications: must name at least one application"),
            ("applications = [\"sh*\"]", "clusters = [\"w*\"]", "windows[0].clusters[0]: fits no cluster"),
            ("applications = [\"sh*\"]\n", "", "windows[0]: give applications, or clusters, or both"),
            ("applications", "application", "windows[0].application: is no setting"),
            ("applications", "drift = \"report\"\napplications", "windows[0].drift"),
            (
                "applications",
                "clusters = [\"*\"]\n[[windows]]\nname = \"nights\"\napplications",
                "windows[1].name",
            ),
        ] {
            let told = told(from, to);
            assert!(told.contains(expected), "{to}: {told}");
        }
    }
}
