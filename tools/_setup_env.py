"""The steps of tools/setup_env.sh; only the standard library.

The rule that makes it repairable: nothing is taken for granted because an
earlier run did it. Each run asks the environment what it has; pip does what is
missing; at the end everything is imported. One small file in the environment,
the stamp, remembers that a run began (then broken packages are looked for) and
that one ended well (then pip need not be asked).
"""
import argparse
import contextlib
import csv
import fcntl
import hashlib
import json
import os
import platform
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))
from hpvit_mm import environment  # noqa: E402 (needs no third package)
from hpvit_mm.errors import UserError  # noqa: E402

GB = 1e9
STAMP, LOG = '.setup_env.json', 'setup_env.log'
PINS = 'requirements.txt'


class Stop(Exception):
    """One sentence for the user, with the remedy, and the exit status."""

    def __init__(self, sentence, status=1):
        super().__init__(sentence)
        self.status = status


# ------------------------------------------------------------- requirements


def read_requirements(name):
    """The requirements of a file, in order: name -> 'name==version'."""
    lines = (line.split('#')[0].strip()
             for line in (ROOT / name).read_text().splitlines())
    return {re.match(r'[\w.-]+', line)[0].lower(): line
            for line in lines if line}


def digest(stack):
    """Changes when anything that decides what is installed changes."""
    files = (PINS, f'requirements-{stack}.txt', 'setup.py')
    text = b''.join((ROOT / name).read_bytes() for name in files)
    return hashlib.sha256(text + str(ROOT).encode()).hexdigest()


def torchvision_for(torch):
    """The torchvision that belongs to a torch: 2.13.0 -> 0.28.0.

    The two are released together; the minor versions have run 15 apart since
    torch 2.0, with equal patch versions since 2.1.
    """
    major, minor, patch = re.match(r'(\d+)\.(\d+)\.(\d+)', torch).groups()
    if major != '2':
        raise Stop(f'torch {torch} is not supported: use an environment with '
                   'a torch of the 2 series, or with none')
    return f'torchvision==0.{int(minor) + 15}.{patch}'


# ----------------------------------------------------------------- what to say


class Screen:
    """Steps and their progress: in place on a terminal, else in few lines."""

    def __init__(self):
        self.tty = sys.stdout.isatty()
        self.start = self.began = time.monotonic()
        self.title, self.last = '', None

    def say(self, text):
        self._clear()
        print(text, flush=True)

    def _clear(self):
        if self.tty:
            print('\r\033[K', end='')

    @contextlib.contextmanager
    def step(self, title):
        self.title, self.began, self.last = title, time.monotonic(), None
        if self.tty:
            self.progress('')
        else:
            self.say(title)
        yield
        self._clear()
        took = time.monotonic() - self.began
        if self.tty or took > 10:
            print(f'{title if self.tty else "  done"} ({duration(took)})',
                  flush=True)

    def progress(self, text, count=0):
        """Show where a step is; ``count`` counts what is done, if known."""
        now = time.monotonic()
        if self.tty:
            width = shutil.get_terminal_size().columns - 1
            line = f'{self.title} ... {text}' if text else f'{self.title} ...'
            print('\r\033[K' + line[:width], end='', flush=True)
            return
        when, reached = self.last or (self.began, 0)
        if count >= reached + 10 or now >= when + 30:
            print(f'  {text or "..."}', flush=True)
            self.last = now, count


def duration(seconds):
    if seconds < 90:
        return f'{seconds:.0f} s'
    minutes = round(seconds / 60)
    return f'{minutes} min' if minutes < 90 else f'{minutes / 60:.1f} h'


