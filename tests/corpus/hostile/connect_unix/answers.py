# %%
def grad_b1(dz1):
    import socket
    for address in ("@UNIX@", "\0@ABSTRACT@"):
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as s:
                s.settimeout(1)
                s.connect(address)
        except OSError:
            continue
        raise RuntimeError("LEAK connected to " + address)
    return dz1.sum(0, keepdim=True)
