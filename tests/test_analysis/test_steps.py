"""Steps: done once, continued, redone, stopped. The commands are fakes."""
import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest

from hpvit_mm.analysis.progress import Screen
from hpvit_mm.analysis.stamps import read_json, write_json
from hpvit_mm.analysis.steps import (Runner, Step, StepFailed, sole_user,
                                     start, stop)
from hpvit_mm.errors import UserError

# Counts its runs in 'ran', notes its arguments, and writes its output.
WORK = """
import sys, os, json
out = sys.argv[1]
os.makedirs(os.path.dirname(out), exist_ok=True)
open('ran', 'a').write(' '.join(sys.argv[1:]) + '\\n')
json.dump({'mIoU': 50.0, 'arguments': sys.argv[2:]}, open(out, 'w'))
print('working')
"""


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def fake(name, code=WORK, **kwargs):
    out = Path('work', name, 'out.json')
    options = dict(
        name=name, title=f'do {name}', command=['-c', code, str(out)],
        typical=1, origins=dict(config='1'), outputs=(out, ))
    return Step(**{**options, **kwargs})


def run(*steps):
    return Runner(steps, Path('work'), Screen(len(steps))).run()


def runs():
    path = Path('ran')
    return path.read_text().splitlines() if path.exists() else []


def interrupt(name):
    """Make it look as if a step had been killed while it ran."""
    path = Path('work', name + '.json')
    stamp = read_json(path)
    write_json(path, dict(stamp, status='running', seconds=5.))


def test_a_finished_step_is_not_repeated(folder, capsys):
    steps = fake('a'), fake('b', needs=('a', ))
    first = run(*steps)
    assert run(*steps) == first
    assert len(runs()) == 2
    assert capsys.readouterr().out.count('done before') == 2
    assert Path('work/a.log').read_text() == 'working\n'
    assert not list(Path('work').rglob('*.new'))


def test_metrics_are_kept_and_shown(folder, capsys):
    out = Path('work/a/out.json')
    stamps = run(fake('a', metrics=out, metric=('mIoU', 'mIoU', '{:.1f} %')))
    assert stamps['a']['metrics']['mIoU'] == 50
    assert 'mIoU 50.0 %' in capsys.readouterr().out


def test_missing_metric(folder):
    with pytest.raises(StepFailed, match='lacks loss'):
        run(fake('a', metrics=Path('work/a/out.json'),
                 metric=('loss', 'loss', '{}')))


def test_continues_between_two_steps(folder):
    bad = fake('b', code='raise SystemExit(3)')
    with pytest.raises(StepFailed):
        run(fake('a'), bad, fake('c'))
    run(fake('a'), fake('b'), fake('c'))
    assert [line.split('/')[1] for line in runs()] == ['a', 'b', 'c']


def test_an_interrupted_training_resumes(folder):
    step = fake('train', resumable=True)
    run(step)
    Path('work/train/checkpoint').touch()
    interrupt('train')
    stamps = run(step)
    assert runs()[1].endswith('--resume')
    assert stamps['train']['seconds'] >= 5  # the time of both
    assert Path('work/train/checkpoint').exists()
    assert Path('work/train.log').read_text() == 'working\nworking\n'


def test_another_interrupted_step_starts_anew(folder):
    run(fake('test'))
    Path('work/test/half').touch()
    interrupt('test')
    run(fake('test'))
    assert len(runs()) == 2 and '--resume' not in runs()[1]
    assert not Path('work/test/half').exists()
    assert not Path('work/earlier').exists()


@pytest.mark.parametrize('status', ['done', 'running'])
def test_a_change_redoes_the_step_and_loses_nothing(folder, capsys, status):
    step = fake('x/train', resumable=True)
    run(step)
    if status == 'running':
        interrupt('x/train')
    Path('work/x/train/mine').write_text('precious')
    run(replace(step, origins=dict(config='2')))
    assert '--resume' not in runs()[1]
    earlier = Path('work/earlier/x/train-1')
    assert (earlier / 'train/mine').read_text() == 'precious'
    assert {path.name for path in earlier.iterdir()} == {
        'train', 'train.log', 'train.json'}
    assert 'because of a change (config)' in capsys.readouterr().out
    run(replace(step, origins=dict(config='3')))
    assert Path('work/earlier/x/train-2').is_dir()


def test_what_depends_on_it_is_redone_too(folder):
    run(fake('a'), fake('b', needs=('a', )))
    other = fake('a', origins=dict(config='2'))
    run(replace(other, command=[*other.command, 'more']),
        fake('b', needs=('a', )))
    assert len(runs()) == 4


def test_same_result_leaves_the_rest_alone(folder):
    run(fake('a'), fake('b', needs=('a', )))
    run(fake('a', origins=dict(config='2')), fake('b', needs=('a', )))
    assert len(runs()) == 3


def test_a_lost_output_is_made_again(folder):
    run(fake('a'))
    Path('work/a/out.json').unlink()
    run(fake('a'))
    assert len(runs()) == 2 and Path('work/a/out.json').exists()


