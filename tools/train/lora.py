"""Low-rank adapters (LoRA, arXiv 2106.09685) on the projections that SkipGPT's second stage trains, in PEFT's file format."""
import json
import math
import os

import torch
import torch.nn.functional as F
from torch import nn

import safetensors_file

TARGETS = ('self_attn.q_proj', 'self_attn.v_proj', 'mlp.gate_proj')


class Lora(nn.Module):
    """alpha / r * B A dropout(x). A: Kaiming-uniform with a = sqrt 5, B: zero, as PEFT does."""

    def __init__(self, inputs, outputs, r, alpha, generator):
        super().__init__()
        bound = 1 / math.sqrt(inputs)
        self.A = nn.Parameter(torch.empty(r, inputs).uniform_(-bound, bound, generator=generator))
        self.B = nn.Parameter(torch.zeros(outputs, r))
        self.scale = alpha / r
        self.dropout, self.generator = 0.0, None

    def forward(self, x):
        if self.dropout > 0 and self.training:
            keep = torch.rand(x.shape, generator=self.generator, device=x.device) >= self.dropout
            x = x * keep / (1 - self.dropout)
        return F.linear(F.linear(x, self.A.to(x.dtype)), self.B.to(x.dtype)) * self.scale


def attach(model, r=16, alpha=32, seed=0):
    """Puts an adapter on every target and returns them by name (`model.layers.0.self_attn.q_proj`)."""
    generator, adapters = torch.Generator().manual_seed(seed), {}
    for l, layer in enumerate(model.model.layers):
        for name in TARGETS:
            linear = layer.get_submodule(name)
            outputs, inputs = linear.weight.shape
            linear.lora = Lora(inputs, outputs, r, alpha, generator).to(linear.weight.device)
            adapters['model.layers.%d.%s' % (l, name)] = linear.lora
    return adapters


def detach(model):
    for layer in model.model.layers:
        for name in TARGETS:
            layer.get_submodule(name).lora = None


def save(folder, adapters, r, alpha, base):
    os.makedirs(folder, exist_ok=True)
    tensors = {}
    for name, adapter in adapters.items():
        tensors['base_model.model.%s.lora_A.weight' % name] = adapter.A
        tensors['base_model.model.%s.lora_B.weight' % name] = adapter.B
    safetensors_file.save(os.path.join(folder, 'adapter_model.safetensors'), tensors)
    config = {'peft_type': 'LORA', 'task_type': 'CAUSAL_LM', 'base_model_name_or_path': base, 'r': r, 'lora_alpha': alpha,
              'lora_dropout': 0.0, 'bias': 'none', 'fan_in_fan_out': False, 'inference_mode': True,
              'target_modules': [t.split('.')[1] for t in TARGETS]}
    with open(os.path.join(folder, 'adapter_config.json'), 'w') as f:
        f.write(json.dumps(config, indent=2) + '\n')


def load(folder, model):
    """Attaches the adapters of a PEFT folder."""
    with open(os.path.join(folder, 'adapter_config.json')) as f:
        config = json.load(f)
    adapters = attach(model, config['r'], config['lora_alpha'])
    read(folder, adapters)
    return adapters


def read(folder, adapters):
    """Gives adapters the values in a PEFT folder."""
    tensors = safetensors_file.load(os.path.join(folder, 'adapter_model.safetensors'))
    for name, adapter in adapters.items():
        adapter.A.data.copy_(tensors['base_model.model.%s.lora_A.weight' % name])
        adapter.B.data.copy_(tensors['base_model.model.%s.lora_B.weight' % name])