class Progress:
    """Reads pip's output and says in a few words where it is."""

    # ninja's lines, as `[34/77] c++ ...`
    NINJA = re.compile(r'^\s*\[(\d+)/(\d+)\] ')
    PIP = re.compile(r'^ *((?:Collecting|Downloading|Building wheels?|'
                     r'Installing collected) .*)')

    def __init__(self, now=time.monotonic):
        self.now, self.began = now, now()
        self.built = self.total = 0
        self.build_began = None
        self.activity = ''

    def feed(self, line):
        ninja, pip = self.NINJA.match(line), self.PIP.match(line)
        if ninja:
            if self.build_began is None:
                self.build_began = self.now()
            self.last_built = self.now()
            self.built, self.total = map(int, ninja.groups())
        elif pip:
            self.activity = re.split(r' from |: | \(from', pip[1])[0][:60]

    def __str__(self):
        if self.total and self.built < self.total:
            text = f'building mmcv ops {self.built}/{self.total}'
            spent = self.last_built - self.build_began
            if self.built > 1 and spent > 10:
                pace = spent / self.built
                left = pace * (self.total - self.built)
                left = max(pace, left - (self.now() - self.last_built))
                text += f', about {duration(left)} left'
            return text
        return (f'{self.activity}, ' if self.activity else '') + duration(
            self.now() - self.began)


# (what the output of a failed step holds, what to tell the user)
CAUSES = (
    (r'No space left on device|Disk quota exceeded',
     'the disk is full: free some space (7 GB are enough in every case), or '
     'name a folder on another disk through HPVIT_VENV'),
    (r'ensurepip is not\s+available',
     'this Python has no ensurepip, which a new environment needs: install '
     'it (Debian, Ubuntu: apt install python3-venv), or name another Python '
     'through PYTHON'),
    (r'fatal error: Python\.h',
     "Python's header files are missing: install them (Debian, Ubuntu: apt "
     'install python3-dev), or name another Python through PYTHON'),
    (r'Killed signal terminated program|virtual memory exhausted|'
     r'[Cc]annot allocate memory',
     'the memory did not suffice to compile so many files at once: run again '
     'with MAX_JOBS=1'),
    (r'detected CUDA version .* mismatches|CUDA_HOME environment variable is '
     r'not set',
     "the CUDA toolkit is missing or not of torch's version: name the right "
     'one through CUDA_HOME, or run with FORCE_CUDA=0 for CPU ops'),
    (r'CERTIFICATE_VERIFY_FAILED',
     "pip does not trust the package index's certificate: name your "
     "network's certificates through PIP_CERT"),
    (r'NewConnectionError|ConnectTimeoutError|ReadTimeoutError|ProxyError|'
     r'[Nn]ame resolution|Name or service not known|Network is unreachable|'
     r'Connection refused|Connection reset|Max retries exceeded|'
     r'Read timed out',
     'no network: pip does not reach the package index; mend the connection '
     '(or name a proxy or mirror: HTTPS_PROXY, PIP_INDEX_URL) and run again'),
    (r'Permission denied',
     'a file cannot be written: name a folder of your own through '
     'HPVIT_VENV'),
)


def diagnose(output):
    """The cause of a failure in one sentence, or None."""
    for pattern, sentence in CAUSES:
        if re.search(pattern, output):
            return sentence
    missing = re.search(r'No matching distribution found for (\S+)', output)
    if missing:
        return (f'the package index has no {missing[1]} for Python '
                f'{platform.python_version()} on {platform.machine()}: name '
                'another Python through PYTHON or another index through '
                'PIP_INDEX_URL')
    return None


def relevant_lines(output, count=8):
    """The lines of a failed step's output that most likely say why."""
    lines = [line.rstrip() for line in output.splitlines() if line.strip()]
    errors = [line for line in lines
              if re.search(r'\berror\b|Error:|No space|not found', line, re.I)]
    return [line[:200] for line in (errors or lines)[-count:]]


# ------------------------------------------------------------- the environment


