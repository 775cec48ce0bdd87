# %%
def grad_centred(dxhat, xhat, rstd):
    made = []
    for d, h, s in zip(dxhat, xhat, rstd):
        made.append(s * (d - h * torch.dot(d, h) / len(h)))
    return torch.stack(made)


# %%
def grad_affine(dn, xhat, gamma):
    ones = torch.ones_like(dn[:, :1])
    return tuple([ones.T @ (dn * xhat), ones.T @ dn, torch.mul(gamma, dn)])
