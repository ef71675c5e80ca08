//! Where a status leads: an address with places for what it is about.

use crate::application::Name;
use crate::application::Target;
use crate::commit::CommitId;
use crate::forge::post;

/// How many characters may an address have? GitLab takes 255 as `target_url`; where the names make it longer, a status
/// there leads nowhere.
const CHARS: usize = 200;

/// An address with `{source}`, `{commit}`, `{application}`, `{cluster}` and `{run}` in it. Invariant: an absolute `http`
/// or `https` URL without other places.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Link(Vec<Part>);

#[derive(Clone, Debug, PartialEq, Eq)]
enum Part {
    Text(String),
    Place(Place),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    Source,
    Commit,
    Application,
    Cluster,
    Run,
}

const PLACES: [(&str, Place); 5] = [
    ("source", Place::Source),
    ("commit", Place::Commit),
    ("application", Place::Application),
    ("cluster", Place::Cluster),
    ("run", Place::Run),
];

/// What a status is about.
#[derive(Clone, Copy, Debug)]
pub struct About<'a> {
    /// The source of the commit.
    pub source: &'a Name,
    /// The commit.
    pub commit: &'a CommitId,
    /// The target; `None` for the whole commit.
    pub target: Option<&'a Target>,
    /// The run, where there is one.
    pub run: Option<&'a str>,
}

impl Link {
    /// Reads an address.
    ///
    /// # Errors
    /// What is wrong with it and what is allowed; the text reads on after its key.
    pub fn parse(text: &str) -> Result<Self, &'static str> {
        let (_, rest) = text
            .split_once("://")
            .filter(|(scheme, _)| matches!(*scheme, "http" | "https"))
            .ok_or("must start with https:// or http://")?;
        if rest.is_empty()
            || rest.starts_with(['/', '{'])
            || rest.split('/').next().is_some_and(|host| host.contains('@'))
        {
            return Err("must name a host after ://, and no user");
        }
        if text.chars().any(|c| c.is_whitespace() || c.is_control()) || text.chars().count() > CHARS {
            return Err("must be at most 200 characters without spaces");
        }
        let mut parts = Vec::new();
        let mut left = text;
        while let Some((before, after)) = left.split_once('{') {
            let (name, after) = after.split_once('}').ok_or(ALLOWED)?;
            let (_, place) = PLACES.iter().find(|(word, _)| *word == name).ok_or(ALLOWED)?;
            parts.extend([Part::Text(before.to_owned()), Part::Place(*place)]);
            left = after;
        }
        if left.contains('}') {
            return Err(ALLOWED);
        }
        parts.push(Part::Text(left.to_owned()));
        Ok(Self(parts))
    }

    /// Returns the address for a status. A place for what a status has not is empty.
    #[must_use]
    pub fn to(&self, about: &About<'_>) -> String {
        let filled = |part: &Part| match part {
            Part::Text(text) => text.clone(),
            Part::Place(place) => post::escaped(place.of(about), "%2F"),
        };
        self.0.iter().map(filled).collect()
    }
}

const ALLOWED: &str =
    "may have {source}, {commit}, {application}, {cluster} and {run} in it, and no other braces";

impl Place {
    fn of<'a>(self, about: &About<'a>) -> &'a str {
        match self {
            Self::Source => about.source.as_str(),
            Self::Commit => about.commit.as_str(),
            Self::Application => about.target.map_or("", |target| target.application.as_str()),
            Self::Cluster => about.target.map_or("", |target| target.cluster.as_str()),
            Self::Run => about.run.unwrap_or(""),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::About;
    use super::Link;
    use crate::application::Name;
    use crate::application::Target;
    use crate::commit::CommitId;

    #[test]
    fn a_link_names_what_its_status_is_about() {
        let (source, commit) = (Name::parse("shop").unwrap(), CommitId::parse(&"c".repeat(40)).unwrap());
        let target =
            Target { application: Name::parse("front").unwrap(), cluster: Name::parse("east").unwrap() };
        let of_target =
            About { source: &source, commit: &commit, target: Some(&target), run: Some("r/1 ä") };
        let of_whole = About { target: None, run: None, ..of_target };
        let cases = [
            (
                "https://wiki.example.org/windlass",
                "https://wiki.example.org/windlass",
                "https://wiki.example.org/windlass",
            ),
            (
                "https://g.example.org/d?app={application}&in={cluster}&run={run}",
                "https://g.example.org/d?app=front&in=east&run=r%2F1%20%C3%A4",
                "https://g.example.org/d?app=&in=&run=",
            ),
            (
                "http://[::1]:3000/{source}/{commit}",
                &format!("http://[::1]:3000/shop/{commit}"),
                &format!("http://[::1]:3000/shop/{commit}"),
            ),
        ];
        for (text, targets, whole) in cases {
            let link = Link::parse(text).unwrap();
            assert_eq!((link.to(&of_target).as_str(), link.to(&of_whole).as_str()), (targets, whole));
        }
    }

    #[test]
    fn what_is_no_address_is_refused_with_what_is_allowed() {
        let long = format!("https://example.org/{}", "a".repeat(200));
        let cases = [
            ("", "start with"),
            ("javascript://x", "start with"),
            ("example.org/{commit}", "start with"),
            ("https://", "a host"),
            ("https:///x", "a host"),
            ("https://{source}.example.org", "a host"),
            ("https://user:word@example.org/", "no user"),
            ("https://example.org/a b", "spaces"),
            (&long, "200"),
            ("https://example.org/{object}", "{application}"),
            ("https://example.org/{commit", "{application}"),
            ("https://example.org/commit}", "{application}"),
        ];
        for (text, expected) in cases {
            let refused = Link::parse(text).unwrap_err();
            assert!(refused.contains(expected), "{text}: {refused}");
        }
    }
}
