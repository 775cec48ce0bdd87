"""
What real notebooks do: a table of cells, and of expressions to look at afterwards.

`test_features` runs each row in an ordinary kernel and in ours, and compares which cells raise and what is seen.
"""

from __future__ import annotations

import dataclasses
from textwrap import dedent

__all__ = ["FEATURES", "Feature", "Outcome"]


@dataclasses.dataclass(frozen=True)
class Outcome:
    """
    How a row ran.

    Attributes:
        raised: The name of the exception that each cell raised; empty if it raised none.
        seen: The representations of the expressions, or the name of the exception that one raised.
    """

    raised: tuple[str, ...]
    seen: tuple[str, ...] = ()


@dataclasses.dataclass(frozen=True)
class Feature:
    """
    A row of the table.

    Attributes:
        name: What it is about.
        cells: The code.
        see: Expressions to look at after the cells.
        own: Whether it changes its process for good, so that the ordinary kernel needs one for it alone.
        seconds: How long a cell may take.
        differs: Why our outcome is another one on purpose; empty if it must be the same.
        ours: Our outcome, if it differs.
    """

    name: str
    cells: tuple[str, ...]
    see: tuple[str, ...] = ()
    own: bool = False
    seconds: float = 20.0
    differs: str = ""
    ours: Outcome | None = None


def _row(name: str, *cells: str, see: tuple[str, ...] = (), own: bool = False, seconds: float = 20.0) -> Feature:
    return Feature(name, tuple(dedent(cell).strip("\n") for cell in cells), see, own, seconds)


def _differs(feature: Feature, why: str, *, raised: tuple[str, ...], seen: tuple[str, ...] = ()) -> Feature:
    return dataclasses.replace(feature, differs=why, ours=Outcome(raised, seen))


_MAGICS = [
    _row("time", "%time x = 1 + 1", see=("x",)),
    _row("time of an expression", "x = %time sum(range(5))", see=("x",)),
    _row("time of a cell", "%%time\ny = 3", see=("y",)),
    _row("time of a cell that raises", "%%time\ny = 3\n1 / 0\nz = 4", see=("y", "z")),
    _row("a comment above the time of a cell", "# how long?\n%%time\ny = 3", see=("y",)),
    _row("an empty line above the time of a cell", "\n\n%%time\ny = 3", see=("y",)),
    _row("timeit", "%timeit -n 2 -r 2 sum(range(5))", "r = %timeit -o -q -n 2 -r 2 1", see=("r.loops", "len(r.timings)")),
    _row("timeit of a cell with a set-up", "%%timeit -n 2 -r 1 a = [1]\na.append(2)\nb = a", see=("b",)),
    _row("timeit that raises", "%timeit -n 1 -r 1 unknown_name"),
    _row("capture", "%%capture out\nprint('shown')\n1", see=("out.stdout", "len(out.outputs)")),
    _row("capture without a name", "%%capture\nx = 2\nprint(x)", see=("x",)),
    _row("capture of an exception", "%%capture out\nprint(1)\n1 / 0", see=("'out' in dir()",)),
    _row("writefile, then import", "%%writefile made_a.py\nf = lambda: 5", "import made_a", see=("made_a.f()",)),
    _row("writefile twice with append", "%%writefile t.txt\na", "%%writefile -a t.txt\nb", see=("open('t.txt').read()",)),
    _row("writefile to a folder that is missing", "%%writefile no/such/t.txt\na"),
    _row("writefile to a folder above", "%%writefile ../above.txt\na", see=("open('../above.txt').read()",)),
    _row("file", "%%file t2.txt\nhello", see=("open('t2.txt').read()",)),
    _row("run", "%%writefile r.py\nimport sys\nq = len(sys.argv), __name__", "%run r.py 1 2", see=("q",)),
    _row("run interactively", "k = 3", "%%writefile r2.py\nq = k + 1", "%run -i r2.py", see=("q",)),
    _row("run of a file that raises", "%%writefile r3.py\nw = 1\n1 / 0", "%run r3.py", "v = 2", see=("v",)),
    _row("run of a file that exits", "%%writefile r4.py\nimport sys\nw = 1\nsys.exit(3)", "%run r4.py", see=("w",)),
    _row("run of a missing file", "%run missing.py"),
    _row("run of a notebook", "import nbformat.v4 as v\nc = v.new_notebook(cells=[v.new_code_cell('nb = 8')])\n"
         "open('n.ipynb', 'w').write(nbformat.writes(c))", "%run n.ipynb", see=("nb",)),
    _row("cd", "import os\nos.mkdir('cd_d')\n%cd cd_d", "a = os.path.basename(os.getcwd())\n%cd ..", "%cd -",
         see=("a", "os.path.basename(os.getcwd())")),
    _row("cd to a folder that is missing", "%cd nowhere", see=("1",)),
    _row("cd home", "import os, pathlib\n%cd ~", see=("pathlib.Path.cwd() == pathlib.Path.home()",)),
    _row("pushd, popd, dirs", "import os\nos.makedirs('pd')\n%pushd pd", "%dirs", "%popd", see=("os.path.isdir('pd')",)),
    _row("dhist", "%dhist", "x = %dhist", see=("type(_dh).__name__",)),
    _row("bookmark", "%bookmark here", "%bookmark -l", "%cd -b here", "%bookmark -d here"),
    _row("pwd", "p = %pwd", see=("p == __import__('os').getcwd()",)),
    _row("ls", "import os\nos.mkdir('l_d')\nopen('l_d/f', 'w').close()", "%ls l_d", "x = !ls l_d", see=("x",)),
    _row("mkdir, mv, cp, rm, cat", "%mkdir m_d", "%cp -r m_d m_e", "%mv m_e m_f", "%rmdir m_f", "%cat /dev/null",
         see=("__import__('os').path.exists('m_f')",)),
    _row("rehashx", "%rehashx", "x = %rehashx\n", see=("'ls' in get_ipython().alias_manager",), own=True),
    _row("store", "sv = 12\n%store sv", "del sv", "%store -r sv", "%store", "%store -d sv", see=("sv",)),
    _row("store to a file", "sf = 'abc'\n%store sf > stored.txt", see=("open('stored.txt').read()",)),
    _row("who, who_ls, whos", "who_a, who_b = 1, 'x'", "%who", "%whos", "w = %who_ls int", see=("'who_a' in w",)),
    _row("whos of a tensor", "import torch\nt = torch.ones(2)\n%whos"),
    _row("reset", "rx = 1", "%reset -f", see=("rx", "type(In).__name__")),
    _row("reset of parts", "rx = 1", "%reset -f in out", see=("rx",)),
    _row("reset without force", "rx = 1", "%reset", see=("rx",)),
    _row("reset_selective", "rs_1, rs_2, other = 1, 2, 3", "%reset_selective -f rs_", see=("rs_1", "other")),
    _row("xdel", "xd = [1]\n%xdel xd", see=("xd",)),
    _row("env", "%env FEATURE_A=1", "a = %env FEATURE_A", "%env FEATURE_A 2", "e = %env", see=("a", "e['FEATURE_A']")),
    _row("env of a missing variable", "%env NO_SUCH_VARIABLE_HERE"),
    _row("set_env", "v = 'x'\n%set_env FEATURE_B=$v", see=("__import__('os').environ['FEATURE_B']",)),
    _row("alias", "%alias feature_say echo said %s", "%feature_say it", "%unalias feature_say", "%feature_say it"),
    _row("alias of a command", "%alias_magic feature_t timeit", "%feature_t -n 1 -r 1 1"),
    _row("macro", "ma = 1", "%macro -q feature_macro 1-2", see=("type(feature_macro).__name__",)),
    _row("macro that is called", "cell = 1\ncell += 1", "%macro -q again 1", "again", see=("cell",)),
    _row("history", "h = 1", "%history", "%history -n 1-2", "%hist -o -p", see=("h",)),
    _row("history to a file", "h = 1", "%history -f h.py 1", see=("open('h.py').read()",)),
    _row("history of other sessions", "%history -g feature", "%history -l 2", "%history ~1/1"),
    _row("recall", "rec = 1", "%recall 1", "%recall", "%rep 1", see=("rec",), own=True),
    _row("rerun", "n = 0", "n += 1", "%rerun 2", "%rerun", see=("n",)),
    _row("save", "sa = 41", "%save -f saved 1", see=("open('saved.py').read()[-9:]",)),
    _row("load", "open('ld.py', 'w').write('ld = 3')", "%load ld.py", see=("'ld' in dir()",)),
    _row("load of a missing file", "%load missing.py"),
    _row("loadpy", "open('lp.py', 'w').write('lp = 3')", "%loadpy lp.py"),
    _row("edit", "%edit -x nothing.py"),
    _row("pdb", "%pdb", "%pdb on", "%pdb off", "x = 1", see=("x",)),
    _row("pdb on, then an exception", "%pdb on", "1 / 0", "x = 1", see=("x",), own=True),
    _row("debug without an exception", "%debug", own=True),
    _row("debug after an exception", "1 / 0", "%debug", "x = 1", see=("x",)),
    _row("config", "%matplotlib inline\n%config InlineBackend.figure_format = 'retina'", "%config InlineBackend", "%config"),
    _row("config of last expressions", "%config InteractiveShell.ast_node_interactivity = 'all'", "1\n2",
         "%config InteractiveShell.ast_node_interactivity = 'last_expr'", see=("Out[2]",)),
    _row("config of a name that is missing", "%config NoSuchClass.x = 1", "%config InlineBackend.no_such = 2"),
    _row("autoreload", "%load_ext autoreload", "%autoreload 2", "open('ar.py', 'w').write('v = 1')\nimport ar",
         "import os\nopen('ar.py', 'w').write('v = 22')\nos.utime('ar.py', (1, 2e9))", "w = ar.v", see=("w", "ar.v")),
    _row("autoreload, named", "%reload_ext autoreload\n%autoreload explicit", "%aimport math", "%autoreload 0"),
    _row("load_ext of a missing extension", "%load_ext no_such_extension", "x = 1", see=("x",)),
    _row("load_ext of tensorboard and line_profiler", "%load_ext tensorboard", "%load_ext line_profiler"),
    _row("lprun without its extension", "%lprun -f f f()", "x = 1", see=("x",)),
    _row("memit without its extension", "%memit 1"),
    _row("precision", "%precision 3", "import math\nmath.pi", "%precision %r", see=("1.5",)),
    _row("pprint", "%pprint", "%pprint", see=("[1]",)),
    _row("prun", "%prun -q sum(range(5))", "p = %prun -q -r sum(range(5))", see=("type(p).__name__",)),
    _row("prun of a cell", "%%prun -q\npr = 3", see=("pr",)),
    _row("bash", "%%bash\nset -e\na=(1 2)\necho ${a[1]} > ba.txt", see=("open('ba.txt').read()",)),
    _row("bash that fails", "%%bash\nexit 3", "x = 1", see=("x", "_exit_code")),
    _row("bash with its output", "%%bash --out o --err e\necho a; echo b >&2", see=("o", "e")),
    _row("bash without raising", "%%bash --no-raise-error\nexit 3", see=("1",)),
    _row("sh", "%%sh\necho hello > sh.txt", see=("open('sh.txt').read()",)),
    _row("script", "%%script bash --out so\necho $0", see=("so",)),
    _row("script of a missing program", "%%script no-such-program\nx"),
    _row("script false skips a cell", "%%script false --no-raise-error\nsk = 1", see=("'sk' in dir()",)),
    _row("script echo skips a cell", "%%script echo skipping\nsk = 1", see=("'sk' in dir()",)),
    _row("python", "%%python\nprint(1)", "%%python3 --out po\nprint(2)", see=("po",)),
    _row("perl", "%%perl --out pe\nprint 1 + 1", see=("pe",)),
    _row("ruby, which is missing", "%%ruby\nputs 1"),
    _row("html, javascript, latex, markdown, svg", "%%html\n<b>x</b>", "%%javascript\nlet x = 1", "%%js\n1",
         "%%latex\n$x$", "%%markdown\n# x", "%%svg\n<svg/>"),
    _row("pip", "%pip --version"),
    _row("pip install of what is there", "%pip install -q numpy", "import numpy"),
    _row("pip with a shell", "!pip list > pl.txt", see=("'torch' in open('pl.txt').read()",)),
    _row("conda", "%conda --version"),
    _row("lsmagic, magic, quickref", "l = %lsmagic", "%magic", "%quickref", see=("'time' in str(l)",)),
    _row("pinfo", "%pinfo len", "len?", "?len", "len??", "%pinfo2 len", "%pdoc len", "%pdef print", "%psource dedent"),
    _row("question mark of a missing name", "no_such_name_here?", "no_such*?"),
    _row("psource of a cell's function", "def psf():\n    return 1", "%psource psf", "psf??", "%pfile psf"),
    _row("psearch", "%psearch pri*", "str.is*?"),
    _row("logstart", "%logstart -o l.log rotate", "lg = 5", "%logstate", "%logoff", "%logon", "%logstop",
         see=("'lg = 5' in open('l.log').read()",)),
    _row("notebook", "nn = 1", "%notebook out.ipynb", see=("__import__('os').path.exists('out.ipynb')",)),
    _row("page", "%page 'abc'", "%pycat /dev/null"),
    _row("colors", "%colors NoColor", "%colors nocolor", "%colors Linux"),
    _row("automagic", "%automagic off", "pwd", "%automagic on", "pwd"),
    _row("autocall", "%autocall 1", "sorted [3, 1]", "r = _", "%autocall 0", see=("r",)),
    _row("autoindent, xmode", "%xmode Verbose", "1 / 0", "%xmode Plain", "1 / 0", "%xmode Context", "%autoindent"),
    _row("xmode of a kind that is missing", "%xmode NoSuchMode"),
    _row("tb", "1 / 0", "%tb", "%tb Plain"),
    _row("gui", "%gui", "%gui asyncio", "x = 1", see=("x",), own=True),
    _row("gui tk", "%gui tk", own=True),
    _row("autoawait", "a = %autoawait", "%autoawait asyncio", "import asyncio\nawait asyncio.sleep(0)"),
    _row("code_wrap, subshell", "%subshell", "%connect_info", "%killbgscripts", "%man ls"),
    _row("matplotlib", "%matplotlib inline", "import matplotlib.pyplot as plt\nplt.plot([1, 2])\nplt.show()",
         see=("plt.get_backend().lower().endswith('inline')", "plt.get_fignums()")),
    _row("matplotlib lists", "%matplotlib --list", "%pylab inline", see=("array([1]).sum()",)),
    _row("matplotlib agg", "%matplotlib agg", "import matplotlib.pyplot as plt\nplt.plot([1])\nplt.show()",
         see=("plt.get_backend().lower()", "plt.get_fignums()")),
    _row("matplotlib notebook and widget", "%matplotlib notebook", "%matplotlib widget"),
    _row("matplotlib with a window", "%matplotlib qt", own=True),
    _row("matplotlib of a kind that is missing", "%matplotlib nonsense"),
    _row("a missing magic", "%no_such_magic 1", "x = 1", see=("x",)),
    _row("a missing magic among others", "a = 1\n%no_such_magic 1\nb = 2", see=("a", "'b' in dir()")),
    _row("a missing magic for a cell", "%%no_such_cell_magic\nx = 1", "y = 1", see=("y",)),
    _row("a magic in a function", "def mf():\n    %time u = 3\n    return 4\nv = mf()", see=("v",)),
    _row("a magic in a loop", "for i in range(2):\n    %env FEATURE_L={i}", see=("__import__('os').environ['FEATURE_L']",)),
    _row("a magic with a comment", "%time x = 1  # how long", see=("x",)),
    _row("a percent at the beginning of a line", "z = (7\n% 4)", see=("z",)),
    _row("sx and exclamation marks", "x = %sx echo a", "!!echo b", "y = _", "%sx echo c", see=("x", "y")),
    _row("system of a cell", "%%sx\necho a\necho b", "%%!\necho c", "%system echo d"),
    _row("a command with names", "n, d = 'w', {'k': 3}\nx = !echo $n {d['k']} {1 + 1} $HOMELESS", see=("x",)),
    _row("lists of a command's lines", "x = !printf 'a 1\\nb 2\\n'", see=("x.fields(1)", "x.grep('b')", "x.n", "x.s")),
    _row("a command in the background", "import time\nt = time.time()\n!sleep 30 &\nq = time.time() - t < 10", see=("q",)),
    _row("a command that fails", "!false", "a = _exit_code\n!exit 7", "x = !false", see=("a", "_exit_code", "x")),
    _row("a command that is missing", "!no-such-command", see=("_exit_code",)),
    _row("a command that a signal ends", "!kill -9 $$$$", see=("_exit_code",)),
    _row("bash in a command", "!a=(1 2); [[ ${a[1]} == 2 ]] && echo yes > b2.txt", see=("open('b2.txt').read()",)),
    _row("braces of bash", "x = !echo {{a,b}}.txt", "y = !echo a{1..3}", "!mkdir -p br/{{c,d}}", see=("x", "y")),
    _row("a command with much output", "x = !seq 100000", "!seq 100000", see=("len(x)", "_exit_code")),
    _row("a command that writes no text", "!head -c 300 /dev/urandom", "x = !printf '\\\\377'", see=("len(x)",)),
    _row("python in a command", "!python -c 'import numpy; print(1)' > py.txt", see=("open('py.txt').read()",)),
    _row("a script that a cell made", "%%writefile sc.py\nimport sys\nprint(sys.argv[1:])", "x = !python sc.py a b", see=("x",)),
    _row("wget, curl, git, unzip", "!wget -q http://127.0.0.1:9/a; true", "!curl -s http://127.0.0.1:9/; true",
         "!git clone -q http://127.0.0.1:9/a.git; true", "!unzip -q nothing.zip; true", see=("_exit_code",)),
    _row("nvidia-smi", "!nvidia-smi", see=("_exit_code",)),
    _row("apt", "!apt-get --version"),
    _row("a shell's folder", "!cd / && pwd > /dev/null", "x = !pwd", see=("x[0] == __import__('os').getcwd()",)),
]  # fmt: skip


