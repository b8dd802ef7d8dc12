"""The rows of docs/performance.md: each a function that measures one round and gives back figures by name."""

import json
import os
import re
import subprocess
import time

from machine import FLOOR, INTERLOCK, ROOT, Switch, bench, cpu_seconds, descriptors, free_port, resident, wait_for

MICRO = 1_000_000


def observe(switch, postgres, load):
    """Runs `load` and says what it cost each process: CPU in microseconds a purchase."""
    pids = {"daemon": (switch.process.pid, False), "issuer": (switch.issuer.pid, False)}
    if postgres:
        pids["postgres"] = (postgres.process.pid, True)
    before = {name: cpu_seconds(*pid) for name, pid in pids.items()}
    wal, begun = postgres.wal() if postgres else 0, time.monotonic()
    done = count(switch)
    summary = load()
    seconds = time.monotonic() - begun
    # whatever the load's warm-up did counts on both sides of the division
    purchases = max(1, count(switch) - done)
    figures = {f"{name} CPU us": (cpu_seconds(*pid) - before[name]) * MICRO / purchases for name, pid in pids.items()}
    if postgres:
        figures["daemon + Postgres CPU us"] = figures["daemon CPU us"] + figures["postgres CPU us"]
        figures["WAL bytes"] = (postgres.wal() - wal) / purchases
    for lane in ("intents", "outcomes"):
        batches = lane_sum(switch, "interlock_store_batch_size_count", lane)
        figures[f"{lane} a batch"] = lane_sum(switch, "interlock_store_batch_size_sum", lane) / max(1, batches)
    figures |= latencies(summary)
    figures |= {"load CPU us": summary["own_cpu"], "daemon MB": resident(switch.process.pid) / MICRO, "seconds": seconds}
    figures["command"] = summary["command"]
    return figures, summary


def latencies(summary):
    latency = summary["latency"]
    named = {f"{name} ms": latency[key] / 1000 for name, key in
             (("p50", "p50"), ("p99", "p99"), ("p99.9", "p999"), ("max", "max"))}
    return {"per second": summary["rate"], **named, "own lateness p99 ms": summary["own_lateness"]["p99"] / 1000,
            "valid": summary["valid"]}


def count(switch):
    return switch.metric("interlock_transactions_total")


def lane_sum(switch, name, lane):
    found = re.search(rf'^{name}\{{[^}}]*lane="{lane}"[^}}]*\}} ([0-9.e+-]+)$', switch.metrics(), re.M)
    return float(found.group(1)) if found else 0.0


def heap_only(postgres, database):
    text = postgres.sql(database, "SELECT sum(n_tup_upd), sum(n_tup_hot_upd) FROM pg_stat_user_tables WHERE relname LIKE 'txn_%'")
    updates, hot = (int(part or 0) for part in text.split("|"))
    return 100 * hot / max(1, updates)


def on_postgres(context, *arguments, database=None, drop=True, reconcile=True, daemon=None, **more):
    """One round against Postgres, with a new database unless one is given."""
    postgres = context.postgres
    name = database or postgres.fresh()
    switch = Switch(postgres.url(name), daemon=daemon)
    try:
        load = lambda: bench(switch.ports["listen"], switch.terminal_ledger, *arguments, **more)
        figures, summary = observe(switch, postgres, load)
        if reconcile:
            figures["ledgers"] = switch.reconcile()
        time.sleep(0.6)  # the server counts its updates a little later
        figures["heap-only %"] = heap_only(postgres, name)
        return figures
    finally:
        switch.end()
        if drop and not database:
            postgres.drop(name)


def closed(connections):
    return lambda context: on_postgres(
        context, "--closed", "--connections", str(connections), "--duration", f"{context.seconds + 2}s")


def closed_other(context):
    """As `closed(256)`, with another build's daemon."""
    return on_postgres(context, "--closed", "--connections", "256", "--duration", f"{context.seconds + 2}s", daemon=context.other)


def opened(context):
    return on_postgres(context, "--rate", "10000", "--connections", "256", "--duration", f"{context.seconds + 2}s")


def single(context):
    figures = on_postgres(context, "--closed", "--connections", "1", "--duration", f"{context.seconds + 2}s")
    figures["twice the commit + 0.3 ms"] = 2 * commit_time(context) + 0.3
    return figures


def commit_time(context):
    """Milliseconds of one small durable commit by one client that does nothing else: median of a second."""
    postgres = context.postgres
    name = postgres.fresh()
    try:
        postgres.sql(name, "CREATE TABLE tick (one int PRIMARY KEY, count bigint) WITH (fillfactor = 50); INSERT INTO tick VALUES (1, 0)")
        script = os.path.join(postgres.dir, "tick.sql")
        with open(script, "w") as file:
            file.write("UPDATE tick SET count = count + 1 WHERE one = 1;\n")
        os.chmod(script, 0o644)
        done = subprocess.run([postgres.bin + "/pgbench", "-h", "127.0.0.1", "-p", str(postgres.port), "-U", "postgres", "-n",
                               "-M", "prepared", "-f", script, "-T", "2", name], capture_output=True, text=True, check=True)
        return float(re.search(r"latency average = ([0-9.]+) ms", done.stdout).group(1))
    finally:
        postgres.drop(name)


def sqlite_other(context):
    return sqlite(context, context.other)


def sqlite(context, daemon=None):
    switch = Switch(daemon=daemon)
    try:
        load = lambda: bench(switch.ports["listen"], switch.terminal_ledger, "--closed", "--connections", "256",
                             "--duration", f"{context.seconds + 2}s")
        figures, _ = observe(switch, None, load)
        figures["ledgers"] = switch.reconcile()
        return figures
    finally:
        switch.end()


