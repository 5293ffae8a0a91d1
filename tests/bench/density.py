#!/usr/bin/python3
"""density: how many students' labs of three nodes one machine carries, and what each of them costs.

   LAB_BINARY=build/lab tests/bench/density.py              5, 10, 20 and 40 students
   LAB_BINARY=build/lab tests/bench/density.py 5 10         these

One lab is made and saved; the students' labs are started from that snapshot (`lab start --from`), as many at once as
there are processors, and stay while more come. After each number: what they take while nobody does anything, and how
long they take when all do the same lesson at the same moment (a Deployment of 3 pods, scaled to 6, one pod deleted and
replaced, all of it deleted). It stops before the machine is short of memory, or when a lab is not ready in time, and
says which; everything is deleted at the end, also after Ctrl-C. Prints a table in Markdown.
"""
import concurrent.futures
import os
import re
import signal
import statistics
import subprocess
import sys
import threading
import time

LAB = os.path.abspath(os.environ.get("LAB_BINARY") or os.path.join(os.path.dirname(__file__), "../../build/lab"))
PREFIX = f"density-{os.getpid()}"
TEMPLATE = f"{PREFIX}-template"
NODES = 3
RESERVE_MIB = 2048      # memory that stays free, whatever is asked
START_LIMIT = 300       # seconds for one lab; above that the machine is full
LESSON_LIMIT = 600
IDLE_SECONDS = 30
CORES = os.cpu_count() or 1
IMAGE = "dockercoins/hasher:v0.1"


class Full(Exception):
    """The machine carries no more; its text says what is short."""


def run(*argv, timeout=LESSON_LIMIT, check=True):
    # A session of its own: Ctrl-C is this program's, which waits for what it has begun and then cleans up.
    done = subprocess.run([str(a) for a in argv], capture_output=True, text=True, timeout=timeout, start_new_session=True)
    if check and done.returncode != 0:
        raise RuntimeError(f"{' '.join(map(str, argv))}: exit code {done.returncode}\n{done.stdout}{done.stderr}")
    return done


def meminfo():
    with open("/proc/meminfo") as f:
        return {name: int(kib) / 1024 for name, kib in re.findall(r"^(\w+):\s+(\d+) kB", f.read(), re.M)}


def cgroup_number(profile, v1, v2, field=None):
    """A count of a lab's cgroup, on v1 or v2; 0 where there is none."""
    for path in (f"/sys/fs/cgroup/{v1.split('/')[0]}/lab/{profile}/{v1.split('/')[1]}", f"/sys/fs/cgroup/lab/{profile}/{v2}"):
        try:
            with open(path) as f:
                text = f.read()
        except OSError:
            continue
        if field and field in text:
            return int(re.search(rf"^{field} (\d+)", text, re.M).group(1))
        return int(text.split()[0])
    return 0


def cpu_seconds(profile):
    ns = cgroup_number(profile, "cpuacct/cpuacct.usage", "cpu.stat", "usage_usec")
    return ns / 1e9 if os.path.exists("/sys/fs/cgroup/cpuacct") else ns / 1e6


def processes():
    """pid -> (profile, name) of all processes of this run's labs."""
    out = {}
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            with open(f"/proc/{pid}/cgroup") as f:
                found = re.search(rf"/lab/({PREFIX}[^/\s]*)/", f.read())
            if not found:
                continue
            with open(f"/proc/{pid}/cmdline") as f:
                argv = f.read().split("\0")
        except OSError:
            continue
        name = os.path.basename(argv[0]) or "?"
        if name == "lab" and len(argv) > 1:
            name += " " + argv[1]
        elif name == "containerd-shim-runc-v2":
            name = "shim"
        elif not name.startswith("containerd"):
            name = "in pods"
        out[pid] = (found.group(1), name)
    return out


def pss_mib(pid):
    try:
        with open(f"/proc/{pid}/smaps_rollup") as f:
            text = f.read()
    except OSError:
        return 0.0, 0.0
    return tuple(int(m.group(1)) / 1024 if (m := re.search(rf"^{n}:\s+(\d+)", text, re.M)) else 0.0 for n in ("Pss", "Pss_Anon"))


def switches(pid):
    total = 0
    try:
        for task in os.listdir(f"/proc/{pid}/task"):
            with open(f"/proc/{pid}/task/{task}/status") as f:
                total += sum(int(n) for n in re.findall(r"ctxt_switches:\s+(\d+)", f.read()))
    except OSError:
        pass
    return total


