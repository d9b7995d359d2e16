"""A Llama decoder for training. Parameters carry Hugging Face's names, so state_dict() is the checkpoint.

Skipping follows SkipGPT (arXiv 2506.04179): a gate per token multiplies a sublayer's output; keys and values are made for every token.
"""
import math
from dataclasses import asdict, dataclass

import torch
import torch.nn.functional as F
from torch import nn


@dataclass(frozen=True)
class Config:
    hidden_size: int = 256
    intermediate_size: int = 640
    num_hidden_layers: int = 14
    num_attention_heads: int = 8
    num_key_value_heads: int = 2
    vocab_size: int = 4096
    max_position_embeddings: int = 512
    rms_norm_eps: float = 1e-5
    rope_theta: float = 10000.0

    @classmethod
    def of(cls, values):
        """From a config.json, read."""
        return cls(**{k: values[k] for k in cls.__dataclass_fields__ if k in values})

    @property
    def head_dim(self):
        return self.hidden_size // self.num_attention_heads

    def hugging_face(self):
        """config.json; END_OF_TEXT, id 0, begins and ends a text."""
        return {'architectures': ['LlamaForCausalLM'], 'model_type': 'llama', **asdict(self), 'head_dim': self.head_dim,
                'hidden_act': 'silu', 'attention_bias': False, 'mlp_bias': False, 'tie_word_embeddings': True,
                'bos_token_id': 0, 'eos_token_id': 0, 'torch_dtype': 'float16'}


class Linear(nn.Module):
    """y = x W^T, computed in the type of x; an attached LoRA adds scale * B(A x)."""

    def __init__(self, inputs, outputs):
        super().__init__()
        self.weight = nn.Parameter(torch.empty(outputs, inputs))
        self.lora = None

    def forward(self, x):
        y = F.linear(x, self.weight.to(x.dtype))
        return y if self.lora is None else y + self.lora(x)


class RMSNorm(nn.Module):
    def __init__(self, size, eps):
        super().__init__()
        self.weight, self.eps = nn.Parameter(torch.ones(size)), eps

    def forward(self, x):
        return x * torch.rsqrt(x.square().mean(-1, keepdim=True) + self.eps) * self.weight


def rope_tables(config, device):
    """cos and sin, [max_position_embeddings, head_dim]: the two halves of a head rotate together (rotate-half form)."""
    d = config.head_dim
    inverse = config.rope_theta ** (-torch.arange(0, d, 2, dtype=torch.float64) / d)
    angles = torch.arange(config.max_position_embeddings, dtype=torch.float64)[:, None] * inverse
    angles = torch.cat((angles, angles), 1)
    return angles.cos().to(device), angles.sin().to(device)


def rotate(x, cos, sin):
    """x [B, T, heads, head_dim]; cos, sin [T, 1, head_dim]."""
    a, b = x.chunk(2, -1)
    return x * cos + torch.cat((-b, a), -1) * sin


class Attention(nn.Module):
    # Queries are taken in blocks of this many, each with only the keys up to its end: less of the square is computed for nothing.
    BLOCK = 128

    def __init__(self, c):
        super().__init__()
        self.heads, self.kv_heads, self.head_dim = c.num_attention_heads, c.num_key_value_heads, c.head_dim
        self.q_proj = Linear(c.hidden_size, self.heads * c.head_dim)
        self.k_proj = Linear(c.hidden_size, self.kv_heads * c.head_dim)
        self.v_proj = Linear(c.hidden_size, self.kv_heads * c.head_dim)
        self.o_proj = Linear(self.heads * c.head_dim, c.hidden_size)

    def forward(self, u, cos, sin):
        B, T, _ = u.shape
        split = lambda t, n: t.view(B, T, n, self.head_dim)
        cos, sin = cos[:T, None].to(u.dtype), sin[:T, None].to(u.dtype)
        q = rotate(split(self.q_proj(u), self.heads), cos, sin) * (1 / math.sqrt(self.head_dim))
        k = rotate(split(self.k_proj(u), self.kv_heads), cos, sin).transpose(1, 2)
        v = split(self.v_proj(u), self.kv_heads).transpose(1, 2)
        if u.is_cuda:
            # Flash attention. Queries were scaled above.
            y = F.scaled_dot_product_attention(q.transpose(1, 2), k, v, is_causal=True, scale=1.0, enable_gqa=True)
            return self.o_proj(y.transpose(1, 2).reshape(B, T, -1))
        # [B, T, kv_heads, group, head_dim] -> [B, kv_heads, T, group, head_dim]: a group's queries share their keys.
        q = q.view(B, T, self.kv_heads, -1, self.head_dim).transpose(1, 2)
        out = []
        for first in range(0, T, self.BLOCK):
            last = min(first + self.BLOCK, T)
            rows = q[:, :, first:last].flatten(2, 3)
            scores = rows @ k[:, :, :last].transpose(-1, -2)
            hidden = torch.arange(last, device=u.device)[None] > torch.arange(first, last, device=u.device)[:, None]
            hidden = hidden.repeat_interleave(q.shape[3], 0)
            out.append(scores.masked_fill_(hidden, float('-inf')).softmax(-1) @ v[:, :, :last])
        y = torch.cat(out, 2).view(B, self.kv_heads, T, -1, self.head_dim).transpose(1, 2)
        return self.o_proj(y.reshape(B, T, -1))