_ASYNC = [
    _row("top-level await", "import asyncio\nx = await asyncio.sleep(0, 5)", "await asyncio.sleep(0, 6)", see=("x", "_")),
    _row("top-level async for and async with", """
        import asyncio, contextlib
        async def numbers():
            for n in range(3):
                yield n
        @contextlib.asynccontextmanager
        async def opened():
            yield 7
        got = []
        async for n in numbers():
            got.append(n)
        async with opened() as value:
            got.append(value)
        more = [n async for n in numbers()]
        """, see=("got", "more")),
    _row("top-level await of gather, wait_for, timeout", """
        import asyncio
        async def f(n):
            await asyncio.sleep(0.01)
            return n
        a = await asyncio.gather(f(1), f(2))
        try:
            await asyncio.wait_for(asyncio.sleep(5), 0.01)
        except asyncio.TimeoutError:
            a.append("late")
        """, see=("a",)),
    _row("top-level await that raises", "import asyncio\nawait asyncio.sleep(0)\n1 / 0", "x = 1", see=("x",)),
    _row("create_task goes on in later cells", "import asyncio\ndone = []\nasync def f():\n    await asyncio.sleep(0.05)\n"
         "    done.append(1)\ntask = asyncio.create_task(f())", "await asyncio.sleep(0.2)", see=("done", "task.done()")),
    _row("a task that nobody awaits raises", "import asyncio\nasync def f():\n    1 / 0\nt = asyncio.create_task(f())",
         "await asyncio.sleep(0.05)", "await t"),
    _row("a coroutine that nobody awaits", "async def f():\n    return 1\nc = f()", "r = await c", see=("r",)),
    _row("asyncio.run in a running loop", "import asyncio\nasync def f():\n    return 1\nr = asyncio.run(f())", "x = 2",
         see=("x", "'r' in dir()")),
    _row("run_until_complete in a running loop", "import asyncio\nasync def f():\n    return 1\n"
         "asyncio.get_event_loop().run_until_complete(f())"),
    _row("asyncio.run in a thread", "import asyncio, threading\nr = []\nasync def f():\n    r.append(1)\n"
         "t = threading.Thread(target=lambda: asyncio.run(f()))\nt.start()\nt.join()", see=("r",)),
    _row("the running loop", "import asyncio\nl = asyncio.get_running_loop()\nm = asyncio.get_event_loop()",
         see=("l is m", "l.is_running()")),
    _row("nest_asyncio2", "import nest_asyncio2, asyncio\nnest_asyncio2.apply()\nasync def f():\n    return 4\n"
         "r = asyncio.run(f())", "await asyncio.sleep(0)", see=("r",), own=True),
    _row("to_thread and run_in_executor", "import asyncio\na = await asyncio.to_thread(sum, [1, 2])\n"
         "b = await asyncio.get_running_loop().run_in_executor(None, max, 1, 2)", see=("a", "b")),
    _row("an asyncio subprocess", "import asyncio\np = await asyncio.create_subprocess_exec('echo', 'hi', stdout=-1)\n"
         "o, _e = await p.communicate()", see=("o", "p.returncode")),
    _row("an asyncio queue and a lock", "import asyncio\nq = asyncio.Queue()\nasync with asyncio.Lock():\n    await q.put(3)",
         "v = await q.get()", see=("v",)),
    _row("await in a function that is not async", "def f():\n    await g()", "x = 1", see=("x",)),
    _row("call_later", "import asyncio\nseen = []\nasyncio.get_running_loop().call_later(0.01, seen.append, 1)",
         "await asyncio.sleep(0.1)", see=("seen",)),
    _row("an async comprehension and a generator", "async def g():\n    yield 1\nx = [i async for i in g()]\n"
         "y = await anext(g())", see=("x", "y")),
    _row("contextvars over cells", "import contextvars\nv = contextvars.ContextVar('v', default=0)\nv.set(5)", "g = v.get()",
         see=("g",)),
]  # fmt: skip

