#!/usr/bin/env python3
"""Expected values of a shipped model for the engine's tests: logits, greedy tokens and execute bits, computed in float64.

    python3 golden.py --model public/models/pebble --out tests/golden-own/pebble.json
"""
import argparse
import json
import os

import torch

import base
import llama
import lora
import routing
import safetensors_file

# The beginning of a text, and a text long enough to leave the first tile of every kernel.
LENGTHS = {'short': 5, 'long': 150}


def main():
    ap = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ap.add_argument('--model', required=True)
    ap.add_argument('--tokens', type=int, default=64)
    ap.add_argument('--out', required=True)
    a = ap.parse_args()
    config, tensors = base.read(os.path.join(a.model, 'model.gguf'))
    model = llama.Llama(config, compute=torch.float64).double()
    model.load_state_dict(tensors)
    model.requires_grad_(False)
    prompts = {name: prompt(model, n) for name, n in LENGTHS.items()}
    cases = [case(model, None, p, ids, 'dense', a.tokens) for p, ids in prompts.items()]
    for mode in sorted(name for name in os.listdir(a.model) if name.startswith('skipgpt-')):
        folder = os.path.join(a.model, mode)
        routers = routing.Routers.of(safetensors_file.load(os.path.join(folder, 'routers.safetensors')))
        routers.double().requires_grad_(False)
        lora.load(os.path.join(folder, 'lora'), model)
        model.double().requires_grad_(False)
        cases += [case(model, routers, p, ids, mode, a.tokens) for p, ids in prompts.items()]
        lora.detach(model)
    with open(a.out, 'w') as f:
        f.write(json.dumps({'prompts': prompts, 'cases': cases}) + '\n')


def prompt(model, length):
    """Text that the model samples itself, from BOS."""
    generator, ids = torch.Generator().manual_seed(length), [0]
    while len(ids) < length:
        p = model(torch.tensor([ids]))[0, -1].softmax(-1)
        ids.append(torch.multinomial(p, 1, generator=generator).item())
    return ids


def case(model, routers, prompt_name, ids, mode, tokens):
    """One greedy continuation. It is computed anew from the whole text at every step: no cache that could be wrong."""
    fed, out, gaps = list(ids), [], []
    for i in range(tokens):
        decide = routing.ArgMax(routers, record=True) if routers else None
        logits = model(torch.tensor([fed]), decide)[0, -1]
        if i == 0:
            first = logits
        best = logits.topk(2).values
        gaps.append((best[0] - best[1]).item())
        out.append(int(logits.argmax()))
        if i < tokens - 1:
            fed.append(out[-1])
    result = {'prompt': prompt_name, 'mode': mode, 'logits': [round(v, 6) for v in first.tolist()], 'greedy': out,
              'greedyMinGap': min(gaps), 'greedyMinGapStep': gaps.index(min(gaps))}
    if routers:
        result.update(bitmaps({key: z[0][0] for key, z in decide.margins.items()}, len(ids), model.config.num_hidden_layers))
    return result


def bitmaps(z, prompt_length, layers):
    """Execute bits as strings, one per layer, and the decisions that are too close to call."""
    rows = lambda kind, part: [''.join('1' if v >= 0 else '0' for v in z[l, kind][part].tolist()) for l in range(layers)]
    phases = {'prefill': slice(0, prompt_length), 'decode': slice(prompt_length, None)}
    out = {name + 'Execute': {k: rows(i, part) for i, k in enumerate(routing.KINDS)} for name, part in phases.items()}
    near = [{'phase': name, 'layer': l, 'module': k, 'position': t}
            for name, part in phases.items() for l in range(layers) for i, k in enumerate(routing.KINDS)
            for t, v in enumerate(z[l, i][part].tolist()) if abs(v) < 1e-3]
    return {**out, 'near': near}


if __name__ == '__main__':
    main()
