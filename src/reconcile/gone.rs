//! The wait for objects to be gone: by watch, never by poll, until none is left or the time is over.

use std::collections::BTreeMap;
use std::collections::BTreeSet;

use tokio::sync::mpsc;
use tokio::time::Instant;

use crate::cluster::Cluster;
use crate::cluster::Kinds;
use crate::cluster::Place;
use crate::cluster::SIGHTINGS;
use crate::cluster::Seen;
use crate::cluster::Selector;
use crate::member;
use crate::object::Live;
use crate::object::ObjectId;

use super::awaited::held_by;

/// Waits until members of a set are gone that are being deleted; returns those that are still there when the time is over,
/// each with what holds it.
pub(super) async fn await_gone(
    (cluster, kinds, set): (&Cluster, &Kinds, String),
    going: &[Live],
    until: Instant,
) -> BTreeMap<ObjectId, String> {
    let (sender, mut seen) = mpsc::channel(SIGHTINGS);
    let places: BTreeSet<Place<'_>> = going.iter().map(place_of).collect();
    for place in &places {
        let members = Selector::Label(format!("{}={set}", member::PART_OF));
        cluster.follow(kinds, place, members, None, sender.clone());
    }
    drop(sender);
    let mut waiting: BTreeMap<ObjectId, String> =
        going.iter().map(|live| (live.id.clone(), held_by(live))).collect();
    while !waiting.is_empty() {
        let Ok(Some(event)) = tokio::time::timeout_at(until, seen.recv()).await else { break };
        take_in(event, &mut waiting);
    }
    waiting
}

fn place_of(live: &Live) -> Place<'_> {
    let Live { id, api_version, .. } = live;
    Place { api_version, kind: &id.kind, namespace: id.namespace.as_deref() }
}

/// Takes in what was seen of the objects that are waited for.
fn take_in(event: Seen, waiting: &mut BTreeMap<ObjectId, String>) {
    match event {
        Seen::There(live) => {
            if let Some(why) = waiting.get_mut(&live.id) {
                *why = held_by(&live);
            }
        }
        Seen::Gone(live) => drop(waiting.remove(&live.id)),
        Seen::Listed(listed) => waiting.retain(|id, _| {
            let elsewhere = listed.namespace.is_some() && listed.namespace != id.namespace;
            id.group_kind() != listed.kind || elsewhere || listed.objects.contains(id)
        }),
        Seen::Lost(error) => waiting.values_mut().for_each(|why| {
            *why = format!("whether it is gone is not known: failed to {error}");
        }),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use serde_json::json;

    use super::take_in;
    use crate::cluster::Listed;
    use crate::cluster::Seen;
    use crate::object::GroupKind;
    use crate::object::Live;

    fn live(name: &str, finalizer: &str) -> Live {
        let metadata = json!({ "name": name, "namespace": "shop", "finalizers": [finalizer] });
        Live::read(json!({ "apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata })).unwrap()
    }

    fn listed(kind: &str, namespace: Option<&str>, names: &[&str]) -> Seen {
        let kind = GroupKind { group: String::new(), kind: kind.to_owned() };
        let objects = names.iter().map(|name| live(name, "f").id).collect();
        Seen::Listed(Listed { kind, namespace: namespace.map(str::to_owned), objects })
    }

    #[test]
    fn what_is_seen_by_table() {
        // what was seen → what is still waited for
        let cases: Vec<(Seen, &[&str])> = vec![
            (Seen::Gone(Box::new(live("one", "f"))), &["two"]),
            (Seen::Gone(Box::new(live("other", "f"))), &["one", "two"]),
            (Seen::There(Box::new(live("one", "f"))), &["one", "two"]),
            (listed("ConfigMap", Some("shop"), &["two", "other"]), &["two"]),
            (listed("ConfigMap", None, &[]), &[]),
            (listed("ConfigMap", Some("blog"), &[]), &["one", "two"]),
            (listed("Secret", Some("shop"), &[]), &["one", "two"]),
        ];
        for (number, (event, expected)) in cases.into_iter().enumerate() {
            let mut waiting: BTreeMap<_, _> =
                ["one", "two"].map(|name| (live(name, "f").id, String::new())).into();
            take_in(event, &mut waiting);
            let names: Vec<&str> = waiting.keys().map(|id| id.name.as_str()).collect();
            assert_eq!(names, expected, "{number}");
        }
        let mut waiting = BTreeMap::from([(live("one", "f").id, String::new())]);
        take_in(Seen::There(Box::new(live("one", "example.org/hold"))), &mut waiting);
        assert!(waiting.into_values().all(|why| why.contains("finalizer example.org/hold")));
    }
}
