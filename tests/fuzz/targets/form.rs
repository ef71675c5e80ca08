//! Decodes forms, and holds what comes out against a second decoder that goes about it another way.

use windlass::forge::Kind;
use windlass::forge::Request;
use windlass::secret::Secret;

use super::NOW;
use super::borrowed;

/// Reads any body as a form.
pub fn run(input: &[u8]) {
    let secret = Secret::new("the secret of this form").unwrap();
    let rules = Kind::Github.rules();
    let mut all =
        vec![("content-type".to_owned(), "Application/X-WWW-Form-URLEncoded; charset=x".to_owned())];
    let made = rules.sign("push", "delivery-1", input, &secret, NOW);
    all.extend(made.into_iter().map(|(name, value)| (name.to_owned(), value)));
    let all = borrowed(&all);
    let request = Request { headers: &all, body: input, now: NOW };
    let delivery = rules.verify(&request, std::slice::from_ref(&secret)).expect("a signed form is heard");
    assert_eq!(delivery.body(), decoded(input).unwrap_or_default());
}

/// Decodes from the end to the start.
fn decoded(form: &[u8]) -> Option<Vec<u8>> {
    let fields = form.split(|byte| *byte == b'&');
    let mut values = fields.filter_map(|field| match field.strip_prefix(b"payload")? {
        [] => Some(&b""[..]),
        [b'=', value @ ..] => Some(value),
        _ => None,
    });
    let (value, None) = (values.next()?, values.next()) else { return None };
    let mut left = value;
    let mut out = Vec::new();
    while let [before @ .., last] = left {
        if let [rest @ .., b'%', high, low] = left
            && let Ok(pair) = std::str::from_utf8(&[*high, *low])
            && pair.bytes().all(|b| b.is_ascii_hexdigit())
        {
            out.push(u8::from_str_radix(pair, 16).ok()?);
            left = rest;
        } else {
            out.push(if *last == b'+' { b' ' } else { *last });
            left = before;
        }
    }
    out.reverse();
    // Whatever percent sign stands alone is a mistake: count those that were used against those that are there.
    let signs = value.iter().filter(|byte| **byte == b'%').count();
    let used = (value.len() - out.len()) / 2;
    (signs == used).then_some(out)
}
