//! What a cluster can answer, and whose turn it is then.

use std::fmt;

use crate::fault::Fault;
use crate::object::Cause;

/// How does an API server begin what it says of a manifest that does not fit its kind's schema?
const UNTYPED: &str = "failed to create typed patch object";

/// How many characters of a server's words are kept? A webhook may answer with anything.
const WORDS: usize = 4_000;

/// The status code for an object that is not valid.
const INVALID: u16 = 422;

/// The status code for an object that somebody else changed, and for fields that others set.
const CONFLICT: u16 = 409;

/// What the API machinery calls a cause of the latter.
const OF_MANAGERS: &str = "FieldManagerConflict";

/// How does such a cause begin, before the name of the manager and another quotation mark?
const CONTESTED: &str = "conflict with \"";

/// How does it go on where the manager did so by a subresource?
const OF_SUBRESOURCE: &str = " with subresource ";

/// How many causes of a refusal are kept?
const CAUSES: usize = 1_000;

/// A step at a cluster that failed; each message reads on after "failed to".
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// The kubeconfig cannot be used.
    #[error("use the kubeconfig of cluster {cluster}: {why}")]
    Kubeconfig {
        /// The cluster.
        cluster: String,
        /// What is wrong and what to do.
        why: String,
    },
    /// The kinds that the server knows could not be read.
    #[error("discover the kinds of cluster {cluster}: {answer}")]
    Discover {
        /// The cluster.
        cluster: String,
        /// What came back.
        answer: Answer,
    },
    /// An object could not be read.
    #[error("read {what}: {answer}")]
    Read {
        /// The object.
        what: String,
        /// What came back.
        answer: Answer,
    },
    /// The members of a kind could not be listed.
    #[error("list {what}: {answer}")]
    List {
        /// The kind and the namespace.
        what: String,
        /// What came back.
        answer: Answer,
    },
    /// The parent object could not be replaced.
    #[error("take the fence {what}: {answer}")]
    Fence {
        /// The parent.
        what: String,
        /// What came back.
        answer: Answer,
    },
    /// The name of a user cannot be sent.
    #[error("write as {0}: that is no name of a user; correct service_account")]
    User(String),
    /// The server would not take an object.
    #[error("dry-run {what}: {answer}")]
    DryRun {
        /// The object.
        what: String,
        /// What came back.
        answer: Answer,
    },
    /// An object could not be applied.
    #[error("apply {what}: {answer}")]
    Apply {
        /// The object.
        what: String,
        /// What came back.
        answer: Answer,
    },
    /// An object could not be deleted.
    #[error("delete {what}: {answer}")]
    Delete {
        /// The object.
        what: String,
        /// What came back.
        answer: Answer,
    },
    /// An object could not be let go.
    #[error("let go of {what}: {answer}")]
    Release {
        /// The object.
        what: String,
        /// What came back.
        answer: Answer,
    },
    /// Objects could not be watched.
    #[error("watch {what}: {answer}")]
    Watch {
        /// The kind and the namespace.
        what: String,
        /// What came back.
        answer: Answer,
    },
}

/// What came back instead of success.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// The server said no.
    Refused {
        /// The HTTP status code.
        code: u16,
        /// The server's own words.
        message: String,
        /// What it has against which field, where it says so of an object that is not valid.
        causes: Vec<Cause>,
    },
    /// There was no answer, or not all of one.
    Unreachable(String),
}

impl Answer {
    /// Returns whether somebody else wrote first.
    #[must_use]
    pub fn is_conflict(&self) -> bool {
        matches!(self, Self::Refused { code: CONFLICT, .. }) && !self.is_contested()
    }

    /// Returns whether other field managers have set fields to something else, of which [`Answer::causes`] tell.
    #[must_use]
    pub fn is_contested(&self) -> bool {
        matches!(self, Self::Refused { code: CONFLICT, causes, .. } if !causes.is_empty())
    }

    /// Returns the field managers that have set fields otherwise; an empty text for one that did so by a subresource, such as
    /// a scale, whose entry is taken from nobody.
    pub fn contestants(&self) -> impl Iterator<Item = &str> {
        let causes = self.causes().iter().filter(|_| self.is_contested());
        causes.map(|cause| {
            let name = cause.message.strip_prefix(CONTESTED).and_then(|rest| rest.split_once('"'));
            let name = name.filter(|(_, rest)| !rest.starts_with(OF_SUBRESOURCE));
            name.map_or("", |(name, _)| name)
        })
    }

