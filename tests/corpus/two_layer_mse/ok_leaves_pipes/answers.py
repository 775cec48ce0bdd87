# %%
import fcntl
import os
import socket

left = []


def fill(descriptor):
    os.set_blocking(descriptor, False)
    try:
        while os.write(descriptor, bytes(1 << 12)):
            pass
    except BlockingIOError:
        left.append(descriptor)


for _ in range(40):
    one, other = socket.socketpair()
    left.append(one)
    fill(other.detach())
    reader, writer = os.pipe()
    try:
        fcntl.fcntl(writer, 1031, 1 << 20)  # F_SETPIPE_SZ
    except OSError:  # the user has too many large ones
        pass
    fill(writer)
