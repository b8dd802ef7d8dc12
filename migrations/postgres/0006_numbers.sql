-- The STANs of exchanges that are open, each at its issuer: owed, marked, or denied. Each block of numbers looks once for
-- those that are in it, whatever their issuer, so the STAN comes first. Version 5 still uses `obligation_stan`.
CREATE INDEX obligation_open_stan ON obligation ((id % 1000000), issuer) WHERE status IN (1, 3, 6);

-- The changes of terminals are numbered by a sequence: `max(seq) + 1`, read by two transactions at once, gave both the same
-- number, and a poller that had seen the one never saw the other. Earlier versions still write `max(seq) + 1`, and serve this
-- database together with newer ones. A sequence that begins far above would not help: they would go on from its highest
-- number, which it then gives out a second time. So no number that a statement brings is kept. A trigger draws it, for
-- whoever writes, once the row is locked: the numbers of one terminal grow in the order of its commits. A transaction can
-- still commit late under a lower number than others before it; pollers look some seconds back for those.
CREATE SEQUENCE terminal_change;

-- With the rights of its owner, so that a role that may only read and write tables needs no more than before.
CREATE FUNCTION terminal_change() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path FROM CURRENT AS
$$BEGIN
    NEW.seq := nextval('terminal_change');
    RETURN NEW;
END$$;

-- Waits for the transactions that write terminals now; those that come later wait for this one.
CREATE TRIGGER terminal_change BEFORE INSERT OR UPDATE OF seq ON terminal
    FOR EACH ROW EXECUTE FUNCTION terminal_change();

SELECT setval('terminal_change', (SELECT coalesce(max(seq), 0) + 1 FROM terminal), false);
