//! A door with one forge of each kind.

use std::collections::BTreeMap;

use windlass::application::Name;
use windlass::forge::Kind;
use windlass::intake::Intake;
use windlass::intake::Keys;
use windlass::intake::Known;
use windlass::secret::Secret;
use windlass::server::Guests;

use crate::world::door::Door;
use crate::world::door::LIMITS;

/// Signs for all sources but `other`.
pub const SECRET: &str = "the secret of the hook";
/// Signs for the source `other` alone.
pub const OTHERS: &str = "the secret of one source";
/// Signs as [`SECRET`] does, at GitLab alone: a signing token.
pub const KEY: &str = "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD";

/// Opens a door with a forge of each kind, called like it, each with the sources `shop` and `other`.
pub async fn open() -> Door {
    let name = |text: &str| Name::parse(text).unwrap();
    let secrets = |kind| if kind == Kind::Gitlab { vec![SECRET, KEY] } else { vec![SECRET] };
    let known = |kind: Kind| Known {
        kind,
        keys: Keys {
            shared: secrets(kind).into_iter().map(|text| Secret::new(text).unwrap()).collect(),
            own: BTreeMap::from([(name("other"), vec![Secret::new(OTHERS).unwrap()])]),
        },
        sources: ["shop", "other"].map(|source| (name(source), format!("team/{source}"))).to_vec(),
    };
    let forges = Kind::ALL.map(|kind| (name(kind.word()), known(kind)));
    Door::open(LIMITS, Guests::default(), |queue| Intake::new(BTreeMap::from(forges), queue)).await
}
