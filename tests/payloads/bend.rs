//! Ways to bend one field of a JSON body, byte by byte, since most of them cannot be said in JSON.

use serde_json::Value;

/// How a field is bent.
pub struct Bend {
    /// What it is called, for people.
    pub name: String,
    what: What,
    /// Is what comes out still JSON?
    pub is_json: bool,
    /// Can nothing that windlass needs be like that?
    pub breaks: bool,
}

enum What {
    /// It is not there.
    Missing,
    /// Its value is this.
    Is(Vec<u8>),
    /// Its value is what it was, between these.
    Between(&'static str, &'static str),
    /// Its key is given twice, the second time with this, or with what it was.
    Twice(Option<&'static str>),
}

/// Texts that are JSON, and no name of anything and no commit.
const WRONG: &[&str] = &[
    "null",
    "true",
    "false",
    "0",
    "-0",
    "-1",
    "1.5",
    "1e-999",
    "[]",
    "{}",
    "[[]]",
    "[null]",
    "{\"\":null}",
    "\"\"",
    "99999999999999999999999999999999999999999999",
    "-99999999999999999999",
    "1e300",
];

/// Texts that are JSON, and may be names of something.
const TEXTS: &[&str] = &[
    "\" \"",
    "\"\\u0000\"",
    "\"a\\nb\"",
    "\"../..\"",
    "\"/\"",
    "\"//\"",
    "\"a/b/c/d\"",
    "\"refs/heads/../x\"",
    "\"refs/heads/x\\u0000\"",
    "\"\\ud83d\\ude00\"",
    "\"\u{202e}/\u{feff}\"",
    "\"%2e%2e%2f\"",
    "\"0000000000000000000000000000000000000000\"",
    "\"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA\"",
    "\"0000000000000000000000000000000000000000000000000000000000000000\"",
];

/// Bytes that are no JSON.
const BROKEN: &[&[u8]] = &[
    b"",
    b"\"",
    b"[",
    b"{",
    b"{\"a\"",
    b"{\"a\":}",
    b"[1,]",
    b"nul",
    b"NaN",
    b"-",
    b"01",
    b"1e999",
    b"-1e999",
    b"'a'",
    b"\"\\ud800\"",
    b"\"\\udc00\\ud800\"",
    b"\"\\ud83d\"",
    b"\"\\u12\"",
    b"\"\\x\"",
    b"\"a\0b\"",
    b"\"a\nb\"",
    b"\"\xff\xfe\"",
    b"\"a\xc3\"",
    b"\"\xed\xa0\x80\"",
    b"\xff",
    b"\0",
    b"\xef\xbb\xbf\"a\"",
    b"]",
    b"}",
    b"// a\n1",
];

/// How many characters has a long text, and how many items a long list?
const LONG: usize = 1_000_000;
/// How deep is a deep value?
const DEEP: usize = 100_000;

fn is(name: impl Into<String>, value: impl Into<Vec<u8>>, is_json: bool, breaks: bool) -> Bend {
    Bend { name: name.into(), what: What::Is(value.into()), is_json, breaks }
}

/// Returns every way that makes no large body.
pub fn light() -> Vec<Bend> {
    let twice = |name: &str, with| Bend {
        name: name.to_owned(),
        what: What::Twice(with),
        is_json: true,
        breaks: true,
    };
    let between = |name: &str, before, after| {
        let what = What::Between(before, after);
        Bend { name: name.to_owned(), what, is_json: true, breaks: false }
    };
    let mut bends = vec![
        Bend { name: "missing".to_owned(), what: What::Missing, is_json: true, breaks: true },
        twice("given twice", None),
        twice("given twice, then null", Some("null")),
        between("in a list", "[", "]"),
        between("in a mapping", "{\"a\":", "}"),
        between("among spaces", " \r\n\t", "\t\n\r "),
    ];
    bends.extend(WRONG.iter().map(|text| is(*text, *text, true, true)));
    bends.extend(TEXTS.iter().map(|text| is(*text, *text, true, false)));
    bends.extend(BROKEN.iter().map(|bytes| is(bytes.escape_ascii().to_string(), *bytes, false, true)));
    for length in [255, 256, 257, 4096] {
        bends.push(is(format!("{length} characters"), format!("\"{}\"", "a".repeat(length)), true, false));
    }
    bends
}

/// Returns every way that makes a large body.
pub fn heavy() -> Vec<Bend> {
    let text = |unit: &str| format!("\"{}\"", unit.repeat(LONG / unit.len()));
    vec![
        is("a long text", text("a"), true, true),
        is("a long text of escapes", text("\\u0000"), true, true),
        is("a long text of slashes", text("a/"), true, true),
        is("a long text that is no UTF-8", [b"\"", &[0xff; LONG][..], b"\""].concat(), false, true),
        is("a long list", format!("[{}0]", "0,".repeat(LONG - 1)), true, true),
        is("a deep list", format!("{}{}", "[".repeat(DEEP), "]".repeat(DEEP)), true, true),
        is("a deep mapping", format!("{}0{}", "{\"a\":".repeat(DEEP), "}".repeat(DEEP)), true, true),
        is("a deep list without an end", "[".repeat(DEEP), false, true),
        is("a number of many digits", "9".repeat(LONG), true, true),
        is("a fraction of many digits", format!("0.{}1", "0".repeat(LONG)), true, true),
    ]
}

impl Bend {
    /// Returns a body with the field at a JSON pointer bent; one that is not there is put there.
    pub fn body(&self, whole: &Value, path: &str) -> Vec<u8> {
        let mut out = Vec::new();
        self.write(whole, "", path, &mut out);
        out
    }

