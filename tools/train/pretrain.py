#!/usr/bin/env python3
"""Trains the base model.

    python3 pretrain.py --data DIR --out RUN --steps 4000

--drop P drops sublayers at random, per token, while training: rate P at the last layer and proportionally less below it, constant up to
the fall of the learning rate and then falling with it to a quarter. It makes depth redundant, which is what skipping lives on.
"""
import argparse
import json
import os

import torch

import base
import data
import llama
import optimiser
import routing
import run
import safetensors_file


def main():
    ap = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    run.add_arguments(ap)
    ap.add_argument('--data', required=True, help='folder that corpus.py wrote')
    ap.add_argument('--start', help='a model of the same shape to start from, instead of random weights')
    ap.add_argument('--layers', type=int, default=14)
    ap.add_argument('--hidden', type=int, default=256)
    ap.add_argument('--intermediate', type=int, default=640)
    ap.add_argument('--heads', type=int, default=8)
    ap.add_argument('--kv-heads', type=int, default=2)
    ap.add_argument('--chunks', type=int, default=16, help='chunks of 512 tokens in a step')
    ap.add_argument('--short', type=float, default=0.7, help='share of the steps that read chunks in four pieces, which is faster')
    ap.add_argument('--lr', type=float, default=8e-3)
    ap.add_argument('--adam-lr', type=float, default=4e-3, help='of embedding and norms')
    ap.add_argument('--warm-up', type=int, default=50)
    ap.add_argument('--decay', type=float, default=0.3, help='share of the steps over which the learning rate falls to 0')
    ap.add_argument('--drop', type=float, default=0.0)
    ap.add_argument('--compile', action='store_true', help='fuse the layers first (PyTorch 2): faster on a GPU, after half a minute')
    a = ap.parse_args()

    config = llama.Config(a.hidden, a.intermediate, a.layers, a.heads, a.kv_heads)
    model = llama.Llama(config, a.seed, run.compute_type(a)).to(a.device)
    if a.start:
        model.load_state_dict(base.read(a.start)[1])
    if a.compile:
        for layer in model.model.layers:
            layer.compile()
    tokens = data.Tokens(os.path.join(a.data, 'train.bin'), config.max_position_embeddings, a.seed)
    matrices = [p for n, p in model.named_parameters() if p.dim() == 2 and 'embed' not in n]
    others = [p for n, p in model.named_parameters() if p.dim() != 2 or 'embed' in n]
    optimisers = [optimiser.Muon(matrices, a.lr, compute=run.compute_type(a)),
                  torch.optim.AdamW(others, a.adam_lr, betas=(0.9, 0.95), weight_decay=0.0)]
    training = run.Run(a, [model], optimisers)
    print('%d parameters, %d tokens in the data' % (sum(p.numel() for p in model.parameters()), len(tokens.ids)), flush=True)

    decay = int(a.decay * a.steps)

    def step(n):
        share = optimiser.trapezoid(n, a.steps, a.warm_up, decay)
        optimiser.set_rate(optimisers, share)
        pieces = 4 if n < a.short * a.steps else 1
        inputs, targets = (run.to_device(t, a) for t in tokens.batch(n, a.chunks, pieces))
        drop = a.drop * (0.25 + 0.75 * optimiser.trapezoid(n, a.steps, 0, decay)) / config.num_hidden_layers
        decide = routing.Lot(lambda layer, kind: drop * (layer + 1), run.generator_of(a, n)) if a.drop > 0 else None
        loss = model.loss(inputs, targets, decide)
        for o in optimisers:
            o.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        for o in optimisers:
            o.step()
        return {'loss': loss.detach(), 'rate': share}

    if training.loop(step, a.chunks * config.max_position_embeddings, a.steps - decay):
        safetensors_file.save(os.path.join(a.out, 'model.safetensors'), model.state_dict())
        with open(os.path.join(a.out, 'config.json'), 'w') as f:
            f.write(json.dumps(config.hugging_face(), indent=2) + '\n')


if __name__ == '__main__':
    main()
