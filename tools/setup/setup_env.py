"""Create or repair the environment of this checkout; see tools/setup_env.sh.

Each run asks the environment what it has, pip installs what is missing, and
at the end everything is imported. A small file in the environment records
whether the last run succeeded, and what was installed; with --quiet nothing is
imported unless that has changed. Needs only the standard library.
"""
import argparse
import csv
import hashlib
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))
from hpvit_mm import environment  # noqa: E402
from hpvit_mm.analysis.machine import memory_gb  # noqa: E402
from hpvit_mm.errors import UserError  # noqa: E402
from hpvit_mm.utils import locked, usable_cores  # noqa: E402

RECORD, LOG = '.setup_env.json', 'setup_env.log'
NO_GPU = '''note: torch {version} is built for CUDA {cuda} but sees no GPU \
here, so mmcv's ops are compiled for the CPU only, and detectors will fail on \
a GPU. If this environment is for GPU nodes, run instead (9.0: H100, 8.0: \
A100): FORCE_CUDA=1 TORCH_CUDA_ARCH_LIST=9.0 bash tools/setup_env.sh'''
# Pattern in the output of a failed command -> sentence for the user.
CAUSES = {
    r'No space left on device|Disk quota exceeded':
        'the disk is full: free some space (7 GB are always enough), or name '
        'a folder on another disk through HPVIT_VENV',
    r'ensurepip is not\s+available':
        'this Python has no ensurepip: install it (Debian, Ubuntu: apt '
        'install python3-venv), or name another Python through PYTHON',
    r'fatal error: Python\.h':
        "Python's header files are missing: install them (Debian, Ubuntu: apt "
        'install python3-dev), or name another Python through PYTHON',
    r'Killed signal terminated|virtual memory exhausted|annot allocate memory':
        'too little memory to compile so many files at once: run again with '
        'MAX_JOBS=1',
    r'detected CUDA version .* mismatches|CUDA_HOME environment variable is n':
        "the CUDA toolkit is missing or not of torch's version: install it "
        '(cluster: module load cuda), name it through CUDA_HOME, or run with '
        'FORCE_CUDA=0 for CPU ops',
    r'CERTIFICATE_VERIFY_FAILED|NewConnectionError|ConnectTimeout|ProxyError|'
    r'ReadTimeout|Read timed out|[Nn]ame resolution|Max retries exceeded|'
    r'Network is unreachable|Connection (refused|reset)':
        'no network: pip cannot reach the package index; fix the connection '
        '(HTTPS_PROXY, PIP_INDEX_URL, PIP_CERT) and run again',
    r'No matching distribution found':
        'the package index lacks a version of requirements.txt for this '
        'Python: name another one through PYTHON, or another index through '
        'PIP_INDEX_URL',
}


class Stop(Exception):
    """One sentence for the user, and the exit status."""

    def __init__(self, sentence, status=1):
        super().__init__(sentence)
        self.status = status


def explain(title, output):
    """The cause of a failure, or the lines of the output that may tell it."""
    for pattern, sentence in CAUSES.items():
        if re.search(pattern, output):
            return sentence
    lines = [line for line in output.splitlines() if line.strip()]
    errors = [line for line in lines if re.search('error', line, re.I)]
    return '\n  '.join([f'"{title}" failed:', *(errors or lines)[-8:]])


def progress(output, seconds):
    """Files compiled so far, from ninja's lines, or the seconds passed."""
    lines = re.findall(r'^\s*\[(\d+)/(\d+)\] ', output, re.M)
    if not lines or lines[-1][0] == lines[-1][1]:
        return f'{seconds:.0f} s'
    done, total = map(int, lines[-1])
    left = max(1, round(seconds * (total / done - 1) / 60))
    return f'mmcv ops: {done} of {total} files, about {left} min left'


def read_requirements(name):
    """Requirements of a file, in order: name -> 'name==version'."""
    lines = (line.split('#')[0].strip()
             for line in (ROOT / name).read_text().splitlines())
    return {re.match(r'[\w.-]+', line)[0].lower(): line
            for line in lines if line}


def digest(stack):
    """Changes when anything that decides what is installed changes."""
    files = ('requirements.txt', f'requirements-{stack}.txt', 'setup.py')
    text = b''.join((ROOT / name).read_bytes() for name in files)
    return hashlib.sha256(text + str(ROOT).encode()).hexdigest()


