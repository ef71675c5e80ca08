//! A kubeconfig that would run a program, or have another file read, is refused.

use windlass::fault::Fault;

use crate::connect_as;

/// A server, given in plain.
const SERVER: &str = "server: \"https://127.0.0.1:1\"";

#[tokio::test]
async fn what_would_run_a_program_or_read_a_file_is_refused_with_what_to_do_instead() {
    let folder = tempfile::tempdir().unwrap();
    let (file, ran) = (folder.path().join("kubeconfig"), folder.path().join("ran"));
    let touch = format!(
        "exec: {{apiVersion: client.authentication.k8s.io/v1, command: touch, args: [{}]}}",
        ran.display()
    );
    let ca = format!("{SERVER}, certificate-authority: /etc/hostname");
    // what the cluster says, what the user says → who is refused for what; nothing where it is taken
    let cases = [
        (SERVER, "token: sesame", None),
        (SERVER, &*touch, Some("user a has exec,")),
        (
            SERVER,
            "auth-provider: {name: gcp, config: {access-token: sesame}}",
            Some("user a has auth-provider,"),
        ),
        (SERVER, "tokenFile: /etc/hostname", Some("user a has tokenFile,")),
        (SERVER, "token: sesame, tokenFile: /etc/hostname", Some("user a has tokenFile,")),
        (
            SERVER,
            "client-certificate: /etc/hostname, client-key-data: c2VzYW1l",
            Some("user a has client-certificate,"),
        ),
        (
            SERVER,
            "client-certificate-data: c2VzYW1l, client-key: /etc/hostname",
            Some("user a has client-key,"),
        ),
        (&*ca, "token: sesame", Some("cluster a has certificate-authority,")),
    ];
    for (cluster, user, refused) in cases {
        let made = connect_as(&file, cluster, user).await;
        let Some(refused) = refused else {
            assert!(made.is_ok(), "{user}: {:?}", made.err());
            continue;
        };
        let Err(error) = made else { panic!("{cluster} {user} is taken") };
        let said = error.to_string();
        assert_eq!(error.fault(), Fault::Ours);
        let begin =
            format!("use the kubeconfig of cluster east: {}: {refused} which is refused: ", file.display());
        assert!(said.starts_with(&begin), "{said}");
        for advice in ["kubectl config view --flatten --minify", "a ServiceAccount's token"] {
            assert!(said.contains(advice), "{advice}: {said}");
        }
        assert!(!said.contains("sesame"), "{said}");
    }
    assert!(!ran.exists(), "no program of it was run");
}

#[tokio::test]
async fn a_file_that_is_no_kubeconfig_is_refused_without_a_word_of_it() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("kubeconfig");
    // One that the parser quotes, and one that is larger than any.
    for (user, why) in
        [("token: [sesame]", " is not a kubeconfig"), (&*" ".repeat(1 << 20), " bytes, more than 1048576")]
    {
        let Err(error) = connect_as(&file, SERVER, user).await else { panic!("{why}") };
        let said = error.to_string();
        assert!(said.ends_with(why) && !said.contains("sesame"), "{said}");
    }
}