_PROCESSES = [
    _row("threads", "import threading\nr = []\nts = [threading.Thread(target=r.append, args=(i,)) for i in range(4)]\n"
         "[t.start() for t in ts]; [t.join() for t in ts]", see=("sorted(r)", "threading.current_thread().name")),
    _row("a thread that raises and one that prints", "import threading\nt = threading.Thread(target=lambda: 1 / 0)\nt.start()\n"
         "t.join()\nu = threading.Thread(target=print, args=('hi',))\nu.start()\nu.join()", "x = 1", see=("x",)),
    _row("a daemon thread goes on", "import threading, time\nn = [0]\ndef w():\n    while n[0] < 3:\n        n[0] += 1\n"
         "        time.sleep(0.01)\nthreading.Thread(target=w, daemon=True).start()", "time.sleep(0.2)", see=("n",)),
    _row("thread pool", "from concurrent.futures import ThreadPoolExecutor\nwith ThreadPoolExecutor(3) as p:\n"
         "    r = list(p.map(str, range(3)))", see=("r",)),
    _row("process pool of fork", "from concurrent.futures import ProcessPoolExecutor\nimport multiprocessing as mp\n"
         "def sq(n):\n    return n * n\nwith ProcessPoolExecutor(2, mp_context=mp.get_context('fork')) as p:\n"
         "    r = list(p.map(sq, range(3)))", see=("r",)),
    _row("multiprocessing pool", "import multiprocessing as mp\ndef sq(n):\n    return n * n\n"
         "with mp.get_context('fork').Pool(2) as p:\n    r = p.map(sq, range(4))", see=("r",)),
    _row("multiprocessing process and queue", "import multiprocessing as mp\ncx = mp.get_context('fork')\nq = cx.Queue()\n"
         "p = cx.Process(target=lambda: q.put(5))\np.start()\nv = q.get(timeout=10)\np.join()", see=("v", "p.exitcode")),
    _row("multiprocessing spawn of a module's function", "import multiprocessing as mp, math\n"
         "with mp.get_context('spawn').Pool(1) as p:\n    r = p.map(math.sqrt, [4.0])", see=("r",), own=True),
    _row("multiprocessing manager and value", "import multiprocessing as mp\nv = mp.Value('i', 3)\n"
         "with mp.get_context('fork').Manager() as m:\n    d = m.dict(a=1)\n    e = dict(d)", see=("v.value", "e")),
    _row("shared memory", "from multiprocessing import shared_memory\ns = shared_memory.SharedMemory(create=True, size=16)\n"
         "s.buf[0] = 7\nv = s.buf[0]\ns.close()\ns.unlink()", see=("v",)),
    _row("os.fork", "import os\np = os.fork()\nif p == 0:\n    os._exit(3)\nw = os.waitpid(p, 0)[1]", see=("os.WEXITSTATUS(w)",)),
    _row("subprocess", "import subprocess as sp\nr = sp.run(['echo', 'a'], capture_output=True, text=True)\n"
         "o = sp.check_output('echo $((1 + 1))', shell=True)", "sp.run('exit 3', shell=True, check=True)", "sp.run(['no-such-x'])",
         see=("r.stdout", "o")),
    _row("subprocess with input and a time limit", "import subprocess as sp\nr = sp.run(['cat'], input=b'x', capture_output=True)",
         "sp.run(['sleep', '20'], timeout=0.05)", see=("r.stdout",)),
    _row("subprocess inherits the streams", "import subprocess as sp\nr = sp.run(['echo', 'x']).returncode\n"
         "q = sp.call('echo y >&2', shell=True)", see=("r", "q")),
    _row("os.system and os.popen", "import os\na = os.system('true'), os.system('exit 2')\nb = os.popen('echo c').read()",
         see=("a", "b")),
    _row("sys.executable", "import subprocess, sys\nr = subprocess.run([sys.executable, '-c', 'print(6)'], capture_output=True)",
         see=("r.stdout",)),
    _row("python -m", "import subprocess, sys\nopen('mm.py', 'w').write('print(__name__)')\n"
         "r = subprocess.run([sys.executable, '-m', 'mm'], capture_output=True)", see=("r.stdout",)),
    _row("signals", "import signal, os\ngot = []\nsignal.signal(signal.SIGUSR1, lambda *a: got.append(1))\n"
         "os.kill(os.getpid(), signal.SIGUSR1)", see=("got",)),
    _row("an alarm as a time limit", "import signal, time\ndef late(*a):\n    raise TimeoutError\nsignal.signal(signal.SIGALRM, late)\n"
         "signal.setitimer(signal.ITIMER_REAL, 0.05)\ntime.sleep(5)", "x = 1", see=("x",)),
    _row("an interrupt of oneself", "import os, signal\nos.kill(os.getpid(), signal.SIGINT)\nimport time\ntime.sleep(5)", "x = 1",
         see=("x",), own=True),
    _row("interrupt_main", "import _thread, time\n_thread.interrupt_main()\ntime.sleep(1)", "x = 1", see=("x",), own=True),
    _row("input", "a = input('name? ')", "x = 1", see=("x", "'a' in dir()")),
    _row("getpass", "import getpass\np = getpass.getpass()", "x = 1", see=("x",)),
    _row("sys.stdin", "import sys\nl = sys.stdin.readline()", "r = sys.stdin.read()", see=("'l' in dir()", "'r' in dir()")),
    _row("input that is caught", "try:\n    n = int(input())\nexcept Exception as e:\n    n = 3", see=("n",)),
    _row("breakpoint", "breakpoint()", "x = 1", see=("x",), own=True),
    _row("pdb.set_trace in a function", "import pdb\ndef f():\n    pdb.set_trace()\n    return 1\nr = f()", "x = 1",
         see=("x", "'r' in dir()"), own=True),
    _row("pdb.run and post_mortem", "import pdb\npdb.run('1 + 1')", "try:\n    1 / 0\nexcept ZeroDivisionError as e:\n"
         "    pdb.post_mortem(e.__traceback__)", "x = 1", see=("x",), own=True),
    _row("IPython.embed", "from IPython import embed\nembed()", "x = 1", see=("x",), own=True),
    _row("sys.exit", "import sys\nsys.exit()", "x = 1", "sys.exit(2)", "y = 1", see=("x", "y")),
    _row("raise SystemExit and KeyboardInterrupt", "raise SystemExit('done')", "x = 1", "raise KeyboardInterrupt", "y = 1", see=("x", "y")),
    _row("exit in a function", "import sys\ndef f():\n    sys.exit(1)\n    return 2\nf()\nz = 1", see=("'z' in dir()",)),
    _row("os._exit", "import os\nos._exit(1)", "x = 1", own=True),
    _row("atexit", "import atexit\natexit.register(print, 'bye')\nx = 1", see=("x",)),
    _row("psutil", "import psutil\np = psutil.Process()\na = psutil.virtual_memory().total > 0\nb = p.memory_info().rss > 0\n"
         "c = psutil.cpu_count() >= 1, psutil.cpu_percent() >= 0, psutil.disk_usage('.').total > 0", "psutil.swap_memory()",
         "psutil.cpu_freq(); psutil.boot_time(); psutil.net_io_counters(); psutil.disk_partitions()", "p.children(); p.cpu_times()",
         see=("a", "b", "c", "p.pid == __import__('os').getpid()")),
    _row("resource and cpu_count", "import os, resource\nresource.getrusage(resource.RUSAGE_SELF)\na = os.cpu_count() >= 1\n"
         "b = len(os.sched_getaffinity(0)) >= 1\nos.getloadavg()\nos.nice(0)", see=("a", "b")),
    _row("platform", "import platform\nplatform.platform(), platform.node(), platform.processor(), platform.uname()",
         see=("platform.python_version()", "platform.system()", "platform.machine()")),
    _row("who am I", "import getpass, os, pwd\na = getpass.getuser()\nb = pwd.getpwuid(os.getuid()).pw_dir", "os.getlogin()",
         see=("bool(a)", "bool(b)")),
    _row("a pair of sockets", "import socket\na, b = socket.socketpair()\na.send(b'x')\nr = b.recv(1)", see=("r",)),
    _row("names of hosts", "import socket\nh = socket.gethostname()\nsocket.gethostbyname('localhost')", see=("bool(h)",)),
    _row("a connection that is refused", "import urllib.request\nurllib.request.urlopen('http://127.0.0.1:9/', timeout=1)",
         "try:\n    urllib.request.urlopen('http://127.0.0.1:9/')\nexcept OSError:\n    x = 1", see=("x",)),
    _row("requests", "import requests\nrequests.get('http://127.0.0.1:9/', timeout=1)", "x = 1", see=("x",)),
    _row("faulthandler", "import faulthandler, sys\nfaulthandler.enable()\nfaulthandler.dump_traceback()\nx = 1", see=("x",)),
    _row("recursion", "%xmode Minimal", "def f(n):\n    return f(n + 1)\nf(0)", "import sys\nl = sys.getrecursionlimit()\nsys.setrecursionlimit(5000)\n"
         "def g(n):\n    return n and g(n - 1)\ng(4000)", see=("l",)),
    _row("memory error", "x = bytearray(1 << 50)", "import numpy as np\nnp.zeros(1 << 50, dtype='u1')", "y = 1", see=("y",)),
    _row("locale", "import locale\nlocale.setlocale(locale.LC_ALL, '')\nb = locale.getpreferredencoding()", see=("b",)),
    _row("time zones", "import datetime, time, zoneinfo\nz = zoneinfo.ZoneInfo('Europe/Berlin')\n"
         "d = datetime.datetime(2024, 7, 1, tzinfo=z).utcoffset()\ntime.tzset()", see=("d", "time.tzname")),
]  # fmt: skip

