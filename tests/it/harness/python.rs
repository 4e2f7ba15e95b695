//! Other people's programs: a Python of the tests' own with pinned packages, and running to the end.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use super::waiting;

/// Where the scripts and their requirements are.
pub const FOLDER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/it/interop");

/// Runs a program to its end with this on its standard input; what it printed.
pub fn output(command: &mut Command, input: &str) -> Result<String, String> {
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(|error| format!("{}: {error}", command.get_program().display()))?;
    let mut pipe = child.stdin.take().expect("piped");
    pipe.write_all(input.as_bytes())
        .map_err(|error| error.to_string())?;
    drop(pipe);
    let output = child
        .wait_with_output()
        .map_err(|error| error.to_string())?;
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
    }
    Err(String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned())
}

/// A Python with the packages that a file in [`FOLDER`] pins, made once per file.
pub fn python(requirements: &str) -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("python-{requirements}"));
    let requirements = Path::new(FOLDER).join(requirements);
    let pinned = std::fs::read_to_string(&requirements).expect("the requirements");
    let made_of = folder.join("made-of.txt");
    let python = folder.join("bin/python");
    if std::fs::read_to_string(&made_of).is_ok_and(|made_of| made_of == pinned) {
        return python;
    }
    let made = waiting("Python packages by pip, once", || {
        let mut venv = Command::new("python3");
        venv.args(["-m", "venv", "--clear"]).arg(&folder);
        output(&mut venv, "")?;
        let mut pip = Command::new(&python);
        pip.args(["-m", "pip", "install", "--quiet", "--requirement"]);
        output(pip.arg(&requirements), "")?;
        std::fs::write(&made_of, &pinned).map_err(|error| error.to_string())
    });
    made.unwrap_or_else(|why| panic!("Python 3.10 or later with venv and pip is needed: {why}"));
    python
}
