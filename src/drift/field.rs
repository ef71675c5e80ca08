//! How the fields of an object are named for people, and how JSON pointers name the same ones.
//!
//! A name is `spec.containers[0].image`: steps with dots between them, and the number of an item in brackets. A key with a
//! dot or a bracket of its own stands in brackets too, as in `metadata.annotations[example.org/note]`.

use std::fmt::Write;

/// Returns the name of a field within another; the outermost has no name.
pub(super) fn within(path: &str, key: &str) -> String {
    if key.is_empty() || key.contains(['.', '[', ']']) {
        format!("{path}[{key}]")
    } else if path.is_empty() {
        key.to_owned()
    } else {
        format!("{path}.{key}")
    }
}

/// Returns the JSON pointer (RFC 6901) to the field of this name; `None` for what is no name. A key with a closing bracket
/// of its own is misread.
#[must_use]
pub fn pointer(field: &str) -> Option<String> {
    let (mut pointer, mut rest) = (String::new(), field);
    while !rest.is_empty() {
        let (step, left) = match rest.strip_prefix('[') {
            Some(inner) => inner.split_once(']')?,
            None => {
                let steps = rest.strip_prefix('.').unwrap_or(rest);
                steps.split_at(steps.find(['.', '[']).unwrap_or(steps.len()))
            }
        };
        // Writing into a text fails never.
        let _written = write!(pointer, "/{}", step.replace('~', "~0").replace('/', "~1"));
        rest = left;
    }
    Some(pointer).filter(|pointer| !pointer.is_empty())
}

#[cfg(test)]
mod tests {
    use super::pointer;
    use super::within;

    #[test]
    fn a_name_is_a_pointer() {
        for (name, expected) in [
            ("spec.replicas", Some("/spec/replicas")),
            ("spec.c[0].image", Some("/spec/c/0/image")),
            ("m[0][1]", Some("/m/0/1")),
            ("metadata.annotations[example.org/note]", Some("/metadata/annotations/example.org~1note")),
            ("data[a.b].c", Some("/data/a.b/c")),
            ("data.a~b", Some("/data/a~0b")),
            ("[.x]", Some("/.x")),
            ("", None),
            ("a[0", None),
        ] {
            assert_eq!(pointer(name).as_deref(), expected, "{name}");
        }
        for (steps, expected) in [
            (&["spec", "a"][..], "spec.a"),
            (&["data", "a.yaml", "b"], "data[a.yaml].b"),
            (&["data", ""], "data[]"),
        ] {
            let name = steps.iter().fold(String::new(), |path, step| within(&path, step));
            assert_eq!(name, expected);
            assert_eq!(pointer(&name), Some(format!("/{}", steps.join("/"))));
        }
    }
}
