#!/usr/bin/env bash
# Packs the program for a host that has a GPU, a driver and Python's torch and pyarrow, but none of our build tools:
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
place() {
  if [ -n "$LMMS_SITE" ]; then echo "$LMMS_SITE/$1"; else
    python3 -c "import importlib.util as u; print(u.find_spec('$1').submodule_search_locations[0])" 2>/dev/null; fi
}
torch=$(place torch)
arrow=$(place pyarrow)
[ -e "$torch/lib/libtorch_cuda.so" ] || { echo "lmms: no torch with CUDA in '$torch'; name its site-packages in LMMS_SITE" >&2; exit 1; }
[ -e "$arrow/libarrow.so.2500" ] || { echo "lmms: no pyarrow 25 in '$arrow'; name its site-packages in LMMS_SITE" >&2; exit 1; }
LD_LIBRARY_PATH="$torch/lib:$arrow${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}" exec "$here/bin/lmms" "$@"
END
chmod +x "$bundle/lmms"
tar -C "$stage" --owner=0 --group=0 --sort=name -czf "$2" lmms-gpu
bytes=$(stat -c %s "$2")
[ "$bytes" -le "$MOST_BYTES" ] || fail "$2 has $bytes bytes, more than $MOST_BYTES"
printf 'gpu_bundle: %s, %s bytes\n' "$2" "$bytes"
tar -tvzf "$2" | awk '{ printf "  %10d %s\n", $3, $6 }'