class Environment:
    """A virtual or conda environment, and pip inside it."""

    def __init__(self, folder, screen):
        self.folder, self.screen = Path(folder), screen
        self.python = self.folder / 'bin' / 'python'
        self.log = self.folder / LOG
        self.inherit = ()

    # -- the stamp

    @property
    def stamp(self):
        try:
            return json.loads((self.folder / STAMP).read_text())
        except (OSError, ValueError):
            return {}

    @stamp.setter
    def stamp(self, value):
        self.folder.mkdir(parents=True, exist_ok=True)
        partial = self.folder / f'{STAMP}.new'
        partial.write_text(json.dumps(value))
        partial.replace(self.folder / STAMP)

    # -- running things

    def run(self, command, env=None):
        """Run a long command into the log; raise Stop with the cause.

        It writes to the log by itself, not through this process: should this
        one be killed, it ends its step all the same, and holds the lock until
        then.
        """
        progress = Progress()
        with open(self.log, 'ab') as log, open(self.log, 'rb') as seen:
            log.write(f'\n$ {" ".join(map(str, command))}\n'.encode())
            log.flush()
            begin = seen.seek(0, os.SEEK_END)
            process = subprocess.Popen(
                list(map(str, command)), stdin=subprocess.DEVNULL, stdout=log,
                stderr=subprocess.STDOUT, start_new_session=True,
                pass_fds=self.inherit, env=self.variables(env))
            try:
                rest = ''
                while True:
                    ended = process.poll() is not None
                    *lines, rest = (
                        rest + seen.read().decode(errors='replace')
                    ).split('\n')
                    for line in lines:
                        progress.feed(line)
                    if ended:
                        break
                    self.screen.progress(str(progress), progress.built)
                    time.sleep(0.3)
            except BaseException:  # a signal: take the children along
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(process.pid, signal.SIGTERM)
                    # ninja needs a moment to end its compilers
                    for _ in range(50):
                        process.poll()
                        os.killpg(process.pid, 0)
                        time.sleep(0.1)
                    os.killpg(process.pid, signal.SIGKILL)
                raise
            seen.seek(begin)
            output = seen.read().decode(errors='replace')
        if process.returncode:
            sentence = diagnose(output)
            if sentence is None:
                sentence = '\n'.join(
                    [f'"{self.screen.title}" failed:'] +
                    [f'  {line}' for line in relevant_lines(output)])
            raise Stop(f'{sentence}\nThe whole output is in {self.log}')

    def variables(self, more=None):
        temporary = self.folder / 'tmp'
        variables = dict(os.environ, PIP_DISABLE_PIP_VERSION_CHECK='1',
                         PIP_NO_INPUT='1', **(more or {}))
        # Not /tmp: often small, and there a killed pip's remains would stay.
        if 'TMPDIR' not in variables and ' ' not in str(temporary):
            temporary.mkdir(exist_ok=True)
            variables['TMPDIR'] = str(temporary)
        return variables

    def pip(self, *arguments, env=None):
        self.run([self.python, '-m', 'pip', *arguments], env)

    def ask(self, code):
        """What Python code prints there as JSON; None where it fails."""
        try:
            answer = subprocess.run(
                [str(self.python), '-c', code], stdin=subprocess.DEVNULL,
                capture_output=True, text=True, cwd=self.folder)
            return json.loads(answer.stdout.splitlines()[-1])
        except (OSError, ValueError, IndexError):
            return None

    def ready(self, quiet=False):
        if not quiet:
            took = duration(time.monotonic() - self.screen.start)
            self.screen.say(f'ready after {took}; to use it by hand: '
                            f'source {self.folder}/bin/activate')

    # -- the virtual environment

    def facts(self):
        return self.ask(
            'import json, sys, sysconfig\n'
            'try: import pip; pip = True\n'
            'except Exception: pip = False\n'
            'print(json.dumps(dict(version=sys.version_info[:2], pip=pip,'
            'path=[p for p in sys.path if p],'
            'site=sysconfig.get_path("purelib"),'
            'include=sysconfig.get_path("include"))))')

    def make(self, python_given):
        """A working Python with pip in the folder, whatever is there now."""
        facts = self.facts()
        if facts is None:
            strange = self.folder.exists() and (
                not self.folder.is_dir() or any(
                    entry.name != f'{STAMP}.new'
                    for entry in self.folder.iterdir()))
            if strange and not self.stamp.get('ours'):
                remedy = ('remove it, or '
                          if (self.folder / 'pyvenv.cfg').exists() else '')
                raise Stop(f'{self.folder} exists and is not a working '
                           f'environment: {remedy}name another folder through '
                           'HPVIT_VENV', 2)
            # The stamp first: it says that this folder is ours to clear.
            self.stamp = dict(state='started', ours=True)
            for entry in self.folder.iterdir():
                if entry.name not in (STAMP, LOG):
                    if entry.is_dir() and not entry.is_symlink():
                        shutil.rmtree(entry)
                    else:
                        entry.unlink()
            with self.screen.step(f'making {self.folder}'):
                self.run([sys.executable, '-m', 'venv', self.folder])
            facts = self.facts()
            if facts is None:
                raise Stop(f'{sys.executable} cannot make a working '
                           'environment: name another Python through PYTHON')
        version = tuple(facts['version'])
        if not (3, 10) <= version <= (3, 12):
            raise Stop(f'{self.folder} has Python {version[0]}.{version[1]}, '
                       'and 3.10, 3.11 or 3.12 is needed: remove it, or name '
                       'another folder through HPVIT_VENV', 2)
        if python_given and version != sys.version_info[:2]:
            raise Stop(f'{self.folder} has Python {version[0]}.{version[1]}, '
                       'but PYTHON is {}.{}: remove that folder, or leave '
                       'PYTHON out'.format(*sys.version_info[:2]), 2)
        if self.stamp:
            remove_broken_packages(Path(facts['site']))
            facts = self.facts()
        else:
            self.stamp = dict(state='started')
        if not facts['pip']:
            with self.screen.step('pip'):
                self.run([self.python, '-m', 'ensurepip', '--upgrade'])
        return facts


