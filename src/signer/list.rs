//! The list of keys: lines of OpenSSH's allowed signers, and keys of OpenPGP in their armour.

use std::fmt;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use super::Signers;
use super::armour;
use super::date;
use super::openpgp;
use super::ssh;
use super::window::Window;

/// How many keys may a list have?
const KEYS: usize = 1_000;
/// How many problems of one list are told?
const PROBLEMS: usize = 20;
/// How many characters of a strange word are shown?
const SHOWN: usize = 40;
/// Who signs for Git, as namespaces name it.
const GIT: &str = "git";

/// Something that is wrong with a list. It shows no more of a line than the names of its options.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wrong {
    /// The line, the first being 1.
    pub line: usize,
    /// What is wrong, and what is allowed.
    pub why: String,
}

impl fmt::Display for Wrong {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "line {}: {}", self.line, self.why)
    }
}

/// A block between two lines with dashes.
struct Block<'a> {
    line: usize,
    text: Vec<&'a str>,
    end: Option<&'static str>,
}

/// Reads a list.
pub(super) fn read(text: &str) -> Result<Signers, Vec<Wrong>> {
    let mut signers = Signers { ssh: Vec::new(), openpgp: Vec::new() };
    let (mut wrong, mut block): (Vec<Wrong>, Option<Block<'_>>) = (Vec::new(), None);
    let mut last = 1;
    for (number, line) in (1..).zip(text.lines().map(str::trim)) {
        last = number;
        let read = match block.take() {
            Some(open) => within(open, line, &mut block, &mut signers.openpgp),
            None if line.starts_with("-----BEGIN ") => {
                let end = (line == armour::KEYS[0]).then_some(armour::KEYS[1]);
                block = Some(Block { line: number, text: vec![line], end });
                Ok(())
            }
            None if line.is_empty() || line.starts_with('#') => Ok(()),
            None => listed(line).map(|one| signers.ssh.push(one)).map_err(|why| (number, why)),
        };
        wrong.extend(read.err().map(|(line, why)| Wrong { line, why }));
        if signers.ssh.len() + signers.openpgp.len() > KEYS {
            wrong.push(Wrong { line: number, why: format!("is one key of more than {KEYS}: list fewer") });
        }
        if wrong.len() >= PROBLEMS {
            break;
        }
    }
    if let Some(open) = block {
        wrong.push(Wrong {
            line: open.line,
            why: "what begins here has no END: copy the whole block, as gpg --armor --export prints it"
                .to_owned(),
        });
    }
    if wrong.is_empty() && signers.ssh.is_empty() && signers.openpgp.is_empty() {
        let why = "no key is listed, so no commit could be applied: add one, as `mail ssh-ed25519 AAAA…`";
        wrong.push(Wrong { line: last, why: why.to_owned() });
    }
    wrong.truncate(PROBLEMS);
    if wrong.is_empty() { Ok(signers) } else { Err(wrong) }
}

/// Takes one more line of a block, and what it holds where that was the last.
fn within<'a>(
    mut open: Block<'a>,
    line: &'a str,
    block: &mut Option<Block<'a>>,
    keys: &mut Vec<openpgp::SigningKey>,
) -> Result<(), (usize, String)> {
    open.text.push(line);
    if !line.starts_with("-----END ") {
        *block = Some(open);
        return Ok(());
    }
    if open.end != Some(line) {
        let why = "what begins here is no public key of OpenPGP: list public keys only, OpenPGP's as gpg --armor \
             --export writes them, SSH's as `mail ssh-ed25519 AAAA…`";
        return Err((open.line, why.to_owned()));
    }
    let bytes = armour::read(&open.text.join("\n"), armour::KEYS);
    let read = bytes.and_then(|bytes| openpgp::read(&bytes));
    read.map(|found| keys.extend(found)).map_err(|why| (open.line, format!("the OpenPGP key {why}")))
}

/// Reads a line: `principals [options] kind key [comment]`.
fn listed(line: &str) -> Result<ssh::Listed, String> {
    const SHAPE: &str =
        "is no line of allowed signers: write `mail ssh-ed25519 AAAA…`, with options before the kind";
    let (principals, rest) = word(line).ok_or("has a quote that is not closed")?;
    if ssh::is_kind(principals) {
        return Err("names nobody before the key: write `mail ssh-ed25519 AAAA…`".to_owned());
    }
    let (mut kind, mut rest) = word(rest).ok_or("has a quote that is not closed")?;
    let mut options = Options::default();
    if !ssh::is_kind(kind) {
        // What has no more words is no key with options; it might be anything, and is not shown.
        if rest.is_empty() {
            return Err(SHAPE.to_owned());
        }
        options = Options::read(kind)?;
        (kind, rest) = word(rest).ok_or("has a quote that is not closed")?;
        if !ssh::is_kind(kind) {
            return Err(SHAPE.to_owned());
        }
    }
    let (key, _comment) = word(rest).ok_or("has a quote that is not closed")?;
    let blob =
        STANDARD.decode(key).map_err(|_| "the key is no base64: copy the line of its .pub file anew")?;
    let key = ssh::Key::read(kind, &blob).map_err(|why| format!("the key {why}"))?;
    Ok(ssh::Listed { blob, key, for_git: options.for_git(), window: options.window })
}

