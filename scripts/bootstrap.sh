#!/usr/bin/env bash
# Brings a bare Debian 12 or Ubuntu 24.04 to the point where CMake can configure: Debian packages, and the wheels of
# scripts/wheels.txt unpacked under .deps/site; where there is an NVIDIA GPU and nvcc, also those of scripts/wheels_gpu.txt, the
# libraries of CUDA that libtorch needs. Needs root or sudo only for packages that are missing.
# A second call finds everything in place and returns within a second; a call beside a running one waits for it.
# usage: scripts/bootstrap.sh [--lint]      --lint adds what the format check needs
#   LMMS_GPU_LIBRARIES=on   fetches wheels_gpu.txt although no GPU is seen (a build host without cuDNN's headers, a container)
#   LMMS_GPU_LIBRARIES=off  does not, although there is one: LD_LIBRARY_PATH will name such libraries
set -euo pipefail
cd "$(dirname "$0")/.."

PACKAGES=(g++ cmake ninja-build ccache mold git unzip python3 python3-pip libyaml-cpp-dev nlohmann-json3-dev
  libsimdjson-dev libcli11-dev libpcre2-dev libedit-dev libjpeg-dev libpng-dev libwebp-dev zlib1g-dev libavformat-dev
  libavcodec-dev libavutil-dev libswscale-dev libgtest-dev libgmock-dev libbenchmark-dev)
LINT_PACKAGES=(clang-format-14)
# One interpreter tag for every host: the wheels serve their C++ libraries alone, no Python is run from them.
TAGS=(--only-binary=:all: --no-deps --python-version 3.12 --implementation cp --abi cp312 --abi abi3 --abi none
  --platform manylinux_2_28_x86_64 --platform manylinux_2_27_x86_64 --platform manylinux_2_25_x86_64
  --platform manylinux_2_18_x86_64 --platform manylinux_2_17_x86_64 --platform manylinux2014_x86_64
  --platform manylinux2010_x86_64 --platform manylinux_2_12_x86_64 --platform any)
LAYOUT=4  # counts up when the lists of unpacked parts below change

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

# An nvcc of CUDA 13 or later, as cmake/deps.cmake asks for.
nvcc_13() {
  local nvcc release
  for nvcc in /usr/local/cuda/bin/nvcc nvcc; do
    release=$("$nvcc" --version 2>/dev/null | sed -n 's/.*release \([0-9]*\)\..*/\1/p') || continue
    [ "${release:-0}" -lt 13 ] || return 0
  done
  return 1
}

# libtorch's CUDA half is unpacked only where nvcc can use it: 1.2 GB that a CPU build never opens.
flavour() {
  if nvcc_13; then echo cuda; else echo cpu; fi
}

# NVIDIA's driver is loaded here, or lent to this container or by Windows (WSL 2).
nvidia_gpu() {
  [ -e /proc/driver/nvidia/version ] || compgen -G '/dev/nvidia[0-9]*' >/dev/null ||
    { [ -e /dev/dxg ] && [ -e /usr/lib/wsl/lib/libcuda.so.1 ]; }
}

# fetch LIST WHAT: the wheels of LIST into .deps/wheels. A terminal sees pip's bars, a log a line every half minute.
fetch() {
  local status=0 seconds=0 pip=(python3 -m pip download --disable-pip-version-check --no-input "${TAGS[@]}" --require-hashes
    -r "$1" -d .deps/wheels)
  rm -rf .deps/wheels .deps/fetching
  mkdir -p .deps/wheels .deps/fetching
  say "fetching $2; pip's own cache is used"
  if [ -t 2 ]; then
    TMPDIR=$PWD/.deps/fetching "${pip[@]}" 9>&- </dev/null >&2 || status=$?
  else
    TMPDIR=$PWD/.deps/fetching "${pip[@]}" -q 9>&- </dev/null &
    trap 'kill $! 2>/dev/null || true' EXIT
    while kill -0 $! 2>/dev/null; do
      sleep 1
      seconds=$((seconds + 1))
      [ $((seconds % 30)) -ne 0 ] || say "$(du -sm .deps/fetching | cut -f 1) MB after $seconds s"
    done
    trap - EXIT
    wait $! || status=$?
  fi
  rm -rf .deps/fetching
  [ $status -eq 0 ] || fail "pip could not fetch the wheels of $1" \
    "fix: let the network reach the Python package index (PIP_INDEX_URL names a mirror, PIP_CERT a proxy's certificate)," \
    "     or put the wheels into a folder and name it in PIP_FIND_LINKS"
}

