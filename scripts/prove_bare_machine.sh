#!/usr/bin/env bash
# Proves the README's two commands on a bare machine: makes a minimal Debian (or Ubuntu) root in DIR, clones this repository's
# HEAD into it, and calls there, with only make and git installed, `make test` and `make quickstart`, each twice.
# usage: sudo scripts/prove_bare_machine.sh DIR [SUITE] [MIRROR]      needs debootstrap; DIR must not exist; about 6 GB
#   SUITE bookworm (default) or noble; MIRROR as debootstrap takes it
# What the network of this machine asks for (proxies, a certificate bundle, a package index) is passed on, nothing else is.
set -euo pipefail
fail() { printf 'prove_bare_machine: %s\n' "$@" >&2; exit 1; }
[ $# -ge 1 ] && [ $# -le 3 ] || fail "usage: scripts/prove_bare_machine.sh DIR [SUITE] [MIRROR]"
[ "$(id -u)" -eq 0 ] || fail "call it as root: chroot and mount need it"
command -v debootstrap >/dev/null || fail "debootstrap is missing; fix: apt-get install debootstrap"
[ ! -e "$1" ] || fail "$1 exists already; name a folder that does not"
mkdir -p "$1"
root=$(cd "$1" && pwd)
suite=${2:-bookworm}
repository=$(cd "$(dirname "$0")/.." && pwd)

timed() {  # timed NAME COMMAND...
  local start=$SECONDS
  "${@:2}" || fail "$1 failed after $((SECONDS - start)) s; the root is left in $root"
  printf '>>> %s: %d s\n' "$1" $((SECONDS - start))
}
inside() { chroot "$root" env -i "${settings[@]}" sh -c "$1" </dev/null; }

settings=(PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/root LANG=C.UTF-8 TERM=dumb DEBIAN_FRONTEND=noninteractive)
for name in http_proxy https_proxy no_proxy HTTP_PROXY HTTPS_PROXY NO_PROXY PIP_INDEX_URL PIP_EXTRA_INDEX_URL \
  PIP_TRUSTED_HOST PIP_DEFAULT_TIMEOUT; do
  [ -z "${!name:-}" ] || settings+=("$name=${!name}")
done

timed "a minimal $suite" debootstrap --variant=minbase --include=ca-certificates "$suite" "$root" ${3:+"$3"} >"$root.log"
for file in /etc/apt/apt.conf.d/*[Pp]roxy* /etc/pip.conf; do
  [ ! -e "$file" ] || cp --parents "$file" "$root"
done
bundle=${PIP_CERT:-${REQUESTS_CA_BUNDLE:-${SSL_CERT_FILE:-}}}
if [ -n "$bundle" ]; then
  cp --parents "$(realpath "$bundle")" "$root"
  settings+=("PIP_CERT=$(realpath "$bundle")")
fi
if [ "$suite" = noble ]; then sed -i 's/ main$/ main universe/' "$root/etc/apt/sources.list"; fi
mount -t proc proc "$root/proc"
trap 'umount "$root/proc"' EXIT
git clone -q --no-hardlinks "$repository" "$root/lmms"

timed "apt-get install make git" inside "apt-get -qq update && apt-get -qq install --no-install-recommends make git >/dev/null"
timed "make test" inside "cd /lmms && make test"
timed "make test, again" inside "cd /lmms && make test"
timed "make quickstart" inside "cd /lmms && make quickstart"
timed "make quickstart, again" inside "cd /lmms && make quickstart"
printf 'proved on a bare %s: %s\n' "$suite" "$(git -C "$root/lmms" log -1 --format='%h %s')"
echo "remove it with: rm -rf $root $root.log"
