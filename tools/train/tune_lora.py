#!/usr/bin/env python3
"""SkipGPT's second stage: trains a LoRA on q_proj, v_proj and gate_proj under frozen routers, then sets their threshold.

    python3 tune_lora.py --data DIR --model RUN/model.safetensors --routers RUN-25/routers.safetensors --skip 0.25 --out LORA-25 --steps 400

Plain cross-entropy. Decisions are those of inference, arg-max, at the threshold that skips the wanted share before the LoRA. At the end the
threshold is found again with the LoRA on, and folded into the routers' execute bias: OUT/routers.safetensors and OUT/lora/ go together.
"""
import argparse
import os

import torch

import base
import calibrate
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
    ap.add_argument('--routers', required=True)
    ap.add_argument('--skip', type=float, required=True)
    ap.add_argument('--chunks', type=int, default=8)
    ap.add_argument('--lr', type=float, default=4e-3)
    ap.add_argument('--rank', type=int, default=16)
    ap.add_argument('--alpha', type=int, default=32)
    ap.add_argument('--dropout', type=float, default=0.0, help='0.1 in the paper, where the LoRA sees its text more than once')
    ap.add_argument('--start', help='folder of a LoRA of the same rank to start from')
    ap.add_argument('--decisions', choices=('argmax', 'sampled'), default='argmax')
    a = ap.parse_args()

    model = base.load(a)
    routers = routing.Routers.of(safetensors_file.load(a.routers)).requires_grad_(False).to(a.device)
    tokens = data.Tokens(os.path.join(a.data, 'train.bin'), model.config.max_position_embeddings, a.seed + 1)
    named = lora.attach(model, a.rank, a.alpha, a.seed)
    if a.start:
        lora.read(a.start, named)
    adapters = torch.nn.ModuleDict({k.replace('.', '/'): v for k, v in named.items()})
    with torch.no_grad():
        sample = [tokens.batch(i, 8)[0].to(a.device) for i in range(2)]
        delta = calibrate.delta_for(model, routers, sample, a.skip)
    adamw = torch.optim.AdamW(adapters.parameters(), a.lr, weight_decay=0.01)
    training = run.Run(a, [adapters], [adamw])

    def step(n):
        optimiser.set_rate([adamw], optimiser.cosine(n, a.steps, max(1, a.steps // 10)))
        inputs, targets = (run.to_device(t, a) for t in tokens.batch(n, a.chunks))
        generator = run.generator_of(a, n)
        for adapter in adapters.values():
            adapter.dropout, adapter.generator = a.dropout, generator
        if a.decisions == 'argmax':
            decide = routing.ArgMax(routers, delta)
        else:
            decide = routing.Sampled(routers, 1.0, routing.gumbel(generator))
        loss = model.loss(inputs, targets, decide)
        adamw.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(adapters.parameters(), 1.0)
        adamw.step()
        return {'ce': loss.detach()}

    if training.loop(step, a.chunks * model.config.max_position_embeddings):
        adapters.eval()
        with torch.no_grad():
            delta = calibrate.delta_for(model, routers, sample, a.skip)
        routers.fold(delta)
        print('threshold %+.4f, folded into the execute bias' % delta)
        metadata = {'skip_target': str(a.skip), 'mlp_router_input': 'layer_input', 'logit_order': 'execute,skip',
                    'folded_delta': '%.6f' % delta}
        safetensors_file.save(os.path.join(a.out, 'routers.safetensors'), routers.tensors(), metadata=metadata)
        lora.save(os.path.join(a.out, 'lora'), named, a.rank, a.alpha, 'pebble')


if __name__ == '__main__':
    main()
