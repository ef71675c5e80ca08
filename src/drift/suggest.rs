//! Which rule would settle drift that was seen: the smallest that leaves it to those who made it.

use std::collections::BTreeMap;
use std::collections::BTreeSet;

use crate::annotation::POINTERS;
use crate::annotation::Pointer;
use crate::application::Name;
use crate::ignore::IgnoreRule;
use crate::moment::Moment;
use crate::object::ObjectId;
use crate::outcome::Drift;

use super::NAMED_FIELDS;
use super::OWNERSHIP;
use super::field;

/// What was seen of the drift of one object, and what would settle it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Suggestion {
    /// The application.
    pub application: Name,
    /// The object.
    pub object: ObjectId,
    /// What was seen, by who wrote the object last.
    pub seen: Vec<Seen>,
    /// The rule of the settings; `None` where no rule leaves to others what happened: the object was gone or not
    /// declared, or too much is unknown.
    pub rule: Option<IgnoreRule>,
}

/// What somebody changed of an object.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Seen {
    /// Who wrote the object last; `None` where the server did not know.
    pub by: Option<String>,
    /// In which clusters.
    pub clusters: BTreeSet<Name>,
    /// The fields that differed; none where the object was gone, or should not be there.
    pub fields: BTreeSet<String>,
    /// How often.
    pub times: usize,
    /// When last.
    pub last: Moment,
    /// Was there a time at which so many fields differed that not all of them are known?
    cut: bool,
}

impl Suggestion {
    /// Returns the value of the annotation [`crate::annotation::IGNORE`] that does the same on the object; `None` where
    /// the rule is about managers, or there is none.
    #[must_use]
    pub fn annotation(&self) -> Option<String> {
        let rule = self.rule.as_ref()?;
        // Between the pointers of an annotation are blanks and commas, so one with such says something else there.
        let plain = |field: &String| !field.contains(|c: char| c == ',' || c.is_whitespace());
        let fine = rule.managers.is_empty() && rule.fields.iter().all(plain);
        fine.then(|| rule.fields.join(", "))
    }
}

/// Returns what would settle the drift of each object of these records, which come with their times, in the order in
/// which the objects are first named.
#[must_use]
pub fn suggest<'a>(records: impl IntoIterator<Item = (Moment, &'a Drift)>) -> Vec<Suggestion> {
    let mut order: Vec<(&Name, &ObjectId)> = Vec::new();
    let mut all: BTreeMap<(&Name, &ObjectId), BTreeMap<Option<&str>, Seen>> = BTreeMap::new();
    for (at, record) in records {
        for one in &record.objects {
            let key = (&record.target.application, &one.object);
            let seen = all.entry(key).or_insert_with(|| {
                order.push(key);
                BTreeMap::new()
            });
            let seen = seen.entry(one.by.as_deref()).or_default();
            seen.by.clone_from(&one.by);
            seen.clusters.insert(record.target.cluster.clone());
            seen.fields.extend(one.fields.iter().cloned());
            seen.times += 1;
            seen.last = seen.last.max(at);
            seen.cut |= one.fields.len() >= NAMED_FIELDS;
        }
    }
    let mut found = Vec::new();
    for key in order {
        let seen: Vec<Seen> = all.remove(&key).into_iter().flatten().map(|(_, one)| one).collect();
        let rule = rule(key.1, &seen);
        found.push(Suggestion { application: key.0.clone(), object: key.1.clone(), seen, rule });
    }
    found
}

/// Returns the rule that leaves fields to others where they are all known, or else what these managers set.
fn rule(object: &ObjectId, seen: &[Seen]) -> Option<IgnoreRule> {
    let mut seen = seen.iter().filter(|one| !one.fields.is_empty()).peekable();
    seen.peek()?;
    let seen: Vec<&Seen> = seen.collect();
    let rule = |fields, managers| IgnoreRule {
        kind: object.group_kind(),
        namespace: object.namespace.clone(),
        name: Some(object.name.clone()),
        fields,
        managers,
    };
    // Whoever leaves a field to others leaves also whose it is.
    let named: BTreeSet<&String> =
        seen.iter().flat_map(|one| &one.fields).filter(|name| *name != OWNERSHIP).collect();
    let pointers = named.into_iter().map(|name| {
        let pointer = field::pointer(name)?;
        Pointer::parse(&pointer).is_ok().then_some(pointer)
    });
    let fields: Option<Vec<String>> = pointers.collect();
    let fields = fields.filter(|fields| (1..=POINTERS).contains(&fields.len()));
    if let Some(fields) = fields.filter(|_| !seen.iter().any(|one| one.cut)) {
        return Some(rule(fields, Vec::new()));
    }
    let managers: Option<Vec<String>> = seen.iter().map(|one| one.by.clone()).collect();
    managers.map(|managers| rule(Vec::new(), managers))
}