/// Splits off a word, in which quotes keep white space; within them, a backslash keeps a quote.
fn word(text: &str) -> Option<(&str, &str)> {
    let (mut quoted, mut kept) = (false, false);
    for (at, character) in text.char_indices() {
        match character {
            _ if kept => kept = false,
            '\\' if quoted => kept = true,
            '"' => quoted = !quoted,
            ' ' | '\t' if !quoted => {
                let (word, rest) = text.split_at(at);
                return Some((word, rest.trim_start()));
            }
            _ => {}
        }
    }
    (!quoted).then_some((text, ""))
}

/// What a line says besides its key.
#[derive(Default)]
struct Options {
    namespaces: Option<String>,
    window: Window,
}

impl Options {
    fn read(text: &str) -> Result<Self, String> {
        let mut options = Self::default();
        let mut rest = text;
        while !rest.is_empty() {
            let (name, value, after) = option(rest)?;
            rest = after;
            let time = |value: Option<String>| {
                let read = value.as_deref().and_then(date::read);
                read.ok_or_else(|| format!("{name} must be a date in quotes, as in {name}=\"20261231Z\""))
            };
            let twice = match name.as_str() {
                "namespaces" => {
                    let value =
                        value.ok_or("namespaces must have a list in quotes, as in namespaces=\"git\"")?;
                    options.namespaces.replace(value).is_some()
                }
                "valid-after" => options.window.from.replace(time(value)?).is_some(),
                "valid-before" => options.window.until.replace(time(value)?).is_some(),
                "cert-authority" => {
                    return Err(
                        "lists an authority, and certificates are not followed: list each key itself"
                            .to_owned(),
                    );
                }
                _ => {
                    let name: String = name.chars().take(SHOWN).flat_map(char::escape_debug).collect();
                    return Err(format!(
                        "has the unknown option `{name}`; known: namespaces, valid-after, valid-before"
                    ));
                }
            };
            if twice {
                return Err(format!("has {name} twice: leave one"));
            }
        }
        if options.window.is_empty() {
            return Err("is valid at no time: valid-after lies behind valid-before".to_owned());
        }
        Ok(options)
    }

    /// Says whether the key may sign for Git: a pattern must match, and none that is negated.
    fn for_git(&self) -> bool {
        let Some(list) = &self.namespaces else { return true };
        let mut found = false;
        for pattern in list.split(',') {
            match pattern.strip_prefix('!') {
                Some(not) if matches(not.as_bytes(), GIT.as_bytes()) => return false,
                Some(_) => {}
                None => found |= matches(pattern.as_bytes(), GIT.as_bytes()),
            }
        }
        found
    }
}

/// Splits off an option: its name in lowercase, its value where it has one, and what follows its comma.
fn option(text: &str) -> Result<(String, Option<String>, &str), String> {
    let end = text.find(['=', ',']).unwrap_or(text.len());
    let (name, rest) = text.split_at(end);
    let name = name.to_ascii_lowercase();
    let Some(quoted) = rest.strip_prefix('=') else {
        return Ok((name, None, rest.get(1..).unwrap_or_default()));
    };
    let Some(quoted) = quoted.strip_prefix('"') else { return Ok((name, None, "")) };
    let (mut value, mut kept) = (String::new(), false);
    for (at, character) in quoted.char_indices() {
        match character {
            '\\' if !kept => kept = true,
            '"' if !kept => {
                let after = quoted.get(at + 1..).unwrap_or_default();
                if !after.is_empty() && !after.starts_with(',') {
                    return Err("has something between the quotes of an option and the next comma".to_owned());
                }
                return Ok((name, Some(value), after.get(1..).unwrap_or_default()));
            }
            _ => {
                if kept && character != '"' {
                    value.push('\\');
                }
                value.push(character);
                kept = false;
            }
        }
    }
    Err("has a quote that is not closed".to_owned())
}

/// Says whether a text matches a pattern, in which `*` is any number of characters and `?` is one.
fn matches(pattern: &[u8], text: &[u8]) -> bool {
    // What the patterns so far may have used up of the text, by how much of it; a star keeps all that is longer.
    let mut reached = vec![false; text.len() + 1];
    if let Some(first) = reached.first_mut() {
        *first = true;
    }
    for sign in pattern {
        let mut next = vec![false; reached.len()];
        let mut starred = false;
        for (at, slot) in next.iter_mut().enumerate() {
            let here = reached.get(at) == Some(&true);
            let before = at.checked_sub(1);
            let fits = before.is_some_and(|before| {
                reached.get(before) == Some(&true) && (*sign == b'?' || text.get(before) == Some(sign))
            });
            starred |= here;
            *slot = if *sign == b'*' { starred } else { fits };
        }
        reached = next;
    }
    reached.last() == Some(&true)
}
