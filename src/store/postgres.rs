//! Connecting to a store in a Postgres database. Every wait has an end: Postgres itself ends statements, waits for
//! locks and transactions without work, and here ends the wait for a connection and for an answer.

use std::net::IpAddr;
use std::time::Duration;

use sqlx::Connection;
use sqlx::PgConnection;
use sqlx::PgPool;
use sqlx::postgres::PgConnectOptions;
use sqlx::postgres::PgPoolOptions;
use sqlx::postgres::PgSslMode;

use crate::secret::Secret;
use crate::store::Error;
use crate::store::READERS;
use crate::store::TURN_WITHIN;
use crate::store::schema;

/// How many transactions of this process may be under way at once? They wait for each other where they share a turn.
const WRITERS: u32 = 4;

/// How long may a connection take to come to rest after a call? Another takes its place when it does not.
const AT_REST_WITHIN: Duration = Duration::from_secs(5);

/// What Postgres ends by itself. The first is for one statement and the wait for its locks; the last gives the turn of a
/// process that was stopped in the middle of a transaction to the others.
const LIMITS: [(&str, &str); 3] =
    [("statement_timeout", "20s"), ("lock_timeout", "10s"), ("idle_in_transaction_session_timeout", "30s")];

/// What may be asked for in the URL of a database. sqlx writes what it does not know into the log, with its value.
const KEYS: [&str; 16] = [
    "sslmode",
    "ssl-mode",
    "sslrootcert",
    "ssl-root-cert",
    "sslcert",
    "ssl-cert",
    "sslkey",
    "ssl-key",
    "host",
    "port",
    "dbname",
    "user",
    "password",
    "options",
    "hostaddr",
    "application_name",
];

/// Reads the URL of a database.
pub fn options(url: &Secret) -> Result<PgConnectOptions, Error> {
    let text = url.expose();
    let wrong = |why: &str| Err(Error::Url(sqlx::Error::Configuration(why.into())));
    if !["postgres://", "postgresql://"].iter().any(|scheme| text.starts_with(scheme)) {
        return wrong("the scheme is another");
    }
    let query = text.split_once('?').map_or("", |(_, query)| query);
    let mut keys = query.split('&').filter_map(|pair| pair.split('=').next()).filter(|key| !key.is_empty());
    if keys.any(|key| !KEYS.contains(&key)) {
        return wrong("it asks for something that windlass does not know, behind its question mark");
    }
    let options: PgConnectOptions = text.parse().map_err(Error::Url)?;
    Ok(secured(options.application_name("windlass").options(LIMITS)))
}

/// Asks for TLS beyond this machine where the URL leaves it to chance: nobody would notice that there is none.
fn secured(options: PgConnectOptions) -> PgConnectOptions {
    match options.get_ssl_mode() {
        PgSslMode::Allow | PgSslMode::Prefer if !is_here(&options) => options.ssl_mode(PgSslMode::VerifyFull),
        PgSslMode::Allow
        | PgSslMode::Prefer
        | PgSslMode::Disable
        | PgSslMode::Require
        | PgSslMode::VerifyCa
        | PgSslMode::VerifyFull => options,
    }
}

fn is_here(options: &PgConnectOptions) -> bool {
    let host = options.get_host().trim_matches(['[', ']']);
    let here = host.parse::<IpAddr>().map_or(host == "localhost", |address| address.is_loopback());
    here || host.starts_with('/') || options.get_socket().is_some()
}

/// Connects, brings the database to the current form, and returns its writers and its readers.
pub async fn connect(options: &PgConnectOptions) -> Result<(PgPool, PgPool), Error> {
    let place = place(options);
    let pool =
        || PgPoolOptions::new().acquire_timeout(TURN_WITHIN).after_release(|it, _| Box::pin(at_rest(it)));
    let write = pool().max_connections(WRITERS).connect_with(options.clone()).await;
    let write = write.map_err(|source| Error::Reach { place: place.clone(), source })?;
    schema::bring_up_database(&write, &place).await?;
    Ok((write, pool().max_connections(READERS).connect_lazy_with(options.clone())))
}

/// Names a database without what opens it.
fn place(options: &PgConnectOptions) -> String {
    let database = options.get_database().unwrap_or(options.get_username());
    match options.get_socket() {
        Some(socket) => format!("{}/{database}", socket.display()),
        None => format!("{}:{}/{database}", options.get_host(), options.get_port()),
    }
}

/// Returns whether a connection may be used again: sqlx itself would wait for its answer without an end, and the pool
/// would lack it as long.
async fn at_rest(connection: &mut PgConnection) -> Result<bool, sqlx::Error> {
    let late = |_| Err(sqlx::Error::Io(std::io::ErrorKind::TimedOut.into()));
    tokio::time::timeout(AT_REST_WITHIN, connection.ping()).await.unwrap_or_else(late).map(|()| true)
}

#[cfg(test)]
mod tests {
    use sqlx::postgres::PgSslMode;

    use super::options;
    use super::place;
    use crate::secret::Secret;

    #[test]
    fn beyond_this_machine_tls_is_left_out_only_where_the_url_says_so() {
        let cases = [
            ("db.example.org/windlass", "verify-full"),
            ("db.example.org/windlass?sslmode=prefer", "verify-full"),
            ("10.0.0.7:6432/windlass?sslmode=allow", "verify-full"),
            ("127.0.0.1.example.org/windlass", "verify-full"),
            ("db.example.org/windlass?sslmode=verify-ca", "verify-ca"),
            ("db.example.org/windlass?sslmode=disable", "disable"),
            ("127.0.0.1:5432/windlass", "prefer"),
            ("[::1]/windlass", "prefer"),
            ("localhost/windlass", "prefer"),
            ("localhost/windlass?host=/run/postgresql", "prefer"),
            ("localhost/windlass?host=db.example.org", "verify-full"),
        ];
        for (rest, expected) in cases {
            let url = Secret::new(&format!("postgres://user:password@{rest}")).unwrap();
            let mode = options(&url).unwrap().get_ssl_mode();
            assert!(
                matches!(
                    (mode, expected),
                    (PgSslMode::VerifyFull, "verify-full")
                        | (PgSslMode::VerifyCa, "verify-ca")
                        | (PgSslMode::Disable, "disable")
                        | (PgSslMode::Prefer, "prefer")
                ),
                "{rest}: {mode:?}"
            );
        }
    }

    #[test]
    fn a_database_is_named_without_its_password_and_another_scheme_is_refused() {
        let url = Secret::new("postgres://user:a-long-password@db.example.org/windlass").unwrap();
        assert_eq!(place(&options(&url).unwrap()), "db.example.org:5432/windlass");
        for url in [
            "mysql://user:a-long-password@db.example.org/windlass",
            "a-long-password@db.example.org",
            "postgres://user@db.example.org/windlass?passwort=a-long-password",
        ] {
            let error = options(&Secret::new(url).unwrap()).unwrap_err();
            assert!(!format!("{error:?} {error}").contains("a-long-password"), "{error:?}");
        }
    }
}
