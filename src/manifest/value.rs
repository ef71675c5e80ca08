//! From the text of one document to a JSON value, by the rules that `kubectl` has for YAML.

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

const TWICE: &str = "a key is given twice";
const NO_TEXT: &str = "a key is no text; quote it";
const TOO_MUCH: &str = "is nested deeper, is larger or repeats itself more often than a manifest may";
const NO_JSON: &str = "a number is beyond what JSON can hold; quote it if it is a text";

/// What this module itself says, through parsers that add words of their own.
const OWN: [&str; 4] = [TWICE, NO_TEXT, NO_JSON, TOO_MUCH];

/// What is wrong with a document. Never repeats any of it.
pub(super) struct Mistake {
    pub(super) why: &'static str,
    /// The line and column, from 1 and relative to the text, where they are known.
    pub(super) at: Option<(usize, usize)>,
}

/// Reads one YAML document.
pub(super) fn yaml(text: &str) -> Result<Value, Mistake> {
    serde_saphyr::from_str_with_options::<Json>(text, options()).map(|json| json.0).map_err(|error| {
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
        Depth(DEPTH).deserialize(from).map(Self)
    }
}

/// How many levels may follow. Only this bounds nested aliases: the parser counts levels as they are written.
#[derive(Clone, Copy)]
struct Depth(usize);

impl Depth {
    fn deeper<E: serde::de::Error>(self) -> Result<Self, E> {
        self.0.checked_sub(1).map(Self).ok_or_else(|| E::custom(TOO_MUCH))
    }
}

impl<'de> DeserializeSeed<'de> for Depth {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, from: D) -> Result<Value, D::Error> {
        from.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Depth {
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

    fn visit_str<E>(self, text: &str) -> Result<Value, E> {
        Ok(Value::String(text.to_owned()))
    }

    fn visit_string<E>(self, text: String) -> Result<Value, E> {
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
