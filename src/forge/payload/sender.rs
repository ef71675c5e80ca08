//! Who did what a delivery tells of.

use serde::Deserialize;

use super::json;

/// How many characters of a name are kept? No forge allows more.
const NAME_CHARS: usize = 255;

/// Somebody: GitHub says `login`, GitLab says `username`, and Gitea says both.
#[derive(Deserialize)]
struct Somebody {
    login: Option<String>,
    username: Option<String>,
}

/// GitHub and Gitea name the `sender` of every event, GitLab the `user` of some and the `user_username` of pushes.
#[derive(Deserialize)]
struct Body {
    sender: Option<Somebody>,
    user: Option<Somebody>,
    user_username: Option<String>,
}

/// Returns the name of the account that pushed, merged or pressed the button, at most 255 of its printable characters;
/// nothing where the payload does not say it.
pub fn sender(body: &[u8]) -> Option<String> {
    let Body { sender, user, user_username } = json(body).ok()?;
    let login = |somebody: Somebody| somebody.login.filter(|login| !login.is_empty()).or(somebody.username);
    let name = sender.and_then(login).or(user_username).or(user.and_then(login))?;
    let name: String = name.chars().filter(char::is_ascii_graphic).take(NAME_CHARS).collect();
    Some(name).filter(|name| !name.is_empty())
}
