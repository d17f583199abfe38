#!/usr/bin/env bash
# Brings a bare Debian 12 or Ubuntu 24.04 to the point where CMake can configure: Debian packages, and the pinned wheels of
# PyPI unpacked under .deps/. A second call finds its stamps and returns at once. Needs root or sudo only for the packages.
set -euo pipefail
cd "$(dirname "$0")/.."

PACKAGES=(g++ cmake ninja-build ccache mold git unzip clang-format python3 python3-pip libyaml-cpp-dev nlohmann-json3-dev
  libsimdjson-dev libcli11-dev libpcre2-dev libgtest-dev libgmock-dev libbenchmark-dev)
# name==version  the parts of the wheel that are used
TORCH=torch==2.11.0
WHEELS=("$TORCH" pyarrow==25.0.1 nvidia-cuda-cupti==13.0.85 nvidia-cuda-runtime==13.0.96)
# One interpreter tag for every host: the wheels serve their C++ libraries alone, no Python is run.
TAGS=(--only-binary=:all: --no-deps --python-version 3.12 --implementation cp --abi cp312 --abi none --abi abi3
  --platform manylinux_2_28_x86_64 --platform manylinux_2_27_x86_64 --platform manylinux_2_25_x86_64
  --platform manylinux_2_17_x86_64 --platform manylinux2014_x86_64 --platform any)

say() { printf 'bootstrap: %s\n' "$*"; }
fail() { printf 'bootstrap: %s\n' "$*" >&2; exit 1; }

[ "$(uname -m)" = x86_64 ] || fail "this machine is $(uname -m); only x86_64 is built and tested"
mkdir -p .deps

missing=()
for p in "${PACKAGES[@]}"; do
  [ "$(dpkg-query -W -f '${db:Status-Status}' "$p" 2>/dev/null)" = installed ] || missing+=("$p")
done
if [ ${#missing[@]} -gt 0 ]; then
  command -v apt-get >/dev/null || fail "apt-get not found; install these packages yourself: ${missing[*]}"
  root=()
  if [ "$(id -u)" -ne 0 ]; then
    command -v sudo >/dev/null || fail "need root or sudo to install: ${missing[*]}"
    root=(sudo)
  fi
  say "installing ${#missing[@]} Debian packages: ${missing[*]}"
  "${root[@]}" apt-get update -qq
  "${root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${missing[@]}" >.deps/apt.log 2>&1 ||
    { tail -n 20 .deps/apt.log >&2; fail "apt-get failed; the whole log is .deps/apt.log"; }
fi

# libtorch's CUDA half is unpacked only where nvcc can use it: 1.2 GB that a CPU build never opens.
cuda=cpu
if command -v nvcc >/dev/null || [ -x /usr/local/cuda/bin/nvcc ]; then cuda=cuda; fi
stamp=".deps/site-$(printf '%s\n' "${WHEELS[@]}" "$cuda" layout-1 | sha256sum | cut -c1-12)"
if [ ! -e "$stamp" ]; then
  rm -rf .deps/site .deps/site-* .deps/unpack
  mkdir -p .deps/wheels .deps/unpack
  say "fetching ${WHEELS[*]}"
  python3 -m pip download -q --disable-pip-version-check "${TAGS[@]}" -d .deps/wheels "${WHEELS[@]}" ||
    fail "pip could not fetch the wheels; the network must reach PyPI (a proxy's certificate goes into PIP_CERT)"
  take() { unzip -q -o "$(ls .deps/wheels/"$1"-*.whl)" "${@:2}" -d .deps/unpack; }
  torch_libs=('torch/lib/libtorch_cpu.so' 'torch/lib/libc10.so' 'torch/lib/libgomp*')
  [ $cuda = cuda ] && torch_libs+=('torch/lib/libtorch_cuda.so' 'torch/lib/libc10_cuda.so' 'torch/lib/libtorch_nvshmem.so')
  take torch "${torch_libs[@]}" 'torch/include/*'
  take pyarrow 'pyarrow/libarrow.so.*' 'pyarrow/libparquet.so.*' 'pyarrow/include/*'
  take nvidia_cuda_cupti '*/lib/*'
  take nvidia_cuda_runtime '*/lib/*' '*/include/*'
  mkdir -p .deps/unpack/fmt
  ln -s ../torch/include/fmt .deps/unpack/fmt/fmt
  mv .deps/unpack .deps/site
  rm -rf .deps/wheels
  touch "$stamp"
  say "unpacked the wheels under .deps/site"
fi
