#!/usr/bin/env bash
# Run parts of the tests side by side: lanes.sh 'PART...' 'PART...'...
# Each argument is a lane, whose parts run one after another. A part is a scenario of Molecule, a target of make, a file
# of pytest, or several such files with + between them, which share what they set up. Most parts wait more than they
# compute, so two cores take three lanes. What parts say at once would be a muddle, so it goes to a file each, which is
# shown where one fails.
set -euo pipefail
cd "$(dirname "$0")/.."
export ANSIBLE_HOME=$PWD/.ansible ANSIBLE_COLLECTIONS_PATH=$PWD/collections MOLECULE_GLOB='molecule/*/molecule.yml'
export RUNNING=.cache/running
rm -rf $RUNNING
mkdir -p $RUNNING .cache/zip

run_part() {
  case $1 in
    *.py) pytest --durations=20 ${1//+/ } ;;
    *)
      if [[ -e molecule/$1 ]]; then
        PYTHONPATH=$PWD/tests/support/quick_python HGX_ZIP_CACHE=$PWD/.cache/zip molecule test --scenario-name "$1"
      else
        make "$1"
      fi
      ;;
  esac
}
part() {
  local name log start=$SECONDS
  name=$(basename "$1" .py)
  log=.cache/$name.log
  echo "$name: started, see $log"
  touch "$RUNNING/$name"
  if ! run_part "$1" >"$log" 2>&1 </dev/null; then
    rm "$RUNNING/$name"
    cat "$log"
    echo "$name: failed, see above"
    # What tests found comes once more, after all that Molecule says while it removes the hosts.
    sed 's/\x1b\[[0-9;]*m//g' "$log" | awk '/^( *│)? *(E  |FAILED)/ { lines = 2 } lines-- > 0' | tail -n 40 | cut -c 1-400
    # Most of what Ansible reports are refusals that a scenario wants, so the last failure of each host that it gave up
    # comes, too.
    sed 's/\x1b\[[0-9;]*m//g' "$log" | awk '
      match($0, /fatal: \[[^] ]+/) { host = substr($0, RSTART + 8, RLENGTH - 8); last[host] = ""; lines = 12 }
      lines-- > 0 && host { last[host] = last[host] $0 "\n" }
      /: ok=.*(failed|unreachable)=[1-9]/ { for (host in last) if (index($0, " " host " ")) printf "%s", last[host] }'
    return 1
  fi
  rm "$RUNNING/$name"
  sed -n '/slowest 20 durations/,/^=.* passed/p' "$log"
  echo "$name: passed after $((SECONDS - start)) s"
}
lane() {
  local failed=0
  for part; do part "$part" || failed=1; done
  return $failed
}
export -f run_part part lane

while sleep 60 >/dev/null 2>&1; do echo "after $((SECONDS / 60)) min: $(ls $RUNNING | xargs)"; done &
trap 'kill $!' EXIT
printf '%s\0' "$@" | xargs --null --max-procs=0 -I '{}' bash -uc 'lane {}'
