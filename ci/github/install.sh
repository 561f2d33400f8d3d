#!/usr/bin/env bash
# Puts a released wsbench on the PATH of the following steps, checked against its published checksum.
#
# VERSION: a tag, or `installed`. REPOSITORY: owner/name. GH_TOKEN: for the release's files.
set -euo pipefail

if [[ "$VERSION" == installed ]]; then
  wsbench --version
  exit 0
fi
if [[ ! "$VERSION" =~ ^v[0-9]+\. ]]; then
  echo "::error title=wsbench::name a release, such as v0.1.0, in \`version\` or behind the @ of \`uses\` (not \`$VERSION\`)"
  exit 2
fi

case "$(uname -s)-$(uname -m)" in
  Linux-x86_64) target=x86_64-unknown-linux-musl ;;
  Linux-aarch64) target=aarch64-unknown-linux-musl ;;
  Darwin-x86_64) target=x86_64-apple-darwin ;;
  Darwin-arm64) target=aarch64-apple-darwin ;;
  *)
    echo "::error title=wsbench::there is no release for $(uname -s) on $(uname -m): build it, put it on the PATH and set \`version: installed\`"
    exit 4
    ;;
esac

place="$(mktemp -d)"
name="wsbench-$VERSION-$target"
cd "$place"
gh release download "$VERSION" --repo "$REPOSITORY" --pattern "$name.tar.gz" --pattern SHA256SUMS
grep -F " $name.tar.gz" SHA256SUMS >sum
if command -v sha256sum >/dev/null; then sha256sum --check sum; else shasum -a 256 --check sum; fi
tar -xzf "$name.tar.gz"
echo "$place/$name" >>"$GITHUB_PATH"
"$place/$name/wsbench" --version
