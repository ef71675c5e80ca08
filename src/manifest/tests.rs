//! What `read` and `settle` make of texts, as tables.

use serde_json::Value;
use serde_json::json;

use super::Text;
use super::read;
use crate::object::Manifest;
use crate::outcome::Problem;

fn read_one(file: &str, text: &str) -> Result<Vec<Manifest>, Vec<Problem>> {
    read(&[Text { file, bytes: text.as_bytes() }])
}

fn names(text: &str) -> Vec<String> {
    read_one("a.yaml", text).unwrap().iter().map(|m| format!("{}:{}", m.place.line, m.id)).collect()
}

fn told(file: &str, text: &str) -> String {
    let problems = read_one(file, text).unwrap_err();
    problems.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n")
}

fn object(name: &str) -> String {
    format!("apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: {name}\n")
}

/// Reads `v: <text>` in an object and returns the value.
fn value(text: &str) -> Value {
    let manifests = read_one("a.yaml", &format!("{}v: {text}\n", object("x"))).unwrap();
    manifests[0].value["v"].clone()
}

#[test]
fn scalars_are_what_kubectl_reads() {
    let cases = [
        ("0644", json!(420)),
        ("080", json!(80)),
        ("1_000", json!(1000)),
        ("1e3", json!(1000)),
        ("2.0", json!(2)),
        ("0.5", json!(0.5)),
        ("1.10", json!(1.1)),
        ("-7", json!(-7)),
        ("0x1F", json!(31)),
        ("18446744073709551615", json!(u64::MAX)),
        ("-9223372036854775808", json!(i64::MIN)),
        (
            "340282366920938463463374607431768211455",
            json!(340_282_366_920_938_463_463_374_607_431_768_211_455_f64),
        ),
        ("1e20", json!(1e20)),
        ("yes", json!(true)),
        ("on", json!(true)),
        ("y", json!(true)),
        ("no", json!(false)),
        ("off", json!(false)),
        ("n", json!(false)),
        ("True", json!(true)),
        ("~", Value::Null),
        ("", Value::Null),
        ("null", Value::Null),
        ("'0644'", json!("0644")),
        ("\"yes\"", json!("yes")),
        ("'null'", json!("null")),
        ("2001-01-01", json!("2001-01-01")),
        ("12:30:45", json!("12:30:45")),
        ("1.2.3", json!("1.2.3")),
        ("!!binary aGVsbG8=", json!("hello")),
        ("!!str 12", json!("12")),
        ("[1, a, {b: c}]", json!([1, "a", {"b": "c"}])),
        ("|\n  a\n  b", json!("a\nb\n")),
        (">-\n  a\n  b", json!("a b")),
        ("größe", json!("größe")),
    ];
    for (text, expected) in cases {
        assert_eq!(value(text), expected, "{text}");
    }
}

#[test]
fn merge_keys_and_aliases_are_written_out() {
    let text = format!("base: &b {{a: 1, b: 2}}\n{}v:\n  <<: *b\n  b: 3\nw: *b\n", object("x"));
    let manifests = read_one("a.yaml", &text).unwrap();
    assert_eq!(manifests[0].value["v"], json!({"a": 1, "b": 3}));
    assert_eq!(manifests[0].value["w"], json!({"a": 1, "b": 2}));
}

#[test]
fn documents_are_told_apart_and_keep_their_lines() {
    let (a, b) = (object("a"), object("b"));
    let cases = [
        (format!("{a}---\n{b}"), vec!["1:ConfigMap/a", "6:ConfigMap/b"]),
        (format!("---\n# first\n\n{a}--- # next\n{b}...\n"), vec!["4:ConfigMap/a", "9:ConfigMap/b"]),
        (format!("\u{feff}{a}"), vec!["1:ConfigMap/a"]),
        (format!("{a}---\n{b}").replace('\n', "\r\n"), vec!["1:ConfigMap/a", "6:ConfigMap/b"]),
        (format!("{a}...\n# end\n---\n---\n~\n---\n"), vec!["1:ConfigMap/a"]),
        (format!("%YAML 1.2\n---\n{a}"), vec!["1:ConfigMap/a"]),
        (
            "--- {apiVersion: v1, kind: ConfigMap, metadata: {name: a}}\n".to_owned(),
            vec!["1:ConfigMap/a"],
        ),
        (format!("{a}data:\n  b: |\n    x\n    ---\n    y\n"), vec!["1:ConfigMap/a"]),
        ("# nothing\n\n---\n# here\n".to_owned(), vec![]),
        (String::new(), vec![]),
        (
            "kind: List\napiVersion: v1\nitems:\n- {apiVersion: v1, kind: Secret, metadata: {name: a, namespace: ns}}\n"
                .to_owned(),
            vec!["1:Secret/ns/a"],
        ),
        ("kind: List\napiVersion: v1\nitems:\n".to_owned(), vec![]),
        (
            "kind: ConfigMapList\napiVersion: v1\nitems:\n- metadata: {name: a}\n".to_owned(),
            vec!["1:ConfigMap/a"],
        ),
        ("kind: AllowList\napiVersion: x.io/v1\nmetadata: {name: a}\n".to_owned(), vec!["1:AllowList/a"]),
    ];
    for (text, expected) in cases {
        assert_eq!(names(&text), expected, "{text}");
    }
}

