//! What a database's catalogue says against the layout.

use std::collections::BTreeMap;

use holdback::store::shards::{Spread, TABLES};
use sqlx::PgConnection;

/// Every key that rows must not share, or that must be found in another table: its name, its table, the
/// table it refers to, and whether `merchant_id` leads it, on both sides.
const KEYS: &str = "
    SELECT i.relname::text, t.relname::text, NULL::text,
           coalesce(a.attname = 'merchant_id', false)
    FROM pg_index x
    JOIN pg_class i ON i.oid = x.indexrelid
    JOIN pg_class t ON t.oid = x.indrelid
    LEFT JOIN pg_attribute a ON a.attrelid = t.oid AND a.attnum = x.indkey[0] AND a.attnum > 0
    WHERE t.relnamespace = 'public'::regnamespace AND (x.indisunique OR x.indisexclusion)
    UNION ALL
    SELECT c.conname::text, t.relname::text, f.relname::text,
           a.attname = 'merchant_id' AND b.attname = 'merchant_id'
    FROM pg_constraint c
    JOIN pg_class t ON t.oid = c.conrelid
    JOIN pg_class f ON f.oid = c.confrelid
    JOIN pg_attribute a ON a.attrelid = t.oid AND a.attnum = c.conkey[1]
    JOIN pg_attribute b ON b.attrelid = f.oid AND b.attnum = c.confkey[1]
    WHERE c.contype = 'f' AND t.relnamespace = 'public'::regnamespace
    ORDER BY 2, 1";

/// Tables, and whether a row of each must name its merchant.
const NAMED: &str = "
    SELECT c.relname::text, coalesce(a.attnotnull, false)
    FROM pg_class c
    LEFT JOIN pg_attribute a ON a.attrelid = c.oid AND a.attname = 'merchant_id'
    WHERE c.relnamespace = 'public'::regnamespace AND c.relkind IN ('r', 'p')";

/// Everything in the database that the layout does not allow, one sentence each.
pub async fn complaints(connection: &mut PgConnection) -> Vec<String> {
    let tables: Vec<(String, bool)> = sqlx::query_as(NAMED)
        .fetch_all(&mut *connection)
        .await
        .expect("the tables");
    let tables: BTreeMap<String, bool> = tables.into_iter().collect();
    let keys: Vec<(String, String, Option<String>, bool)> = sqlx::query_as(KEYS)
        .fetch_all(&mut *connection)
        .await
        .expect("the keys");
    let mut wrong = Vec::new();
    for (table, _) in TABLES {
        let times = TABLES.iter().filter(|(name, _)| name == table).count();
        if times != 1 || !tables.contains_key(*table) {
            wrong.push(format!("{table} is laid out, and not one table"));
        }
    }
    for (table, names_its_merchant) in &tables {
        match spread(table) {
            None => wrong.push(format!("{table} is not laid out")),
            Some(Spread::ByMerchant) if !names_its_merchant => {
                wrong.push(format!("a row of {table} may name no merchant"));
            }
            Some(_) => {}
        }
    }
    for (key, table, refers_to, led_by_merchant) in keys {
        let mut both = std::iter::once(table.as_str()).chain(refers_to.as_deref());
        let split = both.any(|table| spread(table) == Some(Spread::ByMerchant));
        if split && !led_by_merchant {
            wrong.push(format!("{key} of {table} is not led by merchant_id"));
        }
    }
    wrong
}

fn spread(table: &str) -> Option<Spread> {
    let found = TABLES.iter().find(|(name, _)| *name == table);
    found.map(|(_, spread)| *spread)
}