    /// Returns whether the object, its namespace or its kind is not there.
    #[must_use]
    pub fn is_not_found(&self) -> bool {
        matches!(self, Self::Refused { code: 404, .. })
    }

    /// Returns whether what the object needs is not there yet, or another of its name still is: its namespace or its kind,
    /// which another application may bring, or a namespace that is being deleted.
    #[must_use]
    pub fn is_early(&self) -> bool {
        let is_ending = |message: &str| message.contains(TERMINATED);
        self.is_not_found() || matches!(self, Self::Refused { code: 403, message, .. } if is_ending(message))
    }

    /// Returns whether the identity may not do this.
    #[must_use]
    pub fn is_forbidden(&self) -> bool {
        matches!(self, Self::Refused { code: 403, .. })
    }
}

impl Answer {
    /// Returns what a server has against single fields of an object.
    #[must_use]
    pub fn causes(&self) -> &[Cause] {
        match self {
            Self::Refused { causes, .. } => causes,
            Self::Unreachable(_) => &[],
        }
    }

    pub(super) fn unknown_kind(api_version: &str, kind: &str) -> Self {
        let message = format!("the cluster does not know the kind {kind} of {api_version}");
        Self::Refused { code: 404, message, causes: Vec::new() }
    }
}

impl fmt::Display for Answer {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Refused { message, .. } => out.write_str(message),
            Self::Unreachable(why) => write!(out, "the cluster did not answer: {why}"),
        }
    }
}

impl From<kube::Error> for Answer {
    fn from(error: kube::Error) -> Self {
        if let kube::Error::Api(status) = &error {
            return Self::refused(status);
        }
        // The chain is where the cause is: "connection refused" stands two errors deep.
        let mut words = error.to_string();
        let mut source = std::error::Error::source(&error);
        while let Some(cause) = source {
            words = cause.to_string();
            source = cause.source();
        }
        Self::Unreachable(words)
    }
}

impl Answer {
    pub(super) fn refused(status: &kube::core::Status) -> Self {
        let words = [&status.message, &status.reason].into_iter().find(|words| !words.is_empty());
        let message = words.map_or_else(|| format!("status {}", status.code), Clone::clone);
        let message = message.chars().take(WORDS).collect();
        let causes = status.details.iter().flat_map(|details| &details.causes);
        // Only of an object that is not valid, and of fields that others set, do they tell of its fields.
        let causes = causes.filter(|cause| match status.code {
            INVALID => true,
            CONFLICT => cause.reason == OF_MANAGERS,
            _ => false,
        });
        let causes = causes.take(CAUSES);
        let causes = causes.map(|cause| Cause { field: cause.field.clone(), message: cause.message.clone() });
        Self::Refused { code: status.code, message, causes: causes.collect() }
    }
}

/// The words by which the admission of a server refuses whatever is created in a namespace that is being deleted.
const TERMINATED: &str = "because it is being terminated";

/// The words that stand for an answer which is none of an API server's, such as a plain "404 page not found".
const UNREAD: &str = "Failed to parse error data";

impl Error {
    /// Returns what came back, where a cluster was asked.
    #[must_use]
    pub fn answer(&self) -> Option<&Answer> {
        match self {
            Self::Kubeconfig { .. } | Self::User(_) => None,
            Self::Discover { answer, .. }
            | Self::Read { answer, .. }
            | Self::List { answer, .. }
            | Self::Fence { answer, .. }
            | Self::DryRun { answer, .. }
            | Self::Apply { answer, .. }
            | Self::Delete { answer, .. }
            | Self::Release { answer, .. }
            | Self::Watch { answer, .. } => Some(answer),
        }
    }

