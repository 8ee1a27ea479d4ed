#!/usr/bin/env bash
# Run Molecule's scenarios, all or those that are named: molecule.sh [SCENARIO...]
# Those with the real vLLM measure its times and come one by one, at the end. The others mostly wait, so two run side by
# side: one row of those with many hosts, as each host's systemd takes some of root's 128 inotify instances, and one of
# those with few. What both say at once would be a muddle, so it goes to a file each, which is shown where one fails.
# Most of that are refusals that a scenario wants, so the last failure of each host that Ansible gave up comes once more.
set -euo pipefail
cd "$(dirname "$0")/.."
export ANSIBLE_HOME=$PWD/.ansible ANSIBLE_COLLECTIONS_PATH=$PWD/collections MOLECULE_GLOB='molecule/*/molecule.yml'
mkdir -p .cache

in_the_background() {
  local log=.cache/molecule-$1.log start=$SECONDS
  echo "molecule $1: started, see $log"
  if ! molecule test --scenario-name "$1" >"$log" 2>&1 </dev/null; then
    cat "$log"
    echo "molecule $1: failed, see above"
    sed 's/\x1b\[[0-9;]*m//g' "$log" | awk '
      match($0, /fatal: \[[^] ]+/) { host = substr($0, RSTART + 8, RLENGTH - 8); last[host] = ""; lines = 12 }
      lines-- > 0 && host { last[host] = last[host] $0 "\n" }
      /: ok=.*(failed|unreachable)=[1-9]/ { for (host in last) if (index($0, " " host " ")) printf "%s", last[host] }'
    return 1
  fi
  echo "molecule $1: $(grep -Eo '[0-9]+ passed' "$log" | tail -n 1) after $((SECONDS - start)) s"
}
row() {
  local failed=0
  for scenario; do in_the_background "$scenario" || failed=1; done
  return $failed
}
export -f in_the_background row

if (($# == 0)); then
  set -- molecule/*/molecule.yml
  set -- "${@%/molecule.yml}"
  set -- "${@#molecule/}"
fi
many_hosts=() few_hosts=() one_by_one=()
for scenario; do
  case $scenario in
    default | provision | vllm) one_by_one+=("$scenario") ;;
    nvidia_*) many_hosts+=("$scenario") ;;
    *) few_hosts+=("$scenario") ;;
  esac
done
printf '%s\0' "${many_hosts[*]}" "${few_hosts[*]}" | xargs --null --max-procs=2 -I '{}' bash -uc 'row {}'
for scenario in "${one_by_one[@]}"; do molecule test --scenario-name "$scenario"; done
