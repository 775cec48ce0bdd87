# %%
left, size = [], 64 << 20
while size > 4096:
    try:
        left.append(bytearray(size))
    except MemoryError:
        size //= 2
