# %%
def grad_z(dp, z, p):
    n, c, h, w = z.shape
    blocks = z.reshape(n, c, h // 2, 2, w // 2, 2).transpose(3, 4).reshape(n, c, h // 2, w // 2, 4)
    dblocks = torch.zeros_like(blocks).scatter(4, blocks.argmax(4, keepdim=True), dp[..., None])
    return dblocks.reshape(n, c, h // 2, w // 2, 2, 2).transpose(3, 4).reshape(n, c, h, w)


# %%
def grad_r(dg, r):
    return dg.reshape(len(dg), 8, 1, 1).repeat(1, 1, 5, 5) / (r.shape[2] * r.shape[3])
