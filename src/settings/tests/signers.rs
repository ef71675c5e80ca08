//! Who may sign the commits of a source.

use std::fs;

use super::Environment;
use super::GOOD;
use super::folder;
use super::load;
use super::load_part;
use crate::application::Name;
use crate::role::Part;
use crate::role::Role;

/// A list of one.
pub const KEY: &str =
    "a@example.org ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAVQalaY5uTar/Tp9cR2m2dMQvkNjKP19tlpEvBIFW4P\n";

fn signed() -> String {
    GOOD.replace("repository = ", "signed_by = \"people/signers\"\nrepository = ")
}

#[test]
fn a_list_is_read_and_its_file_watched() {
    let folder = folder();
    let file = folder.path().join("people/signers");
    fs::create_dir(folder.path().join("people")).unwrap();
    fs::write(&file, KEY).unwrap();
    let settings = load(folder.path(), &signed(), &[]).unwrap();
    assert!(settings.sources[&Name::parse("shop").unwrap()].signed_by.is_some());
    assert!(settings.files.contains(&file), "{:?}", settings.files);
    let settings = load(folder.path(), GOOD, &[]).unwrap();
    assert!(settings.sources[&Name::parse("shop").unwrap()].signed_by.is_none());
}

#[test]
fn a_list_in_error_is_refused_by_line() {
    let folder = folder();
    fs::create_dir(folder.path().join("people")).unwrap();
    let file = folder.path().join("people/signers");
    let shown = file.display().to_string();
    let key = |text: &str| format!("windlass.toml: sources[0].signed_by: {text}");
    let wrong = load(folder.path(), &signed(), &[]).unwrap_err();
    assert_eq!(wrong.len(), 1);
    assert!(wrong[0].starts_with(&key(&format!("the file {shown} cannot be read: "))), "{wrong:?}");
    for (bytes, words) in [
        (b"# nobody\n".to_vec(), "line 1: no key is listed"),
        (
            format!("{KEY}\n{}", KEY.replace("a@example.org ", "")).into_bytes(),
            "line 3: names nobody before the key",
        ),
        (vec![0x99, 0xff], "gpg --armor --export"),
        (vec![b'#'; (1 << 20) + 1], "it is larger than 1048576 bytes"),
    ] {
        fs::write(&file, bytes).unwrap();
        let wrong = load(folder.path(), &signed(), &[]).unwrap_err();
        assert!(wrong.len() == 1 && wrong[0].starts_with(&key("")) && wrong[0].contains(words), "{wrong:?}");
        assert!(wrong[0].contains(&shown), "{wrong:?}");
    }
}

#[test]
fn only_who_applies_commits_needs_it() {
    let folder = folder();
    let text = format!("[queue]\nurl = \"amqp://127.0.0.1\"\n{}", signed());
    let environment: Environment = [("HOOK".to_owned(), super::SECRET.to_owned())].into();
    let load = |role| load_part(folder.path(), &text, &environment, &Part::of([role], []));
    assert!(load(Role::Door).is_ok());
    let wrong = load(Role::Reconcile).unwrap_err();
    assert!(wrong.iter().any(|one| one.contains("sources[0].signed_by")), "{wrong:?}");
}
