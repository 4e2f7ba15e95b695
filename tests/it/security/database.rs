//! A PostgreSQL that lets holdback's user in over TLS only, and another by a certificate only.

use sqlx::{AssertSqlSafe, Connection, Executor, PgConnection};
use tokio::task::block_in_place;

use super::watch::{Settings, Watch, Wrong, setting};
use crate::harness::authority::{Authority, Papers};
use crate::harness::{TestBed, local_postgres, services};

const PASSWORD: &str = "correct-cart-staple";
const WRONG_PASSWORD: &str = "wrong-cart-staple";

/// Who may come in how; the superuser, which the tests read by, as before.
const RULES: &str = "hostssl all till all scram-sha-256
hostssl all certified all cert
host all holdback all scram-sha-256
";

/// Writes a file into the server's folder as the server does, so that it owns it.
async fn server_file(server: &mut PgConnection, name: &str, text: &str) {
    let write = format!(
        "COPY (SELECT unnest(string_to_array('{}', E'\\n'))) TO PROGRAM 'umask 077; cat > {name}'",
        text.trim_end()
    );
    server.execute(AssertSqlSafe(write)).await.expect(name);
}

/// Gives the server its papers, certified for `localhost` only, and two users that own the database.
async fn demand_proof(bed: &TestBed, authority: &Authority) {
    let mut server = PgConnection::connect(&bed.database_url)
        .await
        .expect("PostgreSQL");
    let papers = authority.server(&["localhost"]);
    server_file(&mut server, "server.crt", &papers.certificate).await;
    server_file(&mut server, "server.key", &papers.key).await;
    server_file(&mut server, "root.crt", &authority.root()).await;
    server_file(&mut server, "pg_hba.conf", RULES).await;
    let name: String = sqlx::query_scalar("SELECT current_database()")
        .fetch_one(&mut server)
        .await
        .expect("its name");
    for statement in [
        format!("CREATE ROLE till LOGIN PASSWORD '{PASSWORD}'"),
        "CREATE ROLE certified LOGIN IN ROLE till".to_owned(),
        format!("ALTER DATABASE \"{name}\" OWNER TO till"),
        "ALTER SYSTEM SET ssl_ca_file = 'root.crt'".to_owned(),
        "ALTER SYSTEM SET ssl = on".to_owned(),
        "SELECT pg_reload_conf()".to_owned(),
    ] {
        server
            .execute(AssertSqlSafe(statement))
            .await
            .expect("a server that demands proof");
    }
    server.close().await.expect("closed");
}

/// The server, and how clients come to it.
struct Server<'a> {
    bed: &'a TestBed,
    authority: &'a Authority,
    trusted: String,
}

impl Server<'_> {
    /// A URL on the bed's database: who, where, and how to talk.
    fn url(&self, user: &str, host: &str, more: &str) -> String {
        let (_, place) = self.bed.database_url.rsplit_once('@').expect("a place");
        let (_, rest) = place.split_once(':').expect("a port");
        format!("postgres://{user}@{host}:{rest}?{more}")
    }

    fn certified(&self, papers: &Papers) -> Settings {
        let certificate = self.authority.file("client.pem", &papers.certificate);
        let key = self.authority.file("client.key", &papers.key);
        let proof = format!("{}&sslcert={certificate}&sslkey={key}", self.trusted);
        to(self.url("certified", "localhost", &proof))
    }

    /// As a user of the tests' own, at what looks like another machine: no loopback address at
    /// first sight.
    fn elsewhere(&self, more: &str) -> Settings {
        let url = self.bed.database_url.replace("127.0.0.1", "127.1");
        to(format!("{url}{more}"))
    }

    /// What must not work, and why.
    fn wrong(&self) -> Vec<Wrong<'_>> {
        let stranger = Authority::new("Another authority");
        let root = self.authority.file("foreign.pem", &stranger.root());
        let foreign = format!("sslmode=verify-full&sslrootcert={root}");
        let till = |host: &str, more: &str| to(self.url(&format!("till:{PASSWORD}"), host, more));
        let mistyped = self.url(
            &format!("till:{WRONG_PASSWORD}"),
            "localhost",
            &self.trusted,
        );
        let unproven = self.url("certified", "localhost", &self.trusted);
        let unknown = format!("sslpassword={PASSWORD}");
        vec![
            (
                "an authority that did not certify the server",
                till("localhost", &foreign),
                &["UnknownIssuer"],
            ),
            (
                "no authority of its own",
                till("localhost", "sslmode=verify-full"),
                &["UnknownIssuer"],
            ),
            (
                "a host that the server is not certified for",
                till("127.0.0.1", &self.trusted),
                &["not valid for name", "127.0.0.1"],
            ),
            (
                "a wrong password",
                to(mistyped),
                &["password authentication failed for user \"till\""],
            ),
            (
                "no certificate of the client's",
                to(unproven),
                &["client certificate"],
            ),
            (
                "plain text to a server that demands TLS",
                till("localhost", "sslmode=disable"),
                &["no encryption"],
            ),
            (
                "another machine, whoever it is",
                till("db.invalid", "sslmode=require"),
                &["database.insecure_dev", "verify-full"],
            ),
            (
                "another machine and no word about TLS",
                self.elsewhere(""),
                &["TLS"],
            ),
            (
                "a parameter that only libpq knows",
                till("localhost", &unknown),
                &["sslpassword"],
            ),
        ]
    }
}

fn to(url: String) -> Settings {
    vec![setting("DATABASE_URL", url)]
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_database_that_demands_proof_is_served_and_one_without_proof_is_not_believed() {
    let (postgres, brokers) = block_in_place(|| {
        let postgres = local_postgres().expect("a local PostgreSQL");
        (postgres, services().brokers.clone())
    });
    let bed = TestBed::on("proved", brokers, postgres.url(), 2).await;
    let authority = Authority::new("The databases' authority");
    demand_proof(&bed, &authority).await;
    let root = authority.file("ca.pem", &authority.root());
    let server = Server {
        bed: &bed,
        authority: &authority,
        trusted: format!("sslmode=verify-full&sslrootcert={root}"),
    };
    let url = server.url(&format!("till:{PASSWORD}"), "localhost", &server.trusted);
    let in_file = vec![
        setting("DATABASE_URL", ""),
        setting("DATABASE_URL_FILE", authority.file("url", &url)),
    ];
    let papers = authority.client("certified");
    let key = papers.key.lines().nth(1).expect("a key");
    let watch = Watch::new(&bed, &[PASSWORD, WRONG_PASSWORD, key]);
    block_in_place(|| {
        watch.works(&["migrate"], &in_file);
        watch.pays("M-user", &in_file);
        watch.pays("M-certified", &server.certified(&papers));
        watch.refuses(&server.wrong());
        watch.warns("database", &server.elsewhere("?sslmode=disable"));
    });
}
