#!/usr/bin/env bash
# On a machine with one H100 and 16 processors, without Docker: the module smoke_benchmark beside `vllm bench serve` run by
# hand, on one server. python3 must find vllm and ansible-core. Usage: benchmark.sh start | pairs [COUNT] | sizes | stop; README.md says more.
set -euo pipefail
cd "$(dirname "$0")/../.."
work=${WORK:-/tmp/hgx-gpu-benchmark}
results=$work/results
port=${PORT:-8001}
url=http://127.0.0.1:$port
input=1024 output=256 concurrency=32
# Of the machine's processors the client has four, all else but the server two: who measures must not slow what is measured.
cores=$(nproc) server_cores=0-$((cores - 7)) client_cores=$((cores - 6))-$((cores - 3)) other_cores=$((cores - 2))-$((cores - 1))
declare -A requests=([smoke]=128 [pair]=256 [full]=512)
export HF_HUB_OFFLINE=1 VLLM_NO_USAGE_STATS=1 DO_NOT_TRACK=1 VLLM_HOST_IP=127.0.0.1 TOKENIZERS_PARALLELISM=false
export PYTHONUNBUFFERED=1 LC_ALL=C.UTF-8 PATH=$work/bin:$PATH ANSIBLE_COLLECTIONS_PATH=$PWD/collections

start() { # The published flags, at tensor parallelism 1, in a session of its own: it outlives this command.
  mkdir -p "$work/bin" "$results"
  printf '#!/bin/sh\nexec python3 -m vllm.entrypoints.cli.main "$@"\n' >"$work/bin/vllm"
  chmod +x "$work/bin/vllm"
  PYTHONPATH=collections${PYTHONPATH:+:$PYTHONPATH} python3 tests/gpu/kimi_shaped.py "$work/models"
  VLLM_USE_FLASHINFER_SAMPLER=0 VLLM_WORKER_MULTIPROC_METHOD=fork setsid taskset -c "$server_cores" python3 -m vllm.entrypoints.openai.api_server \
    --model "$work/models/model" --served-model-name kimi-k2.6 --host 127.0.0.1 --port "$port" --tensor-parallel-size 1 \
    --mm-encoder-tp-mode data --compilation_config.pass_config.fuse_allreduce_rms true --tool-call-parser kimi_k2 \
    --reasoning-parser kimi_k2 --enable-auto-tool-choice --trust-remote-code --kv-cache-dtype fp8 \
    --no-enable-prefix-caching --load-format dummy \
    --speculative-config "{\"method\":\"eagle3\",\"model\":\"$work/models/draft\",\"num_speculative_tokens\":3}" \
    >"$results/server.log" 2>&1 </dev/null &
  echo $! >"$work/server.pid"
  local began=$SECONDS
  until curl -sf -m 2 "$url/health" >/dev/null; do
    kill -0 "$(cat "$work/server.pid")" 2>/dev/null || { tail -40 "$results/server.log"; return 1; }
    sleep 1
  done
  echo "ready after $((SECONDS - began)) s"
}

by_module() { # NAME SIZE SEED
  python3 - "$work" "$url" "$input" "$output" "$concurrency" "$2" "${requests[$2]}" "$3" "$client_cores" \
    >"$work/arguments.json" <<'PYTHON'
import json, os, sys
work, url, size, number = sys.argv[1], sys.argv[2], sys.argv[6], [int(sys.argv[index]) for index in (3, 4, 5, 7, 8)]
place = ["taskset", "-c", sys.argv[9], "env"]
place += [f"{name}={os.environ[name]}" for name in ("PATH", "PYTHONPATH") if name in os.environ]
workload = dict(zip(("input_len", "output_len", "max_concurrency"), number), warmup_prompts=number[2], seed=number[4],
                sizes={size: number[3]}, trust_remote_code=True, time_limit_s=300)
limit = {"metric": "steady_output_throughput", "op": ">=", "value": 500, "source": "any H100"}
json.dump({"client_command": place, "base_url": url, "model": f"{work}/models/model", "served_model_name":
           "kimi-k2.6", "workload": workload, "size": size, "thresholds": [limit], "results_dir": f"{work}/stored"}, sys.stdout)
PYTHON
  mkdir -p "$work/stored"
  rm -f "$work/stored/latest.json"
  taskset -c "$other_cores" python3 -m ansible adhoc localhost -i localhost, -c local -e ansible_python_interpreter="$(type -P python3)" \
    -m hgx.inference.smoke_benchmark -a "$(cat "$work/arguments.json")" >"$results/$1.txt" 2>&1 || tail -30 "$results/$1.txt"
  cp "$work/stored/latest.json" "$results/$1.json"
}

by_hand() { # NAME SIZE SEED
  taskset -c "$client_cores" vllm bench serve --backend openai-chat --endpoint /v1/chat/completions --base-url "$url" --model "$work/models/model" \
    --served-model-name kimi-k2.6 --trust-remote-code --dataset-name random --random-input-len $input \
    --random-output-len $output --num-prompts "${requests[$2]}" --max-concurrency $concurrency --num-warmups $concurrency \
    --seed "$3" --percentile-metrics ttft,tpot,itl,e2el --save-result --save-detailed --disable-tqdm \
    --result-dir "$work" --result-filename hand.json >"$results/$1.txt" 2>&1
  python3 - "$work/hand.json" >"$results/$1.json" <<'PYTHON'
import json, sys
result = json.load(open(sys.argv[1]))
json.dump({key: value for key, value in result.items() if not isinstance(value, list)}, sys.stdout, indent=1)
PYTHON
}

pairs() { # All with the same prompts, which the server has seen before; who begins alternates, so an even number is fair.
  local pair
  by_hand warm-up pair 1 # a cold server compiles kernels while it is first loaded: not compared
  for ((pair = 1; pair <= ${1:-4}; pair++)); do
    if ((pair % 2)); then
      by_module "module-$pair" pair 1; by_hand "hand-$pair" pair 1
    else
      by_hand "hand-$pair" pair 1; by_module "module-$pair" pair 1
    fi
  done
  python3 tests/gpu/compare.py "$results" | tee "$results/pairs.txt"
}

sizes() { # The steady estimate of 128 requests and that of 512.
  local run
  for run in 1 2 3; do by_module "size-smoke-$run" smoke "10$run"; done
  by_module size-full full 100
  python3 tests/gpu/compare.py "$results" | tee "$results/sizes.txt"
}

stop() {
  kill -TERM -- "-$(cat "$work/server.pid")"
}

"$@"
