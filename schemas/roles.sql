-- Three users of holdback's database, each with no more rights than it needs. A superuser runs this
-- once on the database, before the first `holdback migrate`; again does no harm:
--
--   holdback migrate --print-roles | psql "$SUPERUSER_URL"
--   psql "$SUPERUSER_URL" --command '\password holdback_service'     (and the other two)
--
--   holdback_migrator  owns the tables: `holdback migrate`, which then grants the other two what they
--                      need (schemas/grants.sql)
--   holdback_service   `holdback run` and all other commands; changes no table's shape, and can only
--                      add to the journal
--   holdback_reader    audit, balances, export, forecast, statement, whatever lists, and reports of
--                      your own; not explain, which locks the order while it looks
--
-- Users of your own may be members of these. A database whose tables somebody else made is handed
-- over by `REASSIGN OWNED BY somebody TO holdback_migrator` and another `holdback migrate`.

DO $$
DECLARE
    role text;
BEGIN
    FOREACH role IN ARRAY ARRAY['holdback_migrator', 'holdback_service', 'holdback_reader'] LOOP
        IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = role) THEN
            EXECUTE format('CREATE ROLE %I LOGIN', role);
        END IF;
    END LOOP;
    -- Everybody else is shut out: the database is holdback's alone.
    EXECUTE format('REVOKE ALL ON DATABASE %I FROM PUBLIC', current_database());
    EXECUTE format(
        'GRANT CONNECT ON DATABASE %I TO holdback_migrator, holdback_service, holdback_reader',
        current_database());
END
$$;

REVOKE ALL ON SCHEMA public FROM PUBLIC;
GRANT USAGE, CREATE ON SCHEMA public TO holdback_migrator;
GRANT USAGE ON SCHEMA public TO holdback_service, holdback_reader;
