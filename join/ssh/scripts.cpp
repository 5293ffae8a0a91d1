#include "join/ssh/scripts.h"

#include <algorithm>

#include "join/ssh/shell.h"

namespace lab::join::ssh {

// Plain programs of every Debian-like host, and nothing that needs root.
const char* const kProbeScript = R"sh(
PATH=$PATH:/usr/local/sbin:/usr/sbin:/sbin
say() { printf '%s=%s\n' "$1" "$2"; }
free() {
  d=$1
  while [ ! -d "$d" ]; do d=$(dirname "$d"); done
  df -Pk "$d" 2>/dev/null | awk 'NR == 2 { print $4 }'
}
say arch "$(uname -m)"
say user "$(id -un)"
say uid "$(id -u)"
if [ "$(id -u)" != 0 ]; then
  if why=$(sudo -n true 2>&1); then say sudo yes; else say sudo "$(echo "$why" | tail -n 1)"; fi
fi
say hostname "$(uname -n)"
say machine_id "$(cat /etc/machine-id 2>/dev/null)"
say addresses "$(hostname -I 2>/dev/null)"
say source "$(ip -4 -o route get "$2" 2>/dev/null | sed -n 's/.* src \([0-9.]*\).*/\1/p')"
say os "$(. /etc/os-release 2>/dev/null; echo "$PRETTY_NAME")"
for c in containerd runc crun etcd mount tar sha256sum setsid apt-get dnf yum zypper pacman apk; do
  if command -v $c >/dev/null 2>&1; then say have $c; fi
done
if [ -S /run/crio/crio.sock ]; then say have crio; fi
say free_install "$(free /opt/lab/releases)"
say free_data "$(free /var/lib/lab)"
if [ -e /etc/kubernetes/pki/ca.key ]; then say master yes; fi
# Left by a join that imported them; without it the copy must hold the images.
if [ -e /var/lib/lab/local/images ]; then images=yes; say images yes; else images=; fi
if cd "/opt/lab/releases/$1" 2>/dev/null && sha256sum -c --status MANIFEST 2>/dev/null; then
  if [ -n "$images" ] || [ -d share/images ]; then say release "$1"; fi
fi
if command -v bash >/dev/null 2>&1 && command -v timeout >/dev/null 2>&1; then
  why=$(timeout 5 bash -c 'exec 3<>"/dev/tcp/$0/$1"' "$2" "$3" 2>&1)
  case $? in
    0) say api open ;;
    124) say api silent ;;
    *) say api "$(echo "$why" | head -n 1 | sed 's/.*: //')" ;;
  esac
fi
)sh";

const char* const kUnpackScript = R"sh(
set -e
umask 022
mkdir -p /opt/lab/releases
cd /opt/lab/releases
# What earlier copies left that were cut.
for half in .*.part; do
  pid=${half%.part}
  pid=${pid##*.}
  case $pid in ''|*[!0-9]*) continue ;; esac
  if [ ! -d "/proc/$pid" ]; then rm -rf "$half"; fi
done
half=.$1.$$.part
trap 'rm -rf "/opt/lab/releases/$half"' EXIT
trap 'exit 1' HUP INT TERM PIPE
mkdir "$half"
tar -xf - -C "$half" --no-same-owner
cd "$half"
if [ ! -e MANIFEST ]; then echo 'the copy is not whole'; exit 1; fi
sha256sum -c --quiet MANIFEST
# Here it is seen, before anything depends on it, whether the program runs on this system at all.
if ! why=$(./lab version 2>&1); then echo "the program does not run here: $why"; exit 1; fi
cd ..
# One that is there is broken, or lacks images that this one has.
rm -rf "./$1"
mv -T "$half" "$1"
touch "$1"
ln -sfn "$1" .current.$$
mv -T .current.$$ current
# The three newest stay: daemons of an earlier one may still run until they join anew.
ls -1td -- [0-9a-f]*/ | tail -n +4 | xargs -r rm -rf --
)sh";

