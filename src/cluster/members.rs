//! Reading objects: the members of a set by label, and single ones by name.

use std::collections::BTreeMap;

use futures::StreamExt;
use futures::stream;
use kube::core::DynamicObject;
use kube::core::Request;
use kube::core::Resource;
use kube::core::params::GetParams;
use kube::core::params::ListParams;

use super::Answer;
use super::Cluster;
use super::Error;
use super::Kinds;
use crate::member::PART_OF;
use crate::object::GroupKind;
use crate::object::Live;
use crate::object::ObjectId;
use crate::object::Scope;

/// What was found of a set.
#[derive(Debug, Default)]
pub struct Members {
    /// The members.
    pub found: Vec<Live>,
    /// The kinds that the cluster does not know at present: nothing of them may be pruned.
    pub unknown: Vec<GroupKind>,
    /// The lists that failed.
    pub errors: Vec<Error>,
}

impl Cluster {
    /// Lists the members of the set `set` that are of `kinds` and in `namespaces` or in none; each kind in the version
    /// that `versions` says, and else in the server's preferred one.
    pub async fn members<'a>(
        &self,
        set: &str,
        known: &Kinds,
        kinds: impl Iterator<Item = &'a GroupKind>,
        versions: &BTreeMap<GroupKind, &str>,
        namespaces: &[String],
    ) -> Members {
        let mut members = Members::default();
        let mut lists = Vec::new();
        for kind in kinds {
            let wanted = versions.get(kind).and_then(|version| known.known(version, &kind.kind));
            let preferred = || known.api_version(kind).and_then(|version| known.known(version, &kind.kind));
            let Some(entry) = wanted.or_else(preferred) else {
                members.unknown.push(kind.clone());
                continue;
            };
            match entry.scope {
                Scope::Cluster => lists.push((entry, None)),
                Scope::Namespaced => lists.extend(namespaces.iter().map(|name| (entry, Some(name.as_str())))),
            }
        }
        let answers = lists.into_iter().map(|(entry, namespace)| async move {
            let what = || match namespace {
                Some(namespace) => format!("{} in namespace {namespace}", entry.resource.plural),
                None => entry.resource.plural.clone(),
            };
            let url = DynamicObject::url_path(&entry.resource, namespace);
            let listed = self.list(&url, set, &entry.resource.api_version, &entry.resource.kind).await;
            let kind = GroupKind { group: entry.resource.group.clone(), kind: entry.resource.kind.clone() };
            (kind, listed.map_err(|answer| Error::List { what: what(), answer }))
        });
        let answers: Vec<_> = answers.collect();
        let mut answers = stream::iter(answers).buffer_unordered(self.requests());
        while let Some((kind, answer)) = answers.next().await {
            match answer {
                Ok(found) => members.found.extend(found),
                // Its definition went away since the kinds were discovered.
                Err(error) if error.answer().is_some_and(Answer::is_not_found) => {
                    self.forget_kinds().await;
                    members.unknown.push(kind);
                }
                Err(error) => members.errors.push(error),
            }
        }
        members
    }

    async fn list(&self, url: &str, set: &str, api_version: &str, kind: &str) -> Result<Vec<Live>, Answer> {
        let mut pages = self.pages(url, ListParams::default().labels(&format!("{PART_OF}={set}")), false);
        let mut found = Vec::new();
        while let Some(items) = pages.next().await? {
            // Items of a list do not say what they are.
            found.extend(items.into_iter().filter_map(|mut item| {
                let fields = item.as_object_mut()?;
                fields.insert("apiVersion".to_owned(), api_version.into());
                fields.insert("kind".to_owned(), kind.into());
                Live::read(item)
            }));
        }
        Ok(found)
    }

    /// Reads objects by name; those that are not there, and those of unknown kinds, are left out.
    ///
    /// # Errors
    /// All that the cluster refused or did not answer.
    pub async fn read(&self, known: &Kinds, objects: &[(&str, &ObjectId)]) -> Result<Vec<Live>, Vec<Error>> {
        let answers = objects.iter().map(|(api_version, id)| async move {
            let Some(entry) = known.known(api_version, &id.kind) else { return Ok(None) };
            let url = DynamicObject::url_path(&entry.resource, id.namespace.as_deref());
            match self.send(Request::new(url).get(&id.name, &GetParams::default())).await {
                Ok(value) => Ok(Live::read(value)),
                Err(answer) if answer.is_not_found() => Ok(None),
                Err(answer) => Err(Error::Read { what: id.to_string(), answer }),
            }
        });
        let answers: Vec<_> = answers.collect();
        let answers: Vec<_> = stream::iter(answers).buffer_unordered(self.requests()).collect().await;
        let mut found = Vec::new();
        let mut errors = Vec::new();
        for answer in answers {
            match answer {
                Ok(live) => found.extend(live),
                Err(error) => errors.push(error),
            }
        }
        if errors.is_empty() { Ok(found) } else { Err(errors) }
    }
}
