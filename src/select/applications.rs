//! The applications, found by what events and targets name.

use std::collections::BTreeMap;

use crate::application::Application;
use crate::application::Name;
use crate::application::Target;

/// Applications that are found by their source or their name, without a look at the others: what one push costs does not
/// depend on how many there are.
#[derive(Clone, Debug, Default)]
pub struct Applications {
    all: Vec<Application>,
    by_source: BTreeMap<Name, Vec<usize>>,
    by_name: BTreeMap<Name, usize>,
}

impl Applications {
    /// Takes all applications; each has a name of its own.
    #[must_use]
    pub fn new(all: Vec<Application>) -> Self {
        let mut by_source: BTreeMap<Name, Vec<usize>> = BTreeMap::new();
        for (place, one) in all.iter().enumerate() {
            by_source.entry(one.source.clone()).or_default().push(place);
        }
        let by_name = all.iter().enumerate().map(|(place, one)| (one.name.clone(), place)).collect();
        Self { all, by_source, by_name }
    }

    /// Returns all of them, in the order of the settings.
    #[must_use]
    pub fn all(&self) -> &[Application] {
        &self.all
    }

    /// Returns those of one source, in the order of the settings.
    pub fn of_source(&self, source: &Name) -> impl Iterator<Item = &Application> {
        self.by_source.get(source).into_iter().flatten().filter_map(|place| self.all.get(*place))
    }

    /// Returns the one of this name.
    #[must_use]
    pub fn named(&self, name: &Name) -> Option<&Application> {
        self.all.get(*self.by_name.get(name)?)
    }

    /// Returns the application of a target, where it is one of this source and belongs in that cluster.
    #[must_use]
    pub fn of_target(&self, source: &Name, target: &Target) -> Option<&Application> {
        let one = self.named(&target.application).filter(|one| one.source == *source)?;
        one.clusters.contains(&target.cluster).then_some(one)
    }
}

#[cfg(test)]
mod tests {
    use super::Applications;
    use crate::application::Application;
    use crate::application::Name;
    use crate::application::Target;

    fn application(name: &str, source: &str) -> Application {
        let text = format!(
            r#"{{"name":"{name}","source":"{source}","ref":"refs/heads/main","path":"","clusters":["east"],
            "namespace":"{name}","prune":true,"health_deadline_ms":1}}"#
        );
        serde_json::from_str(&text).unwrap()
    }

    fn name(text: &str) -> Name {
        Name::parse(text).unwrap()
    }

    #[test]
    fn applications_are_found_by_source_name_and_target() {
        let all = [("a", "one"), ("b", "two"), ("c", "one")];
        let all = Applications::new(all.map(|(name, source)| application(name, source)).to_vec());
        let of =
            |source: &str| all.of_source(&name(source)).map(|one| one.name.to_string()).collect::<Vec<_>>();
        assert_eq!((of("one"), of("two")), (vec!["a".to_owned(), "c".into()], vec!["b".to_owned()]));
        assert!(of("three").is_empty());
        assert_eq!(all.named(&name("b")).map(|one| one.source.as_str()), Some("two"));
        let found = |source: &str, application: &str, cluster: &str| {
            let target = Target { application: name(application), cluster: name(cluster) };
            all.of_target(&name(source), &target).is_some()
        };
        assert!(found("one", "a", "east"));
        assert!(!found("two", "a", "east") && !found("one", "a", "west") && !found("one", "d", "east"));
    }
}