_ERRORS = [
    _row("an exception", "a = 1\n1 / 0\nb = 2", "c = 3", see=("a", "'b' in dir()", "c")),
    _row("a huge exception", "raise ValueError('x' * 9_000_000)", "x = 1", see=("x",)),
    _row("an exception that cannot be shown", "class E(Exception):\n    def __str__(self):\n        1 / 0\nraise E", "x = 1", see=("x",)),
    _row("an exception whose repr raises, too", "class E(Exception):\n    __str__ = __repr__ = lambda self: 1 / 0\nraise E(1)", "x = 1",
         see=("x",)),
    _row("an exception that shows no text", "class E(Exception):\n    def __str__(self):\n        return 3\nraise E", "x = 1", see=("x",)),
    _row("exception groups and notes", "raise ExceptionGroup('g', [ValueError(1), TypeError(2)])",
         "e = ValueError('v')\ne.add_note('n')\nraise e", "try:\n    raise ExceptionGroup('g', [ValueError(1)])\n"
         "except* ValueError as g:\n    n = len(g.exceptions)", see=("n",)),
    _row("chained exceptions", "try:\n    1 / 0\nexcept ZeroDivisionError as e:\n    raise KeyError('k') from e"),
    _row("an assertion with a message", "assert 1 == 2, 'differs'", "import numpy as np\nnp.testing.assert_allclose(1, 2)"),
    _row("what is not an exception", "raise 3", "raise NotImplementedError", "raise NotImplemented"),
    _row("an own BaseException", "class B(BaseException): pass\nraise B('b')", "x = 1", see=("x",)),
    _row("StopIteration and GeneratorExit", "next(iter([]))", "raise GeneratorExit", "x = 1", see=("x",)),
    _row("an exception in a deep stack", "%xmode Minimal", "def f(n):\n    return 1 / 0 if n == 0 else f(n - 1)\nf(100)"),
    _row("the last exception", "1 / 0", "import sys", see=("type(sys.last_value).__name__", "sys.last_type.__name__")),
    _row("traceback and its lines", "import traceback\ndef f():\n    1 / 0\ntry:\n    f()\nexcept ZeroDivisionError as e:\n"
         "    l = traceback.extract_tb(e.__traceback__)[-1]", see=("l.line", "l.lineno")),
    _row("a syntax error", "a = 1\nx = = 2", "y = 2", see=("'a' in dir()", "y")),
    _row("an indentation error", "if True:\nx = 1", "  x = 1\n y = 2", "def f():", "z = 1", see=("z",)),
    _row("an indented cell", "    x = 1\n    y = 2", see=("x + y",)),
    _row("prompts that were pasted", ">>> x = 1\n>>> y = x + 1", "In [3]: z = 3\n   ...: w = 4", "... u = 5", see=("y", "z", "w", "u")),
    _row("a syntax error of another kind", "def f(:\n  pass", "return 3", "yield 3", "break", "x = 'abc", "(1, 2", "f(a=1, a=2)"),
    _row("return and await outside", "return", "async def f(): pass\nawait f()\nx = 1", see=("x",)),
    _row("null characters", "x = 1\0", "y = 1", see=("y",)),
    _row("a byte-order mark", "\ufeffx = 1", see=("x",)),
    _row("white space of other kinds", "x\u00a0= 1", "x = 1\u200b", "y = 1\f", "z = 1\r\nw = 2\r\n", see=("'x' in dir()", "y", "z", "w")),
    _row("quotes that a program made round", "print(“x”)", "x = 1 – 1"),
    _row("tabs and spaces", "if 1:\n\tx = 1\n\ty = 2", "if 1:\n\tx = 3\n        y = 4", see=("x", "y")),
    _row("identifiers in other letters", "é = 1\nθ = 2\n变 = 3\nℌ = 4", see=("é + θ", "变", "H")),
    _row("surrogates", "x = '\\ud800'\nprint(len(x))", "print(x)", "x", see=("len(x)",)),
    _row("emoji and other scripts", "x = '😀 é 变'\nprint(x)", see=("len(x)",)),
    _row("python 2", "print 'x'", "exec 'x'", "raw_input()", "xrange(3)"),
    _row("syntax warnings", "x = '\\d'\nif x is 'a': pass\nassert (1, 'a')", "y = 1 is 1", see=("x",)),
    _row("warnings as errors", "import warnings\nwarnings.simplefilter('error')\nwarnings.warn('w')",
         "with warnings.catch_warnings(record=True) as w:\n    warnings.simplefilter('always')\n    warnings.warn('v')",
         see=("len(w)",)),
    _row("filters of warnings", "import warnings\nwarnings.filterwarnings('ignore')\nwarnings.warn('x')\n"
         "n = [f[0] for f in warnings.filters][:1]", see=("n",)),
    _row("filters that are there from the start", "import numpy, matplotlib.pyplot, warnings",
         see=("[(f[0], f[1] and str(f[1]), f[2].__name__, f[3] and str(f[3])) for f in warnings.filters if 'torch' not in str(f)]",), own=True),
    _row("a deprecation in a cell", "import warnings\nwith warnings.catch_warnings(record=True) as w:\n"
         "    warnings.warn('old', DeprecationWarning)", see=("len(w)",)),
]  # fmt: skip

_DISPLAY = [
    _row("shown values", "1", "'a'", "None", "_, __", see=("Out.get(3)", "type(_).__name__")),
    _row("In and Out", "1 + 1", "'a'", "x = Out[1]", see=("x", "In[1]", "_1", "_i1", "_oh[2]", "_ih[1]", "len(In)")),
    _row("underscores", "5", "6", "a, b = _, __", see=("a", "b")),
    _row("an underscore that a cell set", "_ = 3\n4", "x = _", see=("x", "_")),
    _row("a semicolon", "5;", "x = _", see=("x == 5",), own=True),
    _row("a repr that raises", "class R:\n    def __repr__(self):\n        1 / 0\nr = R()\nr", "x = 1", see=("x", "type(r).__name__")),
    _row("an html repr that raises", "class R:\n    def _repr_html_(self):\n        1 / 0\nR()", "x = 1", see=("x",)),
    _row("an ipython display that raises", "class R:\n    def _ipython_display_(self):\n        1 / 0\nR()", "x = 1", see=("x",)),
    _row("a repr that is no text", "class R:\n    def __repr__(self):\n        return 3\nR()", "x = 1", see=("x",)),
    _row("a mime bundle", "class R:\n    def _repr_mimebundle_(self, include=None, exclude=None):\n        return {'text/plain': 'x'}\nR()",
         "x = 1", see=("x",)),
    _row("a repr with effects", "class R:\n    n = 0\n    def __repr__(self):\n        R.n += 1\n        return 'r'\nR()",
         see=("R.n",)),
    _row("an html repr with effects", "class R:\n    n = 0\n    def _repr_html_(self):\n        R.n += 1\n        return 'r'\nR()",
         see=("R.n",)),
    _row("a display with effects", "from IPython.display import display\nclass R:\n    n = 0\n    def _repr_png_(self):\n"
         "        R.n += 1\ndisplay(R())", see=("R.n",)),
    _row("a shown value of megabytes", "'x' * 9_000_000", "x = 1", see=("x", "len(_)")),
    _row("much output", "for i in range(50_000):\n    print(i)", "print('x' * 5_000_000)", "x = 1", see=("x",)),
    _row("what display offers", "from IPython.display import *\ndisplay(HTML('a'), Markdown('b'), Math('c'), Latex('d'), JSON({}))\n"
         "display(Javascript('1'), SVG('<svg/>'), Pretty('x'), Code('x = 1'), IFrame('x', 1, 1))\nclear_output(wait=True)",
         "display(Image(url='http://x/y.png'), Video('x.mp4'), YouTubeVideo('abc'), FileLink('x'))", "display({'a/b': 'c'}, raw=True)"),
    _row("images, audio", "import numpy as np\nfrom IPython.display import Audio, Image\nAudio(np.zeros(100), rate=8000)",
         "Image('missing.png')", "from PIL import Image as I\nI.new('L', (2, 2))"),
    _row("display ids", "h = display(1, display_id=True)\nh.update(2)", "from IPython.display import update_display\n"
         "d = display('a', display_id='k')\nupdate_display('b', display_id='k')", see=("type(h).__name__", "d.display_id")),
    _row("display returns", "r = display(1)", "q = print(1)", see=("r", "q")),
    _row("progress bars of IPython", "from IPython.display import ProgressBar\nn = sum(1 for _i in ProgressBar(3))", see=("n",)),
    _row("a comm", "from comm import create_comm\nc = create_comm(target_name='t', data={'a': 1})\nc.send({'b': 2})\nc.close()",
         "from ipykernel.comm import Comm\nd = Comm(target_name='u')", see=("c.target_name", "d.primary")),
    _row("a comm target", "get_ipython().kernel.comm_manager.register_target('t', lambda c, m: None)", see=("1",)),
    _row("widgets that are missing or there", "import ipywidgets", "x = 1", see=("x",)),
    _row("tqdm that is missing or there", "from tqdm.notebook import tqdm", "from tqdm.auto import tqdm", "x = 1", see=("x",)),
    _row("pandas, sklearn, seaborn that are missing or there", "import pandas", "import sklearn", "import seaborn", "import scipy"),
    _row("detection of a notebook", "i = get_ipython()\nfrom IPython import get_ipython as g\nn = g().__class__.__name__",
         see=("n", "'IPKernelApp' in i.config", "__import__('sys').modules.get('google.colab')", "'ipykernel' in __import__('sys').modules",
              "str(type(i))", "i.has_trait('kernel')", "hasattr(__import__('builtins'), '__IPYTHON__')")),
    _row("main and file", see=("__name__", "__builtins__.__name__", "__doc__", "__import__('__main__').__dict__ is globals()",
                               "type(__import__('__main__')).__name__"), own=True),
    _row("__file__ is missing", "__file__", "x = 1", see=("x", "'__file__' in dir()")),
    _row("the names that are there", see=("sorted(n for n in dir() if not n.startswith('_'))", "sorted(n for n in dir(__builtins__) if "
         "n in {'display', 'get_ipython', 'exit', 'quit', 'copyright', '__IPYTHON__', 'help', 'credits', 'license'})"), own=True),
    _row("help", "help(len)", "help()", "x = 1", see=("x",)),
    _row("copyright, credits, license", "copyright", "credits", "license", "exit", see=("1",), own=True),
    _row("a file's name of a cell", "def f(): pass\nimport os\nn = f.__code__.co_filename", see=("os.path.exists(n)", "n.endswith('.py')",
         "f.__module__", "os.path.basename(n)")),
    _row("inspect.getsource", "import inspect\ndef f(x):\n    return x  # here\nclass C:\n    def m(self): pass",
         see=("inspect.getsource(f)", "inspect.getsource(C.m)", "inspect.signature(f)")),
    _row("inspect.getsource of a class and a lambda", "import inspect\nclass C:\n    a = 1\ng = lambda: 3",
         see=("inspect.getsource(C)", "inspect.getsource(g)")),
    _row("linecache and a later cell", "def f():\n    return 1", "def f():\n    return 2\nimport inspect", see=("inspect.getsource(f)",)),
    _row("printing", "print('a', end='', flush=True)\nprint()\nprint(1, file=__import__('sys').stderr)", see=("print(end='')",)),
    _row("the streams", "import sys", see=("sys.stdout.isatty()", "sys.stdout.encoding", "sys.stdout.writable()", "sys.stdout.readable()",
         "type(sys.stdout.fileno()).__name__", "sys.stderr.name", "sys.stdout.errors", "type(sys.__stdout__).__name__", "sys.stdin is None",
         "hasattr(sys.stdout, 'buffer')", "sys.stdout.closed")),
    _row("sys.stdout.buffer", "import sys\nsys.stdout.buffer.write(b'x')", "x = 1", see=("x",)),
    _row("writing to the streams", "import sys, os\nn = sys.stdout.write('abc')\nsys.stdout.writelines(['a', 'b'])\nos.write(1, b'raw')\n"
         "sys.stdout.flush()", "sys.stdout.write(3)", "sys.stderr.write(b'x')", see=("n",)),
    _row("stdout replaced", "import io, sys\nold, sys.stdout = sys.stdout, io.StringIO()\nprint('x')\nt = sys.stdout.getvalue()\n"
         "sys.stdout = old\nprint(t)", see=("t",)),
    _row("stdout replaced for good", "import io, sys\nsys.stdout = io.StringIO()", "print('x')", "1 / 0", "5", "v = sys.stdout.getvalue()",
         see=("'x' in v",)),
    _row("stdout closed", "import sys\nsys.stdout.close()", "print('x')", "x = 1", see=("x",), own=True),
    _row("redirect_stdout", "import contextlib, io\nb = io.StringIO()\nwith contextlib.redirect_stdout(b):\n    print('a')\n    display('b')",
         "with contextlib.redirect_stderr(b):\n    import sys\n    print('c', file=sys.stderr)", see=("b.getvalue()",)),
    _row("capture_output", "from IPython.utils.capture import capture_output\nwith capture_output() as c:\n    print('a')\n    display(1)",
         see=("c.stdout", "len(c.outputs)")),
    _row("descriptors duplicated", "import os\nd = os.dup(1)\nos.dup2(d, 1)\nos.close(d)", "x = 1", see=("x",)),
    _row("a display hook", "import sys\nseen = []\nsys.displayhook = lambda v: seen.append(v)", "5", "6", see=("seen",)),
    _row("an exception hook", "import sys\nseen = []\nsys.excepthook = lambda *a: seen.append(a)", "1 / 0", see=("seen",)),
]  # fmt: skip

