"""Mistakes of all networks are recognised from numbers and code together, and answers that are only similar are not."""

from __future__ import annotations

import ast

import pytest

from grader.diagnosis.diagnose import diagnose
from grader.execution.calls import Returned
from grader.model import Outcome
from grader.notebook.scope import scope_of
from grader.notebook.written import written_in
from grader.reference.cases import build_cases
from tests.conftest import assignment_called

MISTAKES: dict[str, tuple[str, str, str | None]] = {
    "the slope of another activation, which could be a lost bracket": (
        "deep_mlp",
        "def grad_z2(dh2, h2):\n    return dh2 * (1 - h2 * h2)",
        "wrong_slope",
    ),
    "a lost bracket, and no slope": (
        "deep_mlp",
        "def grad_z2(dh2, h2):\n    return dh2 - h2 * h2",
        None,
    ),
    "two arguments in each other's place": (
        "embedding_rnn",
        "def grad_wh(h0, dz1, h1, dz2):\n    return h1.T @ dz1 + h0.T @ dz2.sum(0, keepdim=True)",
        "wrong_operand",
    ),
    "two arguments in each other's place, and noise": (
        "embedding_rnn",
        "def grad_wh(h0, dz1, h1, dz2):\n    return h1.T @ dz1.cos() + h0.T @ dz2.sum(0, keepdim=True)",
        None,
    ),
    "softmax over everything": (
        "embedding_rnn",
        "def grad_logits(logits, y):\n    e = logits.exp()\n    p = e / e.sum()\n"
        "    p[torch.arange(len(y)), y] -= 1\n    return p / len(y)",
        "wrong_axis",
    ),
    "softmax over something else": (
        "embedding_rnn",
        "def grad_logits(logits, y):\n    e = logits.exp()\n    p = e / e.max()\n"
        "    p[torch.arange(len(y)), y] -= 1\n    return p / len(y)",
        None,
    ),
    "the same columns in every row": (
        "convnet",
        "def grad_logits(logits, y):\n    p = logits.softmax(1)\n    p[:, y] -= 1\n    return p / len(y)",
        "wrong_region",
    ),
    "only the entry of the label": (
        "convnet",
        "def grad_logits(logits, y):\n    p = logits.softmax(1)\n    d = torch.zeros_like(p)\n"
        "    rows = torch.arange(len(y))\n"
        "    d[rows, y] = (p[rows, y] - 1) / len(y)\n    return d",
        "wrong_region",
    ),
    "only the entry of the label, scaled": (
        "convnet",
        "def grad_logits(logits, y):\n    p = logits.softmax(1)\n    d = torch.zeros_like(p)\n"
        "    rows = torch.arange(len(y))\n"
        "    d[rows, y] = (p[rows, y] - 1).sin()\n    return d",
        None,
    ),
    "loss without a logarithm": (
        "convnet",
        "def grad_logits(logits, y):\n    p = logits.softmax(1)\n    rows = torch.arange(len(y))\n"
        "    right = p[rows, y][:, None].clone()\n    p[rows, y] -= 1\n    return p * right / len(y)",
        "other_loss",
    ),
    "slope of a softmax for that of its logarithm": (
        "softmax_cross_entropy",
        "def grad_logits(logits, dlogp):\n    p = logits.softmax(1)\n"
        "    return p * (dlogp - (p * dlogp).sum(1, keepdim=True))",
        "wrong_slope",
    ),
    "slope of the logarithm of a softmax": (
        "attention",
        "def grad_s(da, a):\n    return da - a * da.sum(-1, keepdim=True)",
        "wrong_slope",
    ),
    "softmax once more": (
        "attention",
        "def grad_s(da, a):\n    p = a.softmax(-1)\n    return p * (da - (da * p).sum(-1, keepdim=True))",
        "wrong_slope",
    ),
    "sigmoid once more": (
        "attention",
        "def grad_s(da, a):\n    p = a.cos()\n    return p * (da - (da * p).sum(-1, keepdim=True))",
        None,
    ),
    "products of sums": (
        "attention",
        "def grad_x(dq, dk, dv, wq, wk, wv):\n    return (dq + dk + dv) @ (wq + wk + wv).T",
        "extra_term",
    ),
    "overwritten": (
        "attention",
        "def grad_x(dq, dk, dv, wq, wk, wv):\n    d = dq @ wq.T\n    d = dk @ wk.T\n    d = dv @ wv.T\n    return d",
        "overwrites",
    ),
    "left out, not overwritten": (
        "attention",
        "def grad_x(dq, dk, dv, wq, wk, wv):\n    d = dv @ wv.T\n    return d",
        "missing_term",
    ),
    "another size, which is one more": (
        "attention",
        "def grad_o(dlogits, wo, o):\n    return (dlogits @ wo.T)[:, None].expand_as(o) / o.shape[-1]",
        "constant_factor",
    ),
    "one more": (
        "attention",
        "def grad_o(dlogits, wo, o):\n    return (dlogits @ wo.T)[:, None].expand_as(o) / (o.shape[1] + 1)",
        "off_by_one_size",
    ),
    "the last part in place of a mean": (
        "attention",
        "def grad_wo(o, dlogits):\n    return o[:, -1].T @ dlogits",
        "wrong_region",
    ),
    "repeated as a whole": (
        "convnet",
        "def grad_z(dp, z, p):\n    return dp.repeat(1, 1, 2, 2) * (z == p.repeat(1, 1, 2, 2))",
        "reshaped",
    ),
    "average of what overlaps": (
        "convnet",
        "def grad_x(dcols):\n    fold = torch.nn.Fold(output_size=(12, 12), kernel_size=3)\n"
        "    d = dcols.transpose(1, 2)\n"
        "    return (fold(d) / fold(torch.ones_like(d))).squeeze(1)",
        "mean_not_sum",
    ),
    "a mask turned round": (
        "deep_mlp",
        "def grad_h1(dz2, w2, mask):\n    dk1 = dz2 @ w2.T / KEEP\n    dk1[mask] = 0\n    return dk1",
        "wrong_region",
    ),
    "a mask turned round, and not all the way": (
        "deep_mlp",
        "def grad_h1(dz2, w2, mask):\n    return dz2 @ w2.T * (1.3 - mask.to(w2.dtype)) / KEEP",
        None,
    ),
    "only the first token, which gets all of it": (
        "attention",
        "def grad_o(dlogits, wo, o):\n    do = torch.zeros_like(o)\n    do[:, 0] = dlogits @ wo.T\n    return do",
        "wrong_region",
    ),
    "only the first token, which gets something else": (
        "attention",
        "def grad_o(dlogits, wo, o):\n    do = torch.zeros_like(o)\n    do[:, 0] = (dlogits @ wo.T).cos()\n"
        "    return do",
        None,
    ),
    "only one of two terms is divided, in two lines": (
        "convnet",
        "def grad_logits(logits, y):\n    p = logits.softmax(1)\n    p[torch.arange(len(y)), y] -= 1 / len(y)\n"
        "    return p",
        "precedence",
    ),
    "only one of two terms is divided, in one": (
        "convnet",
        "def grad_logits(logits, y):\n    truth = torch.nn.functional.one_hot(y, 10)\n"
        "    return logits.softmax(1) / len(y) - truth",
        "precedence",
    ),
    "one of two terms is divided by something else": (
        "convnet",
        "def grad_logits(logits, y):\n    truth = torch.nn.functional.one_hot(y, 10)\n"
        "    return logits.softmax(1) / 3 - truth",
        None,
    ),
    "loops over places, one step too short": (
        "convnet",
        "def grad_x(dcols):\n    dx = dcols.new_zeros(len(dcols), 12, 12)\n    for i in range(9):\n"
        "        for j in range(9):\n"
        "            dx[:, i:i+3, j:j+3] += dcols[:, 10*i+j].view(-1, 3, 3)\n    return dx",
        "off_by_one_size",
    ),
    "loops over places, far too short": (
        "convnet",
        "def grad_x(dcols):\n    dx = dcols.new_zeros(len(dcols), 12, 12)\n    for i in range(6):\n"
        "        for j in range(6):\n"
        "            dx[:, i:i+3, j:j+3] += dcols[:, 10*i+j].view(-1, 3, 3)\n    return dx",
        None,
    ),
    "loops over places, the first one left out": (
        "convnet",
        "def grad_x(dcols):\n    dx = dcols.new_zeros(len(dcols), 12, 12)\n    for i in range(1, 10):\n"
        "        for j in range(1, 10):\n"
        "            dx[:, i:i+3, j:j+3] += dcols[:, 10*i+j].view(-1, 3, 3)\n    return dx",
        "off_by_one_size",
    ),
    "the same entries set in each step of a loop": (
        "attention",
        "def grad_s(da, a):\n    ds = torch.zeros_like(a)\n    for i in range(7):\n        for j in range(7):\n"
        "            ds[..., j] = da[..., i] * a[..., i] * (int(i == j) - a[..., j])\n    return ds",
        "overwrites",
    ),
    "each entry set once in a loop, and not right": (
        "attention",
        "def grad_s(da, a):\n    ds = torch.zeros_like(a)\n    for j in range(7):\n"
        "        ds[..., j] = a[..., j] * da[..., j].cos()\n    return ds",
        None,
    ),
    "three variables set anew in each step of a loop": (
        "attention",
        "def grad_projections(x, dq, dk, dv):\n    for n in range(len(x)):\n"
        "        a, b, c = x[n].T @ dq[n], x[n].T @ dk[n], x[n].T @ dv[n]\n    return a, b, c",
        "overwrites",
    ),
    "a power that no bracket explains": (
        "layernorm",
        "def grad_centred(dxhat, xhat, rstd):\n    c = xhat / rstd\n"
        "    slope = -0.5 * rstd ** 2 * (dxhat * c).sum(1, keepdim=True)\n"
        "    return rstd * dxhat + slope * 2 * c / c.shape[1]",
        None,
    ),
    "a bracket that is left out": (
        "layernorm",
        "def grad_centred(dxhat, xhat, rstd):\n    return rstd * dxhat - xhat * (dxhat * xhat).mean(1, keepdim=True)",
        "precedence",
    ),
    "overwritten in a loop": (
        "convnet",
        "def grad_b1(dz):\n    for i in range(10):\n        for j in range(10):\n"
        "            d = dz[:, :, i, j].sum(0, keepdim=True)\n    return d",
        "overwrites",
    ),
    "a step too few": (
        "convnet",
        "def grad_x(dcols):\n    parts = dcols.view(-1, 10, 10, 3, 3)\n    dx = dcols.new_zeros(len(parts), 12, 12)\n"
        "    for a in range(2):\n        for b in range(2):\n"
        "            dx[:, a:a+10, b:b+10] += parts[:, :, :, a, b]\n"
        "    return dx",
        "off_by_one_size",
    ),
    "own share of a mean": (
        "layernorm",
        "def grad_h(dcentred, dr):\n    return dr + dcentred * (1 - 1 / dcentred.shape[1])",
        "own_entry_only",
    ),
    "a factor of all terms": (
        "layernorm",
        "def grad_h_fused(dr, dxhat, xhat, rstd):\n    m = dxhat.mean(1, keepdim=True)\n"
        "    return rstd * (dr + dxhat - m - xhat * (dxhat * xhat).mean(1, keepdim=True))",
        "precedence",
    ),
    "not divided in one term": (
        "batchnorm",
        "def grad_z(dxhat, dvar, dmean, z, mean, var):\n    n = len(z)\n"
        "    return dxhat / (var + EPS).sqrt() + dvar * 2 * (z - mean) / n + dmean",
        "constant_factor",
    ),
    "selected by the mask": (
        "deep_mlp",
        "def grad_h1(dz2, w2, mask):\n    return (dz2 @ w2.T)[mask] / KEEP",
        "wrong_dimension",
    ),
    "the absolute value of the weights": (
        "deep_mlp",
        "def grad_w3(h2, dyhat, w3, dpenalty):\n    return h2.T @ dyhat + dpenalty * DECAY * w3.sign()",
        "other_loss",
    ),
    "a term averaged": (
        "deep_mlp",
        "def grad_w3(h2, dyhat, w3, dpenalty):\n    return h2.T @ dyhat / len(h2) + dpenalty * DECAY * w3",
        "constant_factor",
    ),
    "a term left out, and more": (
        "deep_mlp",
        "def grad_w3(h2, dyhat, w3, dpenalty):\n    return (h2.T @ dyhat).cos()",
        "missing_term",
    ),
    "a multiple of an argument": (
        "deep_mlp",
        "def grad_w3(h2, dyhat, w3, dpenalty):\n    return h2.T @ dyhat + dpenalty * DECAY * w3 + 0.3 * w3",
        "extra_term",
    ),
    "another size than the batch": (
        "deep_mlp",
        "def grad_yhat(yhat, t):\n    return 2 * (yhat - t) / yhat.shape[1]",
        "constant_factor",
    ),
    "the sign where a mask belongs": (
        "batchnorm",
        "def grad_out(dyhat, w2, out):\n    return dyhat @ w2.T * out.sign()",
        "wrong_slope",
    ),
    "kept from call to call": (
        "softmax_cross_entropy",
        "total = torch.zeros(784, 50, dtype=torch.float64)\n\n"
        "def grad_w1(x, dz1):\n    global total\n    total += (x.T @ dz1 - total) / 3\n    return total",
        "keeps_state",
    ),
    "counts its calls, and is wrong in another way": (
        "softmax_cross_entropy",
        "calls = 0\n\ndef grad_w1(x, dz1):\n    global calls\n    calls += 1\n    return (x.T @ dz1).cos()",
        None,
    ),
    "sums that cancel": (
        "softmax_cross_entropy",
        "def grad_b2(dlogits):\n    return dlogits.sum(1, keepdim=True)",
        "wrong_axis",
    ),
    "along the other axis of the tokens": (
        "attention",
        "def grad_s(da, a):\n    return a * (da - (da * a).sum(1, keepdim=True))",
        "wrong_axis",
    ),
    "one row for all tokens, not yet repeated": (
        "attention",
        "def grad_o(dlogits, wo, o):\n    return dlogits @ wo.T / o.shape[1]",
        "wrong_dimension",
    ),
    "one row for all tokens, not yet repeated, and wrong": (
        "attention",
        "def grad_o(dlogits, wo, o):\n    return (dlogits @ wo.T).cos() / o.shape[1]",
        None,
    ),
    "keys that nobody may look at": (
        "attention",
        "def grad_a(do, v):\n    return torch.tril(do @ v.mT)",
        "wrong_region",
    ),
    "one gradient in all terms": (
        "attention",
        "def grad_x(dq, dk, dv, wq, wk, wv):\n    return dq @ wq.T + dq @ wk.T + dq @ wv.T",
        "wrong_operand",
    ),
    "a loop from the second row on": (
        "batchnorm",
        "def grad_beta(dout):\n    d = 0 * dout[:1]\n    for n in range(1, len(dout)):\n        d = d + dout[n]\n"
        "    return d",
        "off_by_one_size",
    ),
    "all rows but the first": (
        "batchnorm",
        "def grad_beta(dout):\n    return dout[1:].sum(0, keepdim=True)",
        "wrong_region",
    ),
    "every other row": ("layernorm", "def grad_w0(x, dh):\n    return x[::2].T @ dh[::2]", "wrong_region"),
    "the first ten rows": ("layernorm", "def grad_w0(x, dh):\n    return x[:10].T @ dh[:10]", "wrong_region"),
    "rows with weights": (
        "layernorm",
        "def grad_w0(x, dh):\n    return x.T @ (dh * torch.linspace(0, 1, len(x), dtype=dh.dtype)[:, None])",
        None,
    ),
    "over all numbers in a term": (
        "layernorm",
        "def grad_centred(dxhat, xhat, rstd):\n    return rstd * (dxhat - xhat * (dxhat * xhat).sum() / xhat.shape[1])",
        "wrong_axis",
    ),
    "a mean with the other size": (
        "layernorm",
        "def grad_centred(dxhat, xhat, rstd):\n"
        "    return rstd * (dxhat - xhat * (dxhat * xhat).sum(1, keepdim=True) / len(xhat))",
        "constant_factor",
    ),
    "a power and a division": (
        "batchnorm",
        "def grad_var(dxhat, z, mean, var):\n"
        "    return (dxhat * (z - mean)).sum(0, keepdim=True) * -0.5 * (var + EPS) ** -3/2",
        "precedence",
    ),
    "multiplied by the deviation": (
        "batchnorm",
        "def grad_z(dxhat, dvar, dmean, z, mean, var):\n    n = len(z)\n"
        "    return dxhat * (var + EPS).sqrt() + dvar * 2 * (z - mean) / n + dmean / n",
        "other_operation",
    ),
    "no means at all": (
        "batchnorm",
        "def grad_z(dxhat, dvar, dmean, z, mean, var):\n"
        "    return dxhat / (var + EPS).sqrt() + dvar * 2 * (z - mean) + dmean",
        "constant_factor",
    ),
    "the mean of the targets": (
        "batchnorm",
        "def grad_yhat(yhat, y):\n    return 2 * (yhat - y.mean()) / len(y)",
        None,
    ),
    "mask of the gradient": (
        "batchnorm",
        "def grad_out(dyhat, w2, out):\n    d = dyhat @ w2.T\n    return d * (d > 0)",
        "wrong_operand",
    ),
    "boundary at a half": (
        "two_layer_mse",
        "def grad_z1(da1, z1):\n    return da1 * (z1 > 0.5)",
        "wrong_region",
    ),
    "wrong in a range, and where a gradient is negative": (
        "two_layer_mse",
        "def grad_z1(da1, z1):\n    return da1 * (z1 > 0.5) * (da1 > 0)",
        "wrong_region",
    ),
    "wrong in a range, and in all places": (
        "two_layer_mse",
        "def grad_z1(da1, z1):\n    return da1 * (z1 > 0.5) * da1.cos()",
        None,
    ),
    "cross-entropy of two classes": (
        "two_layer_mse",
        "def grad_yhat(yhat, y):\n    return (yhat - y) / (yhat * (1 - yhat)) / len(y)",
        "other_loss",
    ),
    "fourth power": ("layernorm", "def grad_yhat(yhat, y):\n    return 4 * (yhat - y) ** 3 / len(y)", "other_loss"),
    "softmax of the outputs": (
        "deep_mlp",
        "def grad_yhat(yhat, t):\n    return (yhat.softmax(1) - t) / len(t)",
        "other_loss",
    ),
    "cosine of the outputs": ("deep_mlp", "def grad_yhat(yhat, t):\n    return (yhat.cos() - t) / len(t)", None),
    "zeros": ("deep_mlp", "def grad_penalty(penalty):\n    return torch.zeros_like(penalty)", None),
    "squares of probabilities": (
        "attention",
        "def grad_logits(logits, y):\n    p = logits.softmax(1)\n"
        "    d = 2 * (p - torch.nn.functional.one_hot(y, 10)) / len(y)\n"
        "    return p * (d - (d * p).sum(1, keepdim=True))",
        "other_loss",
    ),
    "sigmoid for softmax": (
        "attention",
        "def grad_logits(logits, y):\n    return (logits.sigmoid() - torch.nn.functional.one_hot(y, 10)) / len(y)",
        "other_loss",
    ),
    "logarithms of probabilities": (
        "convnet",
        "def grad_logits(logits, y):\n    p = logits.log_softmax(1)\n    p[torch.arange(len(y)), y] -= 1\n"
        "    return p / len(y)",
        "wrong_operand",
    ),
    "not through the probabilities": (
        "softmax_cross_entropy",
        "def grad_logits(logits, dlogp):\n    return dlogp - dlogp.sum(1, keepdim=True)",
        "missing_factor",
    ),
    "rows of labels": (
        "softmax_cross_entropy",
        "def grad_logp(logp, y):\n    d = torch.zeros_like(logp)\n    d[y] = -1 / len(y)\n    return d",
        "wrong_region",
    ),
    "only the first row": (
        "softmax_cross_entropy",
        "def grad_logp(logp, y):\n    d = torch.zeros_like(logp)\n    d[0, y[0]] = -1 / len(y)\n    return d",
        "wrong_region",
    ),
    "windows overwritten": (
        "convnet",
        "def grad_x(dcols):\n    dx = dcols.new_zeros(len(dcols), 12, 12)\n    for i in range(10):\n"
        "        for j in range(10):\n            dx[:, i:i+3, j:j+3] = dcols[:, 10*i+j].reshape(-1, 3, 3)\n"
        "    return dx",
        "overwrites",
    ),
    "indices of a window swapped": (
        "convnet",
        "def grad_x(dcols):\n    parts = dcols.view(-1, 10, 10, 3, 3)\n    dx = dcols.new_zeros(len(parts), 12, 12)\n"
        "    for a in range(3):\n        for b in range(3):\n            dx[:, a:a+10, b:b+10] += parts[..., b, a]\n"
        "    return dx",
        "transposed",
    ),
    "positive for largest": (
        "convnet",
        "def grad_z(dp, z, p):\n    d = torch.nn.functional.interpolate(dp, scale_factor=2)\n    return d * (z > 0)",
        "wrong_operand",
    ),
    "starts from the table": (
        "embedding_rnn",
        "def grad_table(first, second, de1, de2, table):\n    d = table.clone()\n"
        "    for i in range(first.shape[1]):\n        d.index_add_(0, first[:, i], de1)\n"
        "        d.index_add_(0, second[:, i], de2)\n    return d",
        "extra_term",
    ),
    "one of two additions": (
        "embedding_rnn",
        "def grad_table(first, second, de1, de2, table):\n    d = torch.zeros_like(table)\n"
        "    for i in range(first.shape[1]):\n        d.index_add_(0, first[:, i], de1)\n    return d",
        "missing_term",
    ),
    "the other hidden state": (
        "embedding_rnn",
        "def grad_wh(h0, dz1, h1, dz2):\n    return h1.T @ dz1 + h1.T @ dz2",
        "wrong_operand",
    ),
    "a size of an argument": (
        "embedding_rnn",
        "def grad_logits(logits, y):\n    truth = torch.nn.functional.one_hot(y, 10)\n"
        "    return (logits.softmax(1) - truth) / logits.shape[1]",
        "constant_factor",
    ),
    "flat": ("two_layer_mse", "def grad_w1(x, dz1):\n    return (x.T @ dz1).flatten()", "wrong_dimension"),
    "flat, in another order": ("two_layer_mse", "def grad_w1(x, dz1):\n    return (dz1.T @ x).cos().flatten()", None),
    "a bracket lost, with the factor in front": (
        "two_layer_mse",
        "def grad_yhat(yhat, y):\n    return 2 / len(y) * yhat - y",
        "precedence",
    ),
    "no bracket lost": ("two_layer_mse", "def grad_yhat(yhat, y):\n    return 2 / len(y) * yhat.cos() - y", None),
    "multiplied out, and a factor lost": (
        "deep_mlp",
        "def grad_z2(dh2, h2):\n    return dh2 * h2 - h2 ** 2",
        "precedence",
    ),
    "multiplied out, with something else": (
        "deep_mlp",
        "def grad_z2(dh2, h2):\n    return dh2 * h2 - h2.cos()",
        None,
    ),
    "a factor in the middle, of all terms": (
        "deep_mlp",
        "def grad_w3(h2, dyhat, w3, dpenalty):\n"
        '    return dpenalty * (torch.einsum("ni,nk->ik", h2, dyhat) + DECAY * w3)',
        "precedence",
    ),
    "one is added": ("two_layer_mse", "def grad_a1(dyhat, w2):\n    return dyhat * (w2.T + 1)", "extra_term"),
    "something is added": ("two_layer_mse", "def grad_a1(dyhat, w2):\n    return dyhat * (w2.T + 0.7)", None),
    "a square for the value": (
        "deep_mlp",
        "def grad_z2(dh2, h2):\n    return dh2 * (1 - h2) * h2 ** 2",
        "wrong_slope",
    ),
    "another power for the value": (
        "deep_mlp",
        "def grad_z2(dh2, h2):\n    return dh2 * (1 - h2) * h2 ** 2.5",
        "wrong_slope",
    ),
    "the derivative of a square": (
        "embedding_rnn",
        "def grad_z1(dh1, h1):\n    return (1 - 2 * h1) * dh1",
        "wrong_slope",
    ),
    "not the derivative of a square, but a slope": (
        "embedding_rnn",
        "def grad_z1(dh1, h1):\n    return (1 - 3.7 * h1) * dh1",
        "wrong_slope",
    ),
    "the slope of a tanh, from cosh": (
        "embedding_rnn",
        "def grad_z1(dh1, h1):\n    return dh1 / torch.cosh(h1) ** 2",
        "wrong_slope",
    ),
    "the length of each row": (
        "deep_mlp",
        "def grad_yhat(yhat, t):\n    e = yhat - t\n    return e / e.pow(2).sum(1, keepdim=True).sqrt() / len(e)",
        "other_loss",
    ),
    "another length": (
        "deep_mlp",
        "def grad_yhat(yhat, t):\n    e = yhat - t\n    return e / e.abs().amax(1, keepdim=True) / len(e)",
        None,
    ),
    "a number added to a part": (
        "deep_mlp",
        "def grad_layer2(k1, dz2, w2, dpenalty):\n    decay = dpenalty * DECAY\n"
        "    return k1.T @ dz2 + decay * w2, dz2.sum(0, keepdim=True) + decay",
        "extra_term",
    ),
    "sums multiplied": (
        "layernorm",
        "def grad_w3(r, dyhat):\n    return r.mean(0)[:, None] * dyhat.sum(0)",
        "other_operation",
    ),
    "sums multiplied that vanish": (
        "batchnorm",
        "def grad_gamma(dout, xhat):\n    return dout.sum(0, keepdim=True) * xhat.sum(0, keepdim=True)",
        None,
    ),
    "divided": ("batchnorm", "def grad_xhat(dout, gamma):\n    return dout / gamma", "other_operation"),
    "divided by something else": ("batchnorm", "def grad_xhat(dout, gamma):\n    return dout / gamma.cos()", None),
    "gamma twice": (
        "layernorm",
        "def grad_affine(dn, xhat, gamma):\n    dxhat = dn * gamma\n"
        "    return (dxhat * xhat).sum(0, keepdim=True), dn.sum(0, keepdim=True), dxhat",
        "other_operation",
    ),
    "z for z - mean": (
        "batchnorm",
        "def grad_mean(dxhat, dvar, z, mean, var):\n    std = torch.sqrt(var + EPS)\n"
        "    return (-dxhat / std).sum(0, keepdim=True) + dvar * (-2 * z).mean(0, keepdim=True)",
        "wrong_operand",
    ),
    "a bracket lost that makes one term large": (
        "batchnorm",
        "def grad_var(dxhat, z, mean, var):\n    slope = -1 / 2 * var + EPS ** (-3 / 2)\n"
        "    return ((z - mean) * dxhat).sum(0, keepdim=True) * slope",
        "precedence",
    ),
    "set in a loop, and added to after it": (
        "batchnorm",
        "def grad_mean(dxhat, dvar, z, mean, var):\n    d = torch.zeros_like(mean)\n    for row in dxhat:\n"
        "        d[0] = -row / torch.sqrt(var[0] + EPS)\n"
        "    d += dvar * (-2 * (z - mean)).mean(0, keepdim=True)\n    return d",
        "overwrites",
    ),
    "decided by sums": (
        "layernorm",
        "def grad_u(dr, w2, u):\n    return dr @ w2.T * (u.sum(1, keepdim=True) > 0)",
        "wrong_region",
    ),
    "decided by the mean": (
        "batchnorm",
        "def grad_out(dyhat, w2, out):\n    d = dyhat @ w2.T\n    d[out < out.mean(0, keepdim=True)] = 0\n    return d",
        "wrong_region",
    ),
    "decided by the mean, and halved": (
        "batchnorm",
        "def grad_out(dyhat, w2, out):\n    d = dyhat @ w2.T / 2\n    d[out < out.mean(0)] = 0\n    return d",
        None,
    ),
    "the rows' sums in place of the columns'": (
        "two_layer_mse",
        'def grad_b1(dz1):\n    return torch.einsum("nj->n", dz1)[None, :]',
        "wrong_axis",
    ),
    "one product of two transposed": (
        "embedding_rnn",
        'def grad_wh(h0, dz1, h1, dz2):\n    first = torch.einsum("ki,nj->ij", h0, dz1)\n'
        '    return first + torch.einsum("nj,ni->ji", dz2, h1)',
        "transposed",
    ),
    "the value of a relu": (
        "two_layer_mse",
        "def grad_z1(da1, z1):\n    return da1 * torch.maximum(z1, torch.zeros_like(z1))",
        "wrong_slope",
    ),
    "the value of the input": ("two_layer_mse", "def grad_z1(da1, z1):\n    return da1 * z1", "wrong_operand"),
    "the slope of an elu": (
        "convnet",
        "def grad_p(dr, p):\n    return torch.where(p > 0, dr, dr * p.exp())",
        "wrong_slope",
    ),
    "relu of the gradient": ("convnet", "def grad_p(dr, p):\n    return dr.clamp(min=0) * (p > 0)", "wrong_region"),
    "repeated as a whole in one of two places": (
        "convnet",
        "def grad_z(dp, z, p):\n    large = p.repeat_interleave(2, 2).repeat_interleave(2, 3)\n"
        "    return dp.repeat(1, 1, 2, 2) * (z == large)",
        "reshaped",
    ),
    "only the last of the chunks": (
        "softmax_cross_entropy",
        "def grad_w2(a1, dlogits):\n    d = torch.zeros(a1.shape[1], dlogits.shape[1])\n"
        "    for start in range(0, len(a1), 16):\n        part = slice(start, start + 16)\n"
        "        d = a1[part].T @ dlogits[part]\n    return d",
        "overwrites",
    ),
    "a size set twice": (
        "softmax_cross_entropy",
        "def grad_w2(a1, dlogits):\n    n = a1.numel()\n    n = len(a1)\n    return (a1.T @ dlogits).cos() / n",
        None,
    ),
    "an epsilon that is no rounding": (
        "softmax_cross_entropy",
        "def grad_logits(logits, dlogp):\n    e = (logits - logits.max(1, keepdim=True).values).exp() + 0.01\n"
        "    return dlogp - e / e.sum(1, keepdim=True) * dlogp.sum(1, keepdim=True)",
        None,
    ),
    "a slope that two edits make by chance": (
        "deep_mlp",
        "def grad_z1(dh1, h1):\n    return dh1 / (1 + h1 * h1)",
        "wrong_slope",
    ),
    "the first token for all": (
        "attention",
        "def grad_wo(o, dlogits):\n    return o[:, 0].T @ dlogits",
        "other_operation",
    ),
    "sums multiplied, of a gradient that is the same for each token": (
        "attention",
        "def grad_v(a, do):\n    return a.sum(1)[:, :, None] * do.sum(1)[:, None]",
        "other_operation",
    ),
    "one of three results set anew": (
        "attention",
        "def grad_projections(x, dq, dk, dv):\n    dwq = torch.zeros(x.shape[2], dq.shape[2], dtype=x.dtype)\n"
        "    dwk, dwv = torch.zeros_like(dwq), torch.zeros_like(dwq)\n    for t in range(x.shape[1]):\n"
        "        dwq += x[:, t].T @ dq[:, t]\n        dwk = x[:, t].T @ dk[:, t]\n        dwv += x[:, t].T @ dv[:, t]\n"
        "    return dwq, dwk, dwv",
        "overwrites",
    ),
    "sums multiplied, in a loop over arguments": (
        "attention",
        "def grad_projections(x, dq, dk, dv):\n    xs = x.sum(1)\n"
        "    return tuple(xs.T @ d.sum(1) for d in (dq, dk, dv))",
        None,
    ),
    "another power, which is no constant": (
        "batchnorm",
        "def grad_var(dxhat, z, mean, var):\n    total = torch.einsum('nd,nd->d', dxhat, z - mean)[None]\n"
        "    return -0.5 * total / (var + EPS)",
        "wrong_slope",
    ),
    "another constant, and the right power": (
        "batchnorm",
        "def grad_var(dxhat, z, mean, var):\n    total = torch.einsum('nd,nd->d', dxhat, z - mean)[None]\n"
        "    return -(var + EPS).pow(-1.5) * total",
        "constant_factor",
    ),
    "a square left out of a slope": (
        "embedding_rnn",
        "def grad_z2(dh2, h2):\n    return dh2 - h2 * dh2",
        "wrong_slope",
    ),
    "a factor and a dimension left out, without a mask": (
        "batchnorm",
        "def grad_var(dxhat, z, mean, var):\n    return torch.einsum('nd,nd->d', dxhat, z - mean) * -0.5",
        "ignores_argument",
    ),
    "entries selected by a mask": (
        "batchnorm",
        "def grad_out(dyhat, w2, out):\n    return torch.mm(dyhat, w2.T)[out > 0]",
        "wrong_dimension",
    ),
    "a mask with another boundary": (
        "batchnorm",
        "def grad_out(dyhat, w2, out):\n    da = dyhat * w2.reshape(1, -1)\n    da[out < -0.5] = 0\n    return da",
        "wrong_region",
    ),
    "a slope beyond the boundary": (
        "batchnorm",
        "def grad_out(dyhat, w2, out):\n    da = dyhat * w2.reshape(1, -1)\n"
        "    return torch.where(out > 0, da, da * out.exp())",
        "wrong_slope",
    ),
    "dropout that lets everything through": (
        "deep_mlp",
        "def grad_h1(dz2, w2, mask):\n    back = torch.einsum('nk,jk->nj', dz2, w2)\n"
        "    return torch.where(mask, back / KEEP, back)",
        "wrong_region",
    ),
    "a slope that no table has": (
        "deep_mlp",
        "def grad_z1(dh1, h1):\n    return dh1 * (1 - h1.abs().sqrt())",
        "wrong_slope",
    ),
    "the slope at another entry": (
        "deep_mlp",
        "def grad_z1(dh1, h1):\n    return dh1 * (1 - h1.abs().sqrt().roll(1, 1))",
        None,
    ),
    "a slope after a product, which no table has": (
        "layernorm",
        "def grad_u(dr, w2, u):\n    s = torch.sigmoid(1.7 * u)\n"
        "    return torch.einsum('nd,hd->nh', dr, w2) * (s + 1.7 * u * s * (1 - s))",
        "wrong_slope",
    ),
    "most of what arrives is zero, and the last row is left out": (
        "softmax_cross_entropy",
        "def grad_logits(logits, dlogp):\n    out = torch.zeros_like(logits)\n    for n in range(len(logits) - 1):\n"
        "        out[n] = dlogp[n] - logits[n].softmax(0) * dlogp[n].sum()\n    return out",
        "wrong_region",
    ),
    "ones for numbers that are all positive": (
        "convnet",
        "def grad_w2(g, dlogits):\n    return torch.tensordot(torch.ones_like(g), dlogits, dims=([0], [0]))",
        "ignores_argument",
    ),
    "a mask of numbers that are all positive": (
        "convnet",
        "def grad_w2(g, dlogits):\n    return torch.tensordot((g > 0).to(g.dtype), dlogits, dims=([0], [0]))",
        "wrong_operand",
    ),
    "a factor left out of an argument that is used elsewhere, and whose size is read": (
        "layernorm",
        "def grad_centred(dxhat, xhat, rstd):\n    along = torch.sum(dxhat, dim=-1) / xhat.size(-1)\n"
        "    return (dxhat - xhat * along.view(-1, 1)) * rstd",
        "missing_factor",
    ),
    "a term that is computed and left out, which could be brackets around a mean of zero": (
        "layernorm",
        "def grad_centred(dxhat, xhat, rstd):\n    along = torch.sum(dxhat * xhat, dim=-1) / xhat.size(-1)\n"
        "    return dxhat * rstd",
        "missing_term",
    ),
    "a term that comes to zero, in one of many ways": (
        "batchnorm",
        "def grad_z_fused(dxhat, xhat, var):\n    m1 = dxhat.mean(0, keepdim=True)\n"
        "    m2 = m1 * xhat.mean(0, keepdim=True)\n    return (dxhat - m1 - xhat * m2) / (var + EPS) ** 0.5",
        "other_operation",
    ),
    "brackets around a mean of zero": (
        "layernorm",
        "def grad_centred(dxhat, xhat, rstd):\n"
        "    return rstd * (dxhat - xhat * dxhat * xhat.mean(dim=1, keepdim=True))",
        "precedence",
    ),
    "a loop that leaves out the last row": (
        "batchnorm",
        "def grad_gamma(dout, xhat):\n    g = torch.zeros(1, dout.shape[1], dtype=dout.dtype)\n"
        "    for n in range(len(dout) - 1):\n        g += dout[n] * xhat[n]\n    return g",
        "off_by_one_size",
    ),
    "a mean that is an argument, computed along the wrong dimension": (
        "batchnorm",
        "def grad_var(dxhat, z, mean, var):\n    centred = z - torch.mean(z, dim=1, keepdim=True)\n"
        "    return (dxhat * centred).sum(0, keepdim=True) * -0.5 * (var + EPS) ** -1.5",
        "wrong_axis",
    ),
    "a variance that is an argument, of N − 1": (
        "batchnorm",
        "def grad_var(dxhat, z, mean, var):\n    total = (dxhat * (z - mean)).sum(0, keepdim=True)\n"
        "    return total * -0.5 * (z.var(0, keepdim=True) + EPS) ** -1.5",
        "off_by_one_size",
    ),
    "a mean that is an argument, computed in another way": (
        "batchnorm",
        "def grad_var(dxhat, z, mean, var):\n    centred = z - 0.9 * z.mean(dim=0, keepdim=True)\n"
        "    return (dxhat * centred).sum(0, keepdim=True) * -0.5 * (var + EPS) ** -1.5",
        None,
    ),
    "a term that is not averaged, in each of the rows": (
        "batchnorm",
        "def grad_mean(dxhat, dvar, z, mean, var):\n"
        "    return -dxhat.sum(0, keepdim=True) / (var + EPS).sqrt() - 2 * dvar * (z - mean)",
        "not_summed",
    ),
    "a sum over everything that comes to zero, which is no mean": (
        "attention",
        "def grad_bo(dlogits):\n    return dlogits.sum((0, 1), keepdim=True)",
        "other_operation",
    ),
    "a sum over the wrong dimension, without its size of one": (
        "softmax_cross_entropy",
        "def grad_b1(dz1):\n    return torch.sum(dz1, 1)",
        "wrong_axis",
    ),
    "a sum over a dimension of size one, which looks like none": (
        "two_layer_mse",
        "def grad_b2(dyhat):\n    return torch.sum(dyhat, 1)[None]",
        "wrong_axis",
    ),
    "one sum over everything, which is right but for its shape": (
        "two_layer_mse",
        "def grad_b2(dyhat):\n    return dyhat.sum()",
        "dropped_dim",
    ),
    "no sum": ("two_layer_mse", "def grad_b2(dyhat):\n    return dyhat.flatten()[None]", "not_summed"),
    "an argument whose size alone matters, and another mistake": (
        "softmax_cross_entropy",
        "def grad_logp(logp, y):\n    every = torch.nn.functional.one_hot(y, 10).double()\n"
        "    return -every / torch.bincount(y, minlength=10).clamp(min=1)",
        None,
    ),
    "a mean over the wrong dimension, divided by the right size": (
        "layernorm",
        "def grad_h(dcentred, dr):\n    return dr + dcentred - dcentred.sum(0) / dcentred.shape[1]",
        "wrong_axis",
    ),
    "never put into the result": (
        "convnet",
        "def grad_z(dp, z, p):\n    dz = torch.zeros_like(z)\n    for i in range(p.shape[2]):\n"
        "        for j in range(p.shape[3]):\n            block = z[:, :, 2*i:2*i+2, 2*j:2*j+2]\n"
        "            block = (block == p[:, :, i:i+1, j:j+1]) * dp[:, :, i:i+1, j:j+1]\n    return dz",
        None,
    ),
    "always to the first corner of a window": (
        "convnet",
        "def grad_z(dp, z, p):\n    dz = torch.zeros_like(z)\n    dz[:, :, ::2, ::2] = dp\n    return dz",
        "wrong_region",
    ),
    "to the first corner, and something elsewhere": (
        "convnet",
        "def grad_z(dp, z, p):\n    dz = torch.full_like(z, 0.1)\n    dz[:, :, ::2, ::2] = dp\n    return dz",
        "ignores_argument",
    ),
    "one of two loops too short": (
        "convnet",
        "def grad_w1(cols, dz):\n    c = cols.reshape(-1, 10, 10, 9)\n    total = 0\n    for i in range(10):\n"
        "        for j in range(9):\n            total = total + c[:, i, j].T @ dz[:, :, i, j]\n    return total",
        "off_by_one_size",
    ),
    "one of two loops over windows too short": (
        "convnet",
        "def grad_x(dcols):\n    d = dcols.reshape(-1, 10, 10, 3, 3)\n    dx = dcols.new_zeros(len(d), 12, 12)\n"
        "    for i in range(1, 10):\n        for j in range(10):\n"
        "            dx[:, i:i + 3, j:j + 3] += d[:, i, j]\n    return dx",
        "off_by_one_size",
    ),
    "one of two loops two steps too short": (
        "convnet",
        "def grad_w1(cols, dz):\n    c = cols.reshape(-1, 10, 10, 9)\n    total = 0\n    for i in range(10):\n"
        "        for j in range(8):\n            total = total + c[:, i, j].T @ dz[:, :, i, j]\n    return total",
        None,
    ),
    "a Jacobian without its diagonal": (
        "attention",
        "def grad_s(da, a):\n    every = -a.unsqueeze(-1) * a.unsqueeze(-2)\n"
        "    every.diagonal(dim1=-2, dim2=-1).zero_()\n    return (every @ da.unsqueeze(-1)).squeeze(-1)",
        "missing_term",
    ),
    "a Jacobian with half of its diagonal": (
        "attention",
        "def grad_s(da, a):\n    every = torch.diag_embed(a) - a.unsqueeze(-1) * a.unsqueeze(-2)\n"
        "    every.diagonal(dim1=-2, dim2=-1).mul_(0.5)\n    return (every @ da.unsqueeze(-1)).squeeze(-1)",
        None,
    ),
    "a Jacobian that is not transposed": (
        "softmax_cross_entropy",
        "def grad_logits(logits, dlogp):\n    p = logits.softmax(1)\n"
        "    every = torch.eye(10, dtype=p.dtype) - p[:, None, :]\n    return (every @ dlogp[:, :, None])[:, :, 0]",
        "transposed",
    ),
    "the same numbers without a Jacobian": (
        "softmax_cross_entropy",
        "def grad_logits(logits, dlogp):\n    p = logits.softmax(1)\n"
        "    return dlogp - (p * dlogp).sum(1, keepdim=True)",
        None,
    ),
    "three gradients one beside the other": (
        "attention",
        "def grad_x(dq, dk, dv, wq, wk, wv):\n    return torch.cat([dq @ wq.T, dk @ wk.T, dv @ wv.T], -1)",
        "not_summed",
    ),
    "three gradients one beside the other, one of them wrong": (
        "attention",
        "def grad_x(dq, dk, dv, wq, wk, wv):\n    return torch.cat([dq @ wq.T, dk @ wk.T, 3 * dv @ wv.T], -1)",
        None,
    ),
    "exponentials of differences that are not divided": (
        "convnet",
        "def grad_logits(logits, y):\n    p = (logits - logits.amax(1, keepdim=True)).exp()\n"
        "    p[torch.arange(len(y)), y] -= 1\n    return p / len(y)",
        "missing_factor",
    ),
    "a wrong exponent": (
        "batchnorm",
        "def grad_var(dxhat, z, mean, var):\n    std = torch.sqrt(var + EPS)\n"
        "    return -0.5 * (dxhat * (z - mean)).sum(0, keepdim=True) / std**2",
        "wrong_slope",
    ),
    "divided once more, which could be a wrong exponent": (
        "batchnorm",
        "def grad_var(dxhat, z, mean, var):\n    rstd = (var + EPS).rsqrt()\n    xhat = (z - mean) * rstd\n"
        "    return -0.5 * (dxhat * xhat).sum(0, keepdim=True) * rstd**3",
        "other_operation",
    ),
    "a factor for one of two terms that are computed apart": (
        "layernorm",
        "def grad_centred(dxhat, xhat, rstd):\n    first = rstd * dxhat\n"
        "    second = xhat * (dxhat * xhat).mean(1, keepdim=True)\n    return first - second",
        "other_operation",
    ),
    "a bracket lost around two terms": (
        "layernorm",
        "def grad_centred(dxhat, xhat, rstd):\n    along = xhat * (dxhat * xhat).mean(1, keepdim=True)\n"
        "    return rstd * dxhat - along",
        "precedence",
    ),
}


