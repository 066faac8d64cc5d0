-- One statement writes and commits a whole batch (bulk.py says why): rows of all kinds go into one view, and these
-- triggers put them where they belong.

CREATE TEMP VIEW IF NOT EXISTS batch AS
    SELECT
        NULL AS kind, NULL AS a, NULL AS b, NULL AS c, NULL AS d, NULL AS e, NULL AS f, NULL AS g, NULL AS h, NULL AS i;

CREATE TEMP TRIGGER IF NOT EXISTS types_of_batch INSTEAD OF INSERT ON batch WHEN new.kind = 'type'
BEGIN
    INSERT INTO types (number, name) VALUES (new.a, new.b);
END;

CREATE TEMP TRIGGER IF NOT EXISTS tenants_of_batch INSTEAD OF INSERT ON batch WHEN new.kind = 'tenant'
BEGIN
    INSERT INTO tenants (number, tenant, position, instant, frontier) VALUES (new.a, new.b, new.c, new.d, new.e)
    ON CONFLICT (number) DO UPDATE
    SET position = excluded.position, instant = excluded.instant, frontier = excluded.frontier;
END;

CREATE TEMP TRIGGER IF NOT EXISTS events_of_batch INSTEAD OF INSERT ON batch WHEN new.kind = 'event'
BEGIN
    INSERT INTO events (sequence, tenant, position, type, instant, own, stored)
    VALUES (new.a, new.b, new.c, new.d, new.e, new.f, new.g);
    -- h: the keys of its tags, 22 bytes each; i: for each the nth, as a JSON array.
    INSERT INTO postings (tag, type, position, nth)
    SELECT substr(new.h, 1 + 22 * each.key, 22), new.d, new.c, each.value FROM json_each(new.i) AS each;
END;

CREATE TEMP TRIGGER IF NOT EXISTS commits_of_batch INSTEAD OF INSERT ON batch WHEN new.kind = 'commit'
BEGIN
    INSERT INTO commits (first, count, id, epoch, instant, chain, outcomes)
    VALUES (new.a, new.b, new.c, new.d, new.e, new.f, new.g);
END;

CREATE TEMP TRIGGER IF NOT EXISTS tenant_keys_of_batch INSTEAD OF INSERT ON batch WHEN new.kind = 'tenant key'
BEGIN
    INSERT INTO tenant_keys (tenant, id, wrapped) VALUES (new.a, new.b, new.c) ON CONFLICT DO NOTHING;
END;

CREATE TEMP TRIGGER IF NOT EXISTS data_keys_of_batch INSTEAD OF INSERT ON batch WHEN new.kind = 'data key'
BEGIN
    INSERT INTO data_keys (tenant, id, subject, wrapped) VALUES (new.a, new.b, new.c, new.d) ON CONFLICT DO NOTHING;
END;

CREATE TEMP TRIGGER IF NOT EXISTS handles_of_batch INSTEAD OF INSERT ON batch WHEN new.kind = 'handle'
BEGIN
    INSERT INTO handles (tenant, handle, lookup, short) VALUES (new.a, new.b, new.c, new.d) ON CONFLICT DO NOTHING;
END;

-- In place and of the same length, so that SQLite doesn't move the row and leave the old one behind.
CREATE TEMP TRIGGER IF NOT EXISTS destroyed_of_batch INSTEAD OF INSERT ON batch WHEN new.kind = 'destroyed'
BEGIN
    UPDATE data_keys SET wrapped = zeroblob(length(wrapped)) WHERE tenant = new.a AND subject = new.b;
    INSERT INTO destructions (tenant, subject) VALUES (new.a, new.b);
END;

CREATE TEMP TRIGGER IF NOT EXISTS handles_destroyed_of_batch INSTEAD OF INSERT ON batch WHEN new.kind = 'destroyed handle'
BEGIN
    UPDATE handles SET lookup = zeroblob(32), short = 0 WHERE tenant = new.a AND handle = new.b;
END;

CREATE TEMP TRIGGER IF NOT EXISTS spent_of_batch INSTEAD OF INSERT ON batch WHEN new.kind = 'spent'
BEGIN
    UPDATE data_keys SET wrapped = zeroblob(length(wrapped)) WHERE id = new.a;
END;

CREATE TEMP TRIGGER IF NOT EXISTS erased_of_batch INSTEAD OF INSERT ON batch WHEN new.kind = 'erased'
BEGIN
    INSERT INTO destructions (tenant, subject) VALUES (new.a, new.b);
END;

CREATE TEMP TRIGGER IF NOT EXISTS gone_handles_of_batch INSTEAD OF INSERT ON batch WHEN new.kind = 'gone handle'
BEGIN
    UPDATE handles SET lookup = zeroblob(32), short = 0 WHERE handle = new.a;
END;

CREATE TEMP TRIGGER IF NOT EXISTS streams_of_batch INSTEAD OF INSERT ON batch WHEN new.kind = 'stream'
BEGIN
    INSERT INTO streams (name, last, next) VALUES (new.a, new.b, new.c)
    ON CONFLICT (name) DO UPDATE SET last = max(last, excluded.last), next = max(next, excluded.next);
END;

CREATE TEMP TRIGGER IF NOT EXISTS owners_of_batch INSTEAD OF INSERT ON batch WHEN new.kind = 'owner'
BEGIN
    INSERT INTO owners (epoch, generation, address, sequence, instant) VALUES (new.a, new.b, new.c, new.d, new.e);
END;