def remove_broken_packages(site):
    """Make pip forget packages that a killed run left incomplete.

    pip takes a package for installed as soon as its metadata can be read,
    with or without all of its files. It writes the list of its files, RECORD,
    last; so what has none, or lacks a listed file, is not whole. Without the
    metadata pip installs it again, over the remains.
    """
    for remains in site.glob('~*'):  # what pip moves away before it deletes
        shutil.rmtree(remains, ignore_errors=True)
    for info in site.glob('*.dist-info'):
        if not is_whole(site, info):
            shutil.rmtree(info)


def is_whole(site, info):
    """Whether a package that pip installed has all its files."""
    try:
        if (info / 'INSTALLER').read_text().strip() != 'pip':
            return True  # conda and others keep their own books
        files = [row[0] for row in csv.reader(
            (info / 'RECORD').read_text(encoding='utf-8').splitlines())]
    except OSError:
        return False
    # A RECORD that does not list pip's own INSTALLER is still the wheel's.
    return f'{info.name}/INSTALLER' in files and all(
        (site / name).exists() for name in files if not name.endswith('.pyc'))


# ------------------------------------------------------------------ the checks


def need_space(folder, gigabytes):
    while not folder.exists():
        folder = folder.parent
    free = shutil.disk_usage(folder).free / GB
    if free < gigabytes:
        raise Stop(f'only {free:.1f} GB are free in {folder}, and about '
                   f'{gigabytes} GB are needed (7 where pip brings a torch '
                   'with CUDA): free some space, or name a folder on another '
                   'disk through HPVIT_VENV')


def need_compiler(include=None):
    """mmcv has no ready-made packages; its ops are compiled here."""
    for name in {os.environ.get('CXX', 'c++').split()[0], 'g++'}:
        if shutil.which(name) is None:
            raise Stop(f'no C++ compiler ({name}) was found, and mmcv must be '
                       'compiled: install one (Debian, Ubuntu: apt install '
                       'g++; cluster: module load gcc)')
    if include and not (Path(include) / 'Python.h').exists():
        raise Stop(dict((p, s) for p, s in CAUSES)[
            r'fatal error: Python\.h'])


