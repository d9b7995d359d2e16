"""SkipGPT's routers (docs of the paper: arXiv 2506.04179): per layer one linear map d -> 2 for attention and one for the MLP, reading the
raw residual at the layer's entry. Logit 0 = execute, 1 = skip."""
import math

import torch
import torch.nn.functional as F
from torch import nn

KINDS = ('attention', 'mlp')
KEY = 'model.layers.%d.router_%s.weight_predictor.'


class Routers(nn.Module):
    """weight [layers, 2 kinds, 2 logits, d], bias [layers, 2, 2].

    The official code starts from Kaiming-uniform weights with linear gain and zero bias: `spread` 1, `favour` 0. `favour` is the
    margin r0 - r1 for executing that the biases start with. `unit` [layers] is the size of a residual's entries at each layer's
    entry: weights are learned for entries of size 1 and saved for the raw residual, so that one learning rate suits all layers."""

    def __init__(self, layers, d, seed=0, spread=1.0, favour=0.0):
        super().__init__()
        generator = torch.Generator().manual_seed(seed)
        bound = spread * math.sqrt(3 / d)
        self.weight = nn.Parameter(torch.empty(layers, 2, 2, d).uniform_(-bound, bound, generator=generator))
        self.bias = nn.Parameter(torch.tensor([favour / 2, -favour / 2]).repeat(layers, 2, 1))
        self.register_buffer('unit', torch.ones(layers))

    @torch.no_grad()
    def measure_unit(self, model, ids):
        """Root mean square of the residual at each layer's entry, without the first position, whose residual is far larger."""
        def observe(layer, kind, before, after):
            if kind == 0:
                self.unit[layer] = before[:, 1:].square().mean().sqrt()
        model.hidden(ids, observe=observe)

    @torch.no_grad()
    def start_from(self, other):
        """Decides as `other`, whose weights are for the raw residual. Units stay."""
        self.weight.copy_(other.weight * self.unit[:, None, None, None])
        self.bias.copy_(other.bias)

    def logits(self, layer, kind, entry):
        """[B, T, 2], float32."""
        return F.linear(entry / self.unit[layer], self.weight[layer, kind], self.bias[layer, kind])

    def tensors(self):
        """Under the keys of the official code."""
        out = {}
        for l in range(self.weight.shape[0]):
            for kind, name in enumerate(KINDS):
                key = KEY % (l, name)
                out[key + 'weight'], out[key + 'bias'] = self.weight[l, kind] / self.unit[l], self.bias[l, kind]
        return out

    @classmethod
    def of(cls, tensors):
        layers = 1 + max(int(k.split('.')[2]) for k in tensors)
        routers = cls(layers, tensors[KEY % (0, 'mlp') + 'weight'].shape[1])
        for l in range(layers):
            for kind, name in enumerate(KINDS):
                key = KEY % (l, name)
                routers.weight.data[l, kind], routers.bias.data[l, kind] = tensors[key + 'weight'], tensors[key + 'bias']
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


def gumbel(generator):
    def noise(layer, kind, shape):
        return -torch.empty(shape, device=generator.device).exponential_(generator=generator).log()
    return noise


class ArgMax:
    """Inference: execute iff z = r0 - r1 >= delta. Keeps z - delta where `record` is set: [layer, kind] -> list of [B, T]."""

    def __init__(self, routers, delta=0.0, record=False):
        self.routers, self.delta, self.record, self.margins = routers, delta, record, {}

    def __call__(self, layer, kind, entry, x):
        r = self.routers.logits(layer, kind, entry)
        margin = r[..., 0] - r[..., 1] - self.delta
        if self.record:
            self.margins.setdefault((layer, kind), []).append(margin)
        return (margin >= 0).float()

    @property
    def gates(self):
        """The decisions that were recorded."""
        return {key: [(m >= 0).float() for m in margins] for key, margins in self.margins.items()}


class Fixed:
    """Static skipping: the same sublayers, given as (layer, kind), for every token."""

    def __init__(self, skipped):
        self.skipped = set(skipped)

    def __call__(self, layer, kind, entry, x):
        return x.new_zeros(x.shape[:-1]) if (layer, kind) in self.skipped else None


class Lot:
    """Gates by lot: each token skips a sublayer with probability rate(layer, kind)."""

    def __init__(self, rate, generator):
        self.rate, self.generator = rate, generator

    def __call__(self, layer, kind, entry, x):
        lots = torch.rand(x.shape[:-1], generator=self.generator, device=self.generator.device)
        return (lots >= self.rate(layer, kind)).float().to(x.device)
