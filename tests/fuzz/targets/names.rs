//! Reads names of refs, ids of commits, names from the settings and trace contexts, and holds refs against Git's rules and
//! traces against W3C's, written down a second time.

use windlass::application::Name;
use windlass::commit::CommitId;
use windlass::commit::RefName;
use windlass::trace::Trace;

/// Reads any text as each of them.
pub fn run(input: &[u8]) {
    let text = String::from_utf8_lossy(input);
    reference(&text);
    commit(&text);
    trace(&text);
    match Name::parse(&text) {
        Ok(name) => assert!(name.as_str() == text && name.as_str().len() <= 40),
        Err(error) => assert!(error.found.chars().count() <= 80 && text.starts_with(&error.found)),
    }
}

fn reference(text: &str) {
    let read = RefName::parse(text);
    let meant = text.starts_with("refs/") && text.len() <= 255 && git_takes(text);
    assert_eq!(read.is_ok(), meant, "{text:?}");
    if let Ok(read) = read {
        assert_eq!((read.as_str(), read.is_tag()), (text, text.starts_with("refs/tags/")));
    }
}

/// Says whether Git takes a name, by the numbered rules of git-check-ref-format(1), in their order.
fn git_takes(name: &str) -> bool {
    let chars: Vec<char> = name.chars().collect();
    let pair = |first, second| chars.windows(2).any(|pair| pair == [first, second]);
    let one = |bad: fn(char) -> bool| chars.iter().any(|c| bad(*c));
    let broken = [
        chars.first() == Some(&'.') || pair('/', '.') || name.ends_with(".lock") || name.contains(".lock/"),
        !chars.contains(&'/'),
        pair('.', '.'),
        one(|c| c.is_ascii_control() || " ~^:".contains(c)),
        one(|c| "?*[".contains(c)),
        chars.first() == Some(&'/') || chars.last() == Some(&'/') || pair('/', '/'),
        chars.last() == Some(&'.'),
        pair('@', '{'),
        name == "@",
        one(|c| c == '\\'),
    ];
    !broken.contains(&true)
}

fn commit(text: &str) {
    let fits = matches!(text.len(), 40 | 64) && text.chars().all(|c| "0123456789abcdef".contains(c));
    let zero = text.chars().all(|c| c == '0');
    assert_eq!(CommitId::parse(text).is_ok(), fits && !zero, "{text:?}");
    let read = CommitId::parse_or_zero(text);
    assert_eq!(read.is_ok(), fits, "{text:?}");
    if let Ok(read) = read {
        assert_eq!(read.as_ref().map(CommitId::as_str), (!zero).then_some(text));
    }
}

fn trace(text: &str) {
    let hex =
        |part: &str, length| part.len() == length && part.chars().all(|c| "0123456789abcdef".contains(c));
    let nonzero = |part: &str| part.chars().any(|c| c != '0');
    let parts: Vec<&str> = text.split('-').collect();
    let meant = matches!(parts[..], ["00", id, span, flags]
        if hex(id, 32) && nonzero(id) && hex(span, 16) && nonzero(span) && hex(flags, 2));
    let read = Trace::parse(text);
    assert_eq!(read.is_some(), meant, "{text:?}");
    assert!(read.is_none_or(|read| read.to_string() == text));
}