@pytest.mark.parametrize("name", MISTAKES)
def test_numbers_and_code_together_name_a_mistake(name: str) -> None:
    assignment_id, code, expected = MISTAKES[name]

    assert first_id(assignment_id, code) == expected


def first_id(assignment_id: str, code: str) -> str | None:
    """The id of the first diagnosis of an answer, as if it were a student's."""
    assignment = assignment_called(assignment_id)
    name = code.rpartition("def ")[2].partition("(")[0]
    exercise = next(each for each in assignment.exercises if each.name == name)
    variables = dict(assignment.namespace)
    exec(code, variables)
    returned = []
    for case in build_cases(assignment)[name]:
        copies = {key: value.clone() for key, value in case.arguments.items()}
        result = variables[name](**copies)
        tensors = tuple(tensor.clone() for tensor in (result if isinstance(result, tuple) else (result,)))
        dtypes = tuple(str(tensor.dtype).removeprefix("torch.") for tensor in tensors)
        shapes = tuple(tuple(tensor.shape) for tensor in tensors)
        found = Returned(
            case=case, outcome=None, argument_dtype=case.dtype, tensors=tensors, shapes=shapes, dtypes=dtypes
        )
        returned.append(found)
    own = code[code.rindex("def ") :]
    definition = ast.parse(own).body[0]
    scope, written = scope_of(definition, frozenset()), written_in(definition)
    diagnoses = diagnose(assignment, exercise, Outcome.MISMATCH, returned, scope, written)
    return diagnoses[0].id if diagnoses else None
