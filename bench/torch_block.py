"""The same decoder block in torch bf16, interleaved with pare_bench_block; prints the ratio.

Usage: torch_block.py PARE_BENCH_BLOCK [--threads N] [--rounds N] [--tokens N]
"""

import argparse
import statistics
import subprocess
import time

import torch
import torch.nn.functional as F

HIDDEN, INNER, HEADS = 4096, 11008, 32
WIDTH = HIDDEN // HEADS


class Block:
    def __init__(self, tokens):
        torch.manual_seed(0)

        def weight(out, inp):
            return (torch.rand(out, inp) * 2 - 1).mul_(inp**-0.5).bfloat16()

        self.q, self.k, self.v, self.o = (weight(HIDDEN, HIDDEN) for _ in range(4))
        self.gate, self.up = weight(INNER, HIDDEN), weight(INNER, HIDDEN)
        self.down = weight(HIDDEN, INNER)
        self.norm = torch.ones(HIDDEN, dtype=torch.bfloat16)
        self.x = (torch.rand(tokens, HIDDEN) * 2 - 1).bfloat16()
        angle = torch.outer(torch.arange(tokens), 1e4 ** (-torch.arange(0, WIDTH, 2) / WIDTH))
        angle = torch.cat([angle, angle], dim=-1)
        self.cos, self.sin = angle.cos().bfloat16(), angle.sin().bfloat16()

    def heads(self, x):
        return x.view(-1, HEADS, WIDTH).transpose(0, 1).unsqueeze(0)

    def rope(self, x):
        first, second = x.chunk(2, dim=-1)
        return x * self.cos + torch.cat([-second, first], dim=-1) * self.sin

    @torch.inference_mode()
    def forward(self):
        x = self.x
        h = F.rms_norm(x, (HIDDEN,), self.norm, 1e-5)
        q, k, v = (self.heads(F.linear(h, w)) for w in (self.q, self.k, self.v))
        mixed = F.scaled_dot_product_attention(self.rope(q), self.rope(k), v, is_causal=True)
        x = x + F.linear(mixed.squeeze(0).transpose(0, 1).reshape(-1, HIDDEN), self.o)
        h = F.rms_norm(x, (HIDDEN,), self.norm, 1e-5)
        return x + F.linear(F.silu(F.linear(h, self.gate)) * F.linear(h, self.up), self.down)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("program")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--tokens", type=int, default=2048)
    args = parser.parse_args()

    torch.set_num_threads(args.threads)
    block = Block(args.tokens)
    block.forward()
    ours = subprocess.Popen(
        [args.program, "serve", str(args.threads), str(args.tokens)],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    ready = ours.stdout.readline().split(" ", 1)[1].strip()

    def run_ours():
        ours.stdin.write("go\n")
        ours.stdin.flush()
        return float(ours.stdout.readline())

    def run_torch():
        start = time.perf_counter()
        block.forward()
        return time.perf_counter() - start

    pairs = []
    for _ in range(args.rounds):
        pairs.append((run_ours(), run_torch()))
        time.sleep(0.3)  # lets torch's threads go to sleep before our turn
    ours.stdin.close()
    ours.wait()

    for name, seconds in (("pare", [p[0] for p in pairs]), ("torch", [p[1] for p in pairs])):
        rate = args.tokens / statistics.median(seconds)
        print(f"  {name:5s} {rate:8.1f} tokens/s  ({min(seconds):.3f} .. {max(seconds):.3f} s)")
    ratio = statistics.median(t / o for o, t in pairs)
    print(f"{ready}, {args.threads} threads, torch {torch.__version__} bf16, {args.tokens} tokens, "
          f"median of {args.rounds} interleaved rounds")
    print(f"  pare / torch tokens per second: {ratio:.2f} (target >= 0.90)")


if __name__ == "__main__":
    main()
