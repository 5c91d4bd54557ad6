-- The tables of the benchmark, and the update: a compare-and-swap of one record, whose count is
-- compared, and the record, its dataset, the sizes of identity and pool, and the feed are written.
--
-- Pages have room for new versions of their rows, so that indexes need no change for them.

CREATE TABLE datasets (
    pool text,
    identity text,
    dataset text,
    count bigint NOT NULL,
    bytes bigint NOT NULL,
    live bigint NOT NULL,
    removed bigint NOT NULL,
    made timestamptz NOT NULL,
    changed timestamptz NOT NULL,
    PRIMARY KEY (pool, identity, dataset)
) WITH (fillfactor = 50);

CREATE TABLE records (
    pool text,
    identity text,
    dataset text,
    key text,
    count bigint NOT NULL,
    value text NOT NULL,
    changed timestamptz NOT NULL,
    PRIMARY KEY (pool, identity, dataset, key)
) WITH (fillfactor = 50);

CREATE TABLE identities (
    pool text,
    identity text,
    bytes bigint NOT NULL,
    datasets bigint NOT NULL,
    changed timestamptz NOT NULL,
    PRIMARY KEY (pool, identity)
) WITH (fillfactor = 50);

-- A pool is the sum of its shares, of which every connection has one: all transactions would wait
-- for each other's sync if they had to change the same row.
CREATE TABLE pools (
    pool text,
    share integer,
    bytes bigint NOT NULL,
    datasets bigint NOT NULL,
    changed timestamptz NOT NULL,
    PRIMARY KEY (pool, share)
) WITH (fillfactor = 50);

-- Who follows it reads what is of transactions older than the oldest that runs.
CREATE TABLE feed (
    sequence bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    transaction xid8 NOT NULL DEFAULT pg_current_xact_id(),
    pool text NOT NULL,
    identity text NOT NULL,
    dataset text NOT NULL,
    count bigint NOT NULL,
    changed timestamptz NOT NULL,
    key text NOT NULL,
    value text NOT NULL
);

CREATE FUNCTION change_record(
    of_pool text, of_identity text, of_dataset text, of_key text, expected bigint, new_value text
) RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE
    own_share integer := pg_backend_pid() % 1024;
    was bigint := 0;
    grown bigint;
    reached bigint := 1;
    begun bigint := 0;
BEGIN
    IF expected > 0 THEN
        SELECT octet_length(key) + octet_length(value) INTO was FROM records
            WHERE pool = of_pool AND identity = of_identity AND dataset = of_dataset
                AND key = of_key AND count = expected;
        IF NOT FOUND THEN
            RAISE EXCEPTION 'the record is not at %', expected;
        END IF;
    END IF;
    grown := octet_length(of_key) + octet_length(new_value) - was;

    UPDATE datasets SET count = count + 1, bytes = bytes + grown,
            live = live + (expected = 0)::integer, changed = now()
        WHERE pool = of_pool AND identity = of_identity AND dataset = of_dataset
        RETURNING count INTO reached;
    IF NOT FOUND THEN
        reached := 1;
        begun := 1;
        INSERT INTO datasets
            VALUES (of_pool, of_identity, of_dataset, reached, grown, 1, 0, now(), now());
    END IF;

    -- The row of the dataset is locked, so the second of two that expect the same comes here
    -- after the first has ended, and finds the record changed.
    IF expected > 0 THEN
        UPDATE records SET count = reached, value = new_value, changed = now()
            WHERE pool = of_pool AND identity = of_identity AND dataset = of_dataset
                AND key = of_key AND count = expected;
        IF NOT FOUND THEN
            RAISE EXCEPTION 'the record is not at %', expected;
        END IF;
    ELSE
        INSERT INTO records
            VALUES (of_pool, of_identity, of_dataset, of_key, reached, new_value, now());
    END IF;

    UPDATE identities SET bytes = bytes + grown, datasets = datasets + begun, changed = now()
        WHERE pool = of_pool AND identity = of_identity;
    IF NOT FOUND THEN
        INSERT INTO identities VALUES (of_pool, of_identity, grown, begun, now());
    END IF;
    UPDATE pools SET bytes = bytes + grown, datasets = datasets + begun, changed = now()
        WHERE pool = of_pool AND share = own_share;
    IF NOT FOUND THEN
        INSERT INTO pools VALUES (of_pool, own_share, grown, begun, now());
    END IF;
    INSERT INTO feed (pool, identity, dataset, count, changed, key, value)
        VALUES (of_pool, of_identity, of_dataset, reached, now(), of_key, new_value);
    RETURN reached;
END $$;
