# Costs: nothing
# Leaves sockets, links, pipes, folders without rights and deep ones, with names that are options or no text.
# %%
import os, socket
for name in ("-rf", "--no-preserve-root", "a\nb", "\x1b[2J", "::error::x", "nul", "*", "$(touch x)"):
    os.makedirs(f"left/{name}/deep", exist_ok=True)
    os.chmod(f"left/{name}/deep", 0)
    os.chmod(f"left/{name}", 0o100)
os.mkfifo("left/pipe")
os.symlink("/", "left/root")
os.symlink("left", "loop")
try:
    server = socket.socket(socket.AF_UNIX)
    server.bind("left/socket")
    server.listen()
except OSError:
    pass
place = "."
for _ in range(400):
    place += "/d" * 5
    try:
        os.makedirs(place)
    except OSError:
        break
open(b"left/\xff\xfe", "w").write("x")
# %%
def grad_b1(dz1):
    return dz1.sum(0, keepdim=True)
