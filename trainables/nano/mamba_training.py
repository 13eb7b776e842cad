"""A quick differentiable Mamba forward pass on the CPU: what transformers computes, twice as fast.

transformers scans in Python, and each step's backward pass fills a gradient of the whole sequence.
"""

from typing import Any

import torch
from torch import Tensor
from torch.nn import functional
from transformers import PreTrainedModel


def mamba_logits(model: PreTrainedModel, ids: Tensor) -> Tensor:
    """Logits [rows, tokens, vocabulary] of a MambaForCausalLM; nothing is padded on the left."""
    parts: Any = model
    hidden = parts.backbone.embeddings(ids)
    for block in parts.backbone.layers:
        hidden = hidden + _mix(block.mixer, block.norm(hidden))
    logits: Tensor = parts.lm_head(parts.backbone.norm_f(hidden))
    return logits


def _mix(mixer: Any, hidden: Tensor) -> Tensor:
    """MambaMixer's output (Gu and Dao, arXiv 2312.00752, figure 3)."""
    tokens = hidden.shape[1]
    inputs, gate = mixer.in_proj(hidden).chunk(2, dim=-1)
    convolved = mixer.conv1d(inputs.transpose(1, 2))[..., :tokens]
    inputs = functional.silu(convolved).permute(2, 0, 1)  # from here on [tokens, rows, ...]
    sizes = [mixer.time_step_rank, mixer.ssm_state_size, mixer.ssm_state_size]
    rank, into, out_of = mixer.x_proj(inputs).split(sizes, dim=-1)
    step = functional.softplus(mixer.dt_proj(rank))
    decays = torch.exp(step[..., None] * -torch.exp(mixer.A_log))
    gains = (step * inputs)[..., None] * into[:, :, None, :]
    states = linear_recurrence(decays, gains)
    outputs = (states @ out_of[..., None])[..., 0] + inputs * mixer.D
    mixed: Tensor = mixer.out_proj(outputs.transpose(0, 1) * functional.silu(gate))
    return mixed


def linear_recurrence(decays: Tensor, gains: Tensor) -> Tensor:
    """h[t] = decays[t] * h[t - 1] + gains[t] along the first dimension, from h[-1] = 0."""
    states: Tensor = _LinearRecurrence.apply(decays, gains)  # type: ignore[no-untyped-call]
    return states


class _LinearRecurrence(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, decays: Tensor, gains: Tensor) -> Tensor:
        states = torch.empty_like(gains)
        states[0] = gains[0]
        for t in range(1, len(gains)):
            torch.addcmul(gains[t], decays[t], states[t - 1], out=states[t])
        ctx.save_for_backward(decays, states)
        return states

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, Tensor]:
        decays, states = ctx.saved_tensors
        of_gains = gradients[0].clone(memory_format=torch.contiguous_format)
        for t in range(len(of_gains) - 2, -1, -1):
            of_gains[t].addcmul_(decays[t + 1], of_gains[t + 1])
        of_decays = torch.zeros_like(decays)
        torch.mul(of_gains[1:], states[:-1], out=of_decays[1:])
        return of_decays, of_gains
