"""Processes of a measurement: Postgres, issuer, switch, load; what they cost; and their end."""

import glob
import json
import os
import pwd
import re
import shutil
import signal
import socket
import subprocess
import tempfile
import time
import urllib.request

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
INTERLOCK = os.path.join(ROOT, "target", "release", "interlock")
FLOOR = os.path.join(ROOT, "target", "release", "floor")
TICK = os.sysconf("SC_CLK_TCK")


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def children(pid):
    """Processes whose parent is `pid`."""
    found = []
    for stat in glob.glob("/proc/[0-9]*/stat"):
        try:
            with open(stat) as file:
                fields = file.read().rsplit(")", 1)[1].split()
        except (FileNotFoundError, ProcessLookupError):
            continue
        if int(fields[1]) == pid:
            found.append(int(stat.split("/")[2]))
    return found


def cpu_seconds(pid, family=False):
    """Processor time so far; with `family` that of its children too, also of those that have ended."""
    total = 0
    for member in [pid, *(children(pid) if family else [])]:
        try:
            with open(f"/proc/{member}/stat") as file:
                fields = file.read().rsplit(")", 1)[1].split()
        except (FileNotFoundError, ProcessLookupError):
            continue
        own, ended = int(fields[11]) + int(fields[12]), int(fields[13]) + int(fields[14])
        total += own + (ended if family and member == pid else 0)
    return total / TICK


def resident(pid):
    with open(f"/proc/{pid}/status") as file:
        return int(re.search(r"VmRSS:\s+(\d+)", file.read()).group(1)) * 1024


def descriptors(pid):
    return len(os.listdir(f"/proc/{pid}/fd"))


def wait_for(what, condition, seconds=60):
    until = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > until:
            raise RuntimeError(f"{what} did not come about in {seconds} s")
        time.sleep(0.02)


class Postgres:
    """A server of the measurement's own, with `fsync`, `synchronous_commit` and `full_page_writes` on."""

    SETTINGS = {
        "listen_addresses": "127.0.0.1",
        "max_connections": "100",
        "shared_buffers": "512MB",
        "max_wal_size": "8GB",
        "checkpoint_timeout": "30min",
    }

    def __init__(self):
        found = sorted(glob.glob("/usr/lib/postgresql/*/bin/initdb"))
        if not found:
            raise SystemExit("Postgres is not installed: apt-get install postgresql")
        self.bin = os.path.dirname(found[-1])
        self.dir = tempfile.mkdtemp(prefix="interlock-measure-pg-")
        self.user = pwd.getpwnam("postgres") if os.geteuid() == 0 else None
        if self.user:
            os.chown(self.dir, self.user.pw_uid, self.user.pw_gid)
        self.port = free_port()
        self.run("initdb", "--no-sync", "-A", "trust", "-U", "postgres", "-E", "UTF8", "--locale=C", "-D", self.dir + "/data")
        settings = [part for item in self.SETTINGS.items() for part in ("-c", "=".join(item))]
        self.process = subprocess.Popen(
            [self.bin + "/postgres", "-D", self.dir + "/data", "-k", self.dir, "-p", str(self.port), *settings],
            stdout=open(self.dir + "/log", "wb"), stderr=subprocess.STDOUT, **self.credentials())
        wait_for("Postgres", lambda: subprocess.run(
            [self.bin + "/pg_isready", "-q", "-h", "127.0.0.1", "-p", str(self.port)]).returncode == 0)
        self.count = 0

    def credentials(self):
        return {"user": self.user.pw_uid, "group": self.user.pw_gid} if self.user else {}

    def run(self, program, *arguments):
        subprocess.run([os.path.join(self.bin, program), *arguments], check=True, stdout=subprocess.DEVNULL,
                       cwd=self.dir, **self.credentials())

    def sql(self, database, text):
        done = subprocess.run(
            [self.bin + "/psql", "-h", "127.0.0.1", "-p", str(self.port), "-U", "postgres", "-d", database, "-XAtq",
             "-v", "ON_ERROR_STOP=1", "-c", text], capture_output=True, text=True)
        if done.returncode != 0:
            raise RuntimeError(f"{text.strip()[:200]}: {done.stderr.strip()}")
        return done.stdout.strip()

    def fresh(self):
        self.count += 1
        name = f"measure_{self.count}"
        self.sql("postgres", f"CREATE DATABASE {name}")
        return name

    def url(self, database):
        return f"postgres://postgres@127.0.0.1:{self.port}/{database}"

    def drop(self, database):
        self.sql("postgres", f"DROP DATABASE {database} WITH (FORCE)")

    def wal(self):
        return int(self.sql("postgres", "SELECT pg_current_wal_lsn() - '0/0'::pg_lsn"))

    def end(self):
        self.process.send_signal(signal.SIGINT)
        self.process.wait()
        shutil.rmtree(self.dir, ignore_errors=True)


