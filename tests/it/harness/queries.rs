//! The statements of the program.

use std::path::Path;

use serde_json::Value;

/// The committed queries, as `cargo sqlx prepare` wrote them, and how many parameters each takes.
pub fn queries() -> Vec<(String, usize)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join(".sqlx");
    let files = std::fs::read_dir(folder).expect("the committed queries");
    let queries = files.map(|file| {
        let text = std::fs::read(file.expect("a file").path()).expect("a query");
        let query: Value = serde_json::from_slice(&text).expect("JSON");
        let parameters = query["describe"]["parameters"]["Left"].as_array();
        let sql = query["query"].as_str().expect("a query").to_owned();
        (sql, parameters.map_or(0, Vec::len))
    });
    queries.collect()
}
