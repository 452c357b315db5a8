#!/usr/bin/env bash
# Trains AND on scikit-learn's digits with two processes on this machine, then with a single one,
# and compares the runs. Two machines work in the same way: each starts one process, with both
# addresses in TF_CONFIG. Takes about two minutes. The learning rate is low, so that rounding
# errors, which grow in training, stay small enough for the comparison.
#
#   bash examples/multiworker_local.sh [FOLDER]
set -euo pipefail
cd "$(dirname "$0")/.."
folder=${1:-$(mktemp -d)}

train() {
  python train.py --data=digits --train_split='train[:256]' --eval_split='test[:200]' \
    --encoder=resnet_small --image_size=8 --rounds=1 --epochs_per_round=1 --batch_size=128 \
    --learning_rate=0.0001 --crop_min_area=0.5 --color_jitter=0 --grey=0 "$@"
}

free_port() {
  python -c 'import socket; s = socket.create_server(("127.0.0.1", 0)); print(s.getsockname()[1])'
}

addresses="\"127.0.0.1:$(free_port)\", \"127.0.0.1:$(free_port)\""

tf_config() {  # of the process with this number
  echo "{\"cluster\": {\"worker\": [$addresses]}, \"task\": {\"type\": \"worker\", \"index\": $1}}"
}

TF_CONFIG=$(tf_config 1) train --strategy=multiworker --workdir="$folder/two" &
worker=$!
trap 'kill $worker 2>/dev/null || true' EXIT
TF_CONFIG=$(tf_config 0) train --strategy=multiworker --workdir="$folder/two"
wait $worker
train --workdir="$folder/one"
python examples/compare_runs.py "$folder/one" "$folder/two"
