#!/usr/bin/python3
"""lab upgrade on a master and a node, from one build to another: pods and data stay, a program that does not serve is taken
back, a run that is killed is completed by the next one, a later store is refused."""
import os
import re
import subprocess
import sys

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "../lib"))
from labtest import LAB, Lab, check, main, needed, wait_for  # noqa: E402

KUBECTL = "kubectl --kubeconfig /etc/kubernetes/admin.conf"
OLD, NEW, BAD = "/opt/v1/lab", "/opt/v2/lab", "/opt/bad/lab"


def _sh(lab, node, text, **kw):
    return lab.shell(node, "bash", "-lc", text, **kw)


def _kubectl(lab, args, **kw):
    return _sh(lab, "node1", f"{KUBECTL} {args}", **kw)


def _digest(lab, node, path):
    return _sh(lab, node, f"sha256sum {path}").split()[0]


def _daemons(lab, node):
    """The program that each daemon runs, by content."""
    out = _sh(lab, node, "for p in /proc/[0-9]*; do c=$(tr '\\0' ' ' <$p/cmdline); case \"$c\" in /opt/*/lab' 'server*|/opt/*/lab' 'agent*|/opt/*/lab' 'overlay*) "
              "set -- $c; echo $2 $(sha256sum <$p/exe | cut -d' ' -f1);; esac; done")
    return dict(line.split() for line in out.splitlines())


@needed
def two_machines_with_a_build_each(lab):
    lab.start("--no-init")
    for node in ("node1", "node2"):
        _sh(lab, node, f"mkdir -p /opt/v1 /opt/v2; strip -o {OLD} /opt/lab/bin/lab; cp {OLD} {NEW}; echo a later build >>{NEW}; "
            "ln -s /opt/lab/bin/share /opt/v1/share")
    # Tells its version, and serves nothing.
    _sh(lab, "node1", f"mkdir /opt/bad; printf '#!/bin/sh\\n[ \"$1\" = version ] && exec {NEW} \"$@\"\\nexit 1\\n' >{BAD}; chmod 755 {BAD}")
    out = _sh(lab, "node1", f"{OLD} init --no-taint")
    token, pin = re.search(r"--token (\S+)", out).group(1), re.search(r"sha256:[0-9a-f]{64}", out).group(0)
    address = _sh(lab, "node1", "hostname -i").split()[0]
    _sh(lab, "node2", f"{OLD} join {address}:6443 --token {token} --discovery-token-ca-cert-hash {pin}")
    wait_for("two nodes Ready", lambda: _kubectl(lab, "get nodes --no-headers").count(" Ready ") == 2)
    _kubectl(lab, "create configmap kept --from-literal=a=b")
    _kubectl(lab, "create deployment web --image=busybox --replicas=2 -- sh -c 'trap exit TERM; sleep 3600 & wait'")
    _kubectl(lab, "rollout status deployment/web --timeout=100s")
    lab.uids = _kubectl(lab, "get pods -o jsonpath='{.items[*].metadata.uid} {.items[*].status.containerStatuses[0].restartCount}'")


def plan_tells_what_runs(lab):
    out = _sh(lab, "node1", f"{NEW} upgrade plan")
    old, new = (_digest(lab, "node1", p)[:12] for p in (OLD, NEW))
    for line in (rf"lab-server +node1 +v\S+ \({old}\) +v\S+ \({new}\)", r"lab-agent +node2 +v\d\S+ +v\d", r"store +node1 +format 2 +format 2",
                 r"/opt/v2/lab upgrade apply"):
        check(re.search(line, out), f"no line like '{line}':\n{out}")
    dry = _sh(lab, "node1", f"{NEW} upgrade apply --dry-run")
    check("[dryrun] Would replace" in dry and _digest(lab, "node1", OLD)[:12] == old, dry)
    done = _sh(lab, "node1", f"{NEW} upgrade apply </dev/null", check=False)
    check(done.returncode == 1 and "--yes" in done.stderr, done.stderr)


def a_program_that_does_not_serve_is_taken_back(lab):
    before = _digest(lab, "node1", OLD)
    done = _sh(lab, "node1", f"{NEW} upgrade apply --yes --program {BAD}", check=False, timeout=200)
    check(done.returncode == 1 and "this machine runs v" in done.stderr and "again" in done.stderr, f"{done.stdout}{done.stderr}")
    check(_digest(lab, "node1", OLD) == before and set(_daemons(lab, "node1").values()) == {before}, f"{_daemons(lab, 'node1')}")
    check(_kubectl(lab, "get configmap kept -o jsonpath={.data.a}") == "b", "the data")
    check("No such file" in _sh(lab, "node1", "ls /var/lib/lab/upgrade/journal.json 2>&1; true"), "the journal is still there")


