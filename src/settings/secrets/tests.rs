use std::fs;
use std::path::Path;

use crate::settings::tests::GOOD;
use crate::settings::tests::SECRET;
use crate::settings::tests::folder;
use crate::settings::tests::load;

/// Makes a private key.
pub fn key(folder: &Path, file: &str) {
    let mut command = std::process::Command::new("openssl");
    let made = command.args(["genrsa", "-out", file, "2048"]).current_dir(folder).output().unwrap();
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
}

#[test]
fn an_app_stands_in_the_place_of_a_token_and_its_key_is_never_shown() {
    let folder = folder();
    key(folder.path(), "app.pem");
    let pem = fs::read_to_string(folder.path().join("app.pem")).unwrap();
    let github = GOOD.replace("kind = \"gitea\"", "kind = \"github\"");
    let with = |app: &str| github.replacen("token = { file = \"token\" }\n", &format!("app = {app}\n"), 1);
    let good = "{ id = \"Iv23liWindlass\", key = { file = \"app.pem\" } }";
    let more = [("KEY", pem.as_str())];
    for text in [with(good), with("{ id = \"7\", key = { env = \"KEY\" } }")] {
        let settings = load(folder.path(), &text, &more).unwrap();
        assert_eq!(settings.warnings, Vec::<String>::new());
        assert!(!format!("{settings:?}").contains(&pem[40..80]));
    }
    let cases = [
        (
            with(good).replace("[[sources]]", "token = { file = \"token\" }\n[[sources]]"),
            "app: contradicts token",
        ),
        (with(good).replace("\"github\"", "\"gitlab\""), "app: is something that only GitHub knows"),
        (
            GOOD.replacen("private = true", "private = true\nhook_url = \"https://h/\"", 1),
            "hook_url: is for GitHub and GitLab",
        ),
        (
            with(good).replacen("app =", "hook_url = \"https://h/\"\n#", 1),
            "hook_url: takes an app, or a token that may administer webhooks",
        ),
        (with(good).replacen("app =", "hook_url = \"h\"\napp =", 1), "hook_url: must start with https://"),
        (with("{ id = \"7\", key = { file = \"token\" } }"), "app.key: the file"),
        (with("{ id = \"7\", key = { file = \"token\" } }"), "holds no private RSA key"),
        (with("{ id = \"7\", key = { file = \"none\" } }"), "app.key: the file"),
        (with("{ id = \"\", key = { file = \"app.pem\" } }"), "app.id: must be the App's id or client id"),
        (with("{ id = \"a b\", key = { file = \"app.pem\" } }"), "app.id: must be"),
        (with("{ id = 7, key = { file = \"app.pem\" } }"), "app: must be { id"),
        (with("{ id = \"7\" }"), "app: must be { id"),
        (with("{ id = \"7\", key = { file = \"app.pem\" }, more = 1 }"), "app: must be { id"),
        (with("7"), "app: must be { id"),
        (
            with(good).replace("repository =", "url = \"https://other.example.org/x\"\nrepository ="),
            "sources[0].url: leads elsewhere than http://127.0.0.1:3000, and the App's token goes there only",
        ),
    ];
    for (text, expected) in cases {
        let problems = load(folder.path(), &text, &more).unwrap_err();
        assert!(problems.iter().any(|problem| problem.contains(expected)), "{expected}\n{problems:#?}");
        assert!(!problems.iter().any(|problem| problem.contains(SECRET)), "{problems:?}");
    }
}