class Bench:
    def __init__(self):
        self.labs, self.rows, self.stopped = [], [], threading.Event()
        self.before = meminfo()["MemAvailable"]

    def kubectl(self, profile, *words, **kw):
        return run(LAB, "kubectl", "-p", profile, *words, **kw)

    def template(self):
        begun = time.monotonic()
        run(LAB, "start", "-p", TEMPLATE, "--isolated", "--nodes", NODES)
        run(LAB, "snapshot", "save", "-p", TEMPLATE, "ready")
        run(LAB, "stop", "-p", TEMPLATE)
        print(f"template of {NODES} nodes made, saved and stopped in {time.monotonic() - begun:.1f} s", flush=True)
        self.before = meminfo()["MemAvailable"]

    def start(self, profile):
        if self.stopped.is_set():
            return None
        free = meminfo()["MemAvailable"]
        if free < RESERVE_MIB:
            raise Full(f"memory: {free:.0f} MiB are left, and {RESERVE_MIB} stay free")
        begun = time.monotonic()
        try:
            run(LAB, "start", "-p", profile, "--from", f"{TEMPLATE}/ready", timeout=START_LIMIT)
        except subprocess.TimeoutExpired:
            raise Full(f"processors: a lab was not ready within {START_LIMIT} s") from None
        return time.monotonic() - begun

    def grow(self, count):
        new = [f"{PREFIX}-{i:02d}" for i in range(len(self.labs) + 1, count + 1)]
        begun = time.monotonic()
        with concurrent.futures.ThreadPoolExecutor(CORES) as pool:
            self.labs += new  # first: a start that fails leaves something, too
            times = list(pool.map(self.start, new))
        return time.monotonic() - begun, times

    def idle(self, seconds=IDLE_SECONDS):
        time.sleep(5)  # what the starts have set going
        known = processes()
        first, woken, machine = {p: cpu_seconds(p) for p in self.labs}, {p: switches(p) for p in known}, self.busy()
        begun = time.monotonic()
        if self.stopped.wait(seconds):
            raise KeyboardInterrupt
        took = time.monotonic() - begun
        cpu = sum(cpu_seconds(p) - first[p] for p in self.labs) / took * 100
        wakes = sum(max(0, switches(p) - woken[p]) for p in known) / took
        groups = {}
        for pid, (_, name) in known.items():
            pss, anon = pss_mib(pid)
            n, a, b = groups.get(name, (0, 0.0, 0.0))
            groups[name] = (n + 1, a + pss, b + anon)
        return cpu, wakes, groups, (self.busy() - machine) / took * 100

    @staticmethod
    def busy():
        """Seconds that the processors have not been idle, all of them together."""
        with open("/proc/stat") as f:
            fields = [int(x) for x in f.readline().split()[1:9]]
        return (sum(fields) - fields[3] - fields[4]) / os.sysconf("SC_CLK_TCK")

    def lesson(self, profile):
        begun = time.monotonic()
        k = self.kubectl
        k(profile, "create", "deployment", "web", f"--image={IMAGE}", "--replicas=3")
        k(profile, "rollout", "status", "deployment/web", f"--timeout={LESSON_LIMIT}s")
        k(profile, "scale", "deployment/web", "--replicas=6")
        k(profile, "rollout", "status", "deployment/web", f"--timeout={LESSON_LIMIT}s")
        pod = k(profile, "get", "pods", "-l", "app=web", "-o", "name").stdout.split()[0]
        k(profile, "delete", pod, "--now")
        k(profile, "rollout", "status", "deployment/web", f"--timeout={LESSON_LIMIT}s")
        return time.monotonic() - begun

    def all_do_the_lesson(self):
        lowest, done = [meminfo()["MemAvailable"]], threading.Event()

        def watch():
            while not done.wait(0.5):
                lowest[0] = min(lowest[0], meminfo()["MemAvailable"])
        watcher = threading.Thread(target=watch)
        watcher.start()
        try:
            with concurrent.futures.ThreadPoolExecutor(len(self.labs)) as pool:
                times = list(pool.map(self.lesson, self.labs))
            pss = sum(pss_mib(pid)[0] for pid in processes())
        finally:
            done.set()
            watcher.join()
        for profile in self.labs:
            self.kubectl(profile, "delete", "deployment", "web", "--wait=false")
        return times, pss, self.before - lowest[0]

    def stage(self, count):
        # An estimate from those that are there: half a stage measures nothing.
        if self.labs:
            each = (self.before - meminfo()["MemAvailable"]) / len(self.labs)
            if self.before - each * count < RESERVE_MIB:
                raise Full(f"memory: {count} labs of {each:.0f} MiB leave less than {RESERVE_MIB} MiB of {self.before:.0f}")
        total, times = self.grow(count)
        used = self.before - meminfo()["MemAvailable"]
        cpu, wakes, groups, machine = self.idle()
        pss, anon = sum(g[1] for g in groups.values()), sum(g[2] for g in groups.values())
        lesson, lesson_pss, lesson_used = self.all_do_the_lesson()
        n = len(self.labs)
        row = (n, f"{total:.0f} s", f"{statistics.median(times):.1f} / {max(times):.1f} s", f"{pss / n:.0f}", f"{anon / n:.0f}",
               f"{used / n:.0f}", f"{cpu:.0f}%", f"{wakes / n:.0f}", f"{statistics.median(lesson):.0f} / {max(lesson):.0f} s",
               f"{lesson_pss / n:.0f}", f"{lesson_used / n:.0f}")
        self.rows.append(row)
        print(f"\n{n} students: idle, of which the machine as a whole {machine:.0f}% of a core busy")
        for name, (k, p, a) in sorted(groups.items(), key=lambda g: -g[1][1]):
            print(f"  {k:4d} x {name:16} {p:8.1f} MiB PSS, {a:8.1f} of them private memory")
        self.print_rows(self.rows[-1:])

    @staticmethod
    def print_rows(rows):
        head = ("students", "those that came ready in", "one ready in (median / most)", "PSS each, MiB", "of it private", "memory gone each, MiB",
                "CPU idle, of a core", "wake-ups/s each", "lesson (median / most)", "PSS each in it", "memory gone each in it")
        print("\n| " + " | ".join(head) + " |\n|" + "---|" * len(head))
        for row in rows:
            print("| " + " | ".join(map(str, row)) + " |")
        sys.stdout.flush()

    @staticmethod
    def delete(profile):
        """A start that is still on its way holds its lab's lock: it is waited for."""
        deadline = time.monotonic() + START_LIMIT
        while True:
            done = run(LAB, "delete", "-p", profile, "--force", check=False)
            if done.returncode == 0 or time.monotonic() > deadline:
                return done.returncode == 0
            time.sleep(0.5)

    def clean_up(self):
        print("\ndeleting", flush=True)
        everything = [*self.labs, TEMPLATE]
        with concurrent.futures.ThreadPoolExecutor(CORES) as pool:
            failed = [p for p, gone in zip(everything, pool.map(self.delete, everything)) if not gone]
        for _ in range(100):  # the last of them end a moment after their lab
            left = sorted({p for p, _ in processes().values()})
            if not left:
                break
            time.sleep(0.1)
        if failed or left:
            print(f"NOT deleted: {failed}, processes of: {left}; lab delete --profile NAME --force", flush=True)
        return not failed and not left


