#!/usr/bin/env bash
# Resolves the MLX that a package holds, as bundle-python.sh does, for macOS 14 and for the M5's
# accelerators, and compares wheels and needed macOS with what the shell counts on. On any system.
set -euo pipefail
cd "$(dirname "$0")/.."
root=$(cd .. && pwd)
uv=${UV:-uv}
python=$root/.venv/bin/python
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

if ! echo typing-extensions | "$uv" pip compile --quiet --no-cache - >/dev/null 2>&1; then
  echo "The registry cannot be reached from here, so MLX's wheels were not checked."
  exit 0
fi

# The same versions for both, without the packages of this system.
grep -E '^mlx==' "$root/requirements.lock" | sed 's/ .*//' >"$work/constraints.txt"
scripts/accelerated-mlx.sh "$work/constraints.txt" "$python" "$work/accelerated"
MACOSX_DEPLOYMENT_TARGET=14.0 "$uv" pip install --quiet --python "$python" --require-hashes \
  --python-platform aarch64-apple-darwin --only-binary :all: --target "$work/plain" \
  --requirement "$work/accelerated.txt"

failed=0
expect() { # folder, tag, macOS
  needed=$("$python" scripts/macos-needed.py "$work/$1/mlx/lib/libmlx.dylib" | cut -d ' ' -f 1)
  tag=$(sed -n 's/^Tag: //p' "$work/$1"/mlx_metal-*.dist-info/WHEEL)
  echo "$1: wheel $tag, needs macOS $needed"
  if [ "$tag" != "py3-none-$2_arm64" ] || [ "$needed" != "$3" ]; then
    echo "  expected py3-none-$2_arm64 and macOS $3: see src/mlx-build.ts" >&2
    failed=1
  fi
}
expect plain macosx_14_0 14.0
expect accelerated macosx_26_0 26.2
exit $failed
