//! What a patrol makes of what it sees, step by step.

use std::collections::BTreeSet;

use serde_json::Value;
use serde_json::json;

use super::Suspicion;
use super::Watchlist;
use crate::annotation::Turn;
use crate::application::Name;
use crate::application::Target;
use crate::applyset::Parent;
use crate::cluster::Listed;
use crate::commit::CommitId;
use crate::drift::Sight;
use crate::member;
use crate::object::GroupKind;
use crate::object::Live;

const MANAGER: &str = "windlass:shop";

fn name(text: &str) -> Name {
    Name::parse(text).unwrap()
}

/// The parent of the application `shop`, whose pass is done or not.
fn parent(done: bool, commit: char) -> Parent {
    let mut parent = Parent::absent(&name("shop"), "windlass");
    parent.fence.installation = "home".to_owned();
    parent.fence.source = Some(name("code"));
    parent.fence.commit = Some(CommitId::parse(&commit.to_string().repeat(40)).unwrap());
    parent.fence.done = done;
    parent.group_kinds.insert(GroupKind { group: String::new(), kind: "ConfigMap".into() });
    parent.namespaces.insert("shop".into());
    parent
}

fn live(parent: &Parent) -> Live {
    Live::read(parent.write()).unwrap()
}

/// A member that owns these fields since a time, with other managers' entries.
fn config_map(name: &str, fields: Value, others: &[Value]) -> Live {
    let ours = json!({ "manager": MANAGER, "operation": "Apply", "time": "10", "fieldsV1": fields });
    let entries: Vec<Value> = others.iter().cloned().chain([ours]).collect();
    let labels = json!({ member::PART_OF: parent(true, 'a').id() });
    let metadata =
        json!({ "name": name, "namespace": "shop", "uid": name, "labels": labels, "managedFields": entries });
    Live::read(json!({ "apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata })).unwrap()
}

/// The parent of an application that owns what it applied of these.
fn owning(mut parent: Parent, members: &[Live]) -> Parent {
    let marks = members.iter().map(|live| Sight::of(&live.value, MANAGER).mark(&live.id));
    parent.fence.owned = Some(marks.fold(0, u64::wrapping_add));
    parent
}

fn edit(time: &str) -> Value {
    json!({ "manager": "kubectl-edit", "operation": "Update", "time": time, "fieldsV1": { "f:data": {} } })
}

fn whole() -> Value {
    json!({ "f:data": { "f:a": {} } })
}

/// A list that knows the application and one member.
fn list(done: bool) -> Watchlist {
    let mut list = Watchlist::default();
    assert!(list.parent(&live(&parent(done, 'a')), "home").is_empty());
    assert_eq!(list.member(config_map("one", whole(), &[])), None);
    list
}

fn names(suspicions: &[Suspicion]) -> Vec<&str> {
    suspicions.iter().map(|one| one.object.name.as_str()).collect()
}

#[test]
fn a_field_that_was_taken_and_an_object_that_is_gone_are_suspected() {
    let mut list = list(true);
    assert_eq!(list.member(config_map("one", whole(), &[edit("11")])), None, "it took nothing of ours");
    let taken = list.member(config_map("one", json!({}), &[edit("11")])).unwrap();
    assert_eq!(taken.object.name, "one");
    assert_eq!(list.member(config_map("one", json!({}), &[edit("11")])), None, "it is said once");
    let gone = list.member_gone(&taken.object).unwrap();
    assert_eq!((gone.object, gone.gone), (taken.object.clone(), true));
    assert_eq!(list.member_gone(&taken.object), None);
}

#[test]
fn what_an_object_says_of_its_own_drift_is_handed_on() {
    for (says, own) in [("correct", true), ("report", true), ("off", false), ("perhaps", false)] {
        let mut list = list(true);
        let annotated = |fields: Value, others: &[Value]| {
            let mut live = config_map("two", fields, others);
            live.value["metadata"]["annotations"] = json!({ "windlass.dev/self-heal": says });
            live
        };
        assert_eq!(list.member(annotated(whole(), &[])), None);
        // Also where somebody took the annotation away with the field.
        let taken = list.member(config_map("two", json!({}), &[edit("11")])).unwrap();
        assert_eq!(taken.own, own, "{says}");
        list.member(annotated(whole(), &[]));
        assert_eq!(list.member_gone(&taken.object).unwrap().own, own, "{says}");
    }
}

#[test]
fn what_happened_before_is_told_by_the_order_of_writes() {
    let mut list = list(true);
    assert_eq!(list.member(config_map("before", whole(), &[edit("09")])), None);
    assert!(list.member(config_map("after", whole(), &[edit("11")])).is_some());
}

#[test]
fn what_is_seen_during_a_pass_is_held_until_it_is_done() {
    let mut list = list(false);
    assert_eq!(list.member(config_map("one", json!({}), &[edit("11")])), None);
    assert!(list.parent(&live(&parent(false, 'a')), "home").is_empty());
    assert_eq!(names(&list.parent(&live(&parent(true, 'a')), "home")), ["one"]);
    assert!(list.parent(&live(&parent(true, 'a')), "home").is_empty());
}

#[test]
fn a_list_without_a_member_says_that_it_is_gone() {
    let mut list = Watchlist::default();
    let members = ["one", "two"].map(|name| config_map(name, whole(), &[]));
    list.parent(&live(&owning(parent(true, 'a'), &members)), "home");
    members.into_iter().for_each(|live| assert_eq!(list.member(live), None));
    let listed = |kind: &str, namespace: Option<&str>, objects: &[&str]| Listed {
        kind: GroupKind { group: String::new(), kind: kind.into() },
        namespace: namespace.map(str::to_owned),
        objects: objects.iter().map(|name| config_map(name, whole(), &[]).id).collect::<BTreeSet<_>>(),
    };
    for (kind, namespace, objects, gone) in [
        ("Secret", None, vec![], vec![]),
        ("ConfigMap", Some("other"), vec![], vec![]),
        ("ConfigMap", Some("shop"), vec!["one", "two"], vec![]),
        ("ConfigMap", Some("shop"), vec!["one"], vec!["two"]),
        ("ConfigMap", None, vec![], vec!["one"]),
    ] {
        assert_eq!(
            names(&list.members_listed(&listed(kind, namespace, &objects))),
            gone,
            "{kind} {namespace:?}"
        );
    }
}

#[test]
fn a_member_that_comes_before_its_parent_is_kept() {
    let mut list = Watchlist::default();
    assert_eq!(list.member(config_map("one", whole(), &[edit("11")])), None);
    assert_eq!(names(&list.parent(&live(&parent(true, 'a')), "home")), ["one"]);
    assert_eq!(list.places().len(), 1);
}

#[test]
fn another_installations_applications_are_not_ours_to_watch() {
    let mut list = Watchlist::default();
    list.parent(&live(&parent(true, 'a')), "elsewhere");
    assert!(list.places().is_empty());
    assert_eq!(list.member(config_map("one", whole(), &[edit("11")])), None);
    let known = live(&parent(true, 'a'));
    list.parent(&known, "home");
    list.parent_gone(&known);
    list.recollect();
    assert!(list.places().is_empty());
}

#[test]
fn only_places_that_are_new_are_news() {
    let mut list = Watchlist::default();
    assert!(!list.grew());
    let mut one = parent(true, 'a');
    list.parent(&live(&one), "elsewhere");
    assert!(!list.grew(), "another installation's are not watched");
    list.parent(&live(&one), "home");
    assert_eq!([list.grew(), list.grew()], [true, false]);
    list.parent(&live(&parent(true, 'b')), "home");
    assert!(!list.grew());
    one.namespaces.insert("stall".into());
    list.parent(&live(&one), "home");
    assert!(list.grew());
    one.group_kinds.insert(GroupKind { group: "apps".into(), kind: "Deployment".into() });
    list.parent(&live(&one), "home");
    assert!(list.grew());
    let namespaces: Vec<usize> = list.places().values().map(BTreeSet::len).collect();
    assert_eq!(namespaces, [2, 2]);
}

#[test]
fn a_new_commit_ends_the_waiting() {
    let mut list = list(true);
    let suspicion = list.member(config_map("one", json!({}), &[edit("11")])).unwrap();
    let wait = |list: &mut Watchlist, now| list.ask(&suspicion, &name("east"), now).unwrap();
    let (target, source, first) = wait(&mut list, 0);
    assert_eq!((target.to_string().as_str(), source.as_str(), first), ("shop@east", "code", 0));
    assert_eq!(wait(&mut list, 1).2, 2_000);
    list.parent(&live(&parent(true, 'b')), "home");
    assert_eq!(wait(&mut list, 2).2, 0);
}

#[test]
fn members_that_went_before_the_patrol_began_are_missed() {
    let listed = |namespace: &str| Listed {
        kind: GroupKind { group: String::new(), kind: "ConfigMap".into() },
        namespace: Some(namespace.to_owned()),
        objects: std::iter::once(config_map("one", whole(), &[]).id).collect(),
    };
    for (members, expected) in [(1, &[][..]), (2, &["windlass-shop"][..])] {
        let mut parent = owning(parent(true, 'a'), &[config_map("one", whole(), &[])]);
        parent.fence.members = members;
        let mut list = Watchlist::default();
        list.parent(&live(&parent), "home");
        list.member(config_map("one", whole(), &[]));
        assert!(list.members_listed(&listed("elsewhere")).is_empty(), "not all were listed yet");
        assert_eq!(names(&list.members_listed(&listed("shop"))), expected, "{members}");
        assert!(list.members_listed(&listed("shop")).is_empty(), "it is said once");
    }
}

#[test]
fn members_that_went_before_their_kind_was_watched_are_missed() {
    let listed = |group: &str, kind: &str, objects: &[Live]| Listed {
        kind: GroupKind { group: group.into(), kind: kind.into() },
        namespace: Some("shop".to_owned()),
        objects: objects.iter().map(|live| live.id.clone()).collect(),
    };
    let one = config_map("one", whole(), &[]);
    let mut parent = owning(parent(true, 'a'), std::slice::from_ref(&one));
    parent.fence.members = 1;
    let mut list = Watchlist::default();
    list.parent(&live(&parent), "home");
    list.member(one.clone());
    assert!(list.members_listed(&listed("", "ConfigMap", &[one])).is_empty(), "all is there");
    parent.group_kinds.insert(GroupKind { group: "example.org".into(), kind: "Widget".into() });
    parent.fence.members = 2;
    assert!(list.parent(&live(&parent), "home").is_empty(), "it is not watched yet");
    assert_eq!(names(&list.members_listed(&listed("example.org", "Widget", &[]))), ["windlass-shop"]);
}

#[test]
fn a_field_that_went_before_the_patrol_began_is_missed() {
    let listed = Listed {
        kind: GroupKind { group: String::new(), kind: "ConfigMap".into() },
        namespace: Some("shop".to_owned()),
        objects: std::iter::once(config_map("one", whole(), &[]).id).collect(),
    };
    let less = json!({ "f:data": {} });
    // what the application owned, what it owns, whether all is written → is a pass asked for?
    for (before, now, written, expected) in [
        (Some(whole()), whole(), true, false),
        (Some(whole()), less.clone(), true, true),
        (None, less.clone(), true, false),
        (Some(whole()), less, false, true),
    ] {
        let mut parent = parent(true, 'a');
        if let Some(before) = &before {
            parent = owning(parent, &[config_map("one", before.clone(), &[])]);
        }
        parent.fence.next = (!written).then_some(Turn::END);
        let mut list = Watchlist::default();
        list.parent(&live(&parent), "home");
        assert_eq!(list.member(config_map("one", now.clone(), &[])), None);
        let found = list.members_listed(&listed);
        assert_eq!(!found.is_empty(), expected, "{before:?} {now} {written}");
        assert!(found.iter().all(|one| list.stands(one)));
        // Another pass may have come in between.
        list.parent(&live(&owning(parent.clone(), &[config_map("one", now, &[])])), "home");
        assert!(!found.iter().any(|one| list.stands(one)));
    }
}

#[test]
fn what_a_pass_prunes_is_nobody_elses_doing() {
    let with = |done, members| {
        let mut parent = parent(done, 'a');
        parent.fence.members = members;
        live(&parent)
    };
    let mut list = Watchlist::default();
    list.parent(&with(true, 2), "home");
    let [one, two] = ["one", "two"].map(|name| config_map(name, whole(), &[]));
    let ids = [one.id.clone(), two.id.clone()];
    list.member(one);
    list.member(two);
    list.parent(&with(false, 2), "home");
    assert_eq!(list.member_gone(&ids[0]), None, "a pass is under way");
    let held = list.parent(&with(true, 1), "home");
    assert_eq!(names(&held), ["one"]);
    assert!(!list.stands(&held[0]), "there are as many as there should be");
    let gone = list.member_gone(&ids[1]).unwrap();
    assert!(list.stands(&gone), "this one nobody pruned");
    list.parent(&with(false, 1), "home");
    assert!(!list.stands(&gone), "a pass is under way");
    assert_eq!(names(&list.parent(&with(true, 1), "home")), ["two"], "and it is looked at again");
}

#[test]
fn an_application_that_left_the_settings_is_left_behind_until_its_parent_is_gone() {
    let (mut list, east) = (list(true), name("east"));
    let shop = Target { application: name("shop"), cluster: east.clone() };
    let elsewhere = Target { application: name("shop"), cluster: name("west") };
    for (declared, expected) in
        [(vec![&shop], vec![]), (vec![&elsewhere], vec![&shop]), (vec![], vec![&shop])]
    {
        let declared = declared.into_iter().cloned().collect();
        let found = list.left_behind(&east, &declared);
        assert_eq!(found, expected.into_iter().cloned().collect(), "{declared:?}");
    }
    let mut foreign = parent(true, 'a');
    foreign.fence.installation = "other".to_owned();
    list.parent(&live(&foreign), "home");
    assert!(list.left_behind(&east, &BTreeSet::new()).is_empty(), "it is another installation's by now");
    list.parent(&live(&parent(true, 'a')), "home");
    list.parent_gone(&live(&parent(true, 'a')));
    assert!(list.left_behind(&east, &BTreeSet::new()).is_empty());
}