room_for() {  # room_for MEGABYTES WHAT
  local free
  free=$(df -Pm .deps | awk 'NR == 2 { print $4 }')
  [ "$free" -ge "$1" ] || fail "$PWD/.deps has $free MB free; $2 need $1 MB while they are unpacked"
}

take() {  # take WHEEL PATTERN...: unpacks the parts of one wheel, and its licence
  local wheel=(.deps/wheels/"$1"-*.whl)
  unzip -q -o "${wheel[0]}" "${@:2}" -d .deps/unpack || fail "could not unpack ${wheel[0]} under .deps (a full disk?)"
  mkdir -p .deps/unpack/licenses/"$1"
  unzip -q -o -j "${wheel[0]}" '*.dist-info/*[Ll][Ii][Cc][Ee][Nn][Ss][Ee]*' '*.dist-info/*NOTICE*' \
    -d .deps/unpack/licenses/"$1" >/dev/null 2>&1 || true  # 11: one of the patterns names nothing
}

# Everything is made under .deps/unpack and renamed into place with its stamp inside: an interrupted call leaves no half.
install_wheels() {
  local parts=('torch/lib/libtorch_cpu.so' 'torch/lib/libc10.so' 'torch/lib/libgomp*') stamp
  [ "$1" = cuda ] && parts+=('torch/lib/libtorch_cuda.so' 'torch/lib/libc10_cuda.so' 'torch/lib/libtorch_nvshmem.so')
  stamp="$(grep -v '^#' scripts/wheels.txt | sha256sum | cut -c1-12) $1 layout-$LAYOUT"
  [ "$(cat .deps/site/stamp 2>/dev/null)" = "$stamp" ] && return
  room_for 3500 "the wheels"
  rm -rf .deps/unpack .deps/site-*
  mkdir -p .deps/unpack/fmt
  fetch scripts/wheels.txt "libtorch and Arrow (600 MB)"
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

# libtorch finds these beside itself (its run paths name nvidia/*/lib). Stamped last: an interrupted call does it again.
install_gpu_wheels() {
  local stamp folder
  stamp="$(grep -v '^#' scripts/wheels_gpu.txt | sha256sum | cut -c1-12) layout-$LAYOUT"
  [ "$(cat .deps/site/stamp-gpu 2>/dev/null)" = "$stamp" ] && return
  room_for 4500 "CUDA's libraries"
  rm -rf .deps/unpack .deps/site/stamp-gpu
  mkdir -p .deps/unpack
  fetch scripts/wheels_gpu.txt "the libraries of CUDA that libtorch needs on a GPU (1.8 GB)"
  take nvidia_cublas '*/libcublas.so.*' '*/libcublasLt.so.*'
  take nvidia_cuda_nvrtc '*/libnvrtc.so.*' '*/libnvrtc-builtins.so.*'
  take nvidia_cudnn_cu13 '*/lib/*' '*/include/*'
  take nvidia_cufft '*/libcufft.so.*'
  take nvidia_cufile '*/libcufile.so.*'
  take nvidia_curand '*/libcurand.so.*'
  take nvidia_cusparse '*/libcusparse.so.*'
  take nvidia_cusparselt_cu13 '*/lib/*'
  take nvidia_nccl_cu13 '*/libnccl.so.*'
  take nvidia_nvjitlink '*/libnvJitLink.so.*'
  take nvidia_nvshmem_cu13 '*/libnvshmem_host.so.*'
  for folder in .deps/unpack/nvidia/*/lib .deps/unpack/nvidia/*/include .deps/unpack/licenses/*; do
    compgen -G "$folder/*" >/dev/null || continue
    mkdir -p ".deps/site/${folder#.deps/unpack/}"
    mv -f "$folder"/* ".deps/site/${folder#.deps/unpack/}/"
  done
  echo "$stamp" >.deps/site/stamp-gpu
  rm -rf .deps/wheels .deps/unpack
  say "unpacked CUDA's libraries under .deps/site/nvidia"
}

install_packages
install_wheels "$(flavour)"
case "${LMMS_GPU_LIBRARIES:-auto}" in
  on) install_gpu_wheels ;;
  off) ;;
  auto)
    if nvidia_gpu && [ "$(flavour)" = cuda ]; then
      install_gpu_wheels
    elif nvidia_gpu; then
      say "note: an NVIDIA GPU, but no nvcc 13.0 or later: the program will train on the CPU alone (docs/guide/gpu-server.md)"
    fi ;;
  *) fail "LMMS_GPU_LIBRARIES='$LMMS_GPU_LIBRARIES'" "fix: say on, off or auto" ;;
esac