def main():
    wanted = sorted(int(a) for a in sys.argv[1:]) or [5, 10, 20, 40]
    bench, limit = Bench(), "none: all that was asked for"

    signals = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)

    def stop(_signum, _frame):
        for s in signals:  # once: a second one must not leave labs behind
            signal.signal(s, signal.SIG_IGN)
        bench.stopped.set()
        raise KeyboardInterrupt
    for s in signals:
        signal.signal(s, stop)
    info = meminfo()
    print(f"{CORES} cores, {info['MemTotal'] / 1024:.1f} GiB, {info['MemAvailable'] / 1024:.1f} available, load {os.getloadavg()[0]:.1f}")
    code = 0
    try:
        bench.template()
        for count in wanted:
            bench.stage(count)
    except Full as e:
        limit = str(e)
    except KeyboardInterrupt:
        limit, code = "it was interrupted", 130
    except (RuntimeError, subprocess.TimeoutExpired) as e:
        limit, code = f"an error: {e}", 1
    finally:
        for s in signals:
            signal.signal(s, signal.SIG_IGN)
        clean = bench.clean_up()
    if bench.rows:
        bench.print_rows(bench.rows)
    print(f"\nWhat set the limit: {limit}")
    sys.exit(code or (0 if clean else 1))


if __name__ == "__main__":
    main()
