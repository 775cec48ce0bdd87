# %%
def grad_yhat(yhat, y):
    # Ableitung des mittleren quadratischen Fehlers: ∂L/∂ŷ = 2(ŷ − y)/N
    Δ = yhat - y
    return 2 * Δ / Δ.shape[0]

# %%
def grad_w1(x, dz1):
    δ = dz1
    return x.T @ δ