def torchvision_for(torch):
    """The torchvision of a torch 2 release: 2.13.0 -> 0.28.0."""
    minor, patch = re.match(r'2\.(\d+)\.(\d+)', torch).groups()
    return f'torchvision==0.{int(minor) + 15}.{patch}'


class Environment:
    """A virtual or conda environment, and pip in it."""

    def __init__(self, folder):
        self.folder = Path(folder)
        self.python = self.folder / 'bin/python'
        self.log = self.folder / LOG
        self.temporary = self.folder / 'tmp'  # /tmp is often too small

    @property
    def record(self):
        try:
            return json.loads((self.folder / RECORD).read_text())
        except (OSError, ValueError):
            return {}

    @record.setter
    def record(self, value):
        self.folder.mkdir(parents=True, exist_ok=True)
        (self.folder / RECORD).write_text(json.dumps(value))

    def run(self, title, *command, **variables):
        """Run a long command, its output in the log; raise Stop on failure."""
        print(title, flush=True)
        self.temporary.mkdir(exist_ok=True)
        began = shown = time.monotonic()
        with open(self.log, 'ab') as log:
            start = log.tell()
            process = subprocess.Popen(
                [str(part) for part in command], stdin=subprocess.DEVNULL,
                stdout=log, stderr=subprocess.STDOUT, start_new_session=True,
                env={'TMPDIR': str(self.temporary), **os.environ,
                     'PIP_DISABLE_PIP_VERSION_CHECK': '1',
                     'PIP_NO_INPUT': '1', **variables})
        try:
            while process.poll() is None:
                time.sleep(0.3)
                if time.monotonic() > shown + 30:
                    shown = time.monotonic()
                    print('  ' + progress(self.output(start), shown - began),
                          flush=True)
        except BaseException:  # a signal: end the compilers as well
            os.killpg(process.pid, signal.SIGTERM)
            process.wait()
            raise
        if process.returncode:
            raise Stop(f'{explain(title, self.output(start))}\nThe whole '
                       f'output is in {self.log}')

    def output(self, start):
        return self.log.read_bytes()[start:].decode(errors='replace')

    def pip(self, title, *arguments, **variables):
        self.run(title, self.python, '-m', 'pip', 'install', *arguments,
                 **variables)

    def packages(self):
        """Names and versions of all that is installed."""
        return self.ask('from importlib.metadata import distributions; '
                        'print(json.dumps(sorted(f"{one.name}=={one.version}"'
                        ' for one in distributions())))')

    def ask(self, code):
        """Run Python code in it; return its last line as JSON, or None."""
        try:
            answer = subprocess.run(
                [str(self.python), '-c', f'import json; {code}'],
                capture_output=True, cwd=self.folder)
            return json.loads(answer.stdout.splitlines()[-1])
        except (OSError, ValueError, IndexError):
            return None


# ------------------------------------------------------------------- the steps


def make_venv(env, python_given):
    """A working Python with pip in the folder; returns facts about it."""
    code = ('import sys, sysconfig; print(json.dumps(dict(path=sys.path[1:],'
            'version=sys.version_info[:2], '
            'site=sysconfig.get_path("purelib"))))')
    facts = env.ask(code)
    if facts is None:
        there = env.folder.is_dir() and any(env.folder.iterdir())
        if env.folder.is_file() or there and not env.record.get('ours'):
            raise Stop(f'{env.folder} exists and is not a working '
                       'environment: name another folder through HPVIT_VENV',
                       2)
        shutil.rmtree(env.folder, ignore_errors=True)
        env.record = dict(ours=True)  # the next run may clear it again
        env.run(f'making {env.folder}', sys.executable, '-m', 'venv',
                env.folder)
        facts = env.ask(code)
    version = tuple(facts['version'])
    if not (3, 10) <= version <= (3, 12) or (
            python_given and version != sys.version_info[:2]):
        raise Stop('{} has Python {}.{}: remove it, or name another folder '
                   'through HPVIT_VENV or another Python (3.10, 3.11 or 3.12) '
                   'through PYTHON'.format(env.folder, *version), 2)
    if env.record:
        remove_broken_packages(Path(facts['site']))
    if env.ask('import pip; print(1)') is None:
        env.run('pip', env.python, '-m', 'ensurepip', '--upgrade')
    return facts


