#!/usr/bin/python3
"""The Debian package: what it holds, what it asks for, and that its files run from where it puts them."""
import os
import re
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "../lib"))
from labtest import LAB, Failed, check, run  # noqa: E402

BUILD = os.path.dirname(os.path.abspath(LAB))
SOURCE = os.path.abspath(os.path.join(os.path.dirname(__file__), "../../.."))

# Path and mode of every file. All belong to root.
FILES = {
    "usr/bin/lab": "-rwxr-xr-x",
    "usr/share/lab/addons/overlay-net.yaml": "-rw-r--r--",
    "usr/share/lab/apps/docker-compose.yml": "-rw-r--r--",
    "usr/share/lab/apps/dockercoins.yaml": "-rw-r--r--",
    "usr/share/lab/images/lab-images.tar": "-rw-r--r--",
    "usr/share/man/man1/lab.1.gz": "-rw-r--r--",
    "usr/share/bash-completion/completions/lab": "-rw-r--r--",
    "usr/share/zsh/vendor-completions/_lab": "-rw-r--r--",
    "usr/share/fish/vendor_completions.d/lab.fish": "-rw-r--r--",
    "usr/share/doc/lab/copyright": "-rw-r--r--",
    "usr/share/doc/lab/changelog.gz": "-rw-r--r--",
}


class Package:
    """The package as built, and a folder that it is unpacked into. Its binary is told nothing of the build."""

    def __init__(self, base):
        self.base, self.root = base, os.path.join(base, "root")
        self.deb = ""

    def field(self, name):
        return run("dpkg-deb", "--field", self.deb, name).strip()

    def file(self, path):
        with open(os.path.join(self.root, path), encoding="utf-8") as f:
            return f.read()

    def lab(self, *args, program="root/usr/bin/lab", **kw):
        return run("env", "-i", "PATH=/usr/bin:/bin", f"HOME={self.base}", os.path.join(self.base, program), *args, **kw)


def built(p):
    run("cpack", "--config", os.path.join(BUILD, "CPackConfig.cmake"), "-B", os.path.join(p.base, "out"))
    debs = [f for f in os.listdir(os.path.join(p.base, "out")) if f.endswith(".deb")]
    check(len(debs) == 1, f"one package was to be made, not {debs}")
    p.deb = os.path.join(p.base, "out", debs[0])
    run("dpkg-deb", "--extract", p.deb, p.root)


def course():
    """The exercises, as they stand in the source tree; one file of them stands elsewhere there."""
    top = os.path.join(os.path.dirname(__file__), "../../../labs/exercises/course")
    files = [os.path.relpath(os.path.join(d, n), top) for d, _, names in os.walk(top) for n in names]
    return {"usr/share/lab/exercises/" + f: "-rw-r--r--" for f in files + ["07-dockercoins/files/dockercoins.yaml"]}


def page(p):
    """The classroom's page: what its index.html names, and nothing besides."""
    top = "usr/share/lab/web/"
    assets = re.findall(r'"/(assets/[\w.-]+)"', p.file(top + "index.html"))
    check({os.path.splitext(a)[1] for a in assets} == {".js", ".css"}, f"index.html names {assets}")
    check("xterm" in p.file(top + "licenses.txt"), "the licenses of the page's libraries are missing")
    return {top + f: "-rw-r--r--" for f in assets + ["index.html", "icon.svg", "licenses.txt"]}


def contents(p):
    """Nothing is missing, nothing is there besides, and nobody but root may write."""
    found = {}
    for line in run("dpkg-deb", "--contents", p.deb).splitlines():
        mode, owner, *_, path = line.split()
        check(owner == "root/root", line)
        if mode.startswith("d"):
            check(mode == "drwxr-xr-x", line)
        else:
            found[path.removeprefix("./")] = mode
    wanted = FILES | course() | page(p)
    check(found == wanted, f"differs: {sorted(set(found.items()) ^ set(wanted.items()))}")


def control(p):
    version = p.lab("version").split()[1].removeprefix("v")
    check(p.field("Package") == "lab" and p.field("Version") == version, f"{p.field('Version')} holds lab {version}")
    check(p.field("Architecture") == run("dpkg", "--print-architecture").strip(), p.field("Architecture"))
    check(os.path.basename(p.deb) == f"lab_{version}_{p.field('Architecture')}.deb", p.deb)
    check(p.field("Section") == "admin" and p.field("Priority") == "optional", p.field("Section"))
    check(re.fullmatch(r"[^<>]+ <[^@ ]+@[^@ ]+>", p.field("Maintainer")), p.field("Maintainer"))
    summary, *text = p.field("Description").splitlines()
    check(0 < len(summary) < 80 and not summary.endswith("."), summary)
    check(len(text) > 3 and all(re.fullmatch(r" (\.|\S.{0,78})", line) for line in text), "\n".join(text))
    check('"lab start"' in "\n".join(text), "the description lost its quotes")
    log = run("gzip", "-dc", os.path.join(p.root, "usr/share/doc/lab/changelog.gz"))
    check(log.startswith(f"lab ({version}) "), f"the changelog does not begin with {version}: {log.splitlines()[0]}")


