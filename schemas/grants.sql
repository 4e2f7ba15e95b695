-- What holdback_service and holdback_reader (schemas/roles.sql) may do with each table. Run by
-- `holdback migrate` after every migration; does nothing where there are no such roles.
--
-- Nothing that has happened can be changed or taken away: the journal, what people did, what was
-- agreed and what was posted are only added to. Whoever must lock a row may update its table.

DO $$
DECLARE
    grants record;
BEGIN
    IF (SELECT count(*) FROM pg_roles WHERE rolname IN ('holdback_service', 'holdback_reader')) < 2 THEN
        RETURN;
    END IF;
    FOR grants IN SELECT * FROM (VALUES
        ('_sqlx_migrations', 'SELECT'),
        -- Only added to.
        ('adjustments', 'SELECT, INSERT'),
        ('agreements', 'SELECT, INSERT'),
        ('buried_elsewhere', 'SELECT, INSERT'),
        ('calendars', 'SELECT, INSERT'),
        ('controls', 'SELECT, INSERT'),
        ('deposit_transactions', 'SELECT, INSERT'),
        ('journal', 'SELECT, INSERT'),
        ('operations', 'SELECT, INSERT'),
        -- Filled by the migrations.
        ('catalogue', 'SELECT, UPDATE'),
        ('publisher', 'SELECT, UPDATE'),
        -- How things stand.
        ('blocks', 'SELECT, INSERT, UPDATE'),
        ('dead_letters', 'SELECT, INSERT, UPDATE'),
        ('deployment', 'SELECT, INSERT, UPDATE'),
        ('deposits', 'SELECT, INSERT, UPDATE'),
        ('disputes', 'SELECT, INSERT, UPDATE'),
        -- Locked as a whole, else only added to.
        ('imported', 'SELECT, INSERT, UPDATE'),
        ('merchants', 'SELECT, INSERT, UPDATE'),
        ('orders', 'SELECT, INSERT, UPDATE'),
        ('pauses', 'SELECT, INSERT, UPDATE'),
        ('payouts', 'SELECT, INSERT, UPDATE'),
        ('positions', 'SELECT, INSERT, UPDATE'),
        ('read_back', 'SELECT, INSERT, UPDATE'),
        ('receivables', 'SELECT, INSERT, UPDATE'),
        ('refunds', 'SELECT, INSERT, UPDATE'),
        ('review_orders', 'SELECT, INSERT, UPDATE'),
        ('reviews', 'SELECT, INSERT, UPDATE'),
        ('settlements', 'SELECT, INSERT, UPDATE'),
        -- What waits: taken away when it is done. A hold is, when its order is held anew.
        ('credits', 'SELECT, INSERT, UPDATE, DELETE'),
        ('due', 'SELECT, INSERT, UPDATE, DELETE'),
        ('holds', 'SELECT, INSERT, UPDATE, DELETE'),
        ('parked', 'SELECT, INSERT, UPDATE, DELETE'),
        ('paused_due', 'SELECT, INSERT, UPDATE, DELETE'),
        -- Those that answer for releases that reconcile takes over are heard again.
        ('payout_results', 'SELECT, INSERT, UPDATE, DELETE'),
        ('published_elsewhere', 'SELECT, INSERT, UPDATE, DELETE'),
        ('review_due', 'SELECT, INSERT, UPDATE, DELETE'),
        ('strays', 'SELECT, INSERT, UPDATE, DELETE')
    ) AS granted (relation, rights) LOOP
        EXECUTE format('REVOKE ALL ON %I FROM holdback_service, holdback_reader', grants.relation);
        EXECUTE format('GRANT %s ON %I TO holdback_service', grants.rights, grants.relation);
        EXECUTE format('GRANT SELECT ON %I TO holdback_reader', grants.relation);
    END LOOP;
END
$$;
