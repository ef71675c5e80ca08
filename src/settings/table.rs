//! The settings as a table for people, from the embedded file itself.

/// Returns every setting as key, default and what it is for, in the order of the embedded file.
///
/// Items of lists are called `forges[].url`; their value is an example, and the comment names the default.
#[must_use]
pub fn table() -> Vec<(String, String, String)> {
    rows(super::DEFAULTS)
}

fn rows(text: &str) -> Vec<(String, String, String)> {
    let mut rows = Vec::new();
    let (mut section, mut comment) = (String::new(), Vec::new());
    for line in text.lines() {
        if let Some(words) = line.strip_prefix("# ") {
            comment.push(words);
        } else if let Some(name) = line.strip_prefix("#[[").and_then(|rest| rest.strip_suffix("]]")) {
            section = format!("{name}[]");
            comment.clear();
        } else if let Some(name) = line.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
            name.clone_into(&mut section);
            comment.clear();
        } else if let Some((name, value)) = line.trim_start_matches('#').split_once(" = ") {
            rows.push((format!("{section}.{name}"), value.to_owned(), comment.join(" ")));
            comment.clear();
        } else {
            comment.clear();
        }
    }
    rows
}

#[cfg(test)]
mod tests {
    use super::table;

    #[test]
    fn every_setting_is_explained() {
        let table = table();
        for (key, default, comment) in &table {
            assert!(!comment.is_empty() && !default.is_empty(), "{key}");
            assert!(comment.ends_with(['.', '?']), "{key}: {comment}");
        }
        let find = |key: &str| table.iter().find(|row| row.0 == key).map(|row| row.1.as_str());
        assert_eq!(find("door.listen"), Some("\"127.0.0.1:8080\""));
        assert_eq!(find("applications[].ref"), Some("\"refs/heads/main\""));
        assert!(table.len() > 40, "{}", table.len());
    }
}
