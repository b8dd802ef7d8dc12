-- The STANs of exchanges that are open, each at its issuer: owed, marked, or denied. Each block of numbers looks once for
-- those that are in it, whatever their issuer, so the STAN comes first. Version 5 still uses `obligation_stan`.
CREATE INDEX obligation_open_stan ON obligation ((id % 1000000), issuer) WHERE status IN (1, 3, 6);

-- The changes of terminals keep their numbers: one connection writes, so `max(seq) + 1` is the next one.
