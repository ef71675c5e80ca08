//! Reads Rust sources as text, as far as the rules of the crate's shape need it. Relies on rustfmt's layout.

use std::collections::BTreeSet;
use std::path::Path;

/// Returns the top module that a file below `src/` belongs to.
pub fn module_of(inner: &Path) -> String {
    let first = inner.components().next().unwrap();
    first.as_os_str().to_str().unwrap().trim_end_matches(".rs").to_owned()
}

/// Returns the code without comments, the contents of strings, and items under `#[cfg(test)]`.
pub fn production(text: &str) -> String {
    let code = plain(text);
    let mut kept = String::new();
    let mut lines = code.lines();
    while let Some(line) = lines.next() {
        if line.trim() != "#[cfg(test)]" {
            kept.push_str(line);
            kept.push('\n');
            continue;
        }
        let indent = indent(line);
        let closing = format!("{}}}", " ".repeat(indent));
        for inner in lines.by_ref() {
            if inner == closing || (self::indent(inner) == indent && inner.ends_with([';', '}'])) {
                break;
            }
        }
    }
    kept
}

fn indent(line: &str) -> usize {
    line.len() - line.trim_start().len()
}

/// Blanks comments and the contents of string and character literals; lines stay where they are.
fn plain(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let taken = literal(rest, out.chars().next_back());
        if let Some(length) = taken {
            out.extend(rest[..length].chars().filter(|c| *c == '\n'));
            rest = &rest[length..];
        } else {
            out.push(first);
            rest = &rest[first.len_utf8()..];
        }
    }
    out.lines().map(|line| format!("{}\n", line.trim_end())).collect()
}

/// Returns how long the comment or literal is that starts here, if one does.
fn literal(rest: &str, before: Option<char>) -> Option<usize> {
    let in_word = before.is_some_and(|c| c.is_alphanumeric() || c == '_');
    if rest.starts_with("//") {
        return Some(rest.find('\n').unwrap_or(rest.len()));
    }
    if rest.starts_with("/*") {
        return Some(rest.find("*/").map_or(rest.len(), |end| end + 2));
    }
    if rest.starts_with('r') && !in_word {
        let hashes = rest[1..].bytes().take_while(|b| *b == b'#').count();
        if rest[1 + hashes..].starts_with('"') {
            let closing = format!("\"{}", "#".repeat(hashes));
            let start = hashes + 2;
            return Some(rest[start..].find(&closing).map_or(rest.len(), |end| start + end + closing.len()));
        }
    }
    if rest.starts_with('"') {
        return Some(quoted(rest, '"'));
    }
    // A lifetime is no character: 'a is one letter without a closing quote right after it.
    let mut letters = rest.strip_prefix('\'')?.chars();
    let escaped = letters.next()? == '\\';
    (escaped || letters.next()? == '\'').then(|| quoted(rest, '\''))
}

fn quoted(rest: &str, quote: char) -> usize {
    let mut escaped = false;
    for (at, letter) in rest.char_indices().skip(1) {
        if !escaped && letter == quote {
            return at + 1;
        }
        escaped = letter == '\\' && !escaped;
    }
    rest.len()
}

/// Returns the top modules named as `crate::module`.
pub fn crate_paths(code: &str) -> BTreeSet<String> {
    occurrences(code, "crate")
        .filter_map(|after| after.strip_prefix("::"))
        .map(|path| path.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect::<String>())
        // Macros and constants of the root are not modules; a group is refused by `imports`.
        .filter(|name| !name.is_empty())
        .collect()
}

/// Returns what follows each occurrence of a word that stands alone.
fn occurrences<'a>(code: &'a str, word: &'a str) -> impl Iterator<Item = &'a str> {
    let letter = |c: char| c.is_alphanumeric() || c == '_';
    code.match_indices(word)
        .filter(move |(at, _)| !code[..*at].ends_with(letter) && !code[at + word.len()..].starts_with(letter))
        .map(move |(at, _)| &code[at + word.len()..])
}

/// Returns whether the code uses an outside crate, as `name::…`, `use name` or an attribute.
pub fn names_crate(code: &str, name: &str) -> bool {
    let path = format!("{name}::");
    code.match_indices(&path)
        .any(|(at, _)| !code[..at].ends_with(|c: char| c.is_alphanumeric() || c == '_' || c == ':'))
        || code.lines().any(|line| {
            let line = line.trim_start().trim_start_matches("pub ");
            line.strip_prefix("use ").is_some_and(|used| {
                used.trim_end_matches(';').split(" as ").next().is_some_and(|used| used.trim() == name)
            })
        })
}

/// Returns whether the code says something, as whole words.
pub fn says(code: &str, what: &str) -> bool {
    let word = what.trim_start_matches('.');
    if what.starts_with('.') { code.contains(what) } else { occurrences(code, word).next().is_some() }
}

