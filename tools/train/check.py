#!/usr/bin/env python3
"""Checks the training code. Exits with 1 where something is wrong.

    python3 check.py                          short runs: the same seed gives the same curve, an interrupted run resumes
    python3 check.py --golden ../shared/golden     losses and gradients of both stages against an independent implementation too
"""
import argparse
import json
import os
import subprocess
import sys
import tempfile

import numpy as np
import torch

import llama
import lora
import routing
import safetensors_file
from tune_routers import stage1_loss

HERE = os.path.dirname(os.path.abspath(__file__))
failures = 0


def report(name, worst, limit):
    global failures
    ok = worst <= limit
    failures += not ok
    print('%-4s %-58s %.2e (limit %.0e)' % ('ok' if ok else 'BAD', name, worst, limit), flush=True)


# ------------------------------------------------------------------------------------------------ golden gradients

def golden_model(spec, tensors):
    model = llama.Llama(llama.Config.of(spec['config']))
    weights = {k[len('weights.'):]: t for k, t in tensors.items() if k.startswith('weights.')}
    head = weights.pop('lm_head.weight')
    model.load_state_dict(weights)
    model.requires_grad_(False)

    def loss(ids, decide):
        # The golden model has a head of its own; ours is tied.
        states = model.hidden(ids, decide)[:, :-1].flatten(0, 1)
        return llama.HeadLoss.apply(states, head, ids[:, 1:].flatten(), torch.float32)

    return model, loss


def worst_gradient(grads, tensors, prefix):
    """Largest difference, relative to the largest entry of all gradients."""
    expected = {k: tensors[prefix + k] for k in grads}
    largest = max(t.abs().max() for t in expected.values())
    return max(((grads[k] - t).abs().max() / largest).item() for k, t in expected.items())


def check_stage1(name, spec, tensors, ids):
    case = spec['cases'][name]
    model, loss_of = golden_model(spec, tensors)
    prefix = name + '.routers.'
    routers = routing.Routers.of({k[len(prefix):]: t for k, t in tensors.items() if k.startswith(prefix)})
    noise = tensors['noise']
    sampled = routing.Sampled(routers, case['tau'], lambda layer, kind, shape: noise[layer, kind])
    ce, rate, loss = stage1_loss(loss_of(ids, sampled), sampled, case['skip'], case['coefficient'])
    loss.backward()
    report(name + ': CE', abs(ce.item() - case['ce']), 1e-5)
    report(name + ': execute rate', abs(rate.item() - case['rate']), 1e-6)
    report(name + ': loss', abs(loss.item() - case['loss']), 1e-5)
    named = {}
    for l in range(len(model.model.layers)):
        for kind, word in enumerate(routing.KINDS):
            key = routing.KEY % (l, word)
            named[key + 'weight'], named[key + 'bias'] = routers.weight.grad[l, kind], routers.bias.grad[l, kind]
    report(name + ': gradients', worst_gradient(named, tensors, name + '.grads.'), 1e-4)


def check_stage2(spec, tensors, ids):
    case = spec['cases']['stage2']
    model, loss_of = golden_model(spec, tensors)
    adapters = lora.attach(model, case['r'], case['alpha'])
    for key, adapter in adapters.items():
        adapter.A.data.copy_(tensors['stage2.lora.%s.A' % key])
        adapter.B.data.copy_(tensors['stage2.lora.%s.B' % key])
    prefix = 'stage2.routers.'
    routers = routing.Routers.of({k[len(prefix):]: t for k, t in tensors.items() if k.startswith(prefix)})
    argmax = routing.ArgMax(routers.requires_grad_(False), record=True)
    loss = loss_of(ids, argmax)
    loss.backward()
    wrong = sum((gates[0] != tensors['stage2.execute'][key]).sum().item() for key, gates in argmax.gates.items())
    report('stage2: decisions that differ', wrong, 0)
    report('stage2: CE', abs(loss.item() - case['ce']), 1e-5)
    grads = {'%s.%s' % (k, m): getattr(a, m).grad for k, a in adapters.items() for m in 'AB'}
    report('stage2: gradients', worst_gradient(grads, tensors, 'stage2.grads.'), 1e-4)


# ------------------------------------------------------------------------------------------------ short runs

def script(name, *arguments):
    subprocess.run([sys.executable, os.path.join(HERE, name), *map(str, arguments)], check=True, stdout=subprocess.DEVNULL)


def curve(folder):
    with open(os.path.join(folder, 'log.jsonl')) as f:
        records = [json.loads(line) for line in f]
    return np.array([r.get('loss', r.get('ce')) for r in records])


def check_runs(steps):
    with tempfile.TemporaryDirectory() as at:
        folder = lambda name: os.path.join(at, name)
        text = b'The cat sat on the mat. "Where is the dog?" asked the cat; nobody answered, for the dog was out. ' * 800
        with open(folder('text'), 'wb') as f:
            f.write(text)
        script('corpus.py', '--train', folder('text'), '--valid', folder('text'), '--out', folder('data'), '--vocab-size', 300)
        shape = ['--layers', 2, '--hidden', 32, '--intermediate', 48, '--heads', 4, '--kv-heads', 2, '--chunks', 1]
        small = ['--data', folder('data'), '--steps', steps, '--threads', 1]
        twice('pretrain.py', [*small, *shape, '--drop', 0.3], folder)
        on = [*small, '--model', folder('pretrain-a/model.safetensors'), '--chunks', 1, '--skip', 0.25]
        twice('tune_routers.py', on, folder)
        twice('tune_lora.py', [*on, '--routers', folder('tune_routers-a/routers.safetensors'), '--dropout', 0.1], folder)


def twice(name, arguments, folder):
    """Once whole (a), once interrupted in the middle and resumed (b)."""
    stem = name[:-3]
    a, b = folder(stem + '-a'), folder(stem + '-b')
    steps = arguments[arguments.index('--steps') + 1]
    script(name, *arguments, '--out', a)
    script(name, *arguments, '--out', b, '--stop-after', steps // 2 + 1)
    script(name, *arguments, '--out', b)
    one, two = curve(a), curve(b)
    assert len(one) == len(two) == steps, (len(one), len(two))
    report('%s: %d steps, interrupted and resumed' % (name, steps), float(np.abs(one - two).max()), 5e-5)


def main():
    ap = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ap.add_argument('--golden', help='folder with gradients.json and gradients.safetensors')
    ap.add_argument('--steps', type=int, default=200)
    a = ap.parse_args()
    if a.golden:
        with open(os.path.join(a.golden, 'gradients.json')) as f:
            spec = json.load(f)
        tensors = safetensors_file.load(os.path.join(a.golden, 'gradients.safetensors'))
        ids = tensors['ids'].long()
        check_stage1('stage1', spec, tensors, ids)
        check_stage2(spec, tensors, ids)
    else:
        print('not run: golden gradients (no --golden)')
    check_runs(a.steps)
    sys.exit(1 if failures else 0)


if __name__ == '__main__':
    main()
