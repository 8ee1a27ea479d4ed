#!/usr/bin/env bash
# Galaxy's own examination of an upload. It wants to know a public home, which the collection does not have yet: one is put in for the examination.
set -euo pipefail
artifact=$(realpath "$1")
environment=$(realpath "$2")
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

mkdir "$work/collection"
tar --extract --file "$artifact" --directory "$work/collection"
python - "$work/collection/MANIFEST.json" <<'EOF'
import json, pathlib, sys
path = pathlib.Path(sys.argv[1])
manifest = json.loads(path.read_text())
manifest["collection_info"]["repository"] = manifest["collection_info"]["repository"] or "https://example.com/hgx/inference"
path.write_text(json.dumps(manifest))
EOF
tar --create --gzip --file "$work/$(basename "$artifact")" --directory "$work/collection" .

# `make lint`, `make docs` and `make sanity` do these at greater length.
cat >"$work/importer.cfg" <<'EOF'
[galaxy-importer]
RUN_ANSIBLE_DOC = False
RUN_ANSIBLE_LINT = False
RUN_ANSIBLE_TEST = False
RUN_FLAKE8 = False
CHECK_REQUIRED_TAGS = True
CHECK_CHANGELOG = True
EOF
cd "$work"
export PATH=$environment/bin:$PATH GALAXY_IMPORTER_CONFIG=$work/importer.cfg
unset ANSIBLE_CONFIG
python -m galaxy_importer.main "$(basename "$artifact")" >importer.log 2>&1 || { cat importer.log; exit 1; }
grep -Ev '^(Loading |\{)' importer.log
grep -q '^Importer processing completed successfully$' importer.log
! grep -E '^(WARNING|ERROR)' importer.log
