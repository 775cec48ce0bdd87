# %%
left = []
try:
    while len(left) < 5000:
        left.append(open("/dev/null"))
except OSError:
    pass
