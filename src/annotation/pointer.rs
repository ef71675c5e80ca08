//! JSON pointers (RFC 6901) to the fields that an object leaves to others.

use crate::member;

/// How many steps may a pointer have? Manifests are no deeper.
const STEPS: usize = 64;

/// A field of an object, as the steps that lead to it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pointer(Vec<String>);

impl Pointer {
    /// Reads a pointer such as `/spec/template/spec/containers/0/image`; in a step `~1` stands for a slash and `~0` for a
    /// tilde.
    ///
    /// # Errors
    /// What is no pointer, and what names the object or makes it a member: that cannot be left to others. The words read
    /// on after a comma.
    pub fn parse(text: &str) -> Result<Self, String> {
        let refuse = |why: &str| Err(format!("which {why}"));
        let Some(rest) = text.strip_prefix('/') else {
            return refuse(
                "has something that is no JSON pointer; begin each with a slash, as in /spec/replicas",
            );
        };
        let Some(steps) = rest.split('/').map(unescaped).collect::<Option<Vec<_>>>() else {
            return refuse("has a tilde that stands for nothing; write ~0 for a tilde and ~1 for a slash");
        };
        if steps.len() > STEPS {
            return refuse("has a pointer of more than 64 steps");
        }
        let words: Vec<&str> = steps.iter().map(String::as_str).collect();
        match words.as_slice() {
            [""]
            | ["apiVersion" | "kind" | "metadata"]
            | ["metadata", "name" | "namespace" | "labels" | "annotations"] => {
                refuse("leaves to others what windlass needs to set; name single labels and annotations")
            }
            ["metadata", "labels", label] if *label == member::PART_OF => {
                refuse("leaves to others the label by which the object is a member")
            }
            _ => Ok(Self(steps)),
        }
    }

    /// Returns the steps, the outermost first.
    #[must_use]
    pub fn steps(&self) -> &[String] {
        &self.0
    }
}

fn unescaped(step: &str) -> Option<String> {
    let mut parts = step.split('~');
    let mut text = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let (sign, rest) = part.split_at_checked(1)?;
        text.push(match sign {
            "0" => '~',
            "1" => '/',
            _ => return None,
        });
        text.push_str(rest);
    }
    Some(text)
}
