use super::Range;
use crate::commit::RefName;

fn range(text: &str) -> Range {
    Range::parse(text).unwrap()
}

fn tags(names: &[&str]) -> Vec<RefName> {
    names.iter().map(|name| RefName::parse(&format!("refs/tags/{name}")).unwrap()).collect()
}

fn highest(text: &str, names: &[&str]) -> Option<String> {
    let tags = tags(names);
    range(text).highest(&tags).map(|name| name.as_str().replace("refs/tags/", ""))
}

/// A range, what it covers and what it does not.
const CASES: &[(&str, &[&str], &[&str])] = &[
    (">=1.2, <2", &["1.2.0", "v1.2.0", "1.99.99"], &["1.1.9", "2.0.0", "2.0.0-rc.1", "1.5.0-rc.1"]),
    (">=1.0.0 <2.0.0", &["1.0.0", "1.9.9"], &["0.9.9", "2.0.0"]),
    ("1.2.3", &["1.2.3", "1.2.3+5"], &["1.2.4", "1.2.2", "1.2.3-rc.1"]),
    ("=1.2", &["1.2.0", "1.2.9"], &["1.3.0", "1.1.9"]),
    ("1.x", &["1.0.0", "1.9.9"], &["2.0.0", "0.9.9"]),
    ("v1.2.x", &["1.2.9"], &["1.3.0"]),
    ("1", &["1.9.9"], &["2.0.0"]),
    ("*", &["0.0.1", "9.9.9"], &["1.0.0-rc.1"]),
    ("x.x.x", &["0.0.1"], &[]),
    ("!=1.2.3", &["1.2.2", "1.2.4"], &["1.2.3"]),
    ("1.x, !=1.2.x", &["1.1.9", "1.3.0"], &["1.2.0", "1.2.9"]),
    (">1.2.3", &["1.2.4"], &["1.2.3", "1.2.3+9"]),
    (">1.2", &["1.3.0"], &["1.2.9"]),
    (">1", &["2.0.0"], &["1.9.9"]),
    ("<=1.2.3", &["1.2.3", "0.0.1"], &["1.2.4"]),
    ("<=1.2", &["1.2.9"], &["1.3.0"]),
    ("<=1", &["1.9.9"], &["2.0.0"]),
    ("<1.2", &["1.1.9"], &["1.2.0"]),
    ("~1.2.3", &["1.2.3", "1.2.9"], &["1.2.2", "1.3.0"]),
    ("~1.2", &["1.2.0", "1.2.9"], &["1.3.0"]),
    ("~1", &["1.0.0", "1.9.0"], &["2.0.0"]),
    ("^1.2.3", &["1.2.3", "1.9.0"], &["1.2.2", "2.0.0"]),
    ("^0.2.3", &["0.2.3", "0.2.9"], &["0.3.0"]),
    ("^0.0.3", &["0.0.3"], &["0.0.4", "0.0.2"]),
    ("^0.0", &["0.0.9"], &["0.1.0"]),
    ("^0", &["0.9.0"], &["1.0.0"]),
    ("1.2 - 1.4", &["1.2.0", "1.4.9"], &["1.1.9", "1.5.0"]),
    ("1.x || >=3", &["1.0.0", "3.0.0", "4.1.0"], &["2.0.0"]),
    (">= 1.2 , < 2", &["1.2.0"], &["2.0.0"]),
    (">=1.2<2", &["1.2.0"], &["2.0.0"]),
    // A range that names a pre-release covers pre-releases, but none of a version that it shuts out.
    (">=1.2.0-0, <2", &["1.2.0-alpha", "1.5.0-rc.1", "1.5.0"], &["2.0.0-rc.1", "1.1.0"]),
    (">=1.2.0-rc.2", &["1.2.0-rc.2", "1.2.0-rc.10", "1.2.0", "1.3.0-a"], &["1.2.0-rc.1"]),
    ("^1.2.0-rc.1", &["1.2.0-rc.1", "1.9.0"], &["2.0.0-rc.1", "1.2.0-beta"]),
    ("~1.2.0-rc.1", &["1.2.0-rc.1"], &["1.3.0-rc.1"]),
    ("<2.0.0-rc.2, >=1", &["2.0.0-rc.1"], &["2.0.0-rc.2", "2.0.0"]),
    ("1.2.0-rc.1", &["1.2.0-rc.1"], &["1.2.0-rc.2", "1.2.0"]),
    ("1.x || 2.0.0-rc.1", &["1.1.0", "2.0.0-rc.1"], &["1.2.0-rc.1"]),
    ("<=18446744073709551615", &["18446744073709551614.0.0"], &[]),
];