@needed
def an_upgrade_that_is_killed_is_completed(lab):
    old, new = _digest(lab, "node1", OLD), _digest(lab, "node1", NEW)
    for phase in ("program", "control-plane"):
        child = subprocess.Popen([LAB, "shell", "-p", lab.profile, "node1", "--", "bash", "-lc", f"echo $$; exec {NEW} upgrade apply --yes"],
                                 stdout=subprocess.PIPE, text=True)
        pid = child.stdout.readline().strip()
        for line in child.stdout:
            if line.startswith(f"[{phase}]"):
                break
        _sh(lab, "node1", f"kill -9 {pid}", check=False)
        child.wait(timeout=30)
    out = _sh(lab, "node1", f"{NEW} upgrade plan")
    check("was cut off" in out, out)
    out = _sh(lab, "node1", f"{NEW} upgrade apply --yes")
    check("SUCCESS" in out and "Going on with the upgrade" in out, out)
    check(_daemons(lab, "node1") == {"server": new, "agent": new, "overlay": new}, f"{_daemons(lab, 'node1')}")
    check(_digest(lab, "node1", OLD) == new and _digest(lab, "node1", f"{OLD}.old") == old, "the files")
    check("already" in _sh(lab, "node1", f"{NEW} upgrade apply --yes"), "a second run does something")


def a_node_follows(lab):
    new = _digest(lab, "node2", NEW)
    out = _sh(lab, "node2", f"{NEW} upgrade node")
    check("successfully updated" in out, out)
    check(_daemons(lab, "node2") == {"agent": new, "overlay": new}, f"{_daemons(lab, 'node2')}")


def pods_and_data_are_as_before(lab):
    wait_for("two nodes Ready", lambda: _kubectl(lab, "get nodes --no-headers").count(" Ready ") == 2)
    now = _kubectl(lab, "get pods -o jsonpath='{.items[*].metadata.uid} {.items[*].status.containerStatuses[0].restartCount}'")
    check(now == lab.uids, f"{lab.uids} -> {now}")
    check(_kubectl(lab, "get configmap kept -o jsonpath={.data.a}") == "b", "the data")
    _kubectl(lab, "create configmap new --from-literal=a=c")


def with_drain_the_pods_go_first(lab):
    _sh(lab, "node1", f"{NEW} upgrade apply --force --drain")
    where = _kubectl(lab, "get pods -o jsonpath='{.items[*].spec.nodeName}'").split()
    check(set(where) == {"node2"}, f"pods on {where}")
    check(_kubectl(lab, "get node node1 -o jsonpath={.spec.unschedulable}") == "", "node1 is still cordoned")


def a_later_store_is_refused(lab):
    """The format as a program of the future would leave it."""
    ask = ("import socket,sys,json,time; s=socket.socket(socket.AF_UNIX); s.connect('/run/lab/supervise.sock'); "
           "s.send((json.dumps({'op': sys.argv[1], 'name': 'lab-server'})+chr(10)).encode()); print(s.recv(9999))")
    sql = "import sqlite3,sys; d=sqlite3.connect('/var/lib/lab/server/state.db'); d.execute('PRAGMA user_version='+sys.argv[1]); d.commit(); d.execute('PRAGMA wal_checkpoint(TRUNCATE)'); d.close()"
    _sh(lab, "node1", f"python3 -c \"{ask}\" stop; sleep 3; python3 -c \"{sql}\" 9")
    done = _sh(lab, "node1", f"{NEW} upgrade plan", check=False)
    check(done.returncode == 1 and "format that" in done.stderr and "format 9" in done.stdout, f"{done.stdout}{done.stderr}")
    _sh(lab, "node1", f"python3 -c \"{ask}\" start")
    said = wait_for("a refusal in the log", lambda: "its format is version 9" in _sh(lab, "node1", "tail -n 5 /var/log/lab/lab-server.log"))
    check(said, "")
    _sh(lab, "node1", f"python3 -c \"{ask}\" stop; sleep 1; python3 -c \"{sql}\" 2; python3 -c \"{ask}\" start")
    wait_for("the server again", lambda: _kubectl(lab, "get configmap new -o jsonpath={.data.a}") == "c")


if __name__ == "__main__":
    main([two_machines_with_a_build_each, plan_tells_what_runs, a_program_that_does_not_serve_is_taken_back,
          an_upgrade_that_is_killed_is_completed, a_node_follows, pods_and_data_are_as_before, with_drain_the_pods_go_first, a_later_store_is_refused], Lab(2))