class MLP(nn.Module):
    def __init__(self, c):
        super().__init__()
        self.gate_proj = Linear(c.hidden_size, c.intermediate_size)
        self.up_proj = Linear(c.hidden_size, c.intermediate_size)
        self.down_proj = Linear(c.intermediate_size, c.hidden_size)

    def forward(self, u):
        return self.down_proj(F.silu(self.gate_proj(u)) * self.up_proj(u))


class Layer(nn.Module):
    def __init__(self, c):
        super().__init__()
        self.self_attn, self.mlp = Attention(c), MLP(c)
        self.input_layernorm = RMSNorm(c.hidden_size, c.rms_norm_eps)
        self.post_attention_layernorm = RMSNorm(c.hidden_size, c.rms_norm_eps)

    def forward(self, is_mlp, x, gates, cos, sin, compute):
        """The residual x [B, T, hidden_size] after one sublayer, the MLP or attention; gates [B, T] or None."""
        norm = self.post_attention_layernorm if is_mlp else self.input_layernorm
        u = norm(x).to(compute)
        branch = (self.mlp(u) if is_mlp else self.self_attn(u, cos, sin)).to(x.dtype)
        return x + (branch if gates is None else gates[..., None] * branch)


class Decoder(nn.Module):
    """The part of the checkpoint below `model.`"""

    def __init__(self, c):
        super().__init__()
        self.embed_tokens = nn.Embedding(c.vocab_size, c.hidden_size)
        self.layers = nn.ModuleList(Layer(c) for _ in range(c.num_hidden_layers))
        self.norm = RMSNorm(c.hidden_size, c.rms_norm_eps)


class Llama(nn.Module):
    def __init__(self, config, seed=0, compute=torch.float32):
        """Weights: normal with deviation 0.02, the two projections that write to the residual smaller by sqrt(2 layers), as in
        GPT-2. `compute`: type of the products, float32 or bfloat16; the residual, norms and loss stay float32."""
        super().__init__()
        self.config, self.compute, self.model = config, compute, Decoder(config)
        self.tables = None
        generator = torch.Generator().manual_seed(seed)
        for name, p in self.named_parameters():
            if p.dim() == 2:
                small = name.endswith(('o_proj.weight', 'down_proj.weight'))
                p.data.normal_(0, 0.02 / math.sqrt(2 * config.num_hidden_layers) if small else 0.02, generator=generator)

    def hidden(self, ids, decide=None, observe=None):
        """ids [B, T] -> normed states [B, T, hidden_size].

        decide(layer, kind, entry, x) -> gates [B, T], or None to run all; kind 0 is attention, 1 the MLP; entry is the residual
        at the layer's entry, x at the sublayer's. observe(layer, kind, before, after) sees the residual around each sublayer."""
        if self.tables is None or self.tables[0].device != ids.device:
            self.tables = rope_tables(self.config, ids.device)
        cos, sin = self.tables
        x = self.model.embed_tokens(ids)
        for l, layer in enumerate(self.model.layers):
            entry = x
            for kind in (0, 1):
                gates = decide(l, kind, entry, x) if decide else None
                after = layer(kind == 1, x, gates, cos, sin, self.compute)
                if observe:
                    observe(l, kind, x, after)
                x = after
        return self.model.norm(x)

    def forward(self, ids, decide=None, observe=None):
        """Logits [B, T, vocab_size]; the head is the embedding."""
        h, head = self.hidden(ids, decide, observe), self.model.embed_tokens.weight
        return F.linear(h.to(self.compute), head.to(self.compute)).to(h.dtype)

    def loss(self, ids, targets, decide=None):
        """Mean cross-entropy of ids and targets [B, T], in nats."""
        states = self.hidden(ids, decide).flatten(0, 1)
        return HeadLoss.apply(states, self.model.embed_tokens.weight, targets.flatten(), self.compute)


class HeadLoss(torch.autograd.Function):
    """Mean cross-entropy, in nats, of states [N, d] under a head [V, d] for targets [N].

    Logits exist for a block of rows at a time and become their own gradient in place: written as separate steps, the passes over
    [N, V] took a quarter of a training step."""

    # On a GPU, few large steps; on a CPU, blocks that stay in its cache.
    ROWS = {'cuda': 16384, 'cpu': 512}

    @staticmethod
    def forward(ctx, states, head, targets, compute):
        low, w = states.to(compute), head.to(compute)
        wants_head = head.requires_grad
        d_states, d_head = torch.empty_like(states), torch.zeros_like(head) if wants_head else None
        total = states.new_zeros(())
        block = HeadLoss.ROWS[states.device.type]
        for first in range(0, len(states), block):
            rows = slice(first, first + block)
            logits = (low[rows] @ w.T).to(states.dtype)
            logits -= logits.amax(1, keepdim=True)
            chosen = logits.gather(1, targets[rows, None])
            logits.exp_()
            sums = logits.sum(1, keepdim=True)
            total += (sums.log() - chosen).sum()
            logits /= sums
            logits.scatter_add_(1, targets[rows, None], -torch.ones_like(chosen))
            gradient = logits.div_(len(states)).to(compute)
            d_states[rows] = (gradient @ w).to(states.dtype)
            if wants_head:
                d_head += gradient.T @ low[rows]
        ctx.save_for_backward(d_states, d_head)
        return total / len(states)

    @staticmethod
    def backward(ctx, gradient):
        d_states, d_head = ctx.saved_tensors
        return gradient * d_states, None if d_head is None else gradient * d_head, None, None
