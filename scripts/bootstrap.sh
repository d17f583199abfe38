#!/usr/bin/env bash
# Brings a bare Debian 12 or Ubuntu 24.04 to the point where CMake can configure: Debian packages, and the wheels of
# scripts/wheels.txt unpacked under .deps/site. Needs root or sudo only for packages that are missing.
# A second call finds everything in place and returns within a second; a call beside a running one waits for it.
# usage: scripts/bootstrap.sh [--lint]      --lint adds what the format check needs
set -euo pipefail
cd "$(dirname "$0")/.."

PACKAGES=(g++ cmake ninja-build ccache mold git unzip python3 python3-pip libyaml-cpp-dev nlohmann-json3-dev
  libsimdjson-dev libcli11-dev libpcre2-dev libjpeg-dev libpng-dev libwebp-dev zlib1g-dev libavformat-dev
  libavcodec-dev libavutil-dev libswscale-dev libgtest-dev libgmock-dev libbenchmark-dev)
LINT_PACKAGES=(clang-format-14)
# One interpreter tag for every host: the wheels serve their C++ libraries alone, no Python is run from them.
TAGS=(--only-binary=:all: --no-deps --python-version 3.12 --implementation cp --abi cp312 --abi abi3 --abi none
  --platform manylinux_2_28_x86_64 --platform manylinux_2_27_x86_64 --platform manylinux_2_25_x86_64
  --platform manylinux_2_17_x86_64 --platform manylinux2014_x86_64 --platform any)
LAYOUT=3  # counts up when the list of unpacked parts below changes

say() { printf 'bootstrap: %s\n' "$*"; }
fail() { printf 'bootstrap: %s\n' "$@" >&2; exit 1; }

case "${1:-}" in
  '') ;;
  --lint) PACKAGES+=("${LINT_PACKAGES[@]}") ;;
  *) fail "unknown argument '$1'" "usage: scripts/bootstrap.sh [--lint]" ;;
esac
[ "$(uname -m)" = x86_64 ] || fail "this machine is $(uname -m); only x86_64 is built and tested"
mkdir -p .deps
exec 9>.deps/lock
flock -n 9 || { say "waiting for another bootstrap in this folder"; flock 9; }

install_packages() {
  local missing=() root=() package
  for package in "${PACKAGES[@]}"; do
    [ "$(dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null)" = installed ] || missing+=("$package")
  done
  [ ${#missing[@]} -eq 0 ] && return
  command -v apt-get >/dev/null || fail "apt-get not found; install the counterparts of: ${missing[*]}"
  if [ "$(id -u)" -ne 0 ]; then
    command -v sudo >/dev/null || fail "neither root nor sudo; have an administrator run:" \
      "  apt-get install --no-install-recommends ${missing[*]}"
    root=(sudo)
  fi
  say "installing ${#missing[@]} Debian packages: ${missing[*]}"
  # Lock::Timeout: wait for an apt that is already running (a fresh cloud machine upgrades itself at boot).
  { "${root[@]}" apt-get update -q -o DPkg::Lock::Timeout=300 &&
    "${root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -q -y --no-install-recommends \
      -o DPkg::Lock::Timeout=300 "${missing[@]}"; } >.deps/apt.log 2>&1 9>&- </dev/null || {
    tail -n 15 .deps/apt.log >&2
    fail "apt-get failed; the whole log is .deps/apt.log" \
      "fix: without a network, install these by hand and call again: ${missing[*]}"
  }
}

# libtorch's CUDA half is unpacked only where nvcc can use it: 1.2 GB that a CPU build never opens.
flavour() {
  if command -v nvcc >/dev/null || [ -x /usr/local/cuda/bin/nvcc ]; then echo cuda; else echo cpu; fi
}

take() {  # take WHEEL PATTERN...: unpacks the parts of one wheel
  local wheel=(.deps/wheels/"$1"-*.whl)
  unzip -q -o "${wheel[0]}" "${@:2}" -d .deps/unpack || fail "could not unpack ${wheel[0]} under .deps (a full disk?)"
}

# Everything is made under .deps/unpack and renamed into place with its stamp inside: an interrupted call leaves no half.
install_wheels() {
  local parts=('torch/lib/libtorch_cpu.so' 'torch/lib/libc10.so' 'torch/lib/libgomp*') stamp free
  [ "$1" = cuda ] && parts+=('torch/lib/libtorch_cuda.so' 'torch/lib/libc10_cuda.so' 'torch/lib/libtorch_nvshmem.so')
  stamp="$(grep -v '^#' scripts/wheels.txt | sha256sum | cut -c1-12) $1 layout-$LAYOUT"
  [ "$(cat .deps/site/stamp 2>/dev/null)" = "$stamp" ] && return
  free=$(df -Pm .deps | awk 'NR == 2 { print $4 }')
  [ "$free" -ge 3500 ] || fail "$PWD/.deps has $free MB free; the wheels need 3500 MB while they are unpacked"
  rm -rf .deps/unpack .deps/site-*
  mkdir -p .deps/wheels .deps/unpack/fmt
  say "fetching the wheels of scripts/wheels.txt (600 MB; pip's own cache is used)"
  python3 -m pip download -q --disable-pip-version-check --no-input "${TAGS[@]}" --require-hashes \
    -r scripts/wheels.txt -d .deps/wheels 9>&- </dev/null ||
    fail "pip could not fetch the wheels" \
      "fix: let the network reach the Python package index (PIP_INDEX_URL names a mirror, PIP_CERT a proxy's certificate)," \
      "     or put the wheels into a folder and name it in PIP_FIND_LINKS"
  take torch "${parts[@]}" 'torch/include/*'
  take pyarrow 'pyarrow/libarrow.so.*' 'pyarrow/libparquet.so.*' 'pyarrow/include/*'
  take nvidia_cuda_cupti '*/lib/*'
  take nvidia_cuda_runtime '*/lib/*' '*/include/*'
  take nvidia_cudnn_frontend 'include/*'
  ln -s ../torch/include/fmt .deps/unpack/fmt/fmt
  echo "$stamp" >.deps/unpack/stamp
  if [ -e .deps/site ]; then mv .deps/site .deps/site-old; fi
  mv .deps/unpack .deps/site
  rm -rf .deps/wheels .deps/site-old
  say "unpacked the wheels under .deps/site"
}

install_packages
install_wheels "$(flavour)"
