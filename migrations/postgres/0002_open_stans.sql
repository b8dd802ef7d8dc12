-- The STANs of exchanges that are open: each block of numbers looks for those that are in it.
CREATE INDEX obligation_stan ON obligation ((id % 1000000)) WHERE status IN (1, 3);
