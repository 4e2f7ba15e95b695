-- What people do: every act is one row that never changes, with who did it and why. A request that
-- needs a second person is a row too; its approval is another row that names it.
CREATE TABLE operations (
    operation_id uuid NOT NULL,
    -- The database's time, also where a test moves the rules' clock by hand.
    done_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    kind text NOT NULL,
    actor text NOT NULL,
    reason text NOT NULL,
    -- What was asked for, whole, so that an approval can carry it out.
    request jsonb NOT NULL,
    merchant_id text,
    order_id text,
    hold_id uuid,
    currency text,
    -- The money that it lets go.
    amount numeric,
    -- Above the sum that one person may let go: nothing happens until another approves it.
    needs_approval boolean NOT NULL DEFAULT false,
    approves uuid,
    CONSTRAINT operations_pkey PRIMARY KEY (operation_id),
    CONSTRAINT operations_are_approved_once UNIQUE (approves),
    CONSTRAINT operations_name_an_actor CHECK (actor <> ''),
    CONSTRAINT operations_say_why CHECK (reason <> '')
);
CREATE INDEX operations_by_order ON operations (merchant_id, order_id);
CREATE INDEX operations_awaiting ON operations (done_at) WHERE needs_approval;

-- Which operation a journal line stems from.
ALTER TABLE journal ADD COLUMN operation_id uuid;

-- Pauses of releases: of one merchant, of one currency, or of all (both null). A release step holds
-- this table in SHARE mode, so a pause waits for the releases under way and is seen by all later ones.
CREATE TABLE pauses (
    operation_id uuid NOT NULL,
    merchant_id text,
    currency text,
    actor text NOT NULL,
    reason text NOT NULL,
    paused_at timestamptz NOT NULL,
    -- The operation that ended it.
    resumed_by uuid,
    CONSTRAINT pauses_pkey PRIMARY KEY (operation_id),
    CONSTRAINT pauses_have_one_scope CHECK (merchant_id IS NULL OR currency IS NULL)
);
-- One pause per scope at a time.
CREATE UNIQUE INDEX pauses_open ON pauses (coalesce(merchant_id, ''), coalesce(currency, ''))
    WHERE resumed_by IS NULL;

-- Hints (see due) that fell due under a pause: the end of the pause puts them back.
CREATE TABLE paused_due (LIKE due);
CREATE INDEX paused_due_by_merchant ON paused_due (merchant_id, currency);

-- A block of one hold only, and of a part only: null for all holds, and for all of the money.
ALTER TABLE blocks ADD COLUMN hold_id uuid, ADD COLUMN amount numeric;
ALTER TABLE blocks ADD CONSTRAINT blocks_above_zero CHECK (amount > 0 AND amount <> 'NaN');
