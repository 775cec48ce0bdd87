# %%
def grad_logits(logits, dlogp):
    p = torch.softmax(logits, dim=1)
    rows = []
    for row, arriving in zip(p, dlogp):
        jacobian = torch.eye(len(row), dtype=row.dtype) - row.expand(len(row), -1)
        rows.append(jacobian @ arriving)
    return torch.stack(rows)