#[cfg(test)]
mod tests {
    use super::suggest;
    use crate::moment::Moment;
    use crate::outcome::Drift;
    use crate::outcome::Drifted;

    fn record(cluster: &str, objects: &[(&str, &[&str], Option<&str>)]) -> Drift {
        let target = format!(r#"{{"application":"shop","cluster":"{cluster}"}}"#);
        let object = |name: &str| {
            let text =
                format!(r#"{{"group":"apps","kind":"Deployment","namespace":"shop","name":"{name}"}}"#);
            serde_json::from_str(&text).unwrap()
        };
        let objects = objects.iter().map(|(name, fields, by)| Drifted {
            object: object(name),
            fields: fields.iter().map(|field| (*field).to_owned()).collect(),
            by: by.map(str::to_owned),
            since: None,
        });
        let drift = format!(
            r#"{{"run":"r","source":"code","target":{target},"commit":"{}","objects":[],"corrected":true,"problems":[]}}"#,
            "a".repeat(40)
        );
        Drift { objects: objects.collect(), ..serde_json::from_str(&drift).unwrap() }
    }

    #[test]
    fn what_was_seen_of_an_object_is_counted_by_who_did_it() {
        let records = [
            record("east", &[("web", &["spec.replicas"], Some("hpa")), ("db", &["spec.paused"], None)]),
            record("west", &[("web", &["spec.replicas"], Some("hpa"))]),
            record("east", &[("web", &["spec.paused"], Some("kubectl"))]),
        ];
        let found = suggest(records.iter().zip([3, 2, 1]).map(|(one, at)| (Moment(at), one)));
        assert_eq!(found.iter().map(|one| one.object.name.as_str()).collect::<Vec<_>>(), ["web", "db"]);
        let seen: Vec<_> = found[0]
            .seen
            .iter()
            .map(|one| (one.by.as_deref(), one.times, one.last.0, one.clusters.len()))
            .collect();
        assert_eq!(seen, [(Some("hpa"), 2, 3, 2), (Some("kubectl"), 1, 1, 1)]);
        assert_eq!(found[0].annotation().as_deref(), Some("/spec/paused, /spec/replicas"));
    }

    #[test]
    fn the_rule_is_the_smallest_that_leaves_all_of_it() {
        let many: Vec<String> = (0..super::NAMED_FIELDS).map(|n| format!("data.k{n}")).collect();
        let many: Vec<&str> = many.iter().map(String::as_str).collect();
        let annotated = "metadata.annotations[example.org/note]";
        type Case<'a> =
            (&'a str, &'a [(&'a [&'a str], Option<&'a str>)], &'a [&'a str], &'a [&'a str], Option<&'a str>);
        let cases: &[Case<'_>] = &[
            (
                "a field",
                &[(&["spec.replicas"], Some("hpa"))],
                &["/spec/replicas"],
                &[],
                Some("/spec/replicas"),
            ),
            (
                "nobody is known",
                &[(&["spec.replicas"], None)],
                &["/spec/replicas"],
                &[],
                Some("/spec/replicas"),
            ),
            (
                "a key with dots",
                &[(&[annotated], Some("a"))],
                &["/metadata/annotations/example.org~1note"],
                &[],
                Some("/metadata/annotations/example.org~1note"),
            ),
            ("a blank", &[(&["data.a b"], Some("a"))], &["/data/a b"], &[], None),
            (
                "also whose it is",
                &[(&["spec.a"], Some("a")), (&["metadata.managedFields"], Some("b"))],
                &["/spec/a"],
                &[],
                Some("/spec/a"),
            ),
            ("only whose it is", &[(&["metadata.managedFields"], Some("b"))], &[], &["b"], None),
            ("what windlass needs", &[(&["metadata.labels"], Some("b"))], &[], &["b"], None),
            ("more than is named", &[(&many, Some("b"))], &[], &["b"], None),
        ];
        for (name, seen, fields, managers, annotation) in cases {
            let objects: Vec<_> = seen.iter().map(|(fields, by)| ("web", *fields, *by)).collect();
            let record = record("east", &objects);
            let found = suggest([(Moment(1), &record)]).remove(0);
            let rule = found.rule.clone().unwrap();
            assert_eq!(
                (&rule.fields[..], &rule.managers[..]),
                (&fields.map_owned()[..], &managers.map_owned()[..]),
                "{name}"
            );
            assert_eq!(found.annotation().as_deref(), *annotation, "{name}");
            assert!(rule.fits(&found.object), "{name}");
        }
        for nothing in [&[][..], &["metadata.managedFields"]] {
            let record = record("east", &[("web", nothing, None)]);
            assert_eq!(suggest([(Moment(1), &record)])[0].rule, None, "{nothing:?}");
        }
    }

    trait Owned {
        fn map_owned(&self) -> Vec<String>;
    }

    impl Owned for &[&str] {
        fn map_owned(&self) -> Vec<String> {
            self.iter().map(|text| (*text).to_owned()).collect()
        }
    }
}
