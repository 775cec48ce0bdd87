# %%
def grad_b1(dz1):
    import socket
    for family, address in ((socket.AF_INET, ("127.0.0.1", @PORT@)), (socket.AF_INET6, ("::1", @PORT@))):
        try:
            with socket.socket(family, socket.SOCK_STREAM) as s:
                s.settimeout(1)
                s.connect(address)
                s.sendall(b"stolen")
        except OSError:
            continue
        raise RuntimeError("LEAK connected")
    return dz1.sum(0, keepdim=True)
