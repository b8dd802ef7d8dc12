"""docs/performance.md, made of a run's figures."""

# row, figure, what it is, unit, bar, aim, whether less is better
TARGETS = [
    ("closed-256", "per second", "purchases, closed loop, 256 connections, Postgres, two durable commits each", "a second", "25,000", "36,800"),
    ("closed-64", "per second", "the same, 64 connections", "a second", "15,000", "23,000"),
    ("closed-256", "daemon CPU us", "CPU a purchase at saturation, daemon alone", "µs", "16", "12"),
    ("closed-256", "daemon + Postgres CPU us", "CPU a purchase, daemon and Postgres", "µs", "45", "37"),
    ("open-10000", "p50 ms", "open loop at 10,000 a second from the intended start: p50", "ms", "3", "2"),
    ("open-10000", "p99 ms", "the same: p99", "ms", "8", "5"),
    ("open-10000", "p99.9 ms", "the same: p99.9", "ms", "25", "10"),
    ("single", "p50 ms", "a single terminal, one purchase at a time: p50", "ms", "3", "twice the commit + 0.3"),
    ("single", "twice the commit + 0.3 ms", "twice the time of a commit, and 0.3 ms", "ms", "", ""),
    ("sqlite-256", "per second", "SQLite instead of Postgres, 256 connections", "a second", "15,000", "25,000"),
    ("idle", "KiB a connection", "memory of an idle terminal's connection, 18,000 of them", "KiB", "12", "8"),
]
RATIOS = [
    ("old-rows", "9 million rows in former days and 1 million in today's", "90 %", "97 %"),
    ("backlog", "a backlog of 100,000 reversals, draining", "90 %", "97 %"),
    ("today-rows", "10 million rows in today's", "85 %", "90 %"),
]
OTHERS = """| program | keeps | connections | a second | CPU µs each |
|---|---|---|---|---|
| jPOS 2.1.10, asynchronous listener | nothing | 64 | 43,600 | 30 |
| the same | nothing | 256 | 36,800 | 37 |
| jPOS 2.1.10, transaction manager with continuations, log off | nothing | 64 | 32,900 | 44 |
| the same with its default log | nothing | 64 | 12,200 | 138 |
| jPOS 3.0.2 snapshot, asynchronous | nothing | 256 | 31,100 | 46 |
"""


def number(value):
    if isinstance(value, dict):
        median, least, greatest = (shown(value[key]) for key in ("median", "least", "greatest"))
        return f"**{median}** ({least} to {greatest})" if value["least"] != value["greatest"] else f"**{median}**"
    return str(value)


def shown(value):
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.2f}" if abs(value) < 10 else f"{value:.1f}"


def write(result, path):
    figures, machine, options = result["figures"], result["machine"], result["options"]
    out = ["# Performance", "",
           "Made by `benches/measure/measure.py`; do not edit. Each figure is the median of "
           f"{options['rounds']} interleaved rounds (least to greatest), each with new processes and a new database; two seconds of "
           "warm-up are left out. All answers are checked, and the ledgers of terminals, switch and issuer are reconciled after each "
           "round. The configuration is the shipped one: card protection, identities, metrics and INFO logs on; Postgres with `fsync`, "
           "`synchronous_commit` and `full_page_writes` on. Load, issuer, switch and database share the machine.", "",
           "| machine | |", "|---|---|", *[f"| {key} | {value} |" for key, value in machine.items()], "",
           "Postgres: " + ", ".join(f"`{key} = {value}`" for key, value in result["settings"].items()) + ".", "",
           "## Against the targets", "", "| what | measured | bar | aim |", "|---|---|---|---|"]
    for row, figure, what, unit, bar, aim in TARGETS:
        if figure in figures.get(row, {}):
            out.append(f"| {what} | {number(figures[row][figure])} {unit} | {bar} | {aim} |")
    base = figures.get("closed-256", {}).get("per second")
    for row, what, bar, aim in RATIOS:
        if base and "per second" in figures.get(row, {}):
            ratio = 100 * figures[row]["per second"]["median"] / base["median"]
            out.append(f"| {what}: of the throughput of an empty database | **{ratio:.0f} %** | {bar} | {aim} |")
    for name, value in figures.get("codec", {}).items():
        out.append(f"| codec, one thread: {name.removesuffix(' M/s')} | {number(value)} M/s | | |")
    if "overload" in figures:
        over = figures["overload"]
        out.append(f"| overload at twice the capacity for {options['overload']} s: goodput | {number(over['goodput %'])} % of the capacity | 90 % | |")
    if "soak" in figures:
        soak = figures["soak"]
        steady = [f"{number(soak[name + ' after a quarter'])} to {number(soak[name + ' at the end'])}" for name in ("MB", "descriptors")]
        out.append(f"| {soak['minutes']['median']:.0f} minutes at {soak['per second']['median']:,.0f} a second: resident MB | {steady[0]} | flat | |")
        out.append(f"| the same: open descriptors | {steady[1]} | flat | |")
    out += ["", "## Distance to the floor", "",
            "The floor is a relay on one thread that parses nothing (`benches`, binary `floor`), in the same run; with two group commits "
            "of a row of the same size in the same server, and with none.", "",
            "| | a second | p50 ms | p99 ms | CPU µs | Postgres CPU µs |", "|---|---|---|---|---|---|"]
    for row, what in (("closed-256", "Interlock, 256 connections"), ("floor-256", "floor with two commits, 256"),
                      ("floor-256-plain", "floor without a store, 256"), ("closed-64", "Interlock, 64"), ("floor-64", "floor with two commits, 64"),
                      ("open-10000", "Interlock, open loop at 10,000 a second"), ("floor-open-10000", "floor with two commits, the same"),
                      ("soak", "Interlock, soak"), ("floor-soak", "floor with two commits, at the soak's rate")):
        if row in figures:
            own = figures[row]
            cells = [own.get(key, "") for key in ("per second", "p50 ms", "p99 ms")]
            cells += [own.get("daemon CPU us", own.get("relay CPU us", "")), own.get("postgres CPU us", "")]
            out.append(f"| {what} | " + " | ".join(number(cell) for cell in cells) + " |")
    out += ["", "## What others reach", "", "Measured earlier on a machine of this kind (2 cores, shared by load, issuer and program), "
            "with a message of the same size; they keep nothing.", "", OTHERS]
    out += ["## All figures", ""]
    for row, own in figures.items():
        out += [f"### {row}", "", "| figure | |", "|---|---|"]
        out += [f"| {name} | {number(value)} |" for name, value in own.items() if name not in ("command", "valid")]
        if "command" in own:
            out += ["", f"`{own['command']}`"]
        out.append("")
    with open(path, "w") as file:
        file.write("\n".join(out).rstrip() + "\n")