#[test]
fn what_a_range_covers_by_table() {
    for (text, inside, outside) in CASES {
        let range = range(text);
        for tag in tags(inside) {
            assert!(range.covers(&tag), "{text} covers {tag}");
        }
        for tag in tags(outside) {
            assert!(!range.covers(&tag), "{text} does not cover {tag}");
        }
        assert_eq!(range.to_string(), *text);
    }
}

#[test]
fn what_is_no_range_is_refused() {
    let long = format!(">=1{}", " ".repeat(300) + "<2");
    for text in [
        "",
        " ",
        "latest",
        "main",
        "refs/tags/v1",
        ">",
        ">=",
        "1.2.3.4",
        "1.x.3",
        "x.1",
        "01.2",
        "1.2-beta",
        "1.2.3+5",
        ">=1.2, ",
        ", 1",
        "1 ||",
        "|| 1",
        "1 | 2",
        "=>1",
        "~>1",
        ">*",
        "~*",
        "!=*",
        "1.2 - ",
        "1 2x",
        "-1",
        &long,
    ] {
        assert!(Range::parse(text).is_err(), "{text:?}");
    }
}

#[test]
fn the_highest_version_is_chosen_and_what_is_no_version_is_passed_over() {
    let names = [
        "v1.9.0",
        "v1.10.0",
        "1.2.0",
        "v2.0.0-rc.1",
        "latest",
        "v3",
        "v1.99",
        "V1.50.0",
        "a/v1.60.0",
        "vv1.70.0",
    ];
    assert_eq!(highest("*", &names).as_deref(), Some("v1.10.0"));
    assert_eq!(highest("<1.5", &names).as_deref(), Some("1.2.0"));
    assert_eq!(highest(">=2.0.0-0", &names).as_deref(), Some("v2.0.0-rc.1"));
    assert_eq!(highest(">=2", &names), None);
    assert_eq!(highest("*", &[]), None);
    let branch = RefName::parse("refs/heads/v9.0.0").unwrap();
    assert_eq!(range("*").highest([&branch]), None, "a branch is no tag");
}

#[test]
fn equal_versions_have_one_order_whatever_the_order_of_the_list() {
    let ascending = ["1.0.0", "v1.0.0", "1.0.0+2", "v1.0.0+2", "v1.0.0+10", "v1.0.0+a", "1.0.1"];
    for end in 1..=ascending.len() {
        let mut names = ascending[..end].to_vec();
        for _ in 0..names.len() {
            names.rotate_left(1);
            assert_eq!(highest("1.0.x", &names).as_deref(), Some(ascending[end - 1]), "{names:?}");
        }
    }
}

#[test]
fn one_tag_is_preferred_to_another_only_when_it_is_covered_and_higher() {
    for (one, other, preferred) in [
        ("v1.2.0", Some("v1.1.0"), true),
        ("v1.0.0", Some("v1.1.0"), false),
        ("v1.1.0", Some("v1.1.0"), false),
        ("v1.1.0", Some("1.1.0"), true),
        ("v2.0.0", Some("v1.1.0"), false),
        ("latest", None, false),
        ("v1.0.0", None, true),
    ] {
        let tags = tags(&[one, other.unwrap_or("none")]);
        assert_eq!(range("1.x").prefers(&tags[0], other.map(|_| &tags[1])), preferred, "{one} {other:?}");
    }
}
