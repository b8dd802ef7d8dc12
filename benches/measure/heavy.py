"""The rows that need a full database, a backlog of reversals, or more load than there is capacity."""

import threading

from machine import Switch, bench, resident
from rows import MICRO, latencies, observe, on_postgres

COLUMNS = ("id, created, amount, day, node, epoch, stan, kind, key, listener, merchant, terminal, currency, digest, issuer, "
           "card_hash, card_first6, card_last4, card_sealed, carried, version, change, state, cause, code, approved, answer, "
           "copies, late, concluded")


def filled(context, former_millions, today_millions):
    """A database with so many million rows in former days and today; made once and kept."""
    key = (former_millions, today_millions)
    if key in context.databases:
        return context.databases[key]
    postgres, name = context.postgres, context.postgres.fresh()
    Switch(postgres.url(name)).end()
    today = int(postgres.sql(name, "SELECT day FROM meta"))
    leaf = lambda day: "txn_" + postgres.sql(name, f"SELECT to_char(date '1970-01-01' + {day}, 'YYYYMMDD')")
    first = 100_000_000_000
    days = [(today, today_millions)] if today_millions else []
    # nine former days, each with its part
    for back in range(1, 10) if former_millions else []:
        day = today - back
        postgres.sql(name, f"CREATE TABLE {leaf(day)} (LIKE txn INCLUDING DEFAULTS INCLUDING CONSTRAINTS INCLUDING STORAGE) "
                           f"WITH (fillfactor = 40); CREATE UNIQUE INDEX {leaf(day)}_key ON {leaf(day)} (key); "
                           f"CREATE INDEX {leaf(day)}_brin ON {leaf(day)} USING brin (id, created, card_hash bytea_bloom_ops) "
                           f"WITH (pages_per_range = 64); ALTER TABLE txn ATTACH PARTITION {leaf(day)} FOR VALUES IN ({day}); "
                           f"INSERT INTO day (day, opened, number, closed) VALUES ({day}, 0, 1, 1) ON CONFLICT DO NOTHING")
        days.append((day, former_millions / 9))
    for day, millions in days:
        rows = int(millions * 1_000_000)
        postgres.sql(name, f"""
            INSERT INTO {leaf(day)} ({COLUMNS})
            SELECT {first} + n, 1700000000000000 + n * 1000, 12345, {day}, 1, 1, n % 1000000, 1,
              substr(sha256(int8send({first} + n)), 1, 8) || substr(int4send((n / 1000000)::int), 2, 3)
                || substr(int4send((n % 1000000)::int), 2, 3) || '\\x01'::bytea,
              'pos', '898000000000001'::bytea, substr(sha256(int8send(n)), 1, 8), '156'::bytea,
              substr(sha256(int8send(n)), 1, 16), 'unionpay', substr(sha256(int8send(n % 100000)), 1, 16), '622700'::bytea,
              '1234'::bytea, sha256(int8send(n)) || substr(sha256(int8send(n)), 1, 20), sha256(int8send(n)) || sha256(int8send(n + 1)),
              1, n, 3, 0, '00', 12345, sha256(int8send(n + 2)), 0, 0, 1700000000000000
            FROM generate_series(1::bigint, {rows}) n""")
        first += rows
    postgres.sql(name, "VACUUM ANALYZE")
    postgres.sql(name, "CHECKPOINT")
    context.databases[key] = name
    return name


def against_filled(former_millions, today_millions):
    def round_of(context):
        name = filled(context, former_millions * context.scale, today_millions * context.scale)
        return on_postgres(context, "--closed", "--connections", "256", "--duration", f"{context.seconds + 2}s",
                           database=name, drop=False, reconcile=False)
    return round_of


SILENT = """[[rule]]
on = "purchase"
do = "silent"
[[rule]]
on = "reversal"
do = "silent"
posting = "never"
"""


def backlog(context):
    """Purchases while a backlog of reversals drains."""
    owed = int(100_000 * context.scale)
    postgres, name = context.postgres, context.postgres.fresh()
    switch = Switch(postgres.url(name), SILENT, timeout="300ms")
    try:
        # every sale is met by silence: its reversal becomes owed, and stays so
        bench(switch.ports["listen"], None, "--closed", "--connections", "1000", "--duration", "120s", "--sales", str(owed),
              warm_up="10ms", healing="20s")
        made = int(postgres.sql(name, "SELECT count(*) FROM obligation WHERE status = 3"))
        switch.stop()
        switch.stop_issuer()
        switch.timeout = "15s"
        switch.start(linked=False)
        # the host comes back while sales are already asked for: without them the backlog would be gone at once
        back = threading.Timer(0.2, switch.start_issuer)
        back.start()
        load = lambda: bench(switch.ports["listen"], None, "--closed", "--connections", "256", "--duration",
                             f"{context.seconds + 6}s", warm_up="6s")
        figures, summary = observe(switch, postgres, load)
        back.join()
        figures["per second"] = summary["approved"] / summary["seconds"]
        left = int(postgres.sql(name, "SELECT count(*) FROM obligation WHERE status = 3"))
        return {**figures, "reversals owed at first": made, "owed at the end": left}
    finally:
        switch.end()
        postgres.drop(name)


def overload(context):
    """Twice the capacity for a minute, from many terminals."""
    postgres, name = context.postgres, context.postgres.fresh()
    switch = Switch(postgres.url(name))
    try:
        terminals = ("--connections", "4000")
        capacity = bench(switch.ports["listen"], switch.terminal_ledger, "--closed", "--connections", "256", "--duration",
                         f"{context.seconds + 2}s")
        before = resident(switch.process.pid)
        summary = bench(switch.ports["listen"], switch.terminal_ledger, "--rate", str(int(capacity["rate"] * 2)), *terminals,
                        "--duration", f"{context.overload}s", mix="first_terminal = 30000001\n", healing="120s")
        goodput = summary["approved"] / summary["seconds"]
        shed = sum(number for code, number in summary["codes"].items() if code in ("91", "96"))
        return {**latencies(summary), "capacity a second": capacity["rate"], "approved a second": goodput,
                "goodput %": 100 * goodput / capacity["rate"], "shed": shed, "MB before": before / MICRO,
                "MB after": resident(switch.process.pid) / MICRO, "connections lost": summary["errors"].get("connection lost", 0),
                "ledgers": switch.reconcile(), "command": summary["command"]}
    finally:
        switch.end()
        postgres.drop(name)