class Switch:
    """A switch, its issuer and their files: all new."""

    def __init__(self, url=None, issuer_script=None, timeout="15s", dialect="iso87-ascii", daemon=None):
        self.daemon = daemon or INTERLOCK
        self.dir = tempfile.mkdtemp(prefix="interlock-measure-")
        self.url = url or f"sqlite://{self.dir}/interlock.db"
        self.ports = {name: free_port() for name in ("listen", "admin", "issuer")}
        self.timeout, self.dialect = timeout, dialect
        self.issuer_ledger, self.terminal_ledger = self.dir + "/issuer.jsonl", self.dir + "/terminal.jsonl"
        subprocess.run([INTERLOCK, "keys", "init", self.dir + "/card-data.key"], check=True, stdout=subprocess.DEVNULL)
        self.start_issuer(issuer_script)
        self.start()

    def start_issuer(self, script=None):
        arguments = [INTERLOCK, "issuer", "--listen", f"127.0.0.1:{self.ports['issuer']}", "--dialect", self.dialect,
                     "--ledger", self.issuer_ledger]
        if script:
            with open(self.dir + "/issuer.toml", "w") as file:
                file.write(script)
            arguments += ["--script", self.dir + "/issuer.toml"]
        self.issuer = subprocess.Popen(arguments, stdout=subprocess.DEVNULL, stderr=open(self.dir + "/issuer.log", "wb"))
        wait_for("the issuer", lambda: self.listens(self.ports["issuer"]))

    @staticmethod
    def listens(port):
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", port)) == 0

    def configuration(self):
        return f"""[store]
url = "{self.url}"
[admin]
listen = "127.0.0.1:{self.ports['admin']}"
[[listener]]
name = "pos"
listen = "127.0.0.1:{self.ports['listen']}"
dialect = "cup-pos"
idle_timeout = "1h"
[[issuer]]
name = "unionpay"
dialect = "{self.dialect}"
endpoints = ["127.0.0.1:{self.ports['issuer']}"]
timeout = "{self.timeout}"
[[route]]
prefixes = ["62", "81"]
issuer = "unionpay"
"""

    def start(self, linked=True):
        self.config = self.dir + "/interlock.toml"
        with open(self.config, "w") as file:
            file.write(self.configuration())
        self.log = open(self.dir + "/serve.log", "ab")
        self.process = subprocess.Popen([self.daemon, "serve", "--config", self.config], stdout=self.log, stderr=self.log)
        wait_for("the switch", self.is_ready)
        if not linked:
            return
        wait_for("a link", lambda: 'interlock_link_up{' in self.metrics() and re.search(
            r"interlock_link_up\{[^}]*\} [1-9]", self.metrics()))

    def is_ready(self):
        if self.process.poll() is not None:
            raise RuntimeError(open(self.dir + "/serve.log").read())
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.ports['admin']}/readyz", timeout=1) as answer:
                return answer.status == 200
        except OSError:
            return False

    def metrics(self):
        with urllib.request.urlopen(f"http://127.0.0.1:{self.ports['admin']}/metrics", timeout=5) as answer:
            return answer.read().decode()

    def metric(self, name):
        return sum(float(value) for value in re.findall(rf"^{name}(?:\{{[^}}]*\}})? ([0-9.e+-]+)$", self.metrics(), re.M))

    def reconcile(self):
        """The three ledgers, compared by the command that users have; any difference is an error. Another build's database is brought to this
        version first: its load is over."""
        if self.daemon != INTERLOCK:
            subprocess.run([INTERLOCK, "migrate", "--config", self.config], check=True, stdout=subprocess.DEVNULL)
        done = subprocess.run([INTERLOCK, "reconcile", "--terminal", self.terminal_ledger, "--issuer", self.issuer_ledger,
                               "--config", self.config], capture_output=True, text=True)
        if done.returncode != 0:
            raise RuntimeError("the ledgers differ:\n" + done.stdout[-3000:] + done.stderr[-2000:])
        return done.stdout.strip().splitlines()[-1]

    def stop(self, kill=False):
        self.process.send_signal(signal.SIGKILL if kill else signal.SIGTERM)
        self.process.wait()

    def stop_issuer(self):
        self.issuer.send_signal(signal.SIGTERM)
        self.issuer.wait()

    def end(self):
        for process in (self.process, self.issuer):
            if process.poll() is None:
                process.send_signal(signal.SIGTERM)
                process.wait()
        shutil.rmtree(self.dir, ignore_errors=True)


def bench(port, ledger, *arguments, warm_up="2s", mix=None, healing="60s"):
    """A load; gives back its summary, whose command line is kept in it."""
    with tempfile.TemporaryDirectory() as place:
        out = place + "/bench.json"
        command = [INTERLOCK, "bench", "--target", f"127.0.0.1:{port}", "--dialect", "cup-pos", "--warm-up", warm_up,
                   "--healing", healing, "--json", out, *arguments]
        if ledger:
            command += ["--ledger", ledger]
        if mix:
            with open(place + "/mix.toml", "w") as file:
                file.write(mix)
            command += ["--mix", place + "/mix.toml"]
        done = subprocess.run(command, capture_output=True, text=True)
        if not os.path.exists(out):
            raise RuntimeError("the load failed: " + done.stdout + done.stderr)
        with open(out) as file:
            summary = json.load(file)
    summary["command"] = " ".join(["interlock", *command[1:]])
    summary["exit"] = done.returncode
    return summary