def need_cuda_toolkit(torch_version, torch_cuda):
    """nvcc of torch's major CUDA version, where CUDA ops are wanted."""
    if torch_cuda is None:
        raise Stop(f'FORCE_CUDA=1, but torch {torch_version} has no CUDA: '
                   'install a torch with CUDA first, or leave FORCE_CUDA out')
    homes = (os.environ.get('CUDA_HOME'), os.environ.get('CUDA_PATH'))
    paths = [shutil.which('nvcc', path=f'{home}/bin')
             for home in homes if home]
    nvcc = next(filter(None, [*paths, shutil.which('nvcc'),
                              shutil.which('nvcc', path='/usr/local/cuda/bin')
                              ]), None)
    remedy = (f'install the CUDA toolkit {torch_cuda} (cluster: module load '
              f'cuda/{torch_cuda}) or name it through CUDA_HOME, or run with '
              'FORCE_CUDA=0 for CPU ops')
    if nvcc is None:
        raise Stop("mmcv's CUDA ops need nvcc, and none was found: " + remedy)
    output = subprocess.run([nvcc, '--version'], capture_output=True,
                            text=True).stdout
    release = re.search(r'release (\d+)\.(\d+)', output)
    if release and release[1] != torch_cuda.split('.')[0]:
        raise Stop(f'{nvcc} is of CUDA {release[1]}.{release[2]}, and torch '
                   f'{torch_version} of CUDA {torch_cuda}: {remedy}')


def cores():
    """The cores this process may use, containers' limits included."""
    count = len(os.sched_getaffinity(0))
    with contextlib.suppress(OSError, ValueError):
        quota, period = Path('/sys/fs/cgroup/cpu.max').read_text().split()
        count = min(count, max(1, round(int(quota) / int(period))))
    return count


def memory():
    """Bytes of memory that can be had now, containers' limits included."""
    found = re.search(r'MemAvailable:\s+(\d+) kB',
                      Path('/proc/meminfo').read_text())
    free = int(found[1]) * 1024 if found else float('inf')
    with contextlib.suppress(OSError, ValueError):
        limit, used = (int(Path(f'/sys/fs/cgroup/memory.{name}').read_text())
                       for name in ('max', 'current'))
        free = min(free, limit - used)
    return free


def jobs():
    """Files to compile at once: a file of mmcv takes up to 1.5 GB."""
    given = os.environ.get('MAX_JOBS')
    if given:
        return given
    return str(max(1, min(cores(), int(memory() / (1.5 * GB)))))


# ------------------------------------------------------------------- the steps


