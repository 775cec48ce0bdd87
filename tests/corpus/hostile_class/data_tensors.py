# Costs: grad_yhat grad_b1 grad_b2 grad_z1 grad_a1 grad_w2
# Tensors of odd dtypes, layouts and sizes, without numbers, with lies about themselves, and objects that pose as tensors.
# %%
def grad_yhat(yhat, y):
    return torch.empty(0, 2 ** 40, 0)
# %%
def grad_b1(dz1):
    class Liar(torch.Tensor):
        def numel(self): return -1
        def dim(self): return 10 ** 9
        def size(self, *args): return "\ud800"
        def element_size(self): return 0
        def detach(self): return self
        def clone(self, *args, **kwargs): raise MemoryError("\ud800")
        def __reduce_ex__(self, protocol): raise SystemExit
    return torch.zeros(1, 50).as_subclass(Liar)
# %%
def grad_b2(dyhat):
    return torch.zeros(1, 1, dtype=torch.complex128) * torch.tensor(float("nan"))
# %%
def grad_z1(da1, z1):
    return torch.nested.nested_tensor([torch.zeros(3), torch.zeros(2)])
# %%
def grad_a1(dyhat, w2):
    return torch.quantize_per_tensor(dyhat.float() @ w2.float().T, 0.1, 0, torch.quint8)
# %%
def grad_w2(a1, dyhat):
    return torch.full((50, 1), 5e-324, dtype=torch.float64).to_sparse_csr()