// A job is alive when the process of that number carries the job's mark: numbers are used again.
#define LAB_JOB_FUNCTIONS                                                             \
  "cd /var/lib/lab/join 2>/dev/null || exit 9\n"                                      \
  "running() {\n"                                                                     \
  "  [ -e pid ] && read -r pid <pid || return 1\n"                                    \
  "  tr '\\0' ' ' <\"/proc/$pid/cmdline\" 2>/dev/null | grep -q 'job lab-join-job'\n" \
  "}\n"

const char* const kLaunchScript =
    "set -e\numask 077\nmkdir -p /var/lib/lab\nmkdir -p -m 700 /var/lib/lab/join\n" LAB_JOB_FUNCTIONS R"sh(
if running && [ ! -e exit ]; then
  if [ "$(cat want)" = "$1" ]; then echo attached; else echo "busy $(cat want)"; fi
  exit 0
fi
cat >job.new
tail -n 1 job.new | grep -q '^# end$' || { echo 'the job is not whole'; exit 1; }
mv job.new job
rm -f exit
: >log
printf '%s' "$1" >want
setsid sh job lab-join-job </dev/null >>log 2>&1 &
echo $! >pid
echo started
)sh";

const char* const kFollowScript = LAB_JOB_FUNCTIONS R"sh(
[ -e pid ] || exit 9
read -r pid <pid
echo '== log =='
exec tail -c "+$(($1 + 1))" -f --pid="$pid" -s 0.2 log
)sh";

const char* const kVerdictScript = LAB_JOB_FUNCTIONS R"sh(
# The job writes its code before it ends: a second look tells one that ended in between.
if [ -e exit ]; then echo "exit $(cat exit)"
elif running; then echo running
elif [ -e exit ]; then echo "exit $(cat exit)"
else echo dead
fi
)sh";

std::string install_command(const std::string& manager, const std::vector<std::string>& packages) {
  std::string names;
  for (const auto& p : packages) names += " " + p;
  if (manager == "apt-get") return "apt-get install -y --no-install-recommends" + names;
  if (manager == "dnf" || manager == "yum") return manager + " install -y" + names;
  if (manager == "zypper") return "zypper --non-interactive install" + names;
  if (manager == "pacman") return "pacman -S --noconfirm --needed" + names;
  if (manager == "apk") return "apk add" + names;
  return {};
}

std::string job_script(const JobOptions& o) {
  const std::string lab = std::string(kReleases) + "/" + o.release + "/lab";
  std::string out =
      "cd /var/lib/lab/join || exit 1\n"
      "export PATH=$PATH:/usr/local/sbin:/usr/sbin:/sbin HOME=${HOME:-/root} DEBIAN_FRONTEND=noninteractive\n"
      "finish() { echo \"$1\" >exit.new; rm -f job; mv exit.new exit; exit \"$1\"; }\n"
      "trap 'finish 143' TERM\n"
      // Where it is allowed and not somebody else's, people find the program by its name.
      "link=/usr/local/bin/lab\n"
      "if [ ! -e $link ] || [ -L $link ]; then ln -sfn /opt/lab/releases/current/lab $link 2>/dev/null; fi\n";
  if (!o.install.empty()) {
    const std::string command = install_command(o.package_manager, o.install);
    out += "echo " + shell_quote("[install] " + command) + "\n";
    const bool apt = o.package_manager == "apt-get";
    // A list of packages that cannot be refreshed may still be good enough.
    if (apt)
      out +=
          "apt-get -o DPkg::Lock::Timeout=120 update || echo 'warning: the list of packages could not be refreshed'\n";
    out += (apt ? "apt-get -o DPkg::Lock::Timeout=120" + command.substr(7) : command) + " || finish " +
           std::to_string(kInstallFailed) + "\n";
    // Debian starts an etcd of its own, on the ports of the one that the master will run.
    if (std::find(o.install.begin(), o.install.end(), kDebianEtcd) != o.install.end())
      out += "systemctl disable --now etcd 2>/dev/null || true\n";
  }
  return out + shell_words({lab, "join"}) + " " + shell_words(o.join_arguments) + "\nfinish $?\n# end\n";
}

}  // namespace lab::join::ssh