_SHELL = [
    _row("run_cell", "r = get_ipython().run_cell('rc = 1\\nrc + 1')", "q = get_ipython().run_cell('1 / 0')", "x = 1",
         see=("rc", "r.success", "r.result", "q.success", "x")),
    _row("run_line_magic, run_cell_magic, magic", "i = get_ipython()\na = i.run_line_magic('time', 'm1 = 1')\n"
         "i.run_cell_magic('capture', 'c', 'print(1)')", "i.magic('env FEATURE_M=1')", see=("m1", "c.stdout")),
    _row("ev, ex, push, drop, getoutput, system", "i = get_ipython()\ni.ex('ex = 1')\ni.push({'pu': 2})\ni.push('ex')\ng = i.getoutput('echo a')\n"
         "s = i.system('true')\nt = i.getoutput('echo b', split=False)", see=("i.ev('ex + pu')", "g", "s", "t")),
    _row("user_ns", "get_ipython().user_ns['un'] = 5", see=("un", "get_ipython().user_ns is globals()")),
    _row("own magics", "from IPython.core.magic import *\n@register_line_magic\ndef twice(line):\n    return line * 2\n"
         "@register_cell_magic\ndef keep(line, cell):\n    global kept\n    kept = cell", "a = %twice ab", "%%keep\nx = 1", see=("a", "kept")),
    _row("an own class of magics", "from IPython.core.magic import *\n@magics_class\nclass M(Magics):\n    @line_magic\n"
         "    def mine(self, line):\n        return self.shell.user_ns.get(line)\nget_ipython().register_magics(M)\nv = 4",
         "a = %mine v", see=("a",)),
    _row("register_magic_function, needs_local_scope", "from IPython.core.magic import needs_local_scope\n@needs_local_scope\n"
         "def ml(line, local_ns=None):\n    return line in local_ns\nget_ipython().register_magic_function(ml)\nv = 1", "a = %ml v", see=("a",)),
    _row("an extension in a file", "%%writefile ext_x.py\ndef load_ipython_extension(i):\n    i.push({'ext': 9})\n"
         "def unload_ipython_extension(i):\n    i.push({'ext': 10})", "%load_ext ext_x", "e = ext", "%unload_ext ext_x", see=("e", "ext")),
    _row("events", "seen = []\ni = get_ipython()\ni.events.register('pre_run_cell', lambda info: seen.append(info.raw_cell))\n"
         "i.events.register('post_run_cell', lambda r: seen.append(r.success))\ni.events.register('post_execute', lambda: seen.append(0))",
         "x = 1", "1 / 0", see=("seen[:6]",)),
    _row("an event that raises", "def bad(*a):\n    1 / 0\nget_ipython().events.register('pre_run_cell', bad)",
         "get_ipython().events.register('post_run_cell', bad)\nx = 1", "y = 2", see=("x", "y")),
    _row("a custom exception handler", "seen = []\ndef h(shell, kind, value, tb, tb_offset=None):\n    seen.append(kind.__name__)\n"
         "get_ipython().set_custom_exc((ZeroDivisionError,), h)", "1 / 0", "unknown_n", see=("seen",)),
    _row("a custom exception handler for all that raises", "def h(*a, **k):\n    raise ValueError\nget_ipython().set_custom_exc((Exception,), h)",
         "1 / 0", "x = 1", see=("x",), own=True),
    _row("showtraceback replaced", "import types\ni = get_ipython()\nseen = []\ni.showtraceback = lambda *a, **k: seen.append(1)", "1 / 0",
         "x = 1", see=("x", "seen")),
    _row("input transformers", "def tr(lines):\n    return [l.replace('TWO', '2') for l in lines]\n"
         "get_ipython().input_transformers_cleanup.append(tr)", "x = TWO", see=("x",)),
    _row("the same cell before and after an input transformer", "x = 'one'", "await __import__('asyncio').sleep(0)\ny = 'one'",
         "get_ipython().input_transformers_post.append(lambda lines: [line.replace(\"'one'\", \"'two'\") for line in lines])",
         "x = 'one'", "await __import__('asyncio').sleep(0)\ny = 'one'", see=("x", "y")),
    _row("an input transformer that raises", "def tr(lines):\n    1 / 0\nget_ipython().input_transformers_post.append(tr)", "x = 1",
         see=("'x' in dir()",), own=True),
    _row("syntax transformers", "import ast\nclass T(ast.NodeTransformer):\n    def visit_Constant(self, n):\n"
         "        return ast.copy_location(ast.Constant(7), n) if n.value == 3 else n\nget_ipython().ast_transformers.append(T())", "x = 3",
         see=("x",)),
    _row("a syntax transformer that raises", "class T:\n    def visit(self, n):\n        1 / 0\nget_ipython().ast_transformers.append(T())", "x = 1",
         "y = 2", see=("x", "y")),
    _row("an own formatter", "seen = []\nf = get_ipython().display_formatter.formatters['text/html']\n"
         "f.for_type(complex, lambda c: seen.append(1) or '<b>')", "1j", see=("seen",)),
    _row("a format for numbers", "get_ipython().display_formatter.formatters['text/plain'].for_type(int, lambda n, p, c: p.text('n'))", "1", see=("5",), own=True),
    _row("set_next_input, payloads", "get_ipython().set_next_input('x = 1')", "get_ipython().payload_manager.read_payload()", see=("1",)),
    _row("options of the shell", "i = get_ipython()", see=("i.ast_node_interactivity", "i.autocall", "i.automagic", "i.loop_runner.__name__",
         "i.colors", "i.pdb", "i.cache_size", "i.autoawait", "i.banner1 == ''", "i.history_length", "i.logstart",
         "i.display_page", "i.enable_tip", "i.separate_in", "i.show_rewritten_input", "i.quiet")),
    _row("the kernel and its application", "k = get_ipython().kernel\nfrom ipykernel.kernelapp import IPKernelApp\na = IPKernelApp.instance()",
         see=("k.shell is get_ipython()", "a.kernel is k", "a.shell is get_ipython()", "type(k).mro()[-1].__name__", "k.implementation",
              "isinstance(k, __import__('ipykernel').ipkernel.IPythonKernel)", "IPKernelApp.initialized()")),
    _row("the connection file", "import ipykernel.connect, json, os, sys\nf = ipykernel.get_connection_file()\n"
         "i = json.loads(ipykernel.get_connection_info())\nd = json.load(open(f))", see=("sorted(set(d) - {'kernel_name', 'jupyter_session'})",
         "os.path.basename(sys.argv[-1]) == os.path.basename(f)", "f.endswith('.json')"), own=True),
    _row("the id of the kernel", "import json, ipykernel.connect, re\nf = ipykernel.connect.get_connection_file()\n"
         "k = re.search(r'(kernel|connection)', f) is not None", see=("k",)),
    _row("sys.argv and argparse", "import argparse, sys\np = argparse.ArgumentParser()\np.add_argument('--n', type=int, default=3)\na = p.parse_args([])",
         "b, rest = p.parse_known_args()", "p.parse_args()", "p.add_argument('-f')\nc = p.parse_args()",
         see=("a.n", "b.n", "len(rest)", "sys.argv[0].endswith('ipykernel_launcher.py')", "len(sys.argv)", "c.n", "sys.argv[1]"), own=True),
    _row("sys.path and local modules", "import sys, os", see=("os.getcwd() in sys.path", "sys.flags.safe_path", "sys.flags.isolated",
         "[os.path.basename(p) for p in sys.path if p.startswith(sys.base_prefix) or p == '' or p.endswith('site-packages')]"), own=True),
    _row("a local package", "import os\nos.makedirs('pk/sub', exist_ok=True)\nopen('pk/__init__.py', 'w').write('v = 1')\n"
         "open('pk/sub/m.py', 'w').write('from .. import v\\nw = v + 1')", "from pk.sub.m import w\nfrom pk.sub import m",
         "import importlib\nimportlib.reload(m)", see=("w", "m.__name__")),
    _row("an import from a folder above", "import sys, os\nopen('../up_m.py', 'w').write('u = 6')\nsys.path.append('..')\nfrom up_m import u",
         see=("u",)),
    _row("an import after chdir", "import os\nos.makedirs('cdm', exist_ok=True)\nopen('cdm/in_cdm.py', 'w').write('u = 6')\nos.chdir('cdm')",
         "import in_cdm", "os.chdir('..')", see=("in_cdm.u",)),
    _row("a local module with a name of the standard library", "open('queue.py', 'w').write('mine = 1')\nimport queue", "import os\nos.remove('queue.py')",
         see=("hasattr(queue, 'mine')",)),
    _row("an import that is missing", "import no_such_module", "from math import no_such", "x = 1", see=("x",)),
    _row("an import hook", "import sys, types\nclass F:\n    def find_spec(self, n, p=None, t=None):\n        return None\nsys.meta_path.insert(0, F())",
         "import no_such_module_2", "import colorsys", see=("colorsys.__name__",)),
    _row("reload of a module that is there", "import importlib, json, math\nimportlib.reload(json)\nimportlib.invalidate_caches()",
         see=("json.dumps(1)",)),
    _row("sys.modules", "import sys, types\nm = types.ModuleType('made_m')\nm.v = 3\nsys.modules['made_m'] = m\nfrom made_m import v", see=("v",)),
    _row("what is imported already", "import sys", see=("'ipykernel' in sys.modules", "'IPython' in sys.modules", "'google.colab' in sys.modules",
         "'pytest' in sys.modules")),
    _row("folders", "import os, pathlib, tempfile\nh = pathlib.Path.home()\n(h / 'in_home.txt').write_text('a')\n"
         "with tempfile.NamedTemporaryFile('w', suffix='.txt') as f:\n    f.write('x')\nd = tempfile.mkdtemp()\nt = tempfile.gettempdir()",
         see=("str(h) == os.path.expanduser('~')", "os.path.isdir(t)", "os.listdir(d)", "pathlib.Path('..').resolve() == h",
              "(h / 'in_home.txt').read_text()")),
    _row("files", "import os, glob, shutil, pathlib\npathlib.Path('fd/a').mkdir(parents=True)\npathlib.Path('fd/a/x.txt').write_text('é')\n"
         "shutil.copytree('fd', 'fe')\nshutil.make_archive('fz', 'zip', 'fd')\nos.symlink('fd', 'fl')\nos.rename('fe', 'fg')",
         see=("glob.glob('f[dg]/**/*.txt', recursive=True)", "sorted(os.listdir('fd'))", "os.path.getsize('fd/a/x.txt')", "os.path.islink('fl')")),
    _row("a file that is missing", "open('data.csv')", "import numpy as np\nnp.loadtxt('x.csv')", "x = 1", see=("x",)),
    _row("the environment", "import os\nos.environ['FEATURE_E'] = '1'\nx = os.getenv('FEATURE_E')\ndel os.environ['FEATURE_E']",
         see=("x", "os.environ.get('HOME') == os.path.expanduser('~')", "'PATH' in os.environ", "os.environ.get('MPLBACKEND')",
              "os.environ.get('JPY_PARENT_PID', '').isdigit()", "'CLICOLOR' in os.environ", "os.environ.get('TERM')", "os.environ.get('PAGER')",
              "os.environ.get('FORCE_COLOR')", "os.environ.get('GIT_PAGER')")),
    _row("the environment cleared", "import os\nos.environ.clear()", "x = 1", "import subprocess\ny = subprocess.run(['/bin/echo']).returncode",
         see=("x", "y")),
    _row("builtins replaced", "import builtins\nold = builtins.print\nbuiltins.print = lambda *a: None\nprint(1)\nbuiltins.print = old",
         "sum = 3\nlist = [1]\nlen = 4", "x = len + 1", "del sum, list, len\ny = len([1])", see=("x", "y")),
    _row("a builtin import replaced", "import builtins\nold = builtins.__import__\ndef imp(*a, **k):\n    return old(*a, **k)\nbuiltins.__import__ = imp",
         "import colorsys", see=("colorsys.__name__",)),
    _row("get_ipython replaced", "get_ipython = None", "x = 1", "%time y = 2", see=("x",), own=True),
    _row("clear_instance", "from IPython.core.interactiveshell import InteractiveShell\nInteractiveShell.clear_instance()", "x = 1",
         "print(x)", see=("x",), own=True),
    _row("names cleared", "q1 = 5\nfor n in list(globals()):\n    if not n.startswith('_'):\n        del globals()[n]", "x = 1", "1 / 0", "y = 2",
         see=("x", "y"), own=True),
    _row("globals cleared", "globals().clear()", "x = 1", "y = 2", see=("x", "y"), own=True),
]  # fmt: skip