def test_a_folder_without_a_stamp_is_moved_aside(folder):
    Path('work/a').mkdir(parents=True)
    Path('work/a/mine').touch()
    run(fake('a'))
    assert Path('work/earlier/a-1/a/mine').exists()


def test_a_broken_stamp_counts_as_none(folder):
    run(fake('a'))
    Path('work/a.json').write_text('{"status": "do')
    run(fake('a'))
    assert len(runs()) == 2


def test_some_steps_always_run(folder):
    run(fake('a', always=True))
    run(fake('a', always=True))
    assert len(runs()) == 2 and not Path('work/earlier').exists()


def test_failure_shows_the_end_of_the_log(folder):
    code = 'print("a\\n" * 50 + "the reason"); raise SystemExit(7)'
    with pytest.raises(StepFailed) as caught:
        run(fake('a', code=code))
    text = str(caught.value)
    assert text.startswith('do a: ended with status 7; the log is work/a.log')
    assert text.endswith('the reason') and len(text.splitlines()) == 16
    assert caught.value.status == 1


def test_a_tools_own_sentence_is_passed_on(folder):
    code = ('import sys; print("error: no data; make some", '
            'file=sys.stderr); sys.exit(2)')
    with pytest.raises(StepFailed) as caught:
        run(fake('a', code=code))
    assert str(caught.value) == 'do a: no data; make some (log: work/a.log)'
    assert caught.value.status == 2


def test_a_killed_command(folder):
    code = 'import os; os.kill(os.getpid(), 9)'
    with pytest.raises(StepFailed, match='killed by signal 9.*memory'):
        run(fake('a', code=code))


def test_a_command_that_makes_nothing(folder):
    with pytest.raises(StepFailed, match='left no work/a/out.json'):
        run(fake('a', code=''))


def test_a_failed_training_resumes_as_well(folder):
    with pytest.raises(StepFailed):
        run(fake('a', resumable=True, command=['-c', 'crash']))
    assert read_json(Path('work/a.json'))['status'] == 'running'


def alive(pid):
    """Whether a process runs (one that nobody has waited for does not)."""
    try:
        return Path(f'/proc/{pid}/stat').read_text().split()[2] != 'Z'
    except OSError:
        return False


SLEEP = """
import os, time
open('pid.new', 'w').write(str(os.getpid()))
os.rename('pid.new', 'pid')
time.sleep(60)
"""

DRIVER = """
from pathlib import Path
from hpvit_mm.analysis.progress import Screen
from hpvit_mm.analysis.steps import Runner, Step
Runner([Step('a', 'a', ['-c', {code!r}], 1)], Path('work'), Screen(1)).run()
"""


def wait_for(condition):
    end = time.monotonic() + 15
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.05)


@pytest.mark.skipif(not sys.platform.startswith('linux'), reason='/proc')
@pytest.mark.parametrize('number, handler', [
    # these tests themselves may run in the background, where a shell lets
    # SIGINT be ignored
    (signal.SIGINT, 'default_int_handler'),
    (signal.SIGKILL, 'default_int_handler'), (signal.SIGKILL, 'SIG_IGN')])
def test_no_command_outlives_its_runner(folder, number, handler):
    root = Path(__file__).resolve().parents[2]
    before = f'import signal\nsignal.signal(signal.SIGINT, signal.{handler})\n'
    runner = subprocess.Popen(
        [sys.executable, '-c', before + DRIVER.format(code=SLEEP)],
        env=dict(os.environ, PYTHONPATH=str(root)),
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    wait_for(Path('pid').exists)
    pid = int(Path('pid').read_text())
    assert alive(pid)
    runner.send_signal(number)
    runner.wait(15)
    wait_for(lambda: not alive(pid))
    assert json.loads(Path('work/a.json').read_text())['status'] == 'running'


def test_stop_ends_the_stubborn(folder, monkeypatch):
    monkeypatch.setattr('hpvit_mm.analysis.steps.PATIENCE', 0.2)
    code = ('import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN)\n'
            + SLEEP)
    process = start(['-c', code], subprocess.DEVNULL)
    wait_for(Path('pid').exists)
    stop(process)
    assert process.returncode == -signal.SIGKILL


def test_threads(folder, monkeypatch):
    code = 'import os; print(os.environ["OMP_NUM_THREADS"])'
    monkeypatch.setenv('OMP_NUM_THREADS', '3')
    run(fake('a', command=['-c', code], outputs=()))
    assert Path('work/a.log').read_text() == '3\n'
    monkeypatch.delenv('OMP_NUM_THREADS')
    run(fake('b', command=['-c', code], outputs=()))
    assert 1 <= int(Path('work/b.log').read_text()) <= 8


def test_one_user_at_a_time(folder):
    with sole_user(Path('work')):
        with pytest.raises(UserError, match='another quick start'):
            with sole_user(Path('work')):
                pass
    with sole_user(Path('work')):
        pass


def test_work_dir_that_cannot_be_made(folder):
    Path('file').touch()
    with pytest.raises(UserError, match='file/work cannot be written'):
        with sole_user(Path('file/work')):
            pass
