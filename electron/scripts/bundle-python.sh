#!/usr/bin/env bash
# Puts a Python of its own with the locked packages, this project and the built screen into
# build/python, and MLX once more for the M5's accelerators beside it, from where electron-builder
# takes both: the first start needs no network.
set -euo pipefail

"$(dirname "$0")/require-apple-silicon.sh"
cd "$(dirname "$0")/.."
root=$(cd .. && pwd)
uv=${UV:-uv}
work=$PWD/build
version=3.11
# Wheels for the oldest macOS the app runs on, not for the one it is built on (mlx has both; the
# accelerated one comes beside it, and the shell chooses at each start).
export MACOSX_DEPLOYMENT_TARGET=14.0
platform=aarch64-apple-darwin

if [ ! -f "$root/frontend/dist/index.html" ]; then
  echo "The screen is not built: run \`make build\` first." >&2
  exit 1
fi

rm -rf "$work/python" "$work/standalone" "$work/wheel"
mkdir -p "$work"

# uv's own Pythons are python-build-standalone; they run from wherever they are put.
"$uv" python install --install-dir "$work/standalone" --no-bin "$version"
mv "$work"/standalone/cpython-"$version".* "$work/python"
rm -f "$work"/python/lib/python"$version"/EXTERNALLY-MANAGED
python=$work/python/bin/python3

# The lock file also has what only development needs: its versions, without those packages.
"$uv" pip compile --quiet --python "$python" --python-platform "$platform" --generate-hashes --extra gguf \
  --constraint "$root/requirements.lock" "$root/pyproject.toml" \
  --output-file "$work/requirements.txt"
"$uv" pip install --python "$python" --python-platform "$platform" --require-hashes \
  --only-binary :all: --compile-bytecode --requirement "$work/requirements.txt"

"$PWD/scripts/accelerated-mlx.sh" "$work/requirements.txt" "$python" "$work/mlx-accelerated"

"$uv" build --wheel --out-dir "$work/wheel" "$root"
"$uv" pip install --python "$python" --no-deps --compile-bytecode "$work"/wheel/*.whl

# The backend looks for its page beside itself.
packages=$("$python" -c 'import sysconfig; print(sysconfig.get_path("purelib"))')
mkdir -p "$packages/frontend"
cp -R "$root/frontend/dist" "$packages/frontend/dist"

PYTHONNOUSERSITE=1 PYTHONSAFEPATH=1 "$python" -m backend --help >/dev/null
echo "Ready: $work/python"
