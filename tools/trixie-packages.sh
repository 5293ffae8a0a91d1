# Sourced by the fetch-* tools: packages of Debian 13 (trixie) for a machine that runs Debian 12 or newer, without
# touching the machine's apt state. They come from the mirror that this machine's apt already uses, through a private
# list; apt verifies them against the Debian archive keyring. Needs no root.
#
# The caller defines die MESSAGE.

# fetch_cache [DIR]: the directory that keeps what was fetched: DIR, or ${XDG_CACHE_HOME:-~/.cache}/lab.
fetch_cache() {
  local home=${HOME:-}
  [ -n "$home" ] && [ -d "$home" ] || home=$(getent passwd "$(id -u)" | cut -d: -f6)
  echo "${1:-${XDG_CACHE_HOME:-${home:-/var/cache}/.cache}/lab}"
}

# fetch_packages WORK PACKAGE[=VERSION]...: downloads into WORK/debs. A version that is gone gives way to the newest.
fetch_packages() {
  local work=$1 keyring=/usr/share/keyrings/debian-archive-keyring.gpg mirror pin apt
  shift
  [ -r $keyring ] || die "$keyring is missing: apt-get install debian-archive-keyring"
  # Any Debian main archive that the machine's apt knows; security and third-party archives do not carry whole suites.
  mirror=$(apt-get indextargets --format '$(ORIGIN)|$(LABEL)|$(COMPONENT)|$(REPO_URI)' 'Created-By: Packages' |
    awk -F'|' '$1 == "Debian" && $2 == "Debian" && $3 == "main" { print $4; exit }')
  [ -n "$mirror" ] || die "apt knows no Debian archive yet: run 'apt-get update' first (as root), then again"

  mkdir -p "$work"/{lists/partial,cache/archives/partial,debs}
  cat >"$work/debian.sources" <<EOF
Types: deb
URIs: $mirror
Suites: trixie
Components: main
Signed-By: $keyring
EOF
  apt=(-q -o Dir::Etc::sourcelist="$work/debian.sources" -o Dir::Etc::sourceparts=- -o Dir::Etc::preferencesparts=-
    -o Dir::State::Lists="$work/lists" -o Dir::Cache="$work/cache" -o APT::Sandbox::User="$(id -un)"
    -o Acquire::Languages=none -o Acquire::Retries=3)
  apt-get "${apt[@]}" update >"$work/log" 2>&1 && ! grep -q '^[EW]:.*NO_PUBKEY' "$work/log" ||
    { cat "$work/log" >&2; die "cannot read Debian trixie's package list (a missing key: upgrade debian-archive-keyring)"; }

  for pin in "$@"; do
    (cd "$work/debs" && apt-get "${apt[@]}" download "$pin" >"$work/log" 2>&1) && continue
    echo "$pin is gone from Debian trixie; taking the newest instead" >&2
    (cd "$work/debs" && apt-get "${apt[@]}" download "${pin%%=*}" >"$work/log" 2>&1) ||
      { cat "$work/log" >&2; die "cannot download ${pin%%=*}"; }
  done
}
