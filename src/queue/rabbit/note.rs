//! What travels beside the body of a message: headers, as they are written and read.

use std::time::Duration;

use lapin::BasicProperties;
use lapin::types::AMQPValue;
use lapin::types::FieldTable;
use sha2::Digest;
use sha2::Sha256;

use crate::moment::Moment;
use crate::trace::Trace;

const ID: &str = "x-windlass-id";
const PARTITION: &str = "x-windlass-partition";
const PUBLISHED_AT: &str = "x-windlass-published-at";
const DELIVERIES: &str = "x-windlass-deliveries";
const LEFT: &str = "x-windlass-left";
const WHY: &str = "x-windlass-why";
const BURIED_AT: &str = "x-windlass-buried-at";
/// As the specification for traces over AMQP calls it.
const TRACE: &str = "traceparent";
/// How often the broker took the message back from a consumer: by the first name up to 4.2, and from 4.3 on the first
/// counts failures only.
const RETURNED: [&str; 2] = ["x-delivery-count", "x-acquired-count"];
/// The header of what the broker buried by itself.
const DEATHS: &str = "x-death";

/// How many bytes may the broker's own name for a message have?
const MESSAGE_ID_BYTES: usize = 255;

/// What is known of a message beside its body.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Note {
    pub(super) id: String,
    pub(super) partition: String,
    /// When it was published first.
    pub(super) published_at: Moment,
    /// The step that it comes from.
    pub(super) trace: Option<Trace>,
    /// How often it had been delivered when it was put where it is now.
    pub(super) deliveries: u32,
    /// How long it is to wait when it has left the rung that it waits on.
    pub(super) left: Duration,
    /// Why and when it was buried.
    pub(super) buried: Option<(String, Moment)>,
}

/// Returns the broker's own name for a message: its id, or what is as good where that is too long.
pub(super) fn message_id(id: &str) -> String {
    if id.len() <= MESSAGE_ID_BYTES { id.to_owned() } else { hex::encode(Sha256::digest(id)) }
}

impl Note {
    /// Returns the properties of a persistent message by `user`.
    pub(super) fn properties(&self, user: &str) -> BasicProperties {
        let mut headers = FieldTable::default();
        let mut say = |name: &str, value| {
            headers.insert(name.into(), value);
        };
        say(ID, AMQPValue::LongString(self.id.as_str().into()));
        say(PARTITION, AMQPValue::LongString(self.partition.as_str().into()));
        say(PUBLISHED_AT, AMQPValue::LongLongInt(self.published_at.0));
        say(DELIVERIES, AMQPValue::LongLongInt(i64::from(self.deliveries)));
        if let Some(trace) = self.trace {
            say(TRACE, AMQPValue::LongString(trace.to_string().into()));
        }
        if !self.left.is_zero() {
            let left = i64::try_from(self.left.as_millis()).unwrap_or(i64::MAX);
            say(LEFT, AMQPValue::LongLongInt(left));
        }
        if let Some((why, at)) = &self.buried {
            say(WHY, AMQPValue::LongString(why.as_str().into()));
            say(BURIED_AT, AMQPValue::LongLongInt(at.0));
        }
        BasicProperties::default()
            .with_delivery_mode(2)
            .with_message_id(message_id(&self.id).into())
            .with_user_id(user.into())
            .with_headers(headers)
    }

    /// Reads the note of a message, and how often the broker took it back from a consumer since it is where it is. What
    /// is missing, since somebody else published it, is empty: whoever reads the body decides.
    pub(super) fn read(properties: &BasicProperties) -> (Self, u32) {
        let none = FieldTable::default();
        let headers = properties.headers().as_ref().unwrap_or(&none);
        let named = properties.message_id().as_ref().map_or("", |id| id.as_str());
        let note = Self {
            id: text(headers, ID).unwrap_or_else(|| named.to_owned()),
            partition: text(headers, PARTITION).unwrap_or_default(),
            published_at: Moment(number(headers, PUBLISHED_AT)),
            trace: text(headers, TRACE).as_deref().and_then(Trace::parse),
            deliveries: count(headers, DELIVERIES),
            left: Duration::from_millis(u64::try_from(number(headers, LEFT)).unwrap_or_default()),
            buried: buried(headers),
        };
        let returned = RETURNED.iter().map(|name| count(headers, name)).max().unwrap_or_default();
        (note, returned)
    }
}

fn buried(headers: &FieldTable) -> Option<(String, Moment)> {
    match text(headers, WHY) {
        Some(why) => Some((why, Moment(number(headers, BURIED_AT)))),
        None if headers.contains_key(DEATHS) => {
            Some(("the broker gave it up: it was delivered too often".to_owned(), Moment::default()))
        }
        None => None,
    }
}

fn text(headers: &FieldTable, name: &str) -> Option<String> {
    let value = headers.inner().get(name)?;
    value.as_long_string().map(|text| String::from_utf8_lossy(text.as_bytes()).into_owned())
}

fn number(headers: &FieldTable, name: &str) -> i64 {
    let Some(value) = headers.inner().get(name) else { return 0 };
    let small = value.as_long_int().map(i64::from).or_else(|| value.as_short_int().map(i64::from));
    let small = small.or_else(|| value.as_short_short_int().map(i64::from));
    let small = small.or_else(|| value.as_long_uint().map(i64::from));
    value.as_long_long_int().or(small).unwrap_or_default()
}

fn count(headers: &FieldTable, name: &str) -> u32 {
    u32::try_from(number(headers, name).max(0)).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_note_comes_back_as_it_was_written() {
        let plain = Note { id: "1".to_owned(), partition: "shop".to_owned(), ..Note::default() };
        let put_off = Note { deliveries: 3, left: Duration::from_millis(5_250), ..plain.clone() };
        let dead = Note {
            id: "é".repeat(256),
            published_at: Moment(1_700_000_000_000),
            buried: Some(("no".to_owned(), Moment(1))),
            ..plain.clone()
        };
        let traced = Note { trace: Trace::of(1, 2), ..dead.clone() };
        for note in [plain, put_off, dead, traced] {
            let properties = note.properties("me");
            assert_eq!(Note::read(&properties), (note, 0));
            assert_eq!(*properties.delivery_mode(), Some(2));
        }
    }

    #[test]
    fn what_others_publish_is_read_as_far_as_it_goes() {
        let (note, returned) = Note::read(&BasicProperties::default().with_message_id("theirs".into()));
        assert_eq!((note, returned), (Note { id: "theirs".to_owned(), ..Note::default() }, 0));
    }

    #[test]
    fn the_broker_counts_by_two_names() {
        for name in RETURNED {
            for value in [AMQPValue::LongLongInt(3), AMQPValue::LongInt(3), AMQPValue::ShortShortInt(3)] {
                let mut headers = FieldTable::default();
                headers.insert(name.into(), value);
                let (_, returned) = Note::read(&BasicProperties::default().with_headers(headers));
                assert_eq!(returned, 3);
            }
        }
    }

    #[test]
    fn long_ids_have_short_names_at_the_broker() {
        assert_eq!(message_id("a"), "a");
        let long = "é".repeat(200);
        assert_eq!(message_id(&long).len(), 64);
        assert_ne!(message_id(&long), message_id(&"é".repeat(201)));
    }
}
