//! The door of these tests: a forge of each kind, called like it, each with a source `team/shop`; at `github`, a second
//! source reads the same repository.

use std::collections::BTreeMap;

use windlass::application::Name;
use windlass::bucket::Rate;
use windlass::clock::now;
use windlass::commit::CommitId;
use windlass::commit::RefName;
use windlass::event::Push;
use windlass::forge::Kind;
use windlass::intake::Intake;
use windlass::intake::Keys;
use windlass::intake::Known;
use windlass::secret::Secret;
use windlass::server::Guests;
use windlass::server::Limits;

use crate::world;
use crate::world::door::Door;
use crate::world::wire;

pub const NEW: &str = "the new secret of the hook";
pub const OLD: &str = "the old secret of the hook";
/// The secret of the source `other` alone.
pub const OWN: &str = "the secret of one source";
/// A signing token, as GitLab makes them.
pub const KEY: &str = "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD";

/// Small bodies, so that a larger one is soon made.
pub const LIMITS: Limits = Limits { body_bytes: 64 << 10, ..world::door::LIMITS };

pub fn name(text: &str) -> Name {
    Name::parse(text).unwrap()
}

/// Opens a door.
pub async fn open(limits: Limits) -> Door {
    open_to(limits, Guests::default(), None).await
}

/// Opens a door to some guests, each source of which may be heard of so often.
pub async fn open_to(limits: Limits, guests: Guests, rate: Option<Rate>) -> Door {
    let mut forges = BTreeMap::new();
    for kind in Kind::ALL {
        let mut sources = vec![(name(&format!("shop-{kind}")), "Team/Shop".to_owned())];
        if kind == Kind::Github {
            sources.push((name("other"), "team/shop".to_owned()));
        }
        let secrets = [NEW, OLD, KEY].map(|text| Secret::new(text).unwrap()).to_vec();
        let own = BTreeMap::from([(name("other"), vec![Secret::new(OWN).unwrap()])]);
        forges.insert(name(kind.word()), Known { kind, keys: Keys { shared: secrets, own }, sources });
    }
    Door::open(limits, guests, |queue| Intake::new(forges, queue).at_most(rate)).await
}

pub fn push() -> Push {
    Push {
        repository: "team/shop".to_owned(),
        reference: RefName::parse("refs/heads/main").unwrap(),
        before: Some(CommitId::parse(&"a".repeat(40)).unwrap()),
        after: Some(CommitId::parse(&"b".repeat(40)).unwrap()),
        forced: false,
    }
}

/// What a forge would send.
pub struct Sent {
    pub headers: Vec<(&'static str, String)>,
    pub body: String,
    pub path: String,
}

impl Sent {
    pub fn signed(kind: Kind, event: &str, body: &str, secret: &str) -> Self {
        let headers =
            kind.rules().sign(event, "delivery-1", body.as_bytes(), &Secret::new(secret).unwrap(), now());
        Self { headers, body: body.to_owned(), path: format!("/hooks/{kind}") }
    }

    pub fn push(kind: Kind) -> Self {
        let (event, body) = kind.rules().make_up(&push());
        Self::signed(kind, event, &body, NEW)
    }

    pub fn headers(&self) -> Vec<(&str, &str)> {
        self.headers.iter().map(|(name, value)| (*name, value.as_str())).collect()
    }

    pub fn set(mut self, name: &'static str, value: &str) -> Self {
        self.headers.retain(|(found, _)| *found != name);
        self.headers.push((name, value.to_owned()));
        self
    }

    pub fn bytes(&self) -> Vec<u8> {
        wire::request("POST", &self.path, &self.headers(), self.body.as_bytes())
    }
}