def relayed(context, store, *arguments):
    """One load against the relay that parses nothing."""
    postgres, name = context.postgres, context.postgres.fresh()
    listen, issuer = free_port(), free_port()
    answers = subprocess.Popen([INTERLOCK, "issuer", "--listen", f"127.0.0.1:{issuer}", "--dialect", "cup-pos"],
                               stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    relay = None
    try:
        wait_for("the issuer", lambda: Switch.listens(issuer))
        command = [FLOOR, "--listen", f"127.0.0.1:{listen}", "--upstream", f"127.0.0.1:{issuer}"]
        relay = subprocess.Popen(command + (["--store", postgres.url(name)] if store else []),
                                 stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        wait_for("the relay", lambda: Switch.listens(listen))
        own, other = cpu_seconds(relay.pid), cpu_seconds(postgres.process.pid, True)
        summary = bench(listen, None, *arguments)
        # the two seconds of warm-up cost too
        purchases = summary["answered"] * (summary["seconds"] + 2) / max(0.001, summary["seconds"])
        return {**latencies(summary), "relay CPU us": (cpu_seconds(relay.pid) - own) * MICRO / purchases,
                "postgres CPU us": (cpu_seconds(postgres.process.pid, True) - other) * MICRO / purchases,
                "load CPU us": summary["own_cpu"], "command": summary["command"]}
    finally:
        for process in (relay, answers):
            if process:
                process.terminate()
                process.wait()
        postgres.drop(name)


def floor(connections, store):
    """The relay on the same machine in the same run; with two group commits or with none."""
    return lambda context: relayed(context, store, "--closed", "--connections", str(connections), "--duration",
                                   f"{context.seconds + 2}s")


def floor_opened(context):
    """What machine and database do to latency at 10,000 a second."""
    return relayed(context, True, "--rate", "10000", "--connections", "256", "--duration", f"{context.seconds + 2}s")


def floor_soak(context):
    """What machine and database do to latency in five minutes at the soak's rate."""
    return relayed(context, True, "--rate", str(int(context.soak_rate)), "--connections", "256", "--duration",
                   f"{min(300, context.soak)}s")


def codec(context):
    """One thread, by the program of the codec's own."""
    done = subprocess.run(["cargo", "run", "-q", "--release", "-p", "iso8583", "--example", "codec_speed"], cwd=ROOT,
                          capture_output=True, text=True, check=True)
    figures = {}
    for line in done.stdout.splitlines():
        found = re.match(r"\s*(.+?)\s{2,}.*?([0-9.]+) M/s", line)
        if found:
            figures[found.group(1).strip() + " M/s"] = float(found.group(2))
    return figures


def idle(context):
    """18,000 terminals that are connected and say nothing, from two processes."""
    total = context.idle
    database = context.postgres.fresh()
    switch = Switch(context.postgres.url(database))
    loads = []
    try:
        bench(switch.ports["listen"], switch.terminal_ledger, "--closed", "--connections", "64", "--duration", "3s", warm_up="10ms")
        time.sleep(1)
        before = resident(switch.process.pid)
        for part in range(2):
            mix = os.path.join(switch.dir, f"idle{part}.toml")
            with open(mix, "w") as file:
                file.write(f'think = "1h"\nfirst_terminal = {20_000_001 + part * 100_000}\n')
            loads.append(subprocess.Popen(
                [INTERLOCK, "bench", "--target", f"127.0.0.1:{switch.ports['listen']}", "--dialect", "cup-pos", "--rate",
                 "0.001", "--connections", str(total // 2), "--duration", "1h", "--mix", mix],
                stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL))
        wait_for("all connections", lambda: switch.metric("interlock_terminal_connections") >= total, 120)
        time.sleep(2)
        return {"KiB a connection": (resident(switch.process.pid) - before) / total / 1024, "connections": total,
                "daemon MB": resident(switch.process.pid) / MICRO}
    finally:
        for load in loads:
            load.kill()
            load.wait()
        switch.end()
        context.postgres.drop(database)


def soak(context):
    """Half of the capacity for long: memory and descriptors at the begin and the end of the second half."""
    database = context.postgres.fresh()
    switch = Switch(context.postgres.url(database))
    try:
        rate = int(context.soak_rate)
        samples = []
        command = [INTERLOCK, "bench", "--target", f"127.0.0.1:{switch.ports['listen']}", "--dialect", "cup-pos", "--rate",
                   str(rate), "--connections", "256", "--duration", f"{context.soak}s", "--json", switch.dir + "/soak.json",
                   "--healing", "60s"]
        load = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        begun = time.monotonic()
        while load.poll() is None:
            samples.append((time.monotonic() - begun, resident(switch.process.pid), descriptors(switch.process.pid)))
            time.sleep(min(5, context.soak / 20))
        with open(switch.dir + "/soak.json") as file:
            summary = json.load(file)
        middle = [sample for sample in samples if 0.25 * context.soak <= sample[0] <= 0.97 * context.soak]
        first, last = middle[: max(1, len(middle) // 5)], middle[-max(1, len(middle) // 5):]
        mean = lambda part, at: sum(sample[at] for sample in part) / len(part)
        return {**latencies(summary), "minutes": context.soak / 60, "MB after a quarter": mean(first, 1) / MICRO,
                "MB at the end": mean(last, 1) / MICRO, "descriptors after a quarter": mean(first, 2),
                "descriptors at the end": mean(last, 2), "command": " ".join(["interlock", *command[1:]]),
                "unknown": summary["unknown"]}
    finally:
        switch.end()
        context.postgres.drop(database)
