#!/usr/bin/env bash
# ansible-test sanity on the collection as it ships, in a folder .../ansible_collections/hgx/inference as it insists.
set -euo pipefail
artifact=$(realpath "$1")
cd "$(dirname "$0")/.."
cache=$PWD/.cache/ansible-test
copy=$cache/ansible_collections/hgx/inference

mkdir -p "$copy"
find "$copy" -mindepth 1 -maxdepth 1 ! -name .git ! -name tests -exec rm -r {} +
tar --extract --file "$artifact" --directory "$copy"
git init --quiet "$copy"  # or ansible-test would ask this repository for its files, which ignores .cache
echo tests/output >"$copy/.git/info/exclude"

# A home of its own: ansible-test caches there, and finds there the get-pip.py that it would otherwise download.
export XDG_CONFIG_HOME=${XDG_CONFIG_HOME:-$HOME/.config} XDG_CACHE_HOME=${XDG_CACHE_HOME:-$HOME/.cache}
export HOME=$cache/home
mkdir -p "$HOME/.ansible/test/cache"
core=$(python -c 'import ansible_test; print(ansible_test.__path__[0])')
grep -ohP "\bpip='\K[0-9.]+" "$core/_internal/python_requirements.py" | while read -r version; do
  cp tests/support/get_pip.py "$HOME/.ansible/test/cache/get_pip_${version//./_}.py"
done

cd "$copy"
exec ansible-test sanity --venv --python "$(python -c 'import sys; print("%d.%d" % sys.version_info[:2])')"