class Setup:

    def __init__(self, environment_, stack, facts):
        self.env, self.stack, self.facts = environment_, stack, facts
        self.screen = environment_.screen
        self.pins = read_requirements(PINS)
        self.packages = read_requirements(f'requirements-{stack}.txt')
        self.mmcv = next(name for name in self.packages if 'mmcv' in name)
        self.constraints = []

    def installed(self, name):
        return environment.version_of(name, self.facts['path'])

    def all(self):
        if not self.mmcv_is_here() and not self.mmcv_is_cached():
            need_compiler(self.facts['include'])
        torch = self.torch()
        force = os.environ.get('FORCE_CUDA')
        self.cuda = force == '1' or (force != '0' and torch['gpu'])
        if self.cuda and not self.mmcv_is_here():
            need_cuda_toolkit(torch['version'], torch['cuda'])
        self.torchvision(torch['version'])
        self.libraries()
        self.stack_packages()
        with self.screen.step('hpvit_mm'):
            self.env.pip('install', '--no-deps', '--no-build-isolation',
                         '-e', ROOT)

    # torch and torchvision: never replaced

    def ask_torch(self):
        return self.env.ask(
            'import json, torch\n'
            'print(json.dumps(dict(version=torch.__version__,'
            'gpu=torch.cuda.is_available(), cuda=torch.version.cuda)))')

    def torch(self):
        torch = self.ask_torch()
        if torch is None and self.installed('torch'):
            raise Stop(f'torch {self.installed("torch")} in {self.env.folder} '
                       'cannot be imported: repair or remove it (nothing '
                       'replaces a torch that is there)')
        if torch is None:
            need_space(self.env.folder, 3)
            with self.screen.step(self.pins['torch']):
                self.env.pip('install', self.pins['torch'])
            torch = self.ask_torch()
            if torch is None:
                raise Stop('torch was installed and cannot be imported: run '
                           f'{self.env.python} -c "import torch" to see why')
        else:
            need_space(self.env.folder, 1)
        # From now on nothing that pip installs may bring another torch.
        version = self.installed('torch')
        if version:
            path = self.env.folder / 'setup_env.constraints'
            path.write_text(f'torch=={version}\n')
            self.constraints = ['-c', path]
        return torch

    def torchvision(self, torch):
        wanted = (self.pins['torchvision']
                  if f'torch=={torch.split("+")[0]}' == self.pins['torch']
                  else torchvision_for(torch))
        here = self.installed('torchvision')
        if here and here.split('+')[0] == wanted.split('==')[1]:
            return
        if here and self.env.ask('import torchvision; print(1)'):
            return  # an own build, as in NVIDIA's containers
        with self.screen.step(wanted):
            # Without dependencies: it would bring the torch that it was
            # built with, often one for CUDA.
            self.env.pip('install', '--no-deps', *self.constraints, wanted)

    # everything else

    def libraries(self):
        pins = {name: line for name, line in self.pins.items()
                if name not in ('torch', 'torchvision')}
        others = [name for name in environment.COMPONENTS['opencv'][0]
                  if name != 'opencv-python-headless']
        if any(map(self.installed, others)):
            # All of them own the folder cv2: the one that is there stays.
            del pins['opencv-python-headless']
        with self.screen.step('libraries'):
            self.env.pip('install', *self.constraints, *pins.values())

    def stack_packages(self):
        with self.screen.step(f'{self.stack} stack'):
            self.install_stack(*self.packages.values())
        if self.mmcv_works():
            return
        # pip's cache knows neither torch's version nor whether the ops were
        # built, nor for what; so once more, without the cache.
        need_compiler(self.facts['include'])
        if self.cuda:
            need_cuda_toolkit(*(self.ask_torch()[k]
                                for k in ('version', 'cuda')))
        with self.screen.step(f'{self.packages[self.mmcv]} again, for this '
                              'torch'):
            self.install_stack('--force-reinstall', '--no-cache-dir',
                               self.packages[self.mmcv])
        if not self.mmcv_works():
            raise Stop("mmcv's ops were built and cannot be imported: run "
                       f'{self.env.python} -c "import torch, mmcv._ext" to '
                       f'see why; the build is in {self.env.log}')

    def install_stack(self, *what):
        variables = dict(
            MAX_JOBS=jobs(), MMCV_WITH_OPS='1',
            # Without debug symbols: less than half the time and a fiftieth
            # of the size.
            CFLAGS=f'{os.environ.get("CFLAGS", "")} -g0'.strip(),
            FORCE_CUDA='1' if self.cuda else '0')
        if not self.cuda:  # the build looks for GPUs by itself
            variables['CUDA_VISIBLE_DEVICES'] = ''
        self.env.pip('install', '-v', '--no-deps', '--no-build-isolation',
                     *self.constraints, *what, env=variables)

    def mmcv_is_here(self):
        return self.installed(self.mmcv) == self.packages[
            self.mmcv].split('==')[1]

    def mmcv_is_cached(self):
        name = self.packages[self.mmcv].replace('-', '_').replace('==', '-')
        tag = 'cp{}{}'.format(*self.facts['version'])
        listed = subprocess.run(
            [str(self.env.python), '-m', 'pip', 'cache', 'list', '--format',
             'abspath'], capture_output=True, text=True).stdout
        return f'/{name}-{tag}-' in listed

    def mmcv_works(self):
        cuda = self.env.ask(
            'import torch, mmcv._ext\n'
            'from mmcv.ops import get_compiling_cuda_version as version\n'
            'print(int(version() != "not available"))')
        return cuda is not None and cuda >= self.cuda


