//! Secrets given in every form, right and wrong: the program finds nobody to talk to or refuses its
//! settings, says so, and tells none of them.

use std::path::Path;
use std::process::{Command, Stdio};
use std::thread;

use tempfile::TempDir;

/// What must be nowhere; each case gives a part of them.
const SECRETS: [&str; 3] = ["hunter2", "hunter3", "hunter4"];
/// Nobody listens there.
const NOBODY: &str = "127.0.0.1:9";

/// How secrets were given, the variables, the settings file, and what the program must say.
struct Case {
    name: &'static str,
    variables: Vec<(&'static str, String)>,
    file: String,
    says: &'static str,
}

fn case(name: &'static str, says: &'static str) -> Case {
    Case {
        name,
        variables: Vec::new(),
        file: String::new(),
        says,
    }
}

impl Case {
    fn with(mut self, variable: &'static str, value: impl Into<String>) -> Self {
        self.variables.push((variable, value.into()));
        self
    }

    fn file(mut self, text: impl Into<String>) -> Self {
        self.file = text.into();
        self
    }

    /// Everything that the program says of it.
    fn run(&self, folder: &Path) -> String {
        let settings = folder.join(format!("{}.toml", self.name.replace(' ', "-")));
        std::fs::write(&settings, &self.file).expect("a settings file");
        let mut command = Command::new(env!("CARGO_BIN_EXE_holdback"));
        command
            .arg("--config")
            .arg(&settings)
            .arg("check")
            .stdin(Stdio::null())
            .env_clear()
            .env("RUST_BACKTRACE", "1")
            .env("HOLDBACK_LOG_LEVEL", "trace");
        if !self.file.contains("[kafka]") {
            command
                .env("HOLDBACK_KAFKA_BROKERS", NOBODY)
                .env("HOLDBACK_KAFKA_PROPERTY_DEBUG", "all");
        }
        if !self.file.contains("[database]") {
            command.env("HOLDBACK_DATABASE_URL", format!("postgres://{NOBODY}/x"));
        }
        for (variable, value) in &self.variables {
            if *variable == "HOLDBACK_DATABASE_URL_FILE" {
                command.env_remove("HOLDBACK_DATABASE_URL");
            }
            command.env(variable, value);
        }
        let output = command.output().expect("the program starts");
        assert!(!output.status.success(), "{} succeeds", self.name);
        String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned()
    }
}

/// Right values, and nobody there who could take them.
fn unanswered(folder: &Path) -> Vec<Case> {
    let write = |name: &str, text: &str| {
        let path = folder.join(name);
        std::fs::write(&path, text).expect("a secret's file");
        path.display().to_string()
    };
    let url = format!("postgres://till:hunter2@{NOBODY}/books?password=hunter3");
    let url_file = write("url", &format!("{url}\n"));
    let password_file = write("password", "hunter3\n");
    let sasl = "security.protocol = \"SASL_SSL\"\nsasl.mechanism = \"SCRAM-SHA-512\"\n\
                sasl.username = \"till\"\n";
    let properties = format!(
        "[database]\nurl = \"{url}\"\n[kafka]\nbrokers = \"{NOBODY}\"\n\
         [kafka.properties]\ndebug = \"all\"\n{sasl}"
    );
    let scram = |case: Case| {
        case.with("HOLDBACK_KAFKA_PROPERTY_SECURITY_PROTOCOL", "SASL_SSL")
            .with("HOLDBACK_KAFKA_PROPERTY_SASL_MECHANISM", "SCRAM-SHA-512")
            .with("HOLDBACK_KAFKA_PROPERTY_SASL_USERNAME", "till")
    };
    vec![
        scram(case("variables", "is Postgres running"))
            .with("HOLDBACK_DATABASE_URL", &url)
            .with("HOLDBACK_KAFKA_PROPERTY_SASL_PASSWORD", "hunter3")
            .with("HOLDBACK_KAFKA_PROPERTY_SSL_KEY_PASSWORD", "hunter4"),
        scram(case("variables that name files", "is Kafka running"))
            .with("HOLDBACK_DATABASE_URL_FILE", &url_file)
            .with("HOLDBACK_KAFKA_PROPERTY_SASL_PASSWORD_FILE", &password_file),
        case("the settings file", "is Kafka running")
            .file(format!("{properties}sasl.password = \"hunter4\"\n")),
        case("the settings file that names files", "is Postgres running").file(format!(
            "{}\"sasl.password.file\" = \"{password_file}\"\n",
            properties.replace(
                &format!("url = \"{url}\""),
                &format!("url_file = \"{url_file}\"")
            )
        )),
    ]
}

/// Secrets where they do not belong, or not as they should be.
fn mistaken(folder: &Path) -> Vec<Case> {
    let nowhere = folder.join("nowhere").display().to_string();
    vec![
        case("no URL", "postgres://").with("HOLDBACK_DATABASE_URL", "hunter2"),
        case("a URL that can't be read", "the database's URL").with(
            "HOLDBACK_DATABASE_URL",
            "postgres://till:hun#ter2:hunter2@db:port/x",
        ),
        case(
            "a URL with a password that is not encoded",
            "the database's URL",
        )
        .with(
            "HOLDBACK_DATABASE_URL",
            "postgres://till:hunter2/hunter3@db/x",
        ),
        case("a parameter that is not known", "sslpassword").with(
            "HOLDBACK_DATABASE_URL",
            "postgres://db/x?sslpassword=hunter2",
        ),
        case("a mode of TLS that there is not", "the database's URL").with(
            "HOLDBACK_DATABASE_URL",
            "postgres://till:hunter2@db/x?sslmode=hopefully",
        ),
        case("another machine that need not prove itself", "insecure_dev").with(
            "HOLDBACK_DATABASE_URL",
            "postgres://till:hunter2@db/x?sslmode=require",
        ),
        case("a secret in place of its file", "can't read the secret")
            .with("HOLDBACK_DATABASE_URL_FILE", "postgres://till:hunter2@db/x")
            .with("HOLDBACK_KAFKA_PROPERTY_SASL_PASSWORD_FILE", "hunter3"),
        case("a file that is not there", "nowhere")
            .with("HOLDBACK_DATABASE_URL_FILE", &nowhere)
            .with("HOLDBACK_KAFKA_PROPERTY_SASL_PASSWORD", "hunter3"),
        case(
            "secrets under names that are no settings",
            "is not a setting",
        )
        .with("HOLDBACK_DATABASE_PASSWORD", "hunter2")
        .with("HOLDBACK_KAFKA_PROPERTY_SASL_PASSWORT", "hunter3")
        .file("password = \"hunter4\"\n"),
        case("a settings file that is broken", "line 2")
            .file("[database]\nurl = \"postgres://till:hunter2@db\" hunter3\n"),
        case("a settings file that ends too soon", "line 2")
            .file("[database]\nurl = \"postgres://till:hunter2@db\n"),
        case("keys that are none", "not in PEM format")
            .with("HOLDBACK_KAFKA_PROPERTY_SECURITY_PROTOCOL", "SSL")
            .with("HOLDBACK_KAFKA_PROPERTY_SSL_CERTIFICATE_PEM", "hunter2")
            .with("HOLDBACK_KAFKA_PROPERTY_SSL_KEY_PEM", "hunter3"),
        case("a secret in place of a word", "security.protocol")
            .with("HOLDBACK_KAFKA_PROPERTY_SECURITY_PROTOCOL", "hunter2"),
    ]
}

#[test]
fn no_secret_is_told_whatever_form_it_was_given_in() {
    let folder = TempDir::new().expect("a folder");
    let mut cases = unanswered(folder.path());
    cases.extend(mistaken(folder.path()));
    thread::scope(|scope| {
        let runs: Vec<_> = cases
            .iter()
            .map(|case| (case, scope.spawn(|| case.run(folder.path()))))
            .collect();
        for (case, run) in runs {
            let said = run.join().expect("no panic");
            let Case { name, says, .. } = case;
            assert!(said.contains(says), "{name}: no {says:?} in {said}");
            assert!(!said.contains("panicked"), "{name}: {said}");
            for secret in SECRETS {
                assert!(!said.contains(secret), "{name} tells {secret}: {said}");
            }
        }
    });
}