_PYTHON = [
    _row("functions and classes over cells", "def f(x):\n    return g(x) + K", "def g(x):\n    return 2 * x", "K = 1", "y = f(3)", see=("y",)),
    _row("a name that is deleted", "x = 1\ndel x", "x", "del y_never"),
    _row("global, nonlocal, closures", "n = 0\ndef f():\n    global n, m\n    n += 1\n    m = 5\n    def g():\n        nonlocal k\n        k = 2\n"
         "    k = 1\n    g()\n    return k\nr = f()", see=("n", "m", "r")),
    _row("star imports", "from math import *\nfrom os.path import *", "x = sin(0), basename('a/b')", see=("x",)),
    _row("annotations that are not evaluated", "from __future__ import annotations\ndef f(x: NoSuch) -> AlsoNot: ...",
         "def g(x: NoSuch2): ...", see=("f.__annotations__", "'g' in dir()")),
    _row("another future", "from __future__ import print_function, division\nx = 1 / 2", "from __future__ import braces",
         "x = 1\nfrom __future__ import division", see=("x",)),
    _row("dataclasses, enums, typing", "from dataclasses import dataclass\nfrom enum import Enum\nfrom typing import NamedTuple, TypedDict, Optional\n"
         "@dataclass(frozen=True, slots=True)\nclass D:\n    a: int\n    b: Optional[str] = None\nclass E(Enum):\n    A = 1\n"
         "class N(NamedTuple):\n    x: int\nclass T(TypedDict):\n    k: int", see=("D(1)", "E.A", "N(2)", "T(k=1)", "D.__module__")),
    _row("type hints, looked up", "import typing\nclass C:\n    a: 'int'\ndef f(c: 'C') -> 'list[C]': ...", see=("typing.get_type_hints(f)",)),
    _row("match, walrus, positional-only", "match [1, 2]:\n    case [a, b]:\n        s = a + b\nif (w := 3) > 2: v = w\ndef f(x, /, *, y=1): return x + y",
         see=("s", "w", "v", "f(1, y=2)")),
    _row("pickle of what cells define", "import pickle\nclass P:\n    def __init__(self, a): self.a = a\ndef f(): return 2\n"
         "x = pickle.loads(pickle.dumps(P(5))).a\ny = pickle.loads(pickle.dumps(f))()", "pickle.dumps(lambda: 1)", see=("x", "y")),
    _row("copy, deepcopy", "import copy\nclass P: pass\np = P()\np.l = [1]\nq = copy.deepcopy(p)\nq.l.append(2)", see=("p.l", "copy.copy([1])")),
    _row("cached functions", "from functools import lru_cache, cached_property\n@lru_cache\ndef fib(n): return n if n < 2 else fib(n - 1) + fib(n - 2)\n"
         "x = fib(80)", see=("x", "fib.cache_info().misses")),
    _row("doctest and unittest", "import doctest, unittest\ndef f():\n    \"\"\"\n    >>> f()\n    1\n    \"\"\"\n    return 1\n"
         "r = doctest.testmod()\nclass T(unittest.TestCase):\n    def test_a(self): self.assertEqual(1, 1)",
         "u = unittest.main(argv=[''], exit=False)", "unittest.main()", see=("r.attempted", "r.failed", "u.result.testsRun")),
    _row("an if for main", "if __name__ == '__main__':\n    x = 1\ndef main(): return 2\ny = main() if __name__ == '__main__' else 0", see=("x", "y")),
    _row("exec, eval, compile", "exec('ex1 = 4')\ny = eval('ex1 + 1')\nexec(compile('z = 3', 'a', 'exec'), globals())\n"
         "d = {}\nexec('def f(): return 1', d)", see=("ex1", "y", "z", "d['f']()")),
    _row("locals at the top", "x = locals() is globals()\nlocals()['lo'] = 5", see=("x", "lo")),
    _row("decorators and metaclasses", "def twice(f):\n    return lambda *a: f(f(*a))\n@twice\ndef inc(x): return x + 1\nclass M(type):\n"
         "    def __call__(c, *a): return 9\nclass C(metaclass=M): pass", see=("inc(1)", "C()")),
    _row("generators and context managers", "from contextlib import *\n@contextmanager\ndef c():\n    yield 4\nwith c() as v, suppress(ValueError):\n"
         "    raise ValueError\ng = (i for i in range(3))", see=("v", "list(g)")),
    _row("gc and weakref", "import gc, weakref\nclass C: pass\nc = C()\nr = weakref.ref(c)\ndel c\ngc.collect()", "gc.disable(); gc.enable()",
         see=("r() is None", "gc.isenabled()", "gc.get_threshold()")),
    _row("__del__", "seen = []\nclass C:\n    def __del__(self): seen.append(1)\nc = C()\ndel c", see=("seen",)),
    _row("a shown object is kept", "import weakref\nclass C: pass\nc = C()\nc", "r = weakref.ref(c)\ndel c", see=("r() is None",)),
    _row("logging", "import logging\nlogging.basicConfig(level=logging.INFO)\nl = logging.getLogger('a')\nl.info('x')",
         see=("len(logging.getLogger().handlers)", "logging.getLogger().level", "l.getEffectiveLevel()")),
    _row("logging before it is configured", "import logging\nlogging.warning('w')", see=("len(logging.getLogger().handlers)",
         "logging.root.level", "logging.root.manager.disable"), own=True),
    _row("logging to a file", "import logging\nh = logging.FileHandler('a.log')\nl = logging.getLogger('f')\nl.addHandler(h)\nl.error('bad')\nh.close()",
         see=("open('a.log').read()",)),
    _row("sqlite", "import sqlite3\nc = sqlite3.connect('a.db')\nc.execute('create table if not exists t (a)')\nc.execute('insert into t values (1)')\n"
         "c.commit()\nr = c.execute('select a from t').fetchone()\nc.close()", see=("r",)),
    _row("json, csv, zip, gzip, urllib.parse", "import json, csv, gzip, io, zipfile\ngzip.open('g.gz', 'wb').write(b'x')\n"
         "x = gzip.open('g.gz').read()\nr = list(csv.reader(['a,b']))", see=("json.loads('[1]')", "r")),
    _row("ctypes", "import ctypes\nl = ctypes.CDLL(None)\nx = l.abs(-3)", see=("x",)),
    _row("clocks", "import time, timeit, datetime\nt = time.perf_counter()\ntime.sleep(0.01)\nd = time.perf_counter() - t > 0.005\n"
         "e = timeit.timeit('1', number=3) >= 0\nf = timeit.timeit(lambda: 1, number=1) >= 0", see=("d", "e", "f", "datetime.datetime.now().year > 2000")),
    _row("profilers and tracers", "import cProfile, sys, tracemalloc\np = cProfile.Profile()\nr = p.runcall(sum, [1, 2])\ntracemalloc.start()\n"
         "tracemalloc.stop()\nn = [0]\ndef tr(*a): n[0] += 1\nsys.settrace(tr)\n(lambda: 1)()\nsys.settrace(None)", see=("r", "n[0] > 0")),
    _row("hash, id, random without a seed", "import random\na = random.random()\nb = random.random()\nh = hash('a') == hash('a')", see=("a != b", "h")),
    _row("random with a seed", "import random\nrandom.seed(1)\nx = random.random(), random.sample(range(9), 3)\nrandom.seed('text')\ny = random.random()",
         see=("x", "y")),
    _row("uuid, secrets, os.urandom", "import uuid, secrets, os\nx = uuid.uuid4() != uuid.uuid4(), len(os.urandom(3)), len(secrets.token_hex(2))\nuuid.uuid1()",
         see=("x",)),
    _row("integers of many digits", "x = len(str(2 ** 10_000))", "int('9' * 5000)", see=("x",)),
    _row("decimal and fractions", "from decimal import *\ngetcontext().prec = 5\nx = Decimal(1) / 3", see=("x", "getcontext().rounding")),
    _row("a cell without code", "", "# only a comment", "   \n\n", "x = 1", see=("x",)),
    _row("a cell of a thousand lines", "\n".join(f"v{n} = {n}" for n in range(1000)), see=("v999",)),
    _row("a cell with a docstring only", "\'\'\'a docstring\'\'\'", see=("_",), own=True),
    _row("nested functions", "def a():\n    def b():\n        def c():\n            return 1\n        return c\n    return b\nx = a()()()", see=("x", "a()().__qualname__")),
    _row("a class that is defined twice", "class A: pass\na = A()", "class A: pass", see=("isinstance(a, A)",)),
]  # fmt: skip

