//! What the broker says of something that is there in another way, as a sentence for people.

/// Reads in which way it differs from what the broker says. What is not understood is returned as it is.
pub(super) fn read(said: &str) -> String {
    parts(said).map_or_else(
        || said.to_owned(),
        |(argument, wanted, found)| format!("{argument} is {found} and should be {wanted}"),
    )
}

/// Takes the argument, the value that was asked for, and the one that is there.
fn parts(said: &str) -> Option<(&str, &str, &str)> {
    let (_, rest) = said.split_once("inequivalent arg '")?;
    let (argument, rest) = rest.split_once('\'')?;
    let (_, rest) = rest.split_once(": received ")?;
    let (wanted, found) = rest.split_once(" but current is ")?;
    Some((argument, value(wanted), value(found)))
}

/// Leaves out the words around a value.
fn value(text: &str) -> &str {
    let text = text.trim().strip_prefix("the value ").unwrap_or(text.trim());
    text.split_once(" of type ").map_or(text, |(value, _)| value)
}

#[cfg(test)]
mod tests {
    use super::read;

    #[test]
    fn the_broker_s_words_become_a_sentence() {
        for (said, expected) in [
            (
                "PRECONDITION_FAILED - inequivalent arg 'x-delivery-limit' for queue 'windlass.events.0' in vhost \
                 'windlass': received the value '20' of type 'signedint' but current is none",
                "x-delivery-limit is none and should be '20'",
            ),
            (
                "PRECONDITION_FAILED - inequivalent arg 'x-message-ttl' for queue 'q' in vhost '/': received the \
                 value '1000' of type 'long' but current is the value '10000' of type 'long'",
                "x-message-ttl is '10000' and should be '1000'",
            ),
            (
                "PRECONDITION_FAILED - inequivalent arg 'type' for exchange 'windlass.events' in vhost 'w': \
                 received 'direct' but current is 'fanout'",
                "type is 'fanout' and should be 'direct'",
            ),
            (
                "PRECONDITION_FAILED - inequivalent arg 'x-queue-type' for queue 'q' in vhost '/': received none \
                 but current is the value 'quorum' of type 'longstr'",
                "x-queue-type is 'quorum' and should be none",
            ),
            ("PRECONDITION_FAILED - something else", "PRECONDITION_FAILED - something else"),
            ("inequivalent arg 'half", "inequivalent arg 'half"),
            ("", ""),
        ] {
            assert_eq!(read(said), expected, "{said}");
        }
    }
}
