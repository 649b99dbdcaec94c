#!/usr/bin/env bash
# The main job from beginning to end on the small model in demo/: build, inspect, quantize in four
# ways (two of them sparse), compress each, measure each against the original, and let all of them
# write a few lines.
# Does the whole set-up on a bare Debian 12. What it makes lies in build/demo afterwards.
set -euo pipefail

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
cd "$root"
if [ $# -gt 0 ]; then
  echo "usage: demo.sh" >&2
  exit 2
fi

pare=build/release/bin/pare
model=demo/model
text=demo/text.txt
out=build/demo
context=256 # the text has about 3,100 tokens: 12 windows; the model has 512 positions
prompt="It was late in the evening when"

# Shows a command as one would type it, then runs it.
show() {
  printf '\n$ %s\n' "$*"
  "$@"
}

# measure NAME MODEL: perplexity and time of one model into build/demo/NAME.*.json
measure() {
  "$pare" eval "$2" --ppl "$text" --protocol gptq --context "$context" --json >"$out/$1.eval.json"
}

# quantize NAME OPTIONS...: one quantized folder, measured and compared with the original
quantize() {
  local name=$1
  shift
  show "$pare" quantize "$model" -o "$out/$name" "$@"
  measure "$name" "$out/$name"
  "$pare" compare "$model" "$out/$name" --ppl "$text" --context "$context" --json \
    >"$out/$name.compare.json"
  show "$pare" compress "$out/$name" -o "$out/$name-packed"
}

sample() {
  echo
  echo "-- $1"
  "$pare" generate "$2" --prompt "$prompt" --max-new-tokens 60 --temperature 0.8 --top-p 0.9 --seed 1
  echo
}

"$root/scripts/setup.sh"
"$root/scripts/build.sh" release pare
rm -rf "$out"
mkdir -p "$out"

show "$pare" inspect "$model"
measure float "$model"
quantize w8a8 --scheme w8a8 --calib demo/calib.jsonl
quantize w4a16 --scheme w4a16 --group-size 64 --format ascend-v1
quantize co-sparse --scheme w8a8s --method co-sparse --calib demo/calib.jsonl
quantize lowbit --scheme w8a8s --method lowbit --do-smooth --calib demo/calib.jsonl
show "$pare" decompress "$out/lowbit-packed" -o "$out/lowbit-unpacked"
diff -r "$out/lowbit" "$out/lowbit-unpacked"
measure lowbit-packed "$out/lowbit-packed"

printf '\nPerplexity of %s, windows of %s tokens, gptq protocol (lower is better); KL and top-1 against the original:\n\n' \
  "$text" "$context"
python3 scripts/demo_table.py "$out" "$model" w8a8 w4a16 co-sparse lowbit
printf '\nThe packed lowbit model is read as it is: perplexity %s, as before packing.\n' \
  "$(python3 -c 'import json, sys; print(round(json.load(open(sys.argv[1]))["perplexity"], 3))' \
    "$out/lowbit-packed.eval.json")"

printf '\nEach continues "%s" (temperature 0.8, top-p 0.9, seed 1):\n' "$prompt"
sample "original" "$model"
sample "w8a8" "$out/w8a8"
sample "w4a16" "$out/w4a16"
sample "lowbit, packed" "$out/lowbit-packed"