_LIBRARIES = [
    _row("torch in short", "import torch\nfrom torch import nn\nimport torch.nn.functional as F\nx = torch.ones(2, 3)\ny = x @ x.T", see=("y", "x.dtype", "x.device")),
    _row("torch and its devices", "import torch\nd = 'cuda' if torch.cuda.is_available() else 'cpu'", "torch.ones(1).cuda()",
         "torch.ones(1, device='cuda')", see=("d", "torch.cuda.device_count()", "torch.backends.mps.is_available()")),
    _row("torch with seeds", "import torch\ntorch.manual_seed(0)\nx = torch.rand(2), torch.randn(2), torch.randperm(4)", see=("x", "torch.initial_seed()")),
    _row("torch with generators", "import torch\ng = torch.Generator().manual_seed(3)\nx = torch.rand(2, generator=g)\ntorch.seed()\ns = torch.get_rng_state()\n"
         "a = torch.rand(1)\ntorch.set_rng_state(s)\nb = torch.rand(1)", see=("x", "a == b")),
    _row("numpy with seeds", "import numpy as np\nnp.random.seed(0)\na = np.random.rand(2)\nb = np.random.default_rng(1).random(2)", see=("a", "b")),
    _row("no seed gives other numbers", "import numpy as np, torch\na, b = np.random.rand(2)\nc, d = torch.rand(2)", see=("a != b", "bool(c != d)")),
    _row("torch's grad mode and dtypes", "import torch", "torch.set_grad_enabled(False)", "a = torch.is_grad_enabled()",
         "torch.set_default_dtype(torch.float64)\nb = torch.zeros(1).dtype", "torch.set_printoptions(precision=2)\nc = repr(torch.tensor(1.23456))",
         see=("a", "b", "c")),
    _row("torch's defaults", "import torch", see=("torch.is_grad_enabled()", "torch.get_default_dtype()", "torch.is_inference_mode_enabled()",
         "torch.are_deterministic_algorithms_enabled()", "torch.is_anomaly_enabled()", "torch.get_float32_matmul_precision()",
         "torch.get_flush_denormal() if hasattr(torch, 'get_flush_denormal') else None", "torch.zeros(1)", "torch.backends.mkldnn.enabled")),
    _row("autograd", "import torch\nx = torch.ones(3, requires_grad=True)\n(x ** 2).sum().backward()\ng, = torch.autograd.grad((x ** 3).sum(), x)\n"
         "ok = torch.autograd.gradcheck(torch.sin, torch.ones(2, dtype=torch.float64, requires_grad=True))", see=("x.grad", "g", "ok")),
    _row("an autograd function, func, vmap", "import torch\nfrom torch.func import grad, vmap, jacrev\nclass S(torch.autograd.Function):\n    @staticmethod\n"
         "    def forward(ctx, x):\n        return x * 2\n    @staticmethod\n    def backward(ctx, g):\n        return g * 2\n"
         "x = torch.ones(1, requires_grad=True)\nS.apply(x).backward()", see=("x.grad", "grad(torch.sin)(torch.tensor(0.))", "vmap(torch.sum)(torch.ones(2, 3))")),
    _row("anomaly detection and hooks", "import torch\nx = torch.ones(1, requires_grad=True)\nseen = []\nx.register_hook(seen.append)\n"
         "with torch.autograd.detect_anomaly():\n    (x * 2).sum().backward()", see=("seen",)),
    _row("threads of torch", "import torch\nn = torch.get_num_threads()\ntorch.set_num_threads(1)\nx = (torch.ones(300, 300) @ torch.ones(300, 300))[0, 0]",
         "torch.set_num_interop_threads(1)", see=("n", "x"), own=True),
    _row("deterministic algorithms", "import torch\ntorch.use_deterministic_algorithms(True)\nx = torch.ones(3).cumsum(0)", see=("x",)),
    _row("torch.compile", "import torch\n@torch.compile(backend='eager')\ndef f(x):\n    return x + 1\ny = f(torch.ones(2))", see=("y",)),
    _row("torch.jit", "import torch\n@torch.jit.script\ndef f(x):\n    return x + 1\ng = torch.jit.trace(lambda x: x * 2, torch.ones(1))\ny = f(torch.ones(1)), g(torch.ones(1))",
         see=("y",)),
    _row("torch.save and load", "import torch\ntorch.save({'a': torch.ones(2)}, 'a.pt')\nd = torch.load('a.pt')\nm = torch.nn.Linear(2, 1)\n"
         "torch.save(m.state_dict(), 'm.pt')\nr = m.load_state_dict(torch.load('m.pt'))", see=("d", "r")),
    _row("torch.save of a model of a cell", "import torch\nclass Net(torch.nn.Module):\n    def __init__(self):\n        super().__init__()\n        self.l = torch.nn.Linear(1, 1)\n"
         "torch.save(Net(), 'net.pt')\nn = torch.load('net.pt', weights_only=False)", "torch.load('net.pt')", see=("type(n).__name__",)),
    _row("a training loop", "import torch\nfrom torch import nn\ntorch.manual_seed(0)\nm = nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 1))\n"
         "o = torch.optim.SGD(m.parameters(), lr=0.1)\nx, y = torch.randn(32, 4), torch.randn(32, 1)\nfor _step in range(5):\n    o.zero_grad()\n"
         "    loss = nn.functional.mse_loss(m(x), y)\n    loss.backward()\n    o.step()", see=("f'{loss.item():.5f}'",)),
    _row("a data loader", "import torch\nfrom torch.utils.data import *\nd = TensorDataset(torch.arange(6))\nx = [b[0].tolist() for b in DataLoader(d, 4)]", see=("x",)),
    _row("a data loader with workers", "import torch\nfrom torch.utils.data import *\nd = TensorDataset(torch.arange(6))\n"
         "x = [b[0].tolist() for b in DataLoader(d, 4, num_workers=2)]", see=("x",)),
    _row("a data loader with pinned memory", "import torch\nfrom torch.utils.data import *\nd = TensorDataset(torch.arange(3))\n"
         "x = [b[0].tolist() for b in DataLoader(d, 4, pin_memory=True)]", see=("x",)),
    _row("a data set that a cell defines, with a worker", "import torch\nfrom torch.utils.data import *\nclass D(Dataset):\n    def __len__(self): return 2\n"
         "    def __getitem__(self, i): return torch.tensor(i)\nx = [b.tolist() for b in DataLoader(D(), 2, num_workers=1)]", see=("x",)),
    _row("torch.multiprocessing", "import torch, torch.multiprocessing as mp\ndef w(q):\n    q.put(torch.ones(1).item())\nc = mp.get_context('fork')\nq = c.Queue()\n"
         "p = c.Process(target=w, args=(q,))\np.start()\nv = q.get(timeout=10)\np.join()", see=("v",)),
    _row("a matrix product in a fork", "import torch, os\nx = torch.ones(200, 200) @ torch.ones(200, 200)\np = os.fork()\nif p == 0:\n    y = x @ x\n    os._exit(int(y[0, 0] == 40000))\n"
         "s = os.waitstatus_to_exitcode(os.waitpid(p, 0)[1])", see=("s",)),
    _row("linear algebra, convolutions, softmax", "import torch\nimport torch.nn.functional as F\na = torch.linalg.inv(torch.eye(3) * 2)\nb = F.conv2d(torch.ones(1, 1, 3, 3), torch.ones(1, 1, 2, 2))\n"
         "c = F.softmax(torch.zeros(2), 0)\nd = torch.einsum('ij,jk', torch.ones(2, 2), torch.ones(2, 2))", see=("a", "b", "c", "d")),
    _row("half precision and amp", "import torch\nx = torch.ones(2, dtype=torch.float16) @ torch.ones(2, dtype=torch.float16)\nwith torch.autocast('cpu', dtype=torch.bfloat16):\n"
         "    y = (torch.ones(2, 2) @ torch.ones(2, 2)).dtype", see=("x", "y")),
    _row("the profiler of torch", "import torch\nfrom torch.profiler import profile\nwith profile() as p:\n    torch.ones(2) + 1", see=("len(p.key_averages()) > 0",)),
    _row("torch.hub and torchvision", "import torch\ntorch.hub.load('pytorch/vision', 'resnet18')", "import torchvision", "from torch.utils.tensorboard import SummaryWriter"),
    _row("errors of torch", "import torch\ntorch.ones(2, 3) @ torch.ones(2, 3)", "torch.ones(2) + torch.ones(3)", "torch.ones(2).backward()", "torch.tensor([1, 'a'])",
         "torch.zeros(3)[5]"),
    _row("tensors that are huge", "import torch\ntorch.zeros(10**15)", "x = 1", see=("x",)),
    _row("numpy printing and errors", "import numpy as np\nnp.set_printoptions(precision=2, suppress=True)\na = repr(np.array([1.23456]))\nwith np.errstate(divide='raise'):\n    np.array([1.]) / 0",
         "np.array([1.]) / 0\nb = np.seterr(all='raise')", "np.array([1.]) / 0", see=("a", "b")),
    _row("numpy's files and memory", "import numpy as np\nnp.save('n.npy', np.arange(3))\nm = np.memmap('n.mm', dtype='u1', mode='w+', shape=(4,))\nm[0] = 1\nm.flush()\n"
         "np.savez('z.npz', a=np.ones(1))\nx = np.load('n.npy')", see=("x", "np.load('z.npz')['a']")),
    _row("numpy's configuration", "import numpy as np\nnp.show_config()\nnp.show_runtime()\nnp.__version__\nx = np.geterr()", see=("x",)),
    _row("numpy and torch", "import numpy as np, torch\na = np.ones(2)\nt = torch.from_numpy(a)\nt[0] = 5\nb = torch.ones(2).numpy()", see=("a", "b", "t.dtype")),
    _row("matplotlib figures", "import matplotlib.pyplot as plt\nf, ax = plt.subplots(1, 2)\nax[0].plot([1, 2])\nax[1].imshow([[0, 1]])\nn = len(f.axes)\nplt.show()",
         "m = plt.get_fignums()", see=("n", "m")),
    _row("matplotlib closes its figures after a cell", "import matplotlib.pyplot as plt\nplt.plot([1])", "n = plt.get_fignums()\nfig = plt.gcf()\nk = len(fig.axes)",
         see=("n", "k")),
    _row("matplotlib is drawn into", "import matplotlib.pyplot as plt\nf = plt.figure()\nax = f.add_subplot()\nax.plot([0, 1])\nf.canvas.draw()\na = ax.get_xlim()",
         see=("a", "f.canvas.get_width_height()", "type(f.canvas).__name__")),
    _row("matplotlib saves", "import matplotlib.pyplot as plt, os\nplt.plot([1, 2])\nplt.title('a')\nplt.savefig('a.png')\nplt.savefig('a.svg')\n"
         "s = [os.path.getsize(f'a.{k}') > 500 for k in ('png', 'svg')]", "plt.savefig('no/such/folder.png')", "plt.savefig('a.xyz')", see=("s",)),
    _row("matplotlib's rcParams and styles", "import matplotlib.pyplot as plt\nplt.rcParams['figure.figsize'] = (3, 2)\nplt.style.use('ggplot')\na = plt.figure().get_size_inches().tolist()",
         "plt.rcParams['no.such'] = 1", "plt.style.use('seaborn')", see=("a",)),
    _row("matplotlib's defaults", "import matplotlib.pyplot as plt, matplotlib as mpl\nplt.figure()", see=("plt.rcParams['figure.figsize']", "plt.rcParams['figure.dpi']",
         "plt.isinteractive()", "mpl.get_backend()", "plt.rcParams['savefig.dpi']", "plt.rcParams['figure.facecolor']", "mpl.is_interactive()"), own=True),
    _row("matplotlib's backends", "import matplotlib\nmatplotlib.use('Agg')", "import matplotlib.pyplot as plt\nplt.switch_backend('agg')\nplt.plot([1])\nplt.show()",
         "plt.switch_backend('qtagg')", see=("plt.get_backend().lower()",)),
    _row("matplotlib's animation", "import matplotlib.pyplot as plt\nfrom matplotlib.animation import FuncAnimation\nf, ax = plt.subplots()\nl, = ax.plot([0, 1])\n"
         "a = FuncAnimation(f, lambda i: (l.set_ydata([i, 1]), (l,))[1], frames=2)\nh = len(a.to_jshtml()) > 100", see=("h",)),
    _row("matplotlib updates a plot in a loop", "import matplotlib.pyplot as plt\nfrom IPython.display import clear_output, display\nfor i in range(2):\n    clear_output(wait=True)\n"
         "    plt.plot([i])\n    plt.pause(0.001)\n    display(plt.gcf())\n    plt.draw()\nplt.close('all')", "plt.ion(); plt.ioff()", see=("plt.get_fignums()",)),
    _row("an error of mathtext that only a drawn figure shows", "import matplotlib.pyplot as plt\nplt.title('$\\\\frac{$')", "x = 1", see=("x",)),
    _row("an error in a figure that is saved", "import matplotlib.pyplot as plt\nplt.title('$\\\\frac{$')\nplt.savefig('bad.png')", "plt.close('all')\nx = 1", see=("x",)),
    _row("many figures", "import matplotlib.pyplot as plt\nfor i in range(22):\n    plt.figure()\nplt.close('all')\nx = 1", see=("x",)),
    _row("a plot of tensors", "import torch, matplotlib.pyplot as plt\nplt.plot(torch.ones(3))\nplt.hist(torch.ones(3).numpy())\nplt.imshow(torch.ones(2, 2), cmap='gray')\nplt.colorbar()",
         "x = 1", see=("x",)),
    _row("events of matplotlib", "import matplotlib.pyplot as plt\nf = plt.figure()\nc = f.canvas.mpl_connect('button_press_event', print)\nplt.ginput", see=("type(c).__name__",)),
    _row("PIL", "from PIL import Image\nImage.new('L', (2, 2)).save('p.png')\ni = Image.open('p.png')\ni.show()", see=("i.size",)),
    _row("sympy", "import sympy\nx = sympy.symbols('x')\nsympy.init_printing()\nd = sympy.diff(x ** 2, x)\nd", see=("str(d)",)),
    _row("networkx, yaml, jinja2, rich, click", "import yaml, jinja2, rich, click\nx = yaml.safe_load('a: 1')\nrich.print('[b]x')", see=("x",)),
    _row("MNIST of the assignments' package", "import grader\nx = grader.__name__", see=("x",)),
]  # fmt: skip