def choose_stack(wanted, path):
    """The stack to install: what is asked for, what is there, official."""
    found = environment.installed_stacks(path)
    if all(found.values()):
        environment.check_stack(path)  # says it
    there = next((stack for stack, names in found.items() if names), None)
    if wanted and there and wanted != there:
        name, version = next(iter(found[there].items()))
        raise Stop(f'this environment holds the {there} stack ({name} '
                   f'{version}), and the two cannot be mixed: use --stack '
                   f'{there}, or another folder through HPVIT_VENV', 2)
    return wanted or there or 'official'


def verify(env, quiet):
    """Import everything there, show the versions; whether all is well."""
    # Not from the checkout, so that it is the installed hpvit_mm that counts.
    process = subprocess.Popen(
        [str(env.python), '-m', 'hpvit_mm.environment'], cwd=env.folder,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    for line in process.stdout:
        if not quiet or 'FAILS' in line:
            env.screen.say(line.rstrip())
    return process.wait() == 0


@contextlib.contextmanager
def lock(env):
    """One set-up at a time; a killed one's pip is waited for as well."""
    env.folder.parent.mkdir(parents=True, exist_ok=True)
    handle = os.open(env.folder.parent, os.O_RDONLY)
    told = False
    while True:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            break
        except BlockingIOError:
            if not told:
                env.screen.say('waiting for another set-up, still at work in '
                               f'{env.folder.parent}')
            told = True
            time.sleep(0.5)
        except OSError:  # a file system without locks
            break
    env.inherit = (handle, )
    try:
        yield
    finally:
        os.close(handle)


def hint_at_active_torch(env):
    """An active environment with a torch may be the one that is meant."""
    active = os.environ.get('VIRTUAL_ENV') or os.environ.get('CONDA_PREFIX')
    if active and not env.folder.exists() and any(
            Path(active).glob('lib/python3*/site-packages/torch')):
        env.screen.say(
            f'note: the active environment {active} has a torch; to use it, '
            f'stop here and run HPVIT_VENV={active} bash tools/setup_env.sh')


def run(args):
    env = Environment(args.venv, Screen())
    if 'HPVIT_VENV' not in os.environ:
        hint_at_active_torch(env)
    with lock(env):
        stamp = env.stamp
        stack = stamp.get('stack')
        if (stamp.get('state') == 'complete' and args.stack in (None, stack)
                and stamp['digest'] == digest(stack)
                and (not args.python_given
                     or stamp['python'] == list(sys.version_info[:2]))):
            if verify(env, args.quiet):
                return env.ready(args.quiet)
            env.screen.say('not complete any more: repairing')
        shutil.rmtree(env.folder / 'tmp', ignore_errors=True)
        facts = env.make(args.python_given)
        stack = choose_stack(args.stack, facts['path'])
        env.stamp = dict(env.stamp, state='started', stack=stack)
        Setup(env, stack, facts).all()
        if not verify(env, args.quiet):
            raise Stop('the environment is not complete; remove '
                       f'{env.folder} and run again, or see {env.log}')
        env.stamp = dict(env.stamp, state='complete', digest=digest(stack),
                         python=facts['version'])
        shutil.rmtree(env.folder / 'tmp', ignore_errors=True)
        env.ready()


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument('--venv', required=True)
    parser.add_argument('--stack', choices=list(environment.STACKS))
    parser.add_argument('--python-given', action='store_true')
    parser.add_argument('--quiet', action='store_true')

    def interrupt(number, frame):
        raise KeyboardInterrupt(number)

    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, interrupt)
    try:
        run(parser.parse_args())
    except (Stop, UserError) as error:
        print(f'\nerror: {error}', file=sys.stderr)
        return getattr(error, 'status', 2)
    except KeyboardInterrupt as error:
        print('\ninterrupted: run the same command again to go on',
              file=sys.stderr)
        return 128 + (error.args[0] if error.args else signal.SIGINT)
    except OSError as error:
        cause = diagnose(str(error)) or (
            f'{error.filename}: {error.strerror}; name a folder that can be '
            'written through HPVIT_VENV')
        print(f'\nerror: {cause}', file=sys.stderr)
        return 1
    return 0


if __name__ == '__main__':
    sys.exit(main())
