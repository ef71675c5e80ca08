//! Ranges of semantic versions, and the tags that they cover.
//!
//! The language is the one that Flux's `semver` takes, so that a range means here what it means there: comparisons with
//! `=`, `!=`, `>`, `>=`, `<`, `<=`, `~` and `^`, all of which must hold; commas or spaces between them; `||` between
//! alternatives; `1.2 - 1.4`; and versions with parts left out, as `1.2` or `1.x`.

use std::cmp::Ordering;
use std::fmt;
use std::hash::Hash;
use std::hash::Hasher;
use std::ops::Bound;

use semver::BuildMetadata;
use semver::Prerelease;
use semver::Version;

use crate::commit::Malformed;
use crate::commit::RefName;

/// How long may a range be, in bytes?
const RANGE_BYTES: usize = 200;

/// Where do tags live among the refs?
const TAGS: &str = "refs/tags/";

/// A range of versions. It is known by its text alone.
#[derive(Clone, Debug)]
pub struct Range {
    text: String,
    /// A version is covered when one of them covers it.
    alternatives: Vec<Alternative>,
}

/// Comparisons that must all hold.
#[derive(Clone, Debug)]
struct Alternative {
    comparisons: Vec<Comparison>,
    /// Does one of them name a pre-release? Only then are pre-releases covered.
    pre: bool,
}

/// The versions from one bound to another, or all others.
#[derive(Clone, Debug)]
struct Comparison {
    within: bool,
    from: Bound<Version>,
    to: Bound<Version>,
}

impl Range {
    /// Reads a range.
    ///
    /// # Errors
    /// An empty text, one of more than 200 bytes, or one that is no range.
    pub fn parse(text: &str) -> Result<Self, Malformed> {
        const EXPECTED: &str =
            "a range of versions is comparisons such as >=1.2, <2, with || between alternatives";
        let text = text.trim();
        let refused = || Malformed::new(EXPECTED, text);
        if text.len() > RANGE_BYTES {
            return Err(refused());
        }
        let alternatives: Option<Vec<_>> = text.split("||").map(Alternative::parse).collect();
        Ok(Self { text: text.to_owned(), alternatives: alternatives.ok_or_else(refused)? })
    }

    /// Returns whether a ref is a tag that names a version of this range: `1.2.3`, or `v1.2.3`. Whatever else a tag may
    /// be called is no version.
    #[must_use]
    pub fn covers(&self, name: &RefName) -> bool {
        version(name).is_some_and(|version| self.has(&version))
    }

    /// Returns the tag of the highest version of this range.
    ///
    /// Versions that differ in their build metadata only are equal to Semantic Versioning. So that the choice is the
    /// same everywhere, the higher metadata wins (none is the lowest; numbers count as numbers and are below words),
    /// and of tags of the very same version the last by name: `v1.0.0` before `1.0.0`.
    pub fn highest<'a>(&self, names: impl IntoIterator<Item = &'a RefName>) -> Option<&'a RefName> {
        let versions = names.into_iter().filter_map(|name| Some((version(name)?, name)));
        versions.filter(|(version, _)| self.has(version)).max().map(|(_, name)| name)
    }

    /// Returns whether one ref would be chosen over another; nothing is chosen over what this range covers.
    #[must_use]
    pub fn prefers(&self, one: &RefName, other: Option<&RefName>) -> bool {
        self.covers(one) && Some(one) != other && self.highest(other.into_iter().chain([one])) == Some(one)
    }

    fn has(&self, version: &Version) -> bool {
        self.alternatives.iter().any(|one| {
            (version.pre.is_empty() || one.pre)
                && one.comparisons.iter().all(|comparison| comparison.has(version))
        })
    }
}

/// Returns the version that a tag names.
fn version(name: &RefName) -> Option<Version> {
    let tag = name.as_str().strip_prefix(TAGS)?;
    Version::parse(tag.strip_prefix('v').unwrap_or(tag)).ok()
}

impl Alternative {
    fn parse(text: &str) -> Option<Self> {
        let mut one = Self { comparisons: Vec::new(), pre: false };
        if let Some((from, to)) = text.split_once(" - ") {
            one.add(">=", Partial::parse(from.trim())?)?;
            one.add("<=", Partial::parse(to.trim())?)?;
            return Some(one);
        }
        let mut rest = text.trim();
        while !rest.is_empty() {
            let at = rest.find(|c| !"=!<>~^".contains(c))?;
            let (operator, after) = rest.split_at(at);
            let after = after.trim_start();
            let end =
                after.find(|c: char| c == ',' || c == ' ' || "=!<>~^".contains(c)).unwrap_or(after.len());
            let (partial, after) = after.split_at(end);
            one.add(operator, Partial::parse(partial)?)?;
            rest = after.trim_start();
            rest = rest.strip_prefix(',').map_or(rest, str::trim_start);
        }
        (!one.comparisons.is_empty() && !text.trim_end().ends_with(',')).then_some(one)
    }

    fn add(&mut self, operator: &str, partial: Partial) -> Option<()> {
        self.pre |= !partial.pre.is_empty();
        self.comparisons.push(Comparison::of(operator, partial)?);
        Some(())
    }
}

