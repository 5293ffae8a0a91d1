#!/usr/bin/python3
"""The Vagrantfile: Vagrant itself accepts it with every setting, and what its machines run, this program knows."""
import os
import re
import sys
import tempfile
import time

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "../lib"))
from labtest import LAB, Failed, check, run  # noqa: E402

SOURCE = os.path.abspath(os.path.join(os.path.dirname(__file__), "../../.."))
BINARY = os.path.abspath(LAB)

# Evaluates the file as Vagrant does, and prints the machines, the providers and every provisioner that it names.
RECORDER = r"""
class Recorder
  def initialize(path) @path = path end
  def method_missing(name, *args, **named, &block)
    puts([@path, name, args, named].inspect) if %i[provision provider synced_folder network define].include?(name) || name.to_s.end_with?("=")
    $machine = args[0] if name == :define
    print_script(args, named) if name == :provision && named[:inline]
    inner = Recorder.new("#{@path}.#{name}")
    block&.call(inner)
    inner
  end
  def respond_to_missing?(*) true end
  def print_script(args, named) File.write(File.join(ENV.fetch("SCRIPTS"), "#{$machine || "all"}-#{named[:name]}"), named[:inline]) end
end
module Vagrant; def self.configure(_) yield Recorder.new("config") end; end
load ARGV.shift
"""


def vagrant(home, *args, **settings):
    env = {"HOME": home, "VAGRANT_HOME": os.path.join(home, "vagrant"), "VAGRANT_CWD": SOURCE, "PATH": os.environ["PATH"],
           "VAGRANT_DOTFILE_PATH": os.path.join(home, "dot"), "VAGRANT_CHECKPOINT_DISABLE": "1", **settings}
    return run("env", "-i", *[f"{k}={v}" for k, v in env.items()], "vagrant", *args, check=False)


def vagrant_accepts_it(home):
    deb = os.path.join(home, "lab.deb")
    open(deb, "w").close()
    for settings in ({}, {"LAB_WORKERS": "5", "LAB_BOX": "generic/debian12", "LAB_MASTER_BOX": "other/box", "LAB_SUBNET": "192.168.57", "LAB_CPUS": "1"}):
        done = vagrant(home, "validate", "--ignore-provider", LAB_DEB=deb, LAB_PKI=home, **settings)
        check(done.returncode == 0 and "validated successfully" in done.stdout, done.stdout + done.stderr)
    broken = vagrant(home, "validate", "--ignore-provider", LAB_DEB=deb, LAB_PKI=home, LAB_WORKERS="two")
    check(broken.returncode != 0, "a count that is no number was accepted")


def machines_and_providers(home):
    def recorded(**settings):
        env = dict(SCRIPTS=home, LAB_DEB="/x/lab.deb", **settings)
        return run("env", *[f"{k}={v}" for k, v in env.items()], "ruby", "-e", RECORDER, os.path.join(SOURCE, "Vagrantfile"))
    out = recorded()
    check(re.findall(r":define, \[\"(\w+)\"\]", out) == ["master", "worker1", "worker2"], out)
    for provider in ("libvirt", "virtualbox"):
        check(f":provider, [:{provider}]" in out, f"no {provider}:\n{out}")
    check(out.count('"debian/bookworm64"') == 3 and ":disabled=>true" in out, out)
    out = recorded(LAB_MASTER_BOX="a/b", LAB_WORKER_BOX="c/d", LAB_WORKERS="3")
    check(out.count('"a/b"') == 1 and out.count('"c/d"') == 3, out)


def its_commands_are_this_programs(home):
    """Shell that parses, and flags that exist; every other word that starts a line is Debian's."""
    scripts = {n: open(os.path.join(home, n)).read() for n in os.listdir(home) if n.endswith(("-install", "-init", "-join"))}
    check(sorted(scripts)[:3] == ["all-install", "master-init", "worker1-join"], sorted(scripts))
    for name, text in scripts.items():
        run("sh", "-n", stdin=text)
        for line in text.splitlines():
            words = line.split()
            check(words[0] in ("set", "lab", "install", "rm", "apt-get", "DEBIAN_FRONTEND=noninteractive"), f"{name}: {line}")
            if words[0] == "lab":
                known = run(BINARY, words[1], "--help")
                for flag in (w for w in words if w.startswith("--")):
                    check(flag in known, f"{name}: lab {words[1]} knows no {flag}")


def the_ca_is_made_by_this_program(home):
    """What `vagrant up` does first on the host; and the pin that workers take from the file is the CA's."""
    pki = os.path.join(home, "pki")
    run(BINARY, "init", "phase", "certs", "ca", "--cert-dir", pki)
    run("openssl", "x509", "-in", f"{pki}/ca.crt", "-noout", "-checkend", "86400")
    before = open(f"{pki}/ca.key").read()
    run(BINARY, "init", "phase", "certs", "ca", "--cert-dir", pki)
    check(open(f"{pki}/ca.key").read() == before and sorted(os.listdir(pki)) == ["ca.crt", "ca.key"], "made again")


def main():
    failed = 0
    with tempfile.TemporaryDirectory(prefix="lab-vagrant-") as home:
        for name in ("ca.crt", "ca.key"):
            open(os.path.join(home, name), "w").close()
        for step in (vagrant_accepts_it, machines_and_providers, its_commands_are_this_programs, the_ca_is_made_by_this_program):
            begun = time.monotonic()
            try:
                step(home)
                print(f"ok    {step.__name__} ({time.monotonic() - begun:.1f} s)", flush=True)
            except (Failed, OSError, ValueError) as e:
                failed += 1
                print(f"FAIL  {step.__name__}: {e}", flush=True)
    sys.exit(1 if failed else 0)


main()