_WAIT = "import time\ntime.sleep(0.5)"
_DIFFERENT = [
    _differs(
        _row("exit() in a cell", "x = 1\nexit()", _WAIT, "y = 2", see=("x", "y"), own=True),
        "It would end the kernel, and lose the cells below: nobody is there to start it again.",
        raised=("", "", ""), seen=("1", "2"),
    ),
    _differs(
        _row("quit in a cell", "x = 1", "quit", _WAIT, "y = 2", see=("x", "y"), own=True),
        "The same.",
        raised=("", "", "", ""), seen=("1", "2"),
    ),
    _differs(
        _row("a restart after an installation", "import IPython\nx = 1\nIPython.Application.instance().kernel.do_shutdown(True)", _WAIT,
             "y = 2", see=("x", "y"), own=True),
        "It would end the kernel, and nothing could be installed.",
        raised=("", "", ""), seen=("1", "2"),
    ),
    _differs(
        _row("a command that reads", "!cat", "x = 1", see=("x",), own=True, seconds=2),
        "Standard input of commands is empty, since nobody types; without a terminal, it would be waited for.",
        raised=("", ""), seen=("1",),
    ),
    _differs(
        _row("a command that asks", "!python -c 'input()'", see=("_exit_code",), own=True, seconds=2),
        "The same.",
        raised=("",), seen=("1",),
    ),
    _differs(
        _row("a program that a cell made", "%%writefile pr.sh\n#!/bin/sh\necho hi", "!chmod +x pr.sh", "x = !sh pr.sh",
             "!./pr.sh", see=("x", "_exit_code")),
        "Files in the scratch folder cannot be started as programs, only be read by one.",
        raised=("", "", "", ""), seen=("['hi']", "126"),
    ),
    _differs(
        _row("sockets to this machine", "import socket\ns = socket.socket()\ns.bind(('127.0.0.1', 0))\ns.listen()\n"
             "c = socket.create_connection(s.getsockname())", see=("'c' in dir()",)),
        "There is no network, not even to the machine itself.",
        raised=("OSError",), seen=("False",),
    ),
    _differs(
        _row("a web server in a thread", "import http.server, threading\n"
             "s = http.server.HTTPServer(('127.0.0.1', 0), http.server.SimpleHTTPRequestHandler)\n"
             "threading.Thread(target=s.serve_forever, daemon=True).start()\ns.shutdown()"),
        "The same.",
        raised=("OSError",),
    ),
    _differs(
        _row("settings of what nobody imported", "%config InlineBackend", own=True),
        "Matplotlib, numpy and torch have been imported already, so that their settings are known.",
        raised=("",),
    ),
    _differs(
        _row("modules that nobody imported", "import sys", see=("'torch' in sys.modules",), own=True),
        "The same; the names are not defined, so `import` is needed as ever.",
        raised=("",), seen=("True",),
    ),
    _differs(
        _row("the mode of tracebacks", see=("get_ipython().xmode",)),
        "Tracebacks are short, since nobody sees them.",
        raised=(), seen=("'Minimal'",),
    ),
    _differs(
        _row("a figure is drawn after its cell", "from matplotlib.figure import Figure\nimport matplotlib.pyplot as plt\nn, draw = [], Figure.draw\n"
             "Figure.draw = lambda *a: (n.append(1), draw(*a))", "plt.plot([1])", "Figure.draw = draw\nk = plt.get_fignums()",
             see=("len(n) > 0", "k")),
        "Figures are closed, but not drawn, since nobody sees them.",
        raised=("", "", ""), seen=("False", "[]"),
    ),
    _differs(
        _row("the network", "import socket", see=("bool(socket.if_nameindex())",)),
        "There is no network, and so no interface of one.",
        raised=("",), seen=("OSError",),
    ),
]  # fmt: skip
"""What is different on purpose."""

FEATURES = [*_MAGICS, *_ASYNC, *_PROCESSES, *_ERRORS, *_DISPLAY, *_SHELL, *_PYTHON, *_LIBRARIES, *_DIFFERENT]