/// Returns what is wrong with the imports of a file; in a top file `super` would be a way around the floors.
pub fn imports(code: &str, module: &str, top: bool) -> Vec<String> {
    let own = format!("use crate::{module}::");
    let mut wrong = Vec::new();
    for line in code.lines().map(str::trim) {
        let ours = ["use crate", "use super", "use self"].iter().any(|start| line.contains(start));
        let complaint = if ours && line.contains('{') {
            "a group of imports"
        } else if ours && line.contains('*') {
            "a glob import"
        } else if line.starts_with("pub") && line.contains("use crate::") && !line.contains(&own) {
            "a re-export"
        } else if line.contains("super::super") {
            "super::super"
        } else if top && occurrences(line, "super").any(|after| after.starts_with("::")) {
            "super of a top module"
        } else if line.contains("crate::{") || occurrences(line, "crate").any(|a| a.starts_with(" as")) {
            "the whole crate"
        } else {
            continue;
        };
        wrong.push(format!("{complaint}: {line}"));
    }
    wrong
}

/// Returns the functions of a file with the number of lines in their bodies, by rustfmt's indentation.
pub fn functions(text: &str) -> Vec<(String, usize)> {
    let code = plain(text);
    let lines: Vec<&str> = code.lines().collect();
    let mut found = Vec::new();
    for (start, line) in lines.iter().enumerate() {
        let Some(after) = occurrences(line, "fn").next() else { continue };
        let name: String =
            after.trim_start().chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect();
        if name.is_empty() || line.ends_with([';', '}']) {
            continue;
        }
        let closing = format!("{}}}", " ".repeat(indent(line)));
        let Some(opened) = lines[start..].iter().position(|inner| inner.ends_with('{')) else { continue };
        let body = &lines[start + opened + 1..];
        found.push((name, body.iter().position(|inner| *inner == closing).unwrap_or(body.len())));
    }
    found
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    #[test]
    fn a_folder_is_one_module() {
        assert_eq!(module_of(Path::new("queue/sqlite/writer.rs")), "queue");
        assert_eq!(module_of(Path::new("plan.rs")), "plan");
    }

    #[test]
    fn a_use_of_another_module_is_seen() {
        let code = production("use crate::queue::Queue;\nfn f() { crate::store::open(); }\n");
        assert_eq!(crate_paths(&code).into_iter().collect::<Vec<_>>(), ["queue", "store"]);
    }

    #[test]
    fn comments_strings_and_tests_are_not_code() {
        let text = "// crate::a\nlet x = \"crate::b\"; let y = r#\"crate::c\"#; let q = '\"';\n/* crate::d */\n\
            #[cfg(test)]\nmod tests {\n    use crate::e::E;\n}\nuse crate::f::F;\nfn f<'a>(x: &'a str) {}\n";
        assert_eq!(crate_paths(&production(text)).into_iter().collect::<Vec<_>>(), ["f"]);
    }

    #[test]
    fn an_outside_crate_is_seen_and_a_part_of_that_name_is_not() {
        for (code, seen) in [
            ("use sqlx::Row;", true),
            ("let x = sqlx::query(q);", true),
            ("use sqlx;", true),
            ("#[actix_web::main]", false),
            ("use crate::store::sqlx::Row;", false),
            ("let mysqlx::y = 1;", false),
        ] {
            assert_eq!(names_crate(code, "sqlx"), seen, "{code}");
        }
        assert!(names_crate("#[actix_web::main]", "actix_web"));
    }

    #[test]
    fn impurities_are_seen() {
        let code = "pub async fn f() { tokio::spawn(g()).await; std::fs::read(p); }";
        for what in ["async fn", ".await", "tokio", "std::fs"] {
            assert!(says(code, what), "{what}");
        }
        assert!(!says("fn tokiox() {}", "tokio"));
    }

    #[test]
    fn ways_around_the_rules_are_seen() {
        for (line, top) in [
            ("use crate::a::{B, C};", false),
            ("use crate::{a, b};", false),
            ("use crate::a::*;", false),
            ("pub use crate::a::B;", false),
            ("pub(crate) use crate::a::B;", false),
            ("use super::super::a::B;", false),
            ("use super::a::B;", true),
            ("use crate as windlass;", false),
        ] {
            assert_eq!(imports(line, "m", top).len(), 1, "{line}");
        }
        let fine = "use super::part::B;\nuse crate::a::B;\npub use part::C;\npub use crate::m::part::D;";
        assert!(imports(fine, "m", false).is_empty());
    }

    #[test]
    fn long_functions_are_measured() {
        let body = "    x();\n".repeat(70);
        let text = format!("impl A {{\n    fn short() {{}}\n}}\npub fn long(\n    a: u8,\n) {{\n{body}}}\n");
        assert_eq!(functions(&text), [("long".to_owned(), 70)]);
    }
}
