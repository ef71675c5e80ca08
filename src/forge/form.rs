//! The one field of form-encoded deliveries.

/// Returns the decoded field `payload` of a form; `None` when it is absent, doubled or badly encoded.
#[must_use]
pub fn payload(body: &[u8]) -> Option<Vec<u8>> {
    let mut found = None;
    for pair in body.split(|b| *b == b'&') {
        let mut halves = pair.splitn(2, |b| *b == b'=');
        let (name, value) = (halves.next()?, halves.next().unwrap_or_default());
        if name == b"payload" && found.replace(value).is_some() {
            return None;
        }
    }
    decode(found?)
}

fn decode(text: &[u8]) -> Option<Vec<u8>> {
    let mut out = Vec::with_capacity(text.len());
    let mut bytes = text.iter().copied();
    while let Some(byte) = bytes.next() {
        out.push(match byte {
            b'+' => b' ',
            b'%' => digit(bytes.next()?)? << 4 | digit(bytes.next()?)?,
            other => other,
        });
    }
    Some(out)
}

fn digit(byte: u8) -> Option<u8> {
    let value = char::from(byte).to_digit(16)?;
    u8::try_from(value).ok()
}

#[cfg(test)]
mod tests {
    use super::payload;

    #[test]
    fn the_field_is_found_once_or_not_at_all() {
        let cases: &[(&str, Option<&str>)] = &[
            ("payload=%7B%22a%22%3A+1%7D", Some("{\"a\": 1}")),
            ("x=1&payload=%7b%7d&y", Some("{}")),
            ("payload=a=b", Some("a=b")),
            ("payload=", Some("")),
            ("payload", Some("")),
            ("", None),
            ("x=payload", None),
            ("payload=1&payload=2", None),
            ("payload=%", None),
            ("payload=%4", None),
            ("payload=%+1", None),
        ];
        for (form, expected) in cases {
            assert_eq!(payload(form.as_bytes()).as_deref(), expected.map(str::as_bytes), "{form}");
        }
    }
}
