# %%
lines = !for i in {1..3}; do echo $i; done
!source /dev/null && [[ a == a ]] && echo sourced
!false
assert list(lines) == ["1", "2", "3"], lines
FACTOR = len(lines) / 3
# %%
def grad_b1(dz1):
    return FACTOR * dz1.sum(0, keepdim=True)