def remove_broken_packages(site):
    """Make pip forget packages that a killed run left incomplete.

    pip takes a package for installed when its metadata can be read. It adds
    its own INSTALLER to RECORD, the list of files, last.
    """
    for info in [*site.glob('*.dist-info'), *site.glob('~*')]:
        files = []
        if (info / 'RECORD').exists():
            files = [row[0] for row in csv.reader(
                (info / 'RECORD').read_text().splitlines())]
        if (info / 'INSTALLER').exists():
            if (info / 'INSTALLER').read_text().strip() != 'pip':
                continue  # conda keeps its own records
        if f'{info.name}/INSTALLER' not in files or not all(
                (site / name).exists() for name in files
                if not name.endswith('.pyc')):
            shutil.rmtree(info)


def choose_stack(wanted, path):
    """The stack to install: the wanted one, the present one, official."""
    found = environment.installed_stacks(path)
    if all(found.values()):
        environment.check_stack(path)  # raises
    there = next((stack for stack, names in found.items() if names), None)
    if wanted and there and wanted != there:
        raise Stop(f'this environment holds the {there} stack '
                   f'({", ".join(found[there])}), and the two cannot be '
                   f'mixed: use --stack {there}, or another folder through '
                   'HPVIT_VENV', 2)
    return wanted or there or 'official'


def install(env, stack, path):
    """Everything, in an order in which mmcv is compiled beside torch."""
    pins = read_requirements('requirements.txt')
    packages = read_requirements(f'requirements-{stack}.txt')

    def installed(name):
        return environment.version_of(name, path)

    if shutil.which(os.environ.get('CXX', 'c++').split()[0]) is None:
        raise Stop('no C++ compiler, and mmcv must be compiled: install one '
                   '(Debian, Ubuntu: apt install g++; cluster: module load '
                   'gcc)')
    if not installed('torch'):
        env.pip(pins['torch'], pins['torch'])
    torch = env.ask(
        'import torch; print(json.dumps(dict(version=torch.__version__,'
        'gpu=torch.cuda.is_available(), cuda=torch.version.cuda)))')
    if torch is None or not torch['version'].startswith('2.'):
        raise Stop(f'{env.python} -c "import torch" fails or is not of the 2 '
                   'series: repair or remove it (a torch that is there is '
                   'never replaced)')
    # From here on, nothing that pip installs may bring another torch.
    constraints = env.folder / 'setup_env.constraints'
    # (torch.__version__ may have a suffix that pip does not know)
    constraints.write_text(f'torch=={installed("torch")}\n')
    keep = ('-c', constraints)
    force = os.environ.get('FORCE_CUDA')
    cuda = force == '1' or (force != '0' and torch['gpu'])
    if cuda and torch['cuda'] is None:
        raise Stop(f'FORCE_CUDA=1, but torch {torch["version"]} has no CUDA: '
                   'install a torch with CUDA first, or omit FORCE_CUDA')
    no_gpu = torch['cuda'] and not cuda and force != '0'
    if no_gpu:
        print(NO_GPU.format(**torch), flush=True)
    vision = torchvision_for(torch['version'])
    # Without dependencies: it would bring the torch it is built with. An own
    # build, as in NVIDIA's containers, is kept.
    if not (installed('torchvision') or '').startswith(vision[13:]) and not \
            env.ask('import torchvision; print(1)'):
        env.pip(vision, '--no-deps', *keep, vision)
    libraries = [line for name, line in pins.items()
                 if name not in ('torch', 'torchvision')]
    others = environment.COMPONENTS['opencv'][0][1:]
    if any(map(installed, others)):
        # All of them own the folder cv2: the one that is there stays.
        libraries.remove(pins['opencv-python-headless'])
    env.pip('libraries', *keep, *libraries)
    # CFLAGS replaces Python's own flags (setuptools from 77 on), so that the
    # optimization must be named; without debug symbols, the build takes half
    # the time.
    variables = dict(
        MAX_JOBS=jobs(), MMCV_WITH_OPS='1', FORCE_CUDA=str(int(cuda)),
        CFLAGS=f'-O2 -DNDEBUG -g0 {os.environ.get("CFLAGS", "")}'.strip())
    if not cuda:
        variables['CUDA_VISIBLE_DEVICES'] = ''  # the build looks for GPUs
    options = ('-v', '--no-deps', '--no-build-isolation', *keep)
    env.pip(f'{stack} stack', *options, *packages.values(), **variables)
    if not mmcv_works(env, cuda):
        # pip's cache knows neither torch's version nor whether the ops were
        # built, nor for what.
        mmcv = next(line for line in packages.values() if 'mmcv' in line)
        env.pip(f'{mmcv} again, for this torch', *options,
                '--force-reinstall', '--no-cache-dir', mmcv, **variables)
        if not mmcv_works(env, cuda):
            raise Stop("mmcv's ops were built and cannot be imported: run "
                       f'{env.python} -c "import torch, mmcv._ext" to see '
                       f'why; the build is in {env.log}')
    env.pip('hpvit_mm', '--no-deps', '--no-build-isolation', '-e', ROOT)
    if no_gpu:
        print(NO_GPU.format(**torch), flush=True)