/// A version with parts left out from some point on.
struct Partial {
    major: Option<u64>,
    minor: Option<u64>,
    patch: Option<u64>,
    pre: Prerelease,
}

impl Partial {
    fn parse(text: &str) -> Option<Self> {
        let text = text.strip_prefix('v').unwrap_or(text);
        if let Ok(Version { major, minor, patch, pre, build }) = Version::parse(text) {
            // Nothing is compared by it, so naming it would mislead.
            let plain = build.is_empty();
            return plain.then_some(Self { major: Some(major), minor: Some(minor), patch: Some(patch), pre });
        }
        let mut parts = [None; 3];
        for (index, part) in text.split('.').enumerate() {
            let given = match part {
                "x" | "X" | "*" => None,
                // The crate knows which numbers are well-formed.
                number => Some(Version::parse(&format!("{number}.0.0")).ok()?.major),
            };
            let left_out = index > 0 && parts.get(index - 1)?.is_none();
            if left_out && given.is_some() {
                return None;
            }
            *parts.get_mut(index)? = given;
        }
        let [major, minor, patch] = parts;
        Some(Self { major, minor, patch, pre: Prerelease::EMPTY })
    }

    /// Returns the lowest version that it stands for.
    fn floor(&self) -> Version {
        let [major, minor, patch] = [self.major, self.minor, self.patch].map(Option::unwrap_or_default);
        Version { major, minor, patch, pre: self.pre.clone(), build: BuildMetadata::EMPTY }
    }

    /// Returns the first version above all that it stands for; nothing when it stands for one version.
    fn above(&self) -> Option<Version> {
        match (self.major, self.minor, self.patch) {
            (Some(_), Some(_), Some(_)) | (None, _, _) => None,
            (Some(major), Some(minor), None) => Some(first(major, minor.saturating_add(1), 0)),
            (Some(major), None, _) => Some(first(major.saturating_add(1), 0, 0)),
        }
    }

    /// Returns the first version above that may break what this one promises.
    fn breaking(&self) -> Version {
        match (self.major.unwrap_or_default(), self.minor, self.patch) {
            (0, Some(0), Some(patch)) => first(0, 0, patch.saturating_add(1)),
            (0, Some(minor), _) => first(0, minor.saturating_add(1), 0),
            (major, _, _) => first(major.saturating_add(1), 0, 0),
        }
    }
}

/// Returns the lowest of all versions with these numbers, which is a pre-release.
fn first(major: u64, minor: u64, patch: u64) -> Version {
    let pre = Prerelease::new("0").unwrap_or_default();
    Version { major, minor, patch, pre, build: BuildMetadata::EMPTY }
}

impl Comparison {
    /// Reads a comparison; nothing for an operator that there is not, or that makes no sense of any version.
    fn of(operator: &str, partial: Partial) -> Option<Self> {
        use Bound::Excluded;
        use Bound::Included;
        use Bound::Unbounded;
        if partial.major.is_none() {
            let all = matches!(operator, "" | "=" | ">=");
            return all.then_some(Self { within: true, from: Unbounded, to: Unbounded });
        }
        let (floor, above) = (partial.floor(), partial.above());
        let from = Included(floor.clone());
        let up_to = above.clone().map_or_else(|| Included(floor.clone()), Excluded);
        let (from, to) = match operator {
            "" | "=" | "!=" => (from, up_to),
            ">=" => (from, Unbounded),
            ">" => (above.map_or_else(|| Excluded(floor), Included), Unbounded),
            "<=" => (Unbounded, up_to),
            // Who wants what is below 2.0.0 does not want its release candidates.
            "<" if floor.pre.is_empty() => {
                (Unbounded, Excluded(first(floor.major, floor.minor, floor.patch)))
            }
            "<" => (Unbounded, Excluded(floor)),
            "^" => (from, Excluded(partial.breaking())),
            "~" => {
                let next = Partial { patch: None, pre: Prerelease::EMPTY, ..partial };
                (from, next.above().map_or(Unbounded, Excluded))
            }
            _ => return None,
        };
        Some(Self { within: operator != "!=", from, to })
    }

    fn has(&self, version: &Version) -> bool {
        let from = match &self.from {
            Bound::Included(from) => version.cmp_precedence(from) != Ordering::Less,
            Bound::Excluded(from) => version.cmp_precedence(from) == Ordering::Greater,
            Bound::Unbounded => true,
        };
        let to = match &self.to {
            Bound::Included(to) => version.cmp_precedence(to) != Ordering::Greater,
            Bound::Excluded(to) => version.cmp_precedence(to) == Ordering::Less,
            Bound::Unbounded => true,
        };
        (from && to) == self.within
    }
}

impl PartialEq for Range {
    fn eq(&self, other: &Self) -> bool {
        self.text == other.text
    }
}

impl Eq for Range {}

impl PartialOrd for Range {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Range {
    fn cmp(&self, other: &Self) -> Ordering {
        self.text.cmp(&other.text)
    }
}

impl Hash for Range {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.text.hash(state);
    }
}

impl fmt::Display for Range {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&self.text)
    }
}

#[cfg(test)]
mod tests;