    fn write(&self, value: &Value, here: &str, path: &str, out: &mut Vec<u8>) {
        if here == path {
            match &self.what {
                What::Missing => {}
                What::Is(bytes) => out.extend_from_slice(bytes),
                What::Between(before, after) => {
                    out.extend_from_slice(format!("{before}{value}{after}").as_bytes())
                }
                // Only here where it is the whole, which has no key.
                What::Twice(with) if path.is_empty() => {
                    let again = with.map_or_else(|| value.to_string(), str::to_owned);
                    out.extend_from_slice(format!("{value}{again}").as_bytes());
                }
                What::Twice(_) => out.extend_from_slice(value.to_string().as_bytes()),
            }
            return;
        }
        match value {
            Value::Object(map) => {
                let mut keys: Vec<&str> = map.keys().map(String::as_str).collect();
                let absent = path.strip_prefix(here).and_then(|rest| rest.strip_prefix('/'));
                keys.extend(absent.filter(|key| !key.contains('/') && !map.contains_key(*key)));
                self.write_map(map, &keys, here, path, out);
            }
            Value::Array(list) => {
                out.push(b'[');
                let mut first = true;
                for (at, value) in list.iter().enumerate() {
                    let inner = format!("{here}/{at}");
                    if inner == path && matches!(self.what, What::Missing) {
                        continue;
                    }
                    if !std::mem::take(&mut first) {
                        out.push(b',');
                    }
                    self.write(value, &inner, path, out);
                }
                out.push(b']');
            }
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {
                out.extend_from_slice(value.to_string().as_bytes());
            }
        }
    }

    fn write_map(
        &self,
        map: &serde_json::Map<String, Value>,
        keys: &[&str],
        here: &str,
        path: &str,
        out: &mut Vec<u8>,
    ) {
        out.push(b'{');
        let mut first = true;
        for key in keys {
            let inner = format!("{here}/{key}");
            if inner == path && matches!(self.what, What::Missing) {
                continue;
            }
            if !std::mem::take(&mut first) {
                out.push(b',');
            }
            out.extend_from_slice(format!("\"{key}\":").as_bytes());
            let value = map.get(*key).unwrap_or(&Value::Null);
            self.write(value, &inner, path, out);
            if let (true, What::Twice(with)) = (inner == path, &self.what) {
                let again = with.map_or_else(|| value.to_string(), str::to_owned);
                out.extend_from_slice(format!(",\"{key}\":{again}").as_bytes());
            }
        }
        out.push(b'}');
    }
}
