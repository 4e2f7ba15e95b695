//! The way to the database: what the URL may say, and connections that wait for nothing for ever.
//!
//! Guarantees: what is encrypted is also checked. A server on another machine proves by its
//! certificate that it is the one that the URL names, unless the URL asks for plain text in so many
//! words (`sslmode=disable`) or `database.insecure_dev` is set. Nothing of a URL is printed but the
//! names of its parameters.

use std::time::Duration;

use secrecy::ExposeSecret as _;
use sqlx::postgres::{PgConnectOptions, PgPoolOptions, PgSslMode};
use sqlx::{ConnectOptions, Connection};

use super::{Store, StoreError, failed};
use crate::clock::Clock;
use crate::config::Database;
use crate::loopback::is_loopback;

/// What may follow the `?` of a URL. sqlx would print any other with its value, which may be a
/// secret (libpq has a `sslpassword`), and go on without it.
const PARAMETERS: &[&str] = &[
    "sslmode",
    "ssl-mode",
    "sslrootcert",
    "ssl-root-cert",
    "ssl-ca",
    "sslcert",
    "ssl-cert",
    "sslkey",
    "ssl-key",
    "statement-cache-capacity",
    "host",
    "hostaddr",
    "port",
    "dbname",
    "user",
    "password",
    "application_name",
    "options",
];

impl Store {
    /// Connects. Connections refuse to wait for ever: a statement has 60 s, a lock 30 s.
    ///
    /// # Errors
    /// [`StoreError::Refused`] when the URL would let anyone pose as the server,
    /// [`StoreError::Retry`] when the server can't be reached or proves to be another,
    /// [`StoreError::Fatal`] when the URL or the credentials are wrong.
    pub async fn connect(database: &Database, clock: Clock) -> Result<Self, StoreError> {
        let options = options(database)?
            .application_name("holdback")
            .options([
                ("statement_timeout", "60s"),
                ("lock_timeout", "30s"),
                ("idle_in_transaction_session_timeout", "60s"),
                ("jit", "off"),
                // The ROLLBACK on release warns each time that there is nothing to roll back.
                ("client_min_messages", "error"),
            ])
            .log_statements(tracing::log::LevelFilter::Trace)
            .log_slow_statements(tracing::log::LevelFilter::Warn, Duration::from_secs(5));
        // The pool would try for seconds and then say no more than that it timed out.
        let first = options.connect().await.map_err(failed("be reached"))?;
        first.close().await.map_err(failed("be reached"))?;
        let pool = PgPoolOptions::new()
            .max_connections(database.max_connections)
            .acquire_timeout(Duration::from_secs(5))
            .after_release(|connection, _| {
                Box::pin(async move {
                    // A future that was dropped inside `begin` would hand its open transaction to
                    // the next borrower (sqlx 0.9.0).
                    sqlx::Executor::execute(&mut *connection, "ROLLBACK").await?;
                    Ok(true)
                })
            })
            .connect_with(options)
            .await
            .map_err(failed("be reached"))?;
        Ok(Self { pool, clock })
    }

    /// Whether what this process and the server say to each other could be read and changed by
    /// anyone between them.
    #[must_use]
    pub fn is_exposed(&self) -> bool {
        let options = self.pool.connect_options();
        !is_here(&options)
            && !matches!(
                options.get_ssl_mode(),
                PgSslMode::VerifyFull | PgSslMode::VerifyCa
            )
    }
}

/// How to connect, from a URL that is let through.
fn options(database: &Database) -> Result<PgConnectOptions, StoreError> {
    let url = database.url.expose_secret();
    let parameters = url.split_once('?').map_or("", |(_, rest)| rest);
    for parameter in parameters.split('&').filter(|text| !text.is_empty()) {
        let name = parameter.split('=').next().unwrap_or_default();
        if !(PARAMETERS.contains(&name) || name.starts_with("options[")) {
            return Err(StoreError::Refused(format!(
                "database.url has a parameter that is not known: {name}"
            )));
        }
    }
    let options: PgConnectOptions = url
        .parse()
        .map_err(failed("understand the database's URL"))?;
    if is_here(&options) || database.insecure_dev {
        return Ok(options);
    }
    match options.get_ssl_mode() {
        PgSslMode::VerifyFull | PgSslMode::Disable => Ok(options),
        // The default, "if the server likes", would let anyone between take the encryption away.
        PgSslMode::Prefer => Ok(options.ssl_mode(PgSslMode::VerifyFull)),
        // `allow` is plain text to sqlx. `require` takes any certificate, and `verify-ca` that of
        // any host, from public authorities too.
        PgSslMode::Allow | PgSslMode::Require | PgSslMode::VerifyCa => Err(StoreError::Refused(
            "database.url lets another server pose as the database: use sslmode=verify-full (with sslrootcert=FILE for an authority of your own), or sslmode=disable on a network that you trust; anything else needs database.insecure_dev".to_owned(),
        )),
    }
}

/// Whether nothing leaves this machine.
fn is_here(options: &PgConnectOptions) -> bool {
    options.get_socket().is_some() || is_loopback(options.get_host())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mode(url: &str, insecure_dev: bool) -> Result<PgSslMode, String> {
        let database = Database {
            url: url.to_owned().into(),
            max_connections: 2,
            insecure_dev,
        };
        options(&database)
            .map(|options| options.get_ssl_mode())
            .map_err(|error| error.to_string())
    }

    #[test]
    fn another_machine_must_prove_itself_unless_plain_text_is_asked_for() {
        for (url, expected) in [
            ("postgres://u@db.example/x", PgSslMode::VerifyFull),
            ("postgres://u@db/x?sslmode=prefer", PgSslMode::VerifyFull),
            ("postgres:///x?host=db.example", PgSslMode::VerifyFull),
            ("postgres:///x?hostaddr=10.0.0.1", PgSslMode::VerifyFull),
            (
                "postgres://u@db.example/x?sslmode=verify-full",
                PgSslMode::VerifyFull,
            ),
            (
                "postgres://u@db.example/x?sslmode=disable",
                PgSslMode::Disable,
            ),
            ("postgres://u@localhost/x", PgSslMode::Prefer),
            (
                "postgres://u@127.0.0.1/x?sslmode=require",
                PgSslMode::Require,
            ),
            ("postgres://u@[::1]/x", PgSslMode::Prefer),
            ("postgres:///x?host=/run/postgresql", PgSslMode::Prefer),
        ] {
            let shown = mode(url, false).map(|mode| format!("{mode:?}"));
            assert_eq!(shown, Ok(format!("{expected:?}")), "{url}");
        }
    }

    #[test]
    fn unchecked_certificates_need_the_explicit_flag() {
        for asked in ["allow", "require", "verify-ca"] {
            for host in ["db.example", "10.0.0.1", "localhost.example"] {
                let url = format!("postgres://u:hunter2@{host}/x?sslmode={asked}");
                let said = mode(&url, false).expect_err("refused");
                assert!(said.contains("database.insecure_dev"), "{said}");
                assert!(!said.contains("hunter2"), "{said}");
                mode(&url, true).expect("explicitly allowed");
            }
        }
    }

    #[test]
    fn an_unknown_parameter_is_named_and_its_value_is_not() {
        let said = mode("postgres://u@db/x?sslpassword=hunter2", false).expect_err("refused");
        assert!(
            said.contains("sslpassword") && !said.contains("hunter2"),
            "{said}"
        );
    }
}
