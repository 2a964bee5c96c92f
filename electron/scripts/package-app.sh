#!/usr/bin/env bash
# Builds the app for macOS on Apple silicon into release/, and shows the fuses it really has.
set -euo pipefail
cd "$(dirname "$0")/.."

scripts/bundle-python.sh
if [ ! -d node_modules/electron/dist ]; then
  node node_modules/electron/install.js
fi
node scripts/build.mjs
npx electron-builder --mac --arm64 --config electron-builder.json
app=release/mac-arm64/OnPolicyDistill.app
npx electron-fuses read --app "$app"
# Both builds of MLX are in it, each with the kernels that it is there for.
for library in python/lib/python*/site-packages mlx-accelerated; do
  python3 scripts/macos-needed.py "$app"/Contents/Resources/$library/mlx/lib/libmlx.dylib
done
