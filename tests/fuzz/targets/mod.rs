//! What is fuzzed: each target takes any bytes, makes windlass read them, and panics when what must always hold does
//! not. Nothing here knows libFuzzer, so that tests/found.rs runs the same code.

mod answers;
mod deliveries;
mod form;
mod manifest;
mod names;
mod signers;
mod standard;
mod words;

/// One target.
pub type Target = fn(&[u8]);

/// All of them, by the names of the folders of their inputs.
pub const TARGETS: &[(&str, Target)] = &[
    ("answers", answers::run),
    ("forgejo", deliveries::forgejo),
    ("form", form::run),
    ("gitea", deliveries::gitea),
    ("github", deliveries::github),
    ("gitlab", deliveries::gitlab),
    ("manifest", manifest::run),
    ("names", names::run),
    ("signers", signers::run),
    ("standard", standard::run),
    ("words", words::run),
];

/// The time at which every input is received.
const NOW: windlass::moment::Moment = windlass::moment::Moment(1_649_367_553_000);

/// Splits off the first line; without one, nothing is left.
fn line(input: &[u8]) -> (&[u8], &[u8]) {
    let end = input.iter().position(|byte| *byte == b'\n').unwrap_or(input.len());
    let (line, rest) = input.split_at(end);
    (line, rest.get(1..).unwrap_or_default())
}

/// Returns bytes as the text that the door makes of a header: what is no visible text is present all the same.
fn text(bytes: &[u8]) -> String {
    let plain = bytes.iter().all(|byte| matches!(byte, b'\t' | b' '..=b'~'));
    if plain { String::from_utf8_lossy(bytes).into_owned() } else { "\u{fffd}".to_owned() }
}

/// Splits off lines `name: value` up to an empty one; names are in lowercase.
fn headers(input: &[u8]) -> (Vec<(String, String)>, &[u8]) {
    let (mut found, mut rest) = (Vec::new(), input);
    while !rest.is_empty() {
        let (head, after) = line(rest);
        rest = after;
        if head.is_empty() {
            break;
        }
        let colon = head.iter().position(|byte| *byte == b':').unwrap_or(head.len());
        let (name, value) = head.split_at(colon);
        let value = value.get(1..).unwrap_or_default().trim_ascii();
        found.push((text(name).to_ascii_lowercase(), text(value)));
    }
    (found, rest)
}

/// Returns headers as rules take them.
fn borrowed(headers: &[(String, String)]) -> Vec<(&str, &str)> {
    headers.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect()
}

/// Checks words for a person: one line, not a long one.
fn expect_words(words: &str, most: usize) {
    assert!(words.chars().count() <= most, "{words:?} is long");
    assert!(!words.chars().any(char::is_control), "{words:?} is no line");
}
