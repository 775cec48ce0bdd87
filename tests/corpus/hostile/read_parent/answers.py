# %%
def grad_b1(dz1):
    import os
    if "@SECRET@"[::-1] in str(dict(os.environ))[::-1]:
        raise RuntimeError("LEAK own environment")
    mine = {os.getpid()}
    for pid in [os.getppid(), 1, *range(2, 3000)]:
        for name in ("environ", "cmdline"):
            try:
                content = open(f"/proc/{pid}/{name}", "rb").read()
            except OSError:
                continue
            if b"GRADER_TEST_SECRET" in content:
                raise RuntimeError(f"LEAK {name} of {pid}")
    try:
        memory = open(f"/proc/{os.getppid()}/maps").read()
        if "grader-parent-marker" in memory:
            raise RuntimeError("LEAK memory map")
    except OSError:
        pass
    return dz1.sum(0, keepdim=True)
