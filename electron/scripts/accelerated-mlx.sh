#!/usr/bin/env bash
# Puts the build of MLX for macOS 26.2, which uses the M5's accelerators, into a folder:
# accelerated-mlx.sh CONSTRAINTS PYTHON FOLDER. The shell puts that folder in front of the package's
# own MLX where it runs (src/mlx-build.ts). Works on any system: nothing of it is started.
set -euo pipefail
constraints=$1
python=$2
folder=$3
uv=${UV:-uv}
# The wheel's name says 26.0, what is in it needs 26.2 (mlx issue 4525).
export MACOSX_DEPLOYMENT_TARGET=26.0
platform=aarch64-apple-darwin

rm -rf "$folder" "$folder.txt"
echo mlx | "$uv" pip compile --quiet --python "$python" --python-platform "$platform" \
  --generate-hashes --constraint "$constraints" --output-file "$folder.txt" - >/dev/null
"$uv" pip install --quiet --python "$python" --python-platform "$platform" --require-hashes \
  --only-binary :all: --compile-bytecode --target "$folder" --requirement "$folder.txt"
# Commands with this machine's paths in them, and uv's lock.
rm -rf "$folder/bin" "$folder/.lock"
