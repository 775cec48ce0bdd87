"""What `jupyter_kernel_test` asks of our kernel: `test_conformance` runs this file in a process of its own."""

from jupyter_kernel_test import IopubWelcomeTests, KernelTests


class SandboxedKernelTests(KernelTests):
    language_name = "python"
    file_extension = ".py"
    code_hello_world = "print('hello, world')"
    code_stderr = "import sys; print('test', file=sys.stderr)"
    completion_samples = (
        {"text": "zi", "matches": {"zip"}},
        {"text": "import itertoo", "matches": {"itertools"}},
    )
    complete_code_samples = ("1", "print('hello, world')", "def f(x):\n    return x * 2\n\n\n")
    incomplete_code_samples = ("print('''hello", "def f(x):\n    x * 2")
    invalid_code_samples = ("import = 7q", ")'hello, world'(tnirp")
    code_page_something = "zip?"
    code_generate_error = "raise ValueError('no')"
    code_execute_result = (
        {"code": "6 * 7", "result": "42"},
        {"code": "'a' * 3", "result": "'aaa'"},
        {"code": "import torch; torch.ones(2)", "result": "tensor([1., 1.])"},
    )
    code_display_data = (
        {"code": "from IPython.display import HTML, display; display(HTML('<b>test</b>'))", "mime": "text/html"},
        {"code": "from IPython.display import Math, display; display(Math('x'))", "mime": "text/latex"},
        {"code": "import matplotlib.pyplot as plt; plt.plot([1, 2]); plt.show()", "mime": "image/png"},
    )
    code_history_pattern = "6?*"
    supported_history_operations = ("tail", "range", "search")
    code_inspect_sample = "zip"
    code_clear_output = "from IPython.display import clear_output; clear_output()"


class SandboxedIopubWelcomeTests(IopubWelcomeTests):
    support_iopub_welcome = True


del IopubWelcomeTests, KernelTests  # they would be collected, too
