#!/usr/bin/env python3
"""SkipGPT's first stage: trains the routers; the base model stays as it is.

    python3 tune_routers.py --data DIR --model RUN/model.safetensors --skip 0.25 --out RUN-25 --steps 800

loss = CE + weight * |(1 - skip) - execute rate|, hard Gumbel-softmax gates with a straight-through gradient, temperature 5 -> 1.
"""
import argparse
import os

import torch

import base
import data
import lora
import optimiser
import routing
import run
import safetensors_file


def main():
    ap = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    run.add_arguments(ap)
    base.add_arguments(ap)
    ap.add_argument('--skip', type=float, required=True, help='share of the sublayers to skip')
    ap.add_argument('--chunks', type=int, default=8)
    ap.add_argument('--lr', type=float, default=5e-3, help='of the weights, for residuals of size 1')
    ap.add_argument('--bias-lr', type=float, default=5e-2)
    ap.add_argument('--spread', type=float, default=0.3, help='of the first weights, against the official 1')
    ap.add_argument('--favour', type=float, default=3.0, help='margin for executing that biases start with; 0 in the official code')
    ap.add_argument('--weight', type=float, default=8.0)
    ap.add_argument('--tau', type=float, default=5.0, help='temperature at the beginning')
    ap.add_argument('--start', help='routers.safetensors to start from; --spread and --favour then mean nothing')
    ap.add_argument('--lora', help='folder of a LoRA that stays on')
    a = ap.parse_args()

    model = base.load(a)
    config = model.config
    routers = routing.Routers(config.num_hidden_layers, config.hidden_size, a.seed, a.spread, a.favour).to(a.device)
    tokens = data.Tokens(os.path.join(a.data, 'train.bin'), config.max_position_embeddings, a.seed)
    routers.measure_unit(model, tokens.batch(0, a.chunks)[0].to(a.device))
    if a.start:
        routers.start_from(routing.Routers.of(safetensors_file.load(a.start)).to(a.device))
    if a.lora:
        lora.load(a.lora, model)
        model.requires_grad_(False).to(a.device)
    adamw = torch.optim.AdamW([{'params': [routers.weight]}, {'params': [routers.bias], 'lr': a.bias_lr}], a.lr, weight_decay=0.01)
    training = run.Run(a, [routers], [adamw])

    def step(n):
        tau = a.tau - (a.tau - 1) * n / a.steps
        optimiser.set_rate([adamw], optimiser.cosine(n, a.steps, max(1, a.steps // 10)))
        inputs, targets = (run.to_device(t, a) for t in tokens.batch(n, a.chunks))
        sampled = routing.Sampled(routers, tau, routing.gumbel(run.generator_of(a, n)))
        ce, rate, loss = stage1_loss(model.loss(inputs, targets, sampled), sampled, a.skip, a.weight)
        adamw.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(routers.parameters(), 1.0)
        adamw.step()
        return {'ce': ce.detach(), 'execute': rate.detach(), 'tau': tau}

    if training.loop(step, a.chunks * config.max_position_embeddings):
        safetensors_file.save(os.path.join(a.out, 'routers.safetensors'), routers.tensors())


def stage1_loss(ce, sampled, skip, weight):
    """(cross-entropy, execute rate, total) after a forward pass under `sampled`."""
    rate = sampled.execute_rate()
    return ce, rate, ce + weight * (1 - skip - rate).abs()


if __name__ == '__main__':
    main()
