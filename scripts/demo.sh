#!/usr/bin/env bash
# The main job from beginning to end on the small model in demo/: build the program, look at the
# model, quantize it in four ways (two of them sparse), compress, unpack, measure each against the
# original, and let them write a few lines.
# Does the whole set-up on a bare Debian 12. What it makes lies in build/demo afterwards, with all
# that the commands say in build/demo/demo.log.
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
log=$out/demo.log
context=256 # the text has about 3,100 tokens: 12 windows; the model has 512 positions
prompt="It was late in the evening when"

step() { printf '\n== %s\n' "$1"; }

# run COMMAND...: what it says goes to the log; its progress line is shown on a terminal only.
run() {
  local status=0
  echo "\$ $*" >>"$log"
  if [ -t 2 ]; then
    "$@" >>"$log" || status=$?
  else
    "$@" >>"$log" 2>&1 || status=$?
  fi
  [ $status = 0 ] || { tail -n 20 "$log" >&2; exit $status; }
}

# show COMMAND...: the same, with the command as one would type it.
show() {
  printf '$ %s\n' "${*/#$pare/pare}"
  run "$@"
}

# measure NAME MODEL: perplexity of one model, and how far it is from the original
measure() {
  "$pare" eval "$2" --ppl "$text" --protocol gptq --context "$context" --json >"$out/$1.eval.json" 2>>"$log"
}

# quantize NAME OPTIONS...: one quantized folder, compressed and measured
quantize() {
  local name=$1
  shift
  show "$pare" quantize "$model" -o "$out/$name" "$@"
  run "$pare" compress "$out/$name" -o "$out/$name-packed"
  measure "$name" "$out/$name"
  "$pare" compare "$model" "$out/$name" --ppl "$text" --context "$context" --json \
    >"$out/$name.compare.json" 2>>"$log"
}

sample() {
  printf '%-10s ' "$1"
  "$pare" generate "$2" --prompt "$prompt" --max-new-tokens 36 --temperature 0.8 --top-p 0.9 --seed 1 \
    2>>"$log" | tr '\n' ' ' | cut -c1-170
}

"$root/scripts/setup.sh"
if [ ! -x "$pare" ]; then echo "Building the program (some minutes, once) …"; fi
mkdir -p build/logs
"$root/scripts/build.sh" release pare >build/logs/build.log 2>&1 || { tail -n 40 build/logs/build.log; exit 1; }
rm -rf "$out"
mkdir -p "$out"

step "The model: a LLaMA of 6.6 million parameters, trained on old novels"
printf '$ pare inspect %s\n' "$model"
"$pare" inspect "$model" | sed -n '2,7p'
measure float "$model"

step "8 bits: weights and activations; the prompts show what range activations have"
quantize w8a8 --scheme w8a8 --calib demo/calib.jsonl
step "4 bits: weights alone, in groups of 64; needs no data"
quantize w4a16 --scheme w4a16 --group-size 64 --format ascend-v1
step "Sparse: most weights small, few large; stored in 8 bits, they pack far below 4"
quantize co-sparse --scheme w8a8s --method co-sparse --calib demo/calib.jsonl
quantize lowbit --scheme w8a8s --method lowbit --do-smooth --calib demo/calib.jsonl

step "Without loss: every folder was packed; this one is unpacked again and compared"
show "$pare" decompress "$out/lowbit-packed" -o "$out/lowbit-unpacked"
diff -r "$out/lowbit" "$out/lowbit-unpacked"
echo "Every file is the same, byte for byte. Packed folders are read as they are:"
measure lowbit-packed "$out/lowbit-packed"
python3 scripts/demo_table.py same-perplexity "$out" lowbit lowbit-packed

step "What did it cost? Perplexity on unseen text (lower is better), distance from the original"
python3 scripts/demo_table.py table "$out" "$model" w8a8 w4a16 co-sparse lowbit

step "Each goes on from \"$prompt\""
sample "original" "$model"
sample "w8a8" "$out/w8a8"
sample "w4a16" "$out/w4a16"
sample "lowbit" "$out/lowbit-packed"
printf '\nThe folders lie in %s, all that the commands said in %s. Next: pare --help\n' "$out" "$log"