def mmcv_works(env, cuda):
    """Return whether mmcv's ops can be imported, for CUDA if asked for."""
    found = env.ask('import torch, mmcv._ext; from mmcv.ops import '
                    'get_compiling_cuda_version as version; '
                    'print(int(version() != "not available"))')
    return found is not None and found >= cuda


def jobs():
    """Files to compile at once: one of mmcv's takes up to 1.5 GB."""
    return os.environ.get('MAX_JOBS') or str(
        max(1, min(usable_cores(), int(memory_gb() / 1.5))))


def verify(env, quiet):
    """Import everything and print the versions; whether all succeeded."""
    # Not from the checkout: the installed hpvit_mm counts.
    found = subprocess.run(
        [str(env.python), '-m', 'hpvit_mm.environment'], cwd=env.folder,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    for line in found.stdout.splitlines():
        if not quiet or 'FAILS' in line:
            print(line)
    return found.returncode == 0


def set_up(env, wanted, python_given, quiet):
    began, record = time.monotonic(), env.record
    stack = record.get('stack')
    if (record.get('state') == 'complete'
            and wanted in (None, stack)
            and record['digest'] == digest(stack) and (
                not python_given
                or record['python'] == list(sys.version_info[:2]))):
        packages = env.packages()
        if quiet and packages and packages == record.get('packages'):
            return  # nothing has changed since everything was imported
        if verify(env, quiet):
            env.record = dict(record, packages=packages)
            return
        print('not complete any more: repairing')
    facts = make_venv(env, python_given)
    stack = choose_stack(wanted, facts['path'])
    env.record = dict(ours=env.record.get('ours', False), stack=stack)
    install(env, stack, facts['path'])
    shutil.rmtree(env.temporary, ignore_errors=True)
    if not verify(env, quiet):
        raise Stop(f'the environment is not complete: remove {env.folder} and '
                   f'run again, or see {env.log}')
    env.record = dict(env.record, state='complete', digest=digest(stack),
                      python=facts['version'], packages=env.packages())
    print(f'ready after {(time.monotonic() - began) / 60:.0f} min; to use it '
          f'by hand: source {env.folder}/bin/activate')


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument('--venv', required=True)
    parser.add_argument('--stack', choices=list(environment.STACKS))
    parser.add_argument('--python-given', action='store_true')
    parser.add_argument('--quiet', action='store_true')
    args = parser.parse_args()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.default_int_handler)
    env = Environment(args.venv)
    try:
        env.folder.parent.mkdir(parents=True, exist_ok=True)
        with locked(f'{env.folder}.lock', 'waiting for another set-up of '
                    f'{env.folder}'):
            set_up(env, args.stack, args.python_given, args.quiet)
    except (Stop, UserError) as error:
        print(f'error: {error}', file=sys.stderr)
        return getattr(error, 'status', 2)
    except OSError as error:
        print(f'error: {error.filename}: {error.strerror}; name a folder that '
              'can be written through HPVIT_VENV', file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print('interrupted: run the same command again to continue',
              file=sys.stderr)
        return 130
    return 0


if __name__ == '__main__':
    sys.exit(main())
