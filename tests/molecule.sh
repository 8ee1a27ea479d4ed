#!/usr/bin/env bash
# Run Molecule's scenarios, all or those that are named: molecule.sh [SCENARIO...]
# Those with the real vLLM measure its times and come one by one, at the end. The others mostly wait, so two run side by
# side; what both say at once would be a muddle, so it goes to a file each, which is shown where one fails.
set -euo pipefail
cd "$(dirname "$0")/.."
export ANSIBLE_HOME=$PWD/.ansible ANSIBLE_COLLECTIONS_PATH=$PWD/collections MOLECULE_GLOB='molecule/*/molecule.yml'
mkdir -p .cache

in_the_background() {
  local log=.cache/molecule-$1.log
  echo "molecule $1: started, see $log"
  if ! molecule test --scenario-name "$1" >"$log" 2>&1 </dev/null; then
    cat "$log"
    echo "molecule $1: failed, see above"
    return 1
  fi
  echo "molecule $1: $(grep -Eo '[0-9]+ passed' "$log" | tail -n 1) after $SECONDS s"
}
export -f in_the_background

if (($# == 0)); then
  set -- molecule/*/molecule.yml
  set -- "${@%/molecule.yml}"
  set -- "${@#molecule/}"
fi
two_by_two=() one_by_one=()
for scenario; do
  case $scenario in
    default | provision | vllm) one_by_one+=("$scenario") ;;
    *) two_by_two+=("$scenario") ;;
  esac
done
if ((${#two_by_two[@]})); then
  printf '%s\0' "${two_by_two[@]}" | xargs --null --max-procs=2 -I '{}' bash -euc 'in_the_background {}'
fi
for scenario in "${one_by_one[@]}"; do molecule test --scenario-name "$scenario"; done
