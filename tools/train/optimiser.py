"""Muon for matrices, AdamW for the rest, under one learning-rate schedule."""
import math

import torch


def orthogonalise(g, compute, steps=5):
    """Newton-Schulz iteration towards the nearest semi-orthogonal matrices of g [n, rows, columns]: singular values end near 1.
    Coefficients of Jordan et al., "Muon" (2024), chosen for speed, not for exact convergence; so is `compute`, the type."""
    a, b, c = 3.4445, -4.7750, 2.0315
    x = (g / (g.flatten(1).norm(dim=1)[:, None, None] + 1e-7)).to(compute)
    tall = x.shape[1] > x.shape[2]
    if tall:
        x = x.transpose(1, 2)
    for _ in range(steps):
        s = x @ x.transpose(1, 2)
        x = a * x + (b * s + c * s @ s) @ x
    return (x.transpose(1, 2) if tall else x).to(g.dtype)


class Muon(torch.optim.Optimizer):
    """Nesterov momentum whose update is orthogonalised; scaled so that its size is that of an AdamW step
    (0.2 sqrt(max(rows, columns)), Moonshot AI, arXiv 2502.16982), decoupled weight decay."""

    def __init__(self, parameters, lr, momentum=0.95, weight_decay=0.1, compute=torch.float32):
        super().__init__(list(parameters), dict(lr=lr, momentum=momentum, weight_decay=weight_decay))
        self.compute = compute

    @torch.no_grad()
    def step(self):
        for group in self.param_groups:
            shapes = {}
            for p in group['params']:
                shapes.setdefault(p.shape, []).append(p)
            for shape, ps in shapes.items():
                for p in ps:
                    if 'momentum' not in self.state[p]:
                        self.state[p]['momentum'] = torch.zeros_like(p)
                grads, momenta = [p.grad for p in ps], [self.state[p]['momentum'] for p in ps]
                torch._foreach_mul_(momenta, group['momentum'])
                torch._foreach_add_(momenta, grads, alpha=1 - group['momentum'])
                updates = orthogonalise(torch.stack(grads).lerp(torch.stack(momenta), group['momentum']), self.compute)
                size = 0.2 * math.sqrt(max(shape))
                torch._foreach_mul_(ps, 1 - group['lr'] * group['weight_decay'])
                torch._foreach_add_(ps, list(updates.unbind()), alpha=-group['lr'] * size)


def trapezoid(step, steps, warm_up, decay):
    """Share of the learning rate at a step: linear rise, plateau, linear fall to 0 over the last `decay` steps. A run on the
    plateau can be made longer by starting it again with more steps."""
    return min(1.0, (step + 1) / max(1, warm_up), (steps - step) / max(1, decay))


def cosine(step, steps, warm_up):
    """Linear rise, then half a cosine down to 0."""
    if step < warm_up:
        return (step + 1) / warm_up
    return 0.5 + 0.5 * math.cos(math.pi * (step - warm_up) / max(1, steps - warm_up))


def set_rate(optimisers, share):
    for optimiser in optimisers:
        for group in optimiser.param_groups:
            group['lr'] = group.setdefault('peak', group['lr']) * share
