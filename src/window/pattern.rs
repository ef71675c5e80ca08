//! Names of applications and clusters, with `*` for any number of characters.

use std::fmt;

/// How many characters may a pattern have? Names are shorter.
const CHARACTERS: usize = 64;

/// A name, or a pattern of names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pattern(String);

impl Pattern {
    /// Reads a pattern.
    ///
    /// # Errors
    /// It has a character that no name has, or too many of them.
    pub fn parse(text: &str) -> Result<Self, String> {
        let fine = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-' || c == '*';
        if text.is_empty() || text.len() > CHARACTERS || !text.chars().all(fine) {
            return Err(format!("must be a name, with * for any characters, of at most {CHARACTERS}"));
        }
        Ok(Self(text.to_owned()))
    }

    /// Returns whether a name fits.
    #[must_use]
    pub fn fits(&self, name: &str) -> bool {
        let Some((start, rest)) = self.0.split_once('*') else { return self.0 == name };
        let Some(mut left) = name.strip_prefix(start) else { return false };
        let mut parts: Vec<&str> = rest.split('*').collect();
        let end = parts.pop().unwrap_or_default();
        // Of what is between stars, the first place that fits leaves the most for the rest.
        for part in parts {
            let Some((_, after)) = left.split_once(part) else { return false };
            left = after;
        }
        left.ends_with(end)
    }
}

impl fmt::Display for Pattern {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::Pattern;

    #[test]
    fn names_fit_by_table() {
        for (pattern, name, fits) in [
            ("shop", "shop", true),
            ("shop", "shop-2", false),
            ("*", "shop", true),
            ("shop-*", "shop-", true),
            ("shop-*", "shop", false),
            ("*-eu", "prod-eu", true),
            ("*-eu", "prod-eu-2", false),
            ("prod-*-1", "prod-eu-1", true),
            ("prod-*-1", "prod-1", false),
            ("*a*b*", "xaxbx", true),
            ("*a*b*", "xbxax", false),
            ("a*a", "a", false),
            ("a**b", "ab", true),
            ("*b*b", "ab", false),
        ] {
            assert_eq!(Pattern::parse(pattern).unwrap().fits(name), fits, "{pattern} {name}");
        }
        for wrong in ["", "Shop", "a b", "shop?", &"a".repeat(65)] {
            assert!(Pattern::parse(wrong).unwrap_err().contains("must be a name"), "{wrong}");
        }
    }
}
