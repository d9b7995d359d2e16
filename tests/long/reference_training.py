"""Trains as ../../../shared/reference/train_routers.py does, with batches, noise and first values that it is given.

    python3 reference_training.py REFERENCE MODEL FOLDER

FOLDER has task.json and the first values, routers.safetensors and of a LoRA lora/, and may have what Skipstone trained, trained/. Prints one JSON object.
"""
import json
import os
import sys

reference, model_path, folder = sys.argv[1:]
sys.path.insert(0, reference)

import numpy as np
import torch
from skipgpt_reference import Dense, Llama, SkipGPT, load_safetensors
from train_routers import GumbelRouters, cross_entropy, evaluate, router_tensors, stage1_loss

torch.set_num_threads(2)
with open(os.path.join(folder, 'task.json')) as f:
    task = json.load(f)
model = Llama.load(model_path)
held = torch.tensor(task['held'])
steps, rate = task['steps'], task['learningRate']


def pcg(v):
    v = v.astype(np.uint32)
    state = v * np.uint32(747796405) + np.uint32(2891336453)
    word = ((state >> ((state >> np.uint32(28)) + np.uint32(4))) ^ state) * np.uint32(277803737)
    return (word >> np.uint32(22)) ^ word


def gumbel(seed, counter, count):
    with np.errstate(over='ignore'):
        start = pcg(np.uint32([counter]) + pcg(np.uint32([seed])))
        bits = pcg(np.arange(count, dtype=np.uint32) + start)
    v = ((bits >> np.uint32(9)).astype(np.float64) + 0.5) / 2 ** 23
    return torch.tensor(-np.log(-np.log1p(-v)), dtype=torch.float32)


def measured(policy):
    ce, attention, mlp = evaluate(model, held, policy, batch=len(held))
    return dict(ce=ce, attention=attention, mlp=mlp)


def train(params, loss_of, rate_at):
    for p in params:
        p.requires_grad_(True)
    opt = torch.optim.AdamW(params, lr=rate, weight_decay=0.01)
    history = []
    for step in range(steps):
        ids = torch.tensor(task['batches'][step]).view(task['batch'], -1)
        opt.param_groups[0]['lr'] = rate_at(step)
        loss, told = loss_of(step, ids)
        opt.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(params, 1.0)
        opt.step()
        history.append(dict(loss=loss.item(), **told))
    for p in params:
        p.requires_grad_(False)
    return history


routers = GumbelRouters(load_safetensors(os.path.join(folder, 'routers.safetensors')))
if task['stage'] == 'routers':
    keys = [(layer, module) for layer in range(model.layers) for module in (0, 1)]

    def loss_of(step, ids):
        routers.tau = 5.0 - 4.0 * step / steps
        noise = gumbel(task['noiseSeed'], step, 2 * len(keys) * ids.numel()).view(len(keys), *ids.shape, 2)
        routers.noise = dict(zip(keys, noise))
        ce, _, loss = stage1_loss(model, routers, ids, task['target'], task['coefficient'])
        return loss, dict(ce=ce.item(), rate=routers.execute_rate().item())

    history = train(routers.parameters(), loss_of, lambda step: rate)
    policy = SkipGPT(router_tensors(routers))
else:
    policy = SkipGPT(router_tensors(routers))
    model.load_lora(os.path.join(folder, 'lora'))
    warm = max(1, steps // 10)

    def rate_at(step):
        fraction = (step - warm) / max(1, steps - warm)
        return rate * ((step + 1) / warm if step < warm else 0.5 + 0.5 * np.cos(np.pi * fraction))

    def loss_of(step, ids):
        ce = cross_entropy(model, model.forward(ids, policy), ids)
        return ce, dict(ce=ce.item())

    params = [t.clone() for a, b, _ in model.lora.values() for t in (a, b)]
    model.lora = {name: (params[2 * i], params[2 * i + 1], s) for i, (name, (_, _, s)) in enumerate(model.lora.items())}
    history = train(params, loss_of, rate_at)

result = dict(history=history, held=measured(policy))
trained = os.path.join(folder, 'trained')
# What Skipstone made of the same, in this implementation.
if not os.path.exists(trained):
    pass
elif task['stage'] == 'routers':
    result['theirs'] = measured(SkipGPT(load_safetensors(os.path.join(trained, 'routers.safetensors'))))
else:
    model.load_lora(trained)
    result['theirs'] = measured(policy)
model.lora = {}
result['dense'] = measured(Dense())
print(json.dumps(result))
