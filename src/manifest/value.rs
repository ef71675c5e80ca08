//! From the text of one document to a JSON value, by the rules that `kubectl` has for YAML.

use std::cell::Cell;
use std::fmt;

use serde::Deserialize;
use serde::Deserializer;
use serde::de::DeserializeSeed;
use serde::de::Error as _;
use serde::de::MapAccess;
use serde::de::SeqAccess;
use serde::de::Visitor;
use serde_json::Map;
use serde_json::Number;
use serde_json::StreamDeserializer;
use serde_json::Value;
use serde_json::de::StrRead;
use serde_saphyr::Error;
use serde_saphyr::options::Options;

/// How deep may a document be nested, its aliases written out? Reading takes stack for each level; the deepest schemas of
/// custom resources have about 40.
const DEPTH: usize = 64;
/// How many mappings, lists and values may one document have, its aliases written out?
const NODES: usize = 500_000;
/// How many bytes may all YAML documents that are read together take once their aliases are written out? Eight times
/// what the files of an application may have; only aliases can make more of a text.
const WRITTEN_OUT_BYTES: usize = 256 << 20;
/// How many of these does a value take beside its text?
const VALUE_BYTES: usize = 32;

const TWICE: &str = "a key is given twice";
const NO_TEXT: &str = "a key is no text; quote it";
const TOO_MUCH: &str = "is nested deeper, is larger or repeats itself more often than a manifest may";
const ALL_TOO_MUCH: &str = "brings all manifests together beyond the 256 MiB that they may take with their aliases written out; \
                            repeat less, or split the application";
const NO_JSON: &str = "a number is beyond what JSON can hold; quote it if it is a text";

/// What this module itself says, through parsers that add words of their own.
const OWN: [&str; 5] = [TWICE, NO_TEXT, NO_JSON, TOO_MUCH, ALL_TOO_MUCH];

/// What is wrong with a document. Never repeats any of it.
pub(super) struct Mistake {
    pub(super) why: &'static str,
    /// The line and column, from 1 and relative to the text, where they are known.
    pub(super) at: Option<(usize, usize)>,
}

/// What documents that are read together may still take.
pub(super) struct Budget(Cell<usize>);

impl Budget {
    /// Returns the budget of an application.
    pub(super) fn new() -> Self {
        Self(Cell::new(WRITTEN_OUT_BYTES))
    }

    /// Returns whether nothing more can be read.
    pub(super) fn is_spent(&self) -> bool {
        self.0.get() == 0
    }

    fn pay<E: serde::de::Error>(&self, bytes: usize) -> Result<(), E> {
        let left = self.0.get().checked_sub(bytes);
        self.0.set(left.unwrap_or_default());
        left.map(|_| ()).ok_or_else(|| E::custom(ALL_TOO_MUCH))
    }
}

/// Reads one YAML document.
pub(super) fn yaml(text: &str, budget: &Budget) -> Result<Value, Mistake> {
    let seed = Depth { left: DEPTH, budget: Some(budget) };
    let read = serde_saphyr::with_deserializer_from_str_with_options(text, options(), |document| {
        seed.deserialize(document)
    });
    read.map_err(|error| {
        let error = error.without_snippet();
        let at = error.location().and_then(|location| {
            let line = usize::try_from(location.line()).ok().filter(|line| *line > 0)?;
            Some((line, usize::try_from(location.column()).ok()?))
        });
        Mistake { why: why(error), at }
    })
}

/// Reads JSON values, one after the other.
pub(super) fn json(text: &str) -> StreamDeserializer<'_, StrRead<'_>, Json> {
    serde_json::Deserializer::from_str(text).into_iter()
}

/// Describes a mistake in JSON.
pub(super) fn json_mistake(error: &serde_json::Error) -> Mistake {
    let said = error.to_string();
    let own = OWN.into_iter().find(|own| said.starts_with(own));
    Mistake { why: own.unwrap_or("is not valid JSON"), at: Some((error.line(), error.column())) }
}

fn options() -> Options {
    serde_saphyr::options! {
        budget: serde_saphyr::budget! {
            max_depth: DEPTH,
            max_nodes: NODES,
            // The parser reads ahead; a wider limit lets the depth be what is told.
            flow_nesting_limit: 4 * DEPTH,
        },
        legacy_octal_numbers: true,
    }
}

