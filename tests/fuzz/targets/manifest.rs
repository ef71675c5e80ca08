//! Reads manifests.
//!
//! The first byte of an input says what the rest is: `j` for JSON, anything else for YAML.

use windlass::manifest::Text;
use windlass::manifest::read;
use windlass::object::Manifest;

/// What seeds hold as the value of a secret, and what no problem may repeat. It is no kind, which problems do repeat.
const CANARY: &str = "s3cr3t_c4n4ry";

/// How many problems are told at most, with the line that counts the rest?
const PROBLEMS: usize = 101;
/// How long may a problem be, in characters?
const PROBLEM_CHARS: usize = 400;

/// Reads any text as manifests.
pub fn run(input: &[u8]) {
    let Some((kind, bytes)) = input.split_first() else { return };
    let file = if *kind == b'j' { "of-an-input.json" } else { "of-an-input.yaml" };
    match read(&[Text { file, bytes }]) {
        Ok(manifests) => manifests.iter().for_each(|manifest| is_usable(manifest, file)),
        Err(problems) => {
            assert!((1..=PROBLEMS).contains(&problems.len()));
            for problem in problems {
                let told = problem.to_string();
                assert!(!told.contains(CANARY), "{told}");
                super::expect_words(&told, PROBLEM_CHARS);
            }
        }
    }
}

/// Writes a manifest as JSON, which reads as the same, also as YAML.
fn is_usable(manifest: &Manifest, file: &str) {
    let id = &manifest.id;
    assert_eq!(manifest.place.file, file);
    assert!(!id.name.is_empty() && !id.kind.is_empty(), "{id}");
    assert!(id.namespace.as_ref().is_none_or(|namespace| !namespace.is_empty()), "{id}");
    assert!(!manifest.value.as_object().expect("a manifest is a mapping").contains_key("status"), "{id}");
    super::expect_words(&format!("{id} {}", manifest.api_version), 1000);
    let written = manifest.value.to_string();
    let again = |file| read(&[Text { file, bytes: written.as_bytes() }]);
    let json = again("again.json").expect("what was read is read again");
    assert_eq!(json.len(), 1);
    assert_eq!((&json[0].id, &json[0].value), (id, &manifest.value));
    // A character that does not print stands in JSON and not in YAML.
    if written.chars().all(|c| matches!(c, ' '..='~')) {
        let yaml = again("again.yaml").expect("JSON is read as YAML");
        assert_eq!((&yaml[0].id, &yaml[0].value), (id, &manifest.value));
    }
}