def names(field):
    return {re.split(r"[ (]", word.strip())[0] for word in re.split(r"[,|]", field)}


def depends(p):
    """Every library the binary is linked to is there, by package; so is every program that a lab on this machine needs."""
    needed = names(p.field("Depends"))
    linked = re.findall(r"NEEDED.*\[(lib.*)\]", run("readelf", "-d", os.path.join(p.root, "usr/bin/lab")))
    check(len(linked) > 5, f"linked to {linked} only")
    held = run("dpkg-query", "-L", *(package for package in needed if "lib" in package)).splitlines()
    held = {os.path.basename(path) for path in held}
    check(held.issuperset(linked), f"{set(linked) - held} are in none of {sorted(needed)}")
    check("containerd" in needed and "libc6 (>= " in p.field("Depends"), p.field("Depends"))
    offered = needed | names(p.field("Recommends")) | names(p.field("Suggests"))
    for package in run(os.path.join(SOURCE, "tools/install-deps"), "--list", "run").split():
        essential = run("dpkg-query", "-W", "-f=${Essential}", package) == "yes"
        check(essential or package in offered, f"{package} is what a lab needs to run, and is not in {sorted(offered)}")


def runs(p):
    """By its own path and by a link's; with the libraries of this machine, and none of the build's."""
    check(re.match(r"lab v\d+\.\d+\.\d+ \(Kubernetes v1\.\d+\.\d+\)", p.lab("version")), p.lab("version"))
    os.symlink(os.path.join(p.root, "usr/bin/lab"), os.path.join(p.base, "link"))
    check(p.lab("version", program="link") == p.lab("version"), "through a link it is another")
    check(run(LAB, "version") == p.lab("version"), "the package does not hold this build's binary")
    sections = run("readelf", "--wide", "--section-headers", os.path.join(p.root, "usr/bin/lab"))
    check(" .text " in sections and " .symtab " not in sections and " .debug_info " not in sections, "the binary is not stripped")
    # `lab join --ssh` copies it to hosts without this package, its libraries into lib/ beside it.
    check("[$ORIGIN/lib]" in run("readelf", "-d", os.path.join(p.root, "usr/bin/lab")), "the binary lost its RPATH")


def finds_its_share(p):
    """What lies beside it is what it reads, by a link as well: it knows an application that is only there."""
    share, nobody = os.path.join(p.root, "usr/share/lab"), f"none-{os.getpid()}"
    os.symlink("dockercoins.yaml", os.path.join(share, "apps/only-here.yaml"))
    for program in ("root/usr/bin/lab", "link"):
        said = p.lab("deploy", "only-here", "-p", nobody, program=program, check=False)
        check(said.returncode == 1 and nobody in said.stderr and "bundled" not in said.stderr, said.stderr)
        said = p.lab("deploy", "not-there", "-p", nobody, program=program, check=False)
        check(said.returncode == 1 and "no bundled application" in said.stderr, said.stderr)
    manifest = p.file("usr/share/lab/apps/dockercoins.yaml")
    with open(os.path.join(BUILD, "share/apps/dockercoins.yaml"), encoding="utf-8") as f:
        check(manifest == f.read() and "kind: Deployment" in manifest, "another dockercoins")
    images = run("tar", "-xOf", os.path.join(share, "images/lab-images.tar"), "index.json")
    check("pause" in images and "redis" in images, images)


def documents(p):
    manual = run("gzip", "-dc", os.path.join(p.root, "usr/share/man/man1/lab.1.gz"))
    check(manual == p.lab("manual") and manual.startswith(".TH LAB 1"), manual[:200])
    for shell, path in (("bash", "bash-completion/completions/lab"), ("zsh", "zsh/vendor-completions/_lab"),
                        ("fish", "fish/vendor_completions.d/lab.fish")):
        script = p.file("usr/share/" + path)
        check(script == p.lab("completion", shell) and "nodes" in script, f"{shell}: {script[:200]}")
    run("bash", "-n", os.path.join(p.root, "usr/share/bash-completion/completions/lab"))
    check("busybox" in p.file("usr/share/doc/lab/copyright"), "the copyright names no bundled program")


def main():
    failed = 0
    with tempfile.TemporaryDirectory(prefix="lab-package-") as base:
        p = Package(base)
        for step in (built, contents, control, depends, runs, finds_its_share, documents):
            begun = time.monotonic()
            try:
                step(p)
                print(f"ok    {step.__name__} ({time.monotonic() - begun:.1f} s)", flush=True)
            except (Failed, OSError, ValueError, subprocess.TimeoutExpired) as e:
                failed += 1
                print(f"FAIL  {step.__name__} ({time.monotonic() - begun:.1f} s): {e}", flush=True)
                if step is built:
                    break  # nothing after it can hold
    sys.exit(1 if failed else 0)


main()