    /// Returns whose turn it is.
    ///
    /// A refusal of an object is its author's; a refusal of what windlass needs for itself is ours; everything that
    /// the next try may find otherwise is passing.
    #[must_use]
    pub fn fault(&self) -> Fault {
        let Some(Answer::Refused { code, message, .. }) = self.answer() else {
            return if self.answer().is_some() { Fault::Passing } else { Fault::Ours };
        };
        match code {
            401 => Fault::Ours,
            _ if self.answer().is_some_and(Answer::is_contested) => Fault::Theirs,
            // A value of the wrong type is answered as if the server had broken down.
            500 if message.starts_with(UNTYPED) => Fault::Theirs,
            409 | 410 | 429 | 500.. => Fault::Passing,
            // No API server said it: something in front of one, or one that is only starting.
            _ if message == UNREAD => Fault::Passing,
            _ => match self {
                Self::DryRun { .. } | Self::Apply { .. } | Self::Delete { .. } | Self::Release { .. } => {
                    Fault::Theirs
                }
                Self::List { .. } if *code == 403 => Fault::Theirs,
                Self::Kubeconfig { .. }
                | Self::User(_)
                | Self::Discover { .. }
                | Self::Read { .. }
                | Self::List { .. }
                | Self::Fence { .. }
                | Self::Watch { .. } => Fault::Ours,
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Answer;
    use super::Error;
    use super::UNTYPED;
    use crate::fault::Fault;

    #[test]
    fn what_may_yet_be_there_by_table() {
        let ending = "configmaps \"a\" is forbidden: unable to create new content in namespace b because it is being terminated";
        for (code, message, early) in [
            (404, "namespaces \"b\" not found", true),
            (403, ending, true),
            (403, "configmaps is forbidden: User \"w\" cannot create", false),
            (422, ending, false),
        ] {
            let answer = Answer::Refused { code, message: message.into(), causes: Vec::new() };
            assert_eq!(answer.is_early(), early, "{code} {message}");
        }
        assert!(!Answer::Unreachable("reset".into()).is_early());
    }

    #[test]
    fn fields_that_others_set_are_no_race() {
        let told = |reason: &str, how: &str| {
            let text = format!(
                r#"{{"status":"Failure","message":"Apply failed with 1 conflict","reason":"Conflict","code":409,
                "details":{{"causes":[{{"reason":"{reason}","field":".spec.replicas",
                "message":"conflict with \"kubectl-edit\"{how} using apps/v1"}}]}}}}"#
            );
            Answer::refused(&serde_json::from_str(&text).unwrap())
        };
        let status = |reason: &str| told(reason, "");
        let scaled = told("FieldManagerConflict", " with subresource \\\"scale\\\"");
        assert_eq!(scaled.contestants().collect::<Vec<_>>(), [""], "{scaled:?}");
        let contested = status("FieldManagerConflict");
        assert!(contested.is_contested() && !contested.is_conflict());
        assert_eq!(contested.contestants().collect::<Vec<_>>(), ["kubectl-edit"]);
        let apply = |answer| Error::Apply { what: "x".into(), answer };
        assert_eq!(apply(contested).fault(), Fault::Theirs);
        let raced = status("Other");
        assert!(!raced.is_contested() && raced.is_conflict() && raced.contestants().next().is_none());
        assert_eq!(apply(raced).fault(), Fault::Passing);
    }

    #[test]
    fn whose_turn_it_is() {
        let refused = |code| Answer::Refused { code, message: "no".into(), causes: Vec::new() };
        let apply = |code| Error::Apply { what: "x".into(), answer: refused(code) };
        let fence = |code| Error::Fence { what: "x".into(), answer: refused(code) };
        let cases = [
            (apply(422), Fault::Theirs),
            (apply(403), Fault::Theirs),
            (apply(400), Fault::Theirs),
            (apply(401), Fault::Ours),
            (apply(409), Fault::Passing),
            (apply(429), Fault::Passing),
            (apply(503), Fault::Passing),
            (apply(500), Fault::Passing),
            (
                Error::DryRun {
                    what: "x".into(),
                    answer: Answer::Refused {
                        code: 500,
                        message: format!("{UNTYPED} (a/b; /v1, Kind=C)"),
                        causes: Vec::new(),
                    },
                },
                Fault::Theirs,
            ),
            (
                Error::List {
                    what: "x".into(),
                    answer: Answer::Refused { code: 404, message: super::UNREAD.into(), causes: Vec::new() },
                },
                Fault::Passing,
            ),
            (fence(403), Fault::Ours),
            (fence(409), Fault::Passing),
            (Error::Apply { what: "x".into(), answer: Answer::Unreachable("reset".into()) }, Fault::Passing),
            (Error::Kubeconfig { cluster: "east".into(), why: "gone".into() }, Fault::Ours),
            (Error::User("a\nb".into()), Fault::Ours),
        ];
        for (error, expected) in cases {
            assert_eq!(error.fault(), expected, "{error}");
        }
    }
}
