"""SkipGPT's routers (docs of the paper: arXiv 2506.04179): per layer one linear map d -> 2 for attention and one for the MLP, reading the
raw residual at the layer's entry. Logit 0 = execute, 1 = skip."""
import math

import torch
import torch.nn.functional as F
from torch import nn

KINDS = ('attention', 'mlp')


class Routers(nn.Module):
    """weight [layers, 2 kinds, 2 logits, d], bias [layers, 2, 2]. Kaiming-uniform with linear gain, zero bias."""

    def __init__(self, layers, d, seed=0):
        super().__init__()
        generator = torch.Generator().manual_seed(seed)
        bound = math.sqrt(3 / d)
        self.weight = nn.Parameter(torch.empty(layers, 2, 2, d).uniform_(-bound, bound, generator=generator))
        self.bias = nn.Parameter(torch.zeros(layers, 2, 2))

    def logits(self, layer, kind, entry):
        """[B, T, 2], float32."""
        return F.linear(entry, self.weight[layer, kind], self.bias[layer, kind])

    def tensors(self):
        """Under the keys of the official code."""
        out = {}
        for l in range(self.weight.shape[0]):
            for kind, name in enumerate(KINDS):
                key = 'model.layers.%d.router_%s.weight_predictor.' % (l, name)
                out[key + 'weight'], out[key + 'bias'] = self.weight[l, kind], self.bias[l, kind]
        return out

    @classmethod
    def of(cls, tensors):
        layers = 1 + max(int(k.split('.')[2]) for k in tensors)
        routers = cls(layers, tensors['model.layers.0.router_mlp.weight_predictor.weight'].shape[1])
        for key, t in routers.tensors().items():
            t.data.copy_(tensors[key])
        return routers

    @torch.no_grad()
    def fold(self, delta):
        """Makes the threshold delta part of the execute bias, so that z >= 0 decides as z >= delta did."""
        self.bias[..., 0] -= delta


class Sampled:
    """Training: hard gates by straight-through Gumbel-softmax; what was drawn is kept for the execute rate."""

    def __init__(self, routers, tau, noise):
        """noise(layer, kind, shape) -> Gumbel(0, 1) noise."""
        self.routers, self.tau, self.noise, self.gates = routers, tau, noise, []

    def __call__(self, layer, kind, entry, x):
        r = self.routers.logits(layer, kind, entry)
        soft = ((r + self.noise(layer, kind, r.shape)) / self.tau).softmax(-1)
        hard = F.one_hot(soft.argmax(-1), 2).to(soft.dtype)
        gate = (hard + soft - soft.detach())[..., 0]
        self.gates.append(gate)
        return gate

    def execute_rate(self):
        """Unweighted mean over layers, kinds, rows and positions."""
        return torch.stack([g.mean() for g in self.gates]).mean()


def gumbel(generator, device):
    def noise(layer, kind, shape):
        return -torch.empty(shape).exponential_(generator=generator).log().to(device)
    return noise


class ArgMax:
    """Inference: execute iff z = r0 - r1 >= delta. Keeps the gates where `record` is set: [layer, kind] -> list of [B, T]."""

    def __init__(self, routers, delta=0.0, record=False):
        self.routers, self.delta, self.record, self.gates = routers, delta, record, {}

    def __call__(self, layer, kind, entry, x):
        r = self.routers.logits(layer, kind, entry)
        gate = (r[..., 0] - r[..., 1] >= self.delta).float()
        if self.record:
            self.gates.setdefault((layer, kind), []).append(gate)
        return gate


class Fixed:
    """Static skipping: the same sublayers, given as (layer, kind), for every token."""

    def __init__(self, skipped):
        self.skipped = set(skipped)

    def __call__(self, layer, kind, entry, x):
        return x.new_zeros(x.shape[:-1]) if (layer, kind) in self.skipped else None


class Lot:
    """Random skipping: each token skips a sublayer with the rate of its kind."""

    def __init__(self, attention, mlp, seed):
        self.rates, self.generator = (attention, mlp), torch.Generator().manual_seed(seed)

    def __call__(self, layer, kind, entry, x):
        return (torch.rand(x.shape[:-1], generator=self.generator) >= self.rates[kind]).float().to(x.device)
