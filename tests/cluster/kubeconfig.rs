//! A kubeconfig that would run a program, or have another file read, is refused.

use tokio::io::AsyncBufReadExt;
use tokio::io::AsyncWriteExt;
use tokio::io::BufReader;
use tokio::net::TcpListener;
use tokio::net::TcpStream;
use tokio::sync::mpsc;
use windlass::cluster::Place;
use windlass::cluster::SIGHTINGS;
use windlass::cluster::Selector;
use windlass::fault::Fault;

use crate::PATIENCE;
use crate::answer;
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
    for (user, why) in [
        ("token: [sesame]", " is not a kubeconfig"),
        (&*" ".repeat(1 << 20), ": has more than 1048576 bytes"),
    ] {
        let Err(error) = connect_as(&file, SERVER, user).await else { panic!("{why}") };
        let said = error.to_string();
        assert!(said.ends_with(why) && !said.contains("sesame"), "{said}");
    }
}

/// Answers whatever is asked, and tells of each request whether it is a watch, and its token. A watch ends at once.
async fn serve(stream: TcpStream, asked: mpsc::UnboundedSender<(bool, String)>) {
    let mut stream = BufReader::new(stream);
    let (mut first, mut token) = (String::new(), String::new());
    loop {
        let mut line = String::new();
        if stream.read_line(&mut line).await.is_ok_and(|read| read == 0) {
            return;
        }
        let line = line.trim();
        if first.is_empty() {
            line.clone_into(&mut first);
        } else if let Some(bearer) = line.strip_prefix("authorization: Bearer ") {
            bearer.clone_into(&mut token);
        } else if line.is_empty() {
            let watches = first.contains("watch=");
            let _ended = asked.send((watches, std::mem::take(&mut token)));
            let none = "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 0\r\n\r\n";
            let text = if watches { none.to_owned() } else { answer(&first) };
            stream.write_all(text.as_bytes()).await.unwrap();
            first.clear();
        }
    }
}

#[tokio::test]
async fn what_is_asked_and_watched_is_asked_by_the_newest_kubeconfig() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let server = format!("server: \"http://{}\"", listener.local_addr().unwrap());
    let (tell, mut asked) = mpsc::unbounded_channel();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(serve(stream, tell.clone()));
        }
    });
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("kubeconfig");
    let cluster = connect_as(&file, &server, "token: first").await.unwrap();
    assert!(!cluster.renew().await.unwrap(), "nothing is new");
    let kinds = cluster.kinds().await.unwrap();
    let (sender, _seen) = mpsc::channel(SIGHTINGS);
    let place = Place { api_version: "v1", kind: "ConfigMap", namespace: Some("shop") };
    cluster.follow(&kinds, &place, Selector::Named("one".to_owned()), None, sender);
    let mut told = async |watches: bool, token: &str| {
        let such = async { while asked.recv().await.expect("it is asked") != (watches, token.to_owned()) {} };
        tokio::time::timeout(PATIENCE, such).await.unwrap_or_else(|_| panic!("no request by {token}"));
    };
    told(false, "first").await;
    told(true, "first").await;
    drop(connect_as(&file, &server, "token: second").await.unwrap());
    assert!(cluster.clone().renew().await.unwrap(), "all clones share it");
    told(true, "second").await;
    drop(cluster.discover().await.unwrap());
    told(false, "second").await;
    // Another server may be another cluster.
    let (host, (own, _)) = (server.replace("http://", "https://"), server.rsplit_once('"').unwrap());
    let others = ["server: \"http://127.0.0.1:1\"", &host, &format!("{own}/clusters/2\"")];
    for other in others {
        drop(connect_as(&file, other, "token: third").await.unwrap());
        let error = cluster.renew().await.unwrap_err().to_string();
        assert!(
            error.contains("it names the server http") && error.contains(" in place of http:"),
            "{error}"
        );
    }
    drop(connect_as(&file, &format!("{server}, proxy-url: \"http://alice:sesame@127.0.0.1:1\""), "").await);
    let error = cluster.renew().await.unwrap_err().to_string();
    assert!(
        error.contains("goes through no proxy: take proxy-url out") && !error.contains("sesame"),
        "{error}"
    );
    told(true, "second").await;
}
