//! A database that is not there, does not answer or does not let in.

use tokio::io::AsyncReadExt;
use tokio::io::AsyncWriteExt;
use windlass::fault::Fault;
use windlass::fault::chain;
use windlass::secret::Secret;
use windlass::store::Store;

use crate::place::Place;
use crate::place::on_postgres;

async fn refused(url: &str) -> (Fault, String) {
    let error = Store::connect(&Secret::new(url).unwrap()).await.err().unwrap();
    (error.fault(), chain(&error))
}

async fn a_wrong_password_and_a_database_that_does_not_exist_are_for_whoever_runs_windlass(place: Place) {
    let home = place.home().await;
    let url = home.url().expose();
    let (server, _) = url.split_once('?').unwrap();
    let (base, _) = server.rsplit_once('/').unwrap();
    let (_, host) = base.rsplit_once('@').unwrap();
    for url in
        [format!("{base}/no-such-database"), format!("postgres://bed:a-wrong-password@{host}/postgres")]
    {
        let (fault, text) = refused(&url).await;
        assert_eq!(fault, Fault::Ours, "{text}");
        assert!(
            text.starts_with(&format!("reach the store {host}/")) && !text.contains("a-wrong-password"),
            "{text}"
        );
    }
}

#[tokio::test]
async fn a_database_that_is_away_may_come_back() {
    // Nobody listens at a port that was just given back.
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let (fault, text) = refused(&format!("postgres://user:password@127.0.0.1:{port}/windlass")).await;
    assert_eq!(fault, Fault::Passing, "{text}");
}

#[tokio::test]
async fn a_database_that_never_answers_is_not_waited_for_without_an_end() {
    let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = silent.local_addr().unwrap().port();
    let began = tokio::time::Instant::now();
    let (fault, text) = refused(&format!("postgres://user:password@127.0.0.1:{port}/windlass")).await;
    assert_eq!(fault, Fault::Passing, "{text}");
    assert!(began.elapsed().as_secs() <= 20, "{:?}", began.elapsed());
}

#[tokio::test]
async fn a_server_that_has_no_tls_or_none_that_fits_is_for_whoever_runs_windlass() {
    for answer in [b"N".to_vec(), [b"S", &[0; 64][..]].concat()] {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let server = tokio::spawn(async move {
            let (mut client, _) = listener.accept().await.unwrap();
            client.read_exact(&mut [0; 8]).await.unwrap();
            client.write_all(&answer).await.unwrap();
            // What it says to that is of no interest; the connection stays until it hangs up.
            let _said = tokio::io::copy(&mut client, &mut tokio::io::sink()).await;
        });
        let url = format!("postgres://user:password@127.0.0.1:{port}/windlass?sslmode=verify-full");
        let (fault, text) = refused(&url).await;
        assert_eq!(fault, Fault::Ours, "{text}");
        server.await.unwrap();
    }
}

#[tokio::test]
async fn what_is_no_address_of_postgres_is_refused_without_showing_it() {
    for url in [
        "mysql://user:a-long-password@127.0.0.1/x",
        "a-long-password@127.0.0.1",
        "postgres://[a-long-password",
    ] {
        let (fault, text) = refused(url).await;
        assert_eq!(fault, Fault::Ours, "{text}");
        assert!(text.starts_with("read the URL of the store") && !text.contains("a-long-password"), "{text}");
    }
}

on_postgres!(a_wrong_password_and_a_database_that_does_not_exist_are_for_whoever_runs_windlass);
