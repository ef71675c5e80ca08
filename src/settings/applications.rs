//! `[[applications]]`: what belongs where.

use crate::application::Application;
use crate::application::Conflicts;
use crate::application::Dependency;
use crate::application::Name;
use crate::application::OnFailure;
use crate::application::Propagation;
use crate::commit::CommitId;
use crate::reference::Reference;
use crate::settings::checks;
use crate::settings::ignore_rules;
use crate::settings::lists::Names;
use crate::settings::reader::Section;
use crate::settings::sections;
use crate::settings::sections::Reconcile;

/// How many others may an application depend on? Each of its jobs carries them.
const DEPENDENCIES: usize = 64;

/// Reads an application; `known` are the names of all sources and of all clusters, `usual` is what holds where it says nothing.
pub fn application(
    section: &mut Section<'_>,
    name: Option<Name>,
    (sources, clusters): (&Names, &Names),
    usual: Option<&Reconcile>,
) -> Option<Application> {
    let source = section
        .required("source", "the name of its source")
        .and_then(|text| sources.check(&text, "source").map_err(|error| section.wrong("source", error)).ok());
    let reference = reference(section);
    let path = section.parsed("path", checks::folder);
    let places = places(section, clusters);
    let namespace = section.parsed("namespace", checks::namespace).unwrap_or_else(|| "default".to_owned());
    let prune = section.flag("prune");
    let self_heal = section.parsed("self_heal", checks::self_heal);
    let on_failure = section.parsed("on_failure", |text| checks::word(text, &OnFailure::ALL));
    let service_account = section.parsed("service_account", checks::service_account);
    let stable_for_ms = sections::stable_for(section);
    let depends_on = depends_on(section);
    let conflicts = section.parsed("conflicts", |text| checks::word(text, &Conflicts::ALL));
    let takes_over = ignore_rules::managers(section, "takes_over");
    let propagation = section.parsed("propagation", |text| checks::word(text, &Propagation::ALL));
    let deadline = sections::health_deadline(section).or_else(|| usual.map(|usual| usual.health_deadline));
    let application = Application {
        name: name?,
        source: source?,
        reference: reference?,
        path: path.unwrap_or_default(),
        clusters: places,
        namespace,
        prune: prune.unwrap_or(true),
        health_deadline_ms: u64::try_from(deadline.unwrap_or_default().as_millis()).ok()?,
        self_heal: self_heal.unwrap_or_default(),
        stable_for_ms,
        service_account: service_account.or_else(|| usual?.service_account.clone()),
        ignore: Vec::new(),
        depends_on,
        on_failure: on_failure.unwrap_or_default(),
        conflicts: conflicts.unwrap_or_default(),
        takes_over,
        propagation: propagation.unwrap_or_default(),
    };
    for cluster in &application.clusters {
        let namespace = application.namespace_in(cluster);
        if !checks::is_label(&namespace) {
            section.wrong("namespace", format!("is too long for a namespace in {cluster}: \"{namespace}\""));
        }
    }
    Some(application)
}

/// Reads what an application depends on; whether all of it is declared is known only when all applications are.
fn depends_on(section: &mut Section<'_>) -> Vec<Dependency> {
    const KEY: &str = "depends_on";
    if !section.has(KEY) {
        section.skip(KEY);
        return Vec::new();
    }
    let found = section.each(KEY, checks::dependency).unwrap_or_default();
    if found.len() > DEPENDENCIES {
        section.wrong(KEY, format!("names {}: at most {DEPENDENCIES}", found.len()));
    }
    found
}

/// Reads what an application follows: one of three keys, and no more than one.
fn reference(section: &mut Section<'_>) -> Option<Reference> {
    const KEYS: [&str; 3] = ["ref", "tag", "commit"];
    let [name, tags, commit] = KEYS;
    let name = section.parsed(name, checks::reference).map(Reference::Name);
    let tags = section.parsed(tags, checks::range).map(Reference::Tags);
    let commit = section.parsed(commit, CommitId::parse).map(Reference::Commit);
    let given: Vec<&str> = KEYS.into_iter().filter(|key| section.has(key)).collect();
    match given.as_slice() {
        [] => section.wrong(
            "ref",
            "is missing: give the full name of a ref, such as \"refs/heads/main\", or a tag, or a commit",
        ),
        [_] => {}
        [first, others @ ..] => {
            for other in others {
                section.wrong(other, format!("contradicts {first}: give one of ref, tag and commit"));
            }
        }
    }
    name.or(tags).or(commit)
}

/// Reads the clusters of an application: at least one, none twice.
fn places(section: &mut Section<'_>, known: &Names) -> Vec<Name> {
    let items = section.list("clusters").unwrap_or_default();
    if items.is_empty() {
        section.wrong("clusters", format!("must list at least one cluster; {}", known.text()));
    }
    let mut places = Vec::new();
    for (index, item) in items.iter().enumerate() {
        let place = match item.as_str() {
            Some(text) => known.check(text, "cluster"),
            None => Err("must be the name of a cluster".to_owned()),
        };
        match place {
            Ok(place) if places.contains(&place) => {
                section.wrong(&format!("clusters[{index}]"), format!("\"{place}\" is listed twice"));
            }
            Ok(place) => places.push(place),
            Err(error) => section.wrong(&format!("clusters[{index}]"), error),
        }
    }
    places
}
