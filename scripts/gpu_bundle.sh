#!/usr/bin/env bash
# Packs the program for a host that has a GPU, a driver and Python's torch and pyarrow, but none of our build tools. It runs on the
# GPUs that BUILD was compiled for: the preset gpu says H100 and H200 (docs/guide/gpu-server.md).
#   lmms-gpu/lmms            finds the host's torch and pyarrow, then calls bin/lmms
#   lmms-gpu/bin/lmms        the program, stripped
#   lmms-gpu/lib/lmms/       its liblmms.so with and without CUDA, the small libraries that it needs beside torch's and pyarrow's,
#                            and liblmms_video.so, which needs the host's FFmpeg
#   lmms-gpu/share/doc/lmms  licences
# usage: scripts/gpu_bundle.sh BUILD OUT.tar.gz     BUILD: a build folder with the target programs built
set -euo pipefail
MOST_BYTES=$((40 * 1024 * 1024))
fail() { printf 'gpu_bundle: %s\n' "$@" >&2; exit 1; }
[ $# -eq 2 ] || fail "usage: scripts/gpu_bundle.sh BUILD OUT.tar.gz"
[ -e "$1/bin/cuda/liblmms.so" ] || fail "$1/bin/cuda/liblmms.so is not there; fix: build the target programs, which needs nvcc"
stage=$(mktemp -d)
trap 'rm -rf "$stage"' EXIT
bundle=$stage/lmms-gpu

for component in cpu gpu common; do
  cmake --install "$1" --component "$component" --strip --prefix "$bundle" >/dev/null
done
cat >"$bundle/lmms" <<'END'
#!/bin/sh
# Calls bin/lmms with the libraries of the host's torch 2.11.0 and pyarrow 25.0.1.
# LMMS_SITE names the folder that holds both; unset, Python is asked where it keeps them.
here=$(dirname "$(readlink -f "$0")")
fail() { echo "lmms: $1" >&2; echo "    fix: $2" >&2; exit 1; }
place() {
  if [ -n "$LMMS_SITE" ]; then echo "$LMMS_SITE/$1"; else
    python3 -c "import importlib.util as u; print(u.find_spec('$1').submodule_search_locations[0])" 2>/dev/null; fi
}
torch=$(place torch)
arrow=$(place pyarrow)
found=$(cd "$arrow" 2>/dev/null && ls | grep '^libarrow\.so\.' | head -n 1)
other='or name the site-packages that hold both in LMMS_SITE'
[ -e "$torch/lib/libtorch_cuda.so" ] || fail "no torch with CUDA in '$torch'" "pip install torch==2.11.0, $other"
version=$(sed -n "s/^__version__ *= *'\([0-9.]*\).*/\1/p" "$torch/version.py" 2>/dev/null)
[ "$version" = 2.11.0 ] ||
  fail "'$torch' is torch ${version:-of an unknown version}; wanted 2.11.0, which this program was built with" "pip install torch==2.11.0, $other"
[ -e "$arrow/libarrow.so.2500" ] ||
  fail "'$arrow' has ${found:-no libarrow}; wanted libarrow.so.2500, of pyarrow 25" "pip install pyarrow==25.0.1, $other"
LD_LIBRARY_PATH="$torch/lib:$arrow${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}" exec "$here/bin/lmms" "$@"
END
chmod +x "$bundle/lmms"
tar -C "$stage" --owner=0 --group=0 --sort=name -czf "$2" lmms-gpu
bytes=$(stat -c %s "$2")
[ "$bytes" -le "$MOST_BYTES" ] || fail "$2 has $bytes bytes, more than $MOST_BYTES"
printf 'gpu_bundle: %s, %s bytes\n' "$2" "$bytes"
tar -tvzf "$2" | awk '{ printf "  %10d %s\n", $3, $6 }'