#[test]
fn three_thousand_documents_are_fine() {
    let text: String = (0..3000).map(|n| format!("---\n{}", object(&format!("n{n}")))).collect();
    assert_eq!(names(&text).len(), 3000);
}

#[test]
fn json_is_read_as_json() {
    let text = r#"{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"a"}}
        {"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"b"}, "v": 0.0}"#;
    let manifests = read_one("a.json", text).unwrap();
    assert_eq!(
        manifests.iter().map(|m| (m.place.line, m.place.document)).collect::<Vec<_>>(),
        [(1, 1), (2, 2)]
    );
    assert_eq!(manifests[1].value["v"], json!(0));
    let cases = [
        ("{\"a\": 1,\n \"a\": 2}", "a key is given twice (line 2, column"),
        ("{\"a\": 1,\n}", "is not valid JSON (line 2, column"),
        ("apiVersion: v1", "is not valid JSON (line 1, column"),
        (&"[".repeat(100_000), "is nested deeper"),
    ];
    for (text, expected) in cases {
        assert!(told("a.json", text).starts_with(expected), "{}", told("a.json", text));
    }
}

#[test]
fn mistakes_are_told_with_their_line() {
    let fine = object("x");
    let cases = [
        (format!("{fine}---\n{fine}v: 1\nv: 2\n"), "a key is given twice (line 11, column 1)"),
        (format!("{fine}---\n\n{fine}v: [1\n"), "is not valid YAML (line 1"),
        (format!("{fine}v: *nobody\n"), "an alias names no anchor of this document (line 5, column 4)"),
        (format!("{fine}v:\n  1: x\n"), "a key is no text; quote it (line 6"),
        (format!("{fine}v:\n  on: x\n"), "a key is no text; quote it (line 6"),
        (format!("{fine}v:\n  [a]: x\n"), "a key is no text; quote it (line 6"),
        (
            format!("{fine}v: .nan\n"),
            "a number is beyond what JSON can hold; quote it if it is a text (line 5",
        ),
        (
            format!("{fine}v: 1e999\n"),
            "a number is beyond what JSON can hold; quote it if it is a text (line 5",
        ),
        (format!("{fine}v:\n\t- a\n"), "is not valid YAML (line 6"),
        (format!("{fine}v:\n  <<: text\n"), "a merge key (<<) holds no mapping (line 6"),
        (format!("{fine}v: {}1{}\n", "[".repeat(200), "]".repeat(200)), "is nested deeper"),
        ("- a\n- b\n".to_owned(), "is no mapping"),
        ("just words\n".to_owned(), "is no mapping"),
        ("kind: ConfigMap\nmetadata: {name: x}\n".to_owned(), "has no apiVersion"),
        ("apiVersion: v1\nmetadata: {name: x}\n".to_owned(), "has no kind"),
        ("apiVersion: v1\nkind: ConfigMap\n".to_owned(), "(ConfigMap) has no metadata"),
        ("apiVersion: v1\nkind: ConfigMap\nmetadata: {}\n".to_owned(), "(ConfigMap) has no metadata.name"),
        (
            "apiVersion: v1\nkind: A\nmetadata: {name: 12}\n".to_owned(),
            "(A) has a metadata.name that is no text",
        ),
        (
            "apiVersion: v1\nkind: A\nmetadata: {generateName: a-}\n".to_owned(),
            "(A) has metadata.generateName",
        ),
        (
            "apiVersion: v1\nkind: A\nmetadata: {name: ../b}\n".to_owned(),
            "(A) has a metadata.name that is none",
        ),
        (
            "apiVersion: v1\nkind: A\nmetadata: {name: '..'}\n".to_owned(),
            "(A) has a metadata.name that is none",
        ),
        (
            "apiVersion: v1\nkind: A\nmetadata: {name: b, namespace: a/b}\n".to_owned(),
            "(A) has a metadata.namespace that is none",
        ),
        ("apiVersion: v1/x/y\nkind: A\nmetadata: {name: b}\n".to_owned(), "has an apiVersion that is none"),
        ("apiVersion: ../v1\nkind: A\nmetadata: {name: b}\n".to_owned(), "has an apiVersion that is none"),
        ("apiVersion: v1\nkind: A/b\nmetadata: {name: b}\n".to_owned(), "has a kind that is none"),
        (format!("{fine}sops: {{mac: x}}\n"), "is encrypted with SOPS, and SOPS is not supported yet"),
        (
            "apiVersion: kustomize.config.k8s.io/v1beta1\nkind: Kustomization\n".to_owned(),
            "is for kustomize, which is not supported yet",
        ),
    ];
    for (text, expected) in cases {
        let told = told("a.yaml", &text);
        let expected = if expected.ends_with("(line 1") { "is not valid YAML (line 1" } else { expected };
        assert!(told.starts_with(expected), "{text}\n{told}");
    }
}

#[test]
fn one_mistake_hides_no_other() {
    let bad = "v: [\n";
    let files = [
        Text { file: "a.yaml", bytes: format!("{bad}---\nkind: A\n---\n{}", object("x")).leak().as_bytes() },
        Text { file: "b.yaml", bytes: b"a: \xff\n" },
        Text { file: "c.json", bytes: b"{" },
    ];
    let problems = read(&files).unwrap_err();
    let places: Vec<String> = problems.iter().map(|p| p.place.as_ref().unwrap().to_string()).collect();
    assert_eq!(places[1..], ["a.yaml:3 (document 2)", "b.yaml:1 (document 1)", "c.json:1 (document 1)"]);
    assert!(problems[2].message.contains("is not UTF-8"));
    assert_eq!(problems.len(), 4);
}

#[test]
fn problems_are_bounded_and_counted() {
    let text = "---\nkind: A\n".repeat(150);
    let problems = read_one("a.yaml", &text).unwrap_err();
    assert_eq!(problems.len(), 101);
    assert_eq!(problems[100].message, "and 50 more problems");
}

#[test]
fn too_many_documents_and_too_large_ones_are_refused() {
    let many = "---\n{apiVersion: v1, kind: A, metadata: {name: x}}\n".repeat(10_001);
    assert!(told("a.yaml", &many).contains("is one of more than 10000 documents"));
    let large = format!("{}v: {}\n---\n{}", object("x"), "x".repeat(3 << 20), object("y"));
    assert!(told("a.yaml", &large).contains("a document may have 3145728"));
}

#[test]
fn an_alias_bomb_is_refused_and_soon() {
    let mut text = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n".to_owned();
    for level in 1..12 {
        let aliases = vec![format!("*a{}", level - 1); 10].join(", ");
        text.push_str(&format!("a{level}: &a{level} [{aliases}]\n"));
    }
    assert!(told("a.yaml", &text).contains("repeats itself more often"), "{}", told("a.yaml", &text));
}

#[test]
fn what_aliases_make_of_all_documents_together_is_bounded() {
    let document = |name: &str| {
        let aliases = vec!["*l"; 90].join(", ");
        format!("{}l: &l {}\nv: [{aliases}]\n", object(name), "x".repeat(200_000))
    };
    let alone = document("x");
    let fine = Text { file: "a.yaml", bytes: alone.as_bytes() };
    assert_eq!(read(&[fine]).unwrap().len(), 1);
    let files: Vec<String> = (0..40).map(|at| document(&format!("x{at}"))).collect();
    let texts: Vec<Text<'_>> =
        files.iter().map(|text| Text { file: "a.yaml", bytes: text.as_bytes() }).collect();
    let problems = read(&texts).unwrap_err();
    assert!(problems.len() == 1 && problems[0].message.contains("beyond the 256 MiB"), "{problems:?}");
}

#[test]
fn nesting_is_bounded_however_it_is_written() {
    let nested = |levels: usize| format!("{}1{}", "[".repeat(levels), "]".repeat(levels));
    assert!(value(&nested(60)).is_array());
    let json = |levels| {
        format!(r#"{{"apiVersion":"v1","kind":"A","metadata":{{"name":"b"}},"v":{}}}"#, nested(levels))
    };
    assert!(read_one("a.json", &json(60)).is_ok());
    assert!(told("a.json", &json(100)).starts_with("is nested deeper"), "{}", told("a.json", &json(100)));
    let open = ["[", "{a: ", "{? ", "{<<: "];
    let shut = ["]", "}", "}", "}"];
    for (open, shut) in open.into_iter().zip(shut) {
        let mut text = format!("a0: &a0 {}x{}\n", open.repeat(50), shut.repeat(50));
        for level in 1..200 {
            let deep = format!("{}*a{} {}", open.repeat(50), level - 1, shut.repeat(50));
            text.push_str(&format!("a{level}: &a{level} {deep}\n"));
        }
        text.push_str(&format!("b: {}\n", "- ".repeat(500)));
        assert!(!told("a.yaml", &text).is_empty(), "{open}");
    }
    for text in [
        "- ".repeat(9000),
        "? ".repeat(9000),
        "a: {".repeat(9000),
        "!!a &b ".repeat(9000),
        "[*a,".repeat(9000),
    ] {
        assert!(!told("a.yaml", &text).is_empty());
    }
}

#[test]
fn no_message_repeats_a_value() {
    let secret = "hunter2hunter2";
    let head = "apiVersion: v1\nkind: Secret\nmetadata: {name: x}\nstringData:\n";
    let tails = [
        format!("  password: \"{secret}\n"),
        format!("  password: {secret}: {secret}\n"),
        format!("  {secret}: a\n  {secret}: b\n"),
        format!("  password: *{secret}\n"),
        format!("  password: !!binary {secret}!\n"),
        format!("  password: !!int {secret}\n"),
        format!("  password: [{secret}\n"),
        format!("  <<: {secret}\n"),
        format!("  password: {secret}\n {secret}\n"),
        format!("  password: @{secret}\n"),
        format!("  password: !{secret}!{secret} a\n"),
        format!("  password: !!bool {secret}\n"),
        format!("  ? [{secret}]\n  : a\n"),
    ];
    for tail in tails {
        match read_one("a.yaml", &format!("{head}{tail}")) {
            Err(problems) => {
                let told: String = problems.iter().map(ToString::to_string).collect();
                assert!(!told.contains("hunter2"), "{tail}{told}");
            }
            Ok(manifests) => assert_eq!(manifests.len(), 1, "{tail}"),
        }
    }
}

#[test]
fn what_only_a_server_sets_is_left_out() {
    let text = "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: x\n  namespace: ''\n  uid: u\n  resourceVersion: '1'\n  \
                generation: 1\n  selfLink: /a\n  creationTimestamp: null\n  managedFields: []\n  labels: {a: b}\nstatus: {}\n\
                stringData: {a: b}\n";
    let manifests = read_one("a.yaml", text).unwrap();
    let expected = json!({
        "apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "x", "labels": {"a": "b"}}, "stringData": {"a": "b"}
    });
    assert_eq!(manifests[0].value, expected);
    assert_eq!(manifests[0].api_version, "v1");
}

#[test]
fn no_bytes_make_it_panic() {
    let seeds = [
        format!("%YAML 1.2\n---\n{}v: &a [0644, 'x', \"y\", !!binary aGk=]\nw: *a\n...\n", object("x")),
        "kind: List\napiVersion: v1\nitems: [{a: {<<: {b: c}}}, ? x : y, |\n a\n]\n".to_owned(),
        r#"{"apiVersion":"v1","kind":"A","metadata":{"name":"b","x":[1.5e300,null,true]}}"#.to_owned(),
    ];
    let mut state = 0x2545_f491_4f6c_dd1d_u64;
    let mut next = |bound: usize| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        usize::try_from(state % u64::try_from(bound).unwrap()).unwrap()
    };
    let spice = b"\0\t\n\r -:?[]{}&*!|>'\"%@`#,.~<\xff\xc3\xefa0";
    for round in 0..6000 {
        let mut bytes = seeds[round % seeds.len()].clone().into_bytes();
        for _ in 0..=next(8) {
            let at = next(bytes.len().max(1));
            match next(4) {
                0 if !bytes.is_empty() => drop(bytes.remove(at)),
                1 => bytes.insert(at.min(bytes.len()), spice[next(spice.len())]),
                2 if !bytes.is_empty() => bytes[at] = spice[next(spice.len())],
                _ => bytes.extend_from_within(at.min(bytes.len())..bytes.len().min(at + 9)),
            }
        }
        let file = if round % 2 == 0 { "a.yaml" } else { "a.json" };
        if let Err(problems) = read(&[Text { file, bytes: &bytes }]) {
            assert!(problems.iter().all(|p| p.place.as_ref().is_some_and(|place| place.line > 0)));
        }
    }
}