/// Says what is wrong. The parser's own words are not passed on, since they may quote the document.
#[expect(clippy::wildcard_enum_match_arm, reason = "the parser's other errors all say the same to an author")]
fn why(error: &Error) -> &'static str {
    match error {
        Error::DuplicateMappingKey { .. } => TWICE,
        Error::NonFiniteFloat { .. } => NO_JSON,
        Error::Message { msg, .. } => {
            let own = OWN.into_iter().find(|own| msg.contains(own));
            own.unwrap_or("is not valid YAML")
        }
        Error::AliasError { error, .. } => why(error),
        Error::UnknownAnchor { .. } => "an alias names no anchor of this document",
        Error::MergeValueNotMapOrSeqOfMaps { .. } => "a merge key (<<) holds no mapping",
        Error::InvalidBinaryBase64 { .. } | Error::BinaryNotUtf8 { .. } => {
            "a !!binary value is no text in base64"
        }
        Error::MultipleDocuments { .. } => "a document ends before its text does",
        Error::Eof { .. } => "a document ends too early",
        Error::Budget { .. }
        | Error::AliasReplayCounterOverflow { .. }
        | Error::AliasReplayLimitExceeded { .. }
        | Error::AliasExpansionLimitExceeded { .. }
        | Error::AliasReplayStackDepthExceeded { .. }
        | Error::RecursiveReferencesRequireWeakTypes { .. } => TOO_MUCH,
        _ => "is not valid YAML",
    }
}

/// A JSON value with keys that occur once.
pub(super) struct Json(pub(super) Value);

impl<'de> Deserialize<'de> for Json {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        // JSON repeats nothing, so that its text is bound enough.
        Depth { left: DEPTH, budget: None }.deserialize(from).map(Self)
    }
}

/// How many levels may follow. Only this bounds nested aliases: the parser counts levels as they are written.
#[derive(Clone, Copy)]
struct Depth<'b> {
    left: usize,
    budget: Option<&'b Budget>,
}

impl Depth<'_> {
    fn deeper<E: serde::de::Error>(self) -> Result<Self, E> {
        let left = self.left.checked_sub(1).ok_or_else(|| E::custom(TOO_MUCH))?;
        Ok(Self { left, ..self })
    }

    fn pay<E: serde::de::Error>(self, bytes: usize) -> Result<(), E> {
        self.budget.map_or(Ok(()), |budget| budget.pay(bytes))
    }
}

impl<'de> DeserializeSeed<'de> for Depth<'_> {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, from: D) -> Result<Value, D::Error> {
        self.pay(VALUE_BYTES)?;
        from.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Depth<'_> {
    type Value = Value;

    fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("a value")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_none<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_some<D: Deserializer<'de>>(self, from: D) -> Result<Value, D::Error> {
        from.deserialize_any(self)
    }

    fn visit_newtype_struct<D: Deserializer<'de>>(self, from: D) -> Result<Value, D::Error> {
        from.deserialize_any(self)
    }

    fn visit_bool<E>(self, flag: bool) -> Result<Value, E> {
        Ok(Value::Bool(flag))
    }

    fn visit_i64<E>(self, number: i64) -> Result<Value, E> {
        Ok(Value::Number(number.into()))
    }

    fn visit_u64<E>(self, number: u64) -> Result<Value, E> {
        Ok(Value::Number(number.into()))
    }

    fn visit_i128<E: serde::de::Error>(self, number: i128) -> Result<Value, E> {
        match (i64::try_from(number), u64::try_from(number)) {
            (Ok(number), _) => Ok(Value::Number(number.into())),
            (_, Ok(number)) => Ok(Value::Number(number.into())),
            (Err(_), Err(_)) => self.visit_f64(rounded(&number.to_string())),
        }
    }

    fn visit_u128<E: serde::de::Error>(self, number: u128) -> Result<Value, E> {
        match u64::try_from(number) {
            Ok(number) => Ok(Value::Number(number.into())),
            Err(_) => self.visit_f64(rounded(&number.to_string())),
        }
    }

    fn visit_f64<E: serde::de::Error>(self, number: f64) -> Result<Value, E> {
        // 080, 1e3 and 2.0 are whole numbers to kubectl, and fields of whole numbers take nothing else.
        if number.fract() == 0.0
            && let Ok(whole) = format!("{number:.0}").parse::<i64>()
        {
            return Ok(Value::Number(whole.into()));
        }
        Number::from_f64(number).map(Value::Number).ok_or_else(|| E::custom(NO_JSON))
    }

    fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<Value, E> {
        self.pay(text.len())?;
        Ok(Value::String(text.to_owned()))
    }

    fn visit_string<E: serde::de::Error>(self, text: String) -> Result<Value, E> {
        self.pay(text.len())?;
        Ok(Value::String(text))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Value, A::Error> {
        let deeper = self.deeper()?;
        let mut list = Vec::new();
        while let Some(item) = items.next_element_seed(deeper)? {
            list.push(item);
        }
        Ok(Value::Array(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Value, A::Error> {
        let deeper = self.deeper()?;
        let mut map = Map::new();
        while let Some(key) = entries.next_key_seed(deeper)? {
            let Value::String(key) = key else { return Err(A::Error::custom(NO_TEXT)) };
            let value = entries.next_value_seed(deeper)?;
            if map.insert(key, value).is_some() {
                return Err(A::Error::custom(TWICE));
            }
        }
        Ok(Value::Object(map))
    }
}

/// Returns the nearest floating-point number, as JSON readers see a whole number that is too large for them.
fn rounded(digits: &str) -> f64 {
    digits.parse().unwrap_or(f64::INFINITY)
}
