import marimo

app = marimo.App()


@app.cell
def _():
    import torch
    return (torch,)
