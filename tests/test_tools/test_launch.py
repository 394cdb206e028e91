"""Several processes: gloo on the CPU, torchrun, slurm."""
import json
import os
import pickle
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
from mmengine.config import Config

from hpvit_mm.cli import local_rank
from hpvit_mm.engine import distributed

TOOLS = Path(__file__).resolve().parents[2] / 'tools'
FEW = ['--cfg-options', 'test_dataloader.batch_size=1',
       'test_dataloader.dataset.indices=7']


@pytest.mark.slow
@pytest.mark.parametrize('kind', [
    pytest.param('classification', marks=pytest.mark.faults), 'detection',
    pytest.param('segmentation', marks=pytest.mark.faults)])
def test_two_processes_test_like_one(kind, write_config, inside, forks,
                                     tmp_path):
    """Also a number of images that does not divide by two."""
    config = write_config(kind)
    checkpoint = save_initial(config, tmp_path / 'weights.pth')
    results = []
    for name, call in ('one', inside), ('two', forks):
        work, out = tmp_path / name, tmp_path / f'{name}.pkl'
        call('test', config, checkpoint, '--work-dir', work, '--out', out,
             *FEW)
        log, = work.glob('2*/2*.json')
        results.append((json.loads(log.read_text()), torch_free(out)))
    (one, images_one), (two, images_two) = results
    for record in (one, two):
        record.pop('time', None), record.pop('data_time', None)
    assert one == two and one
    assert len(images_one) == 7 and images_one == images_two


def save_initial(config, path):
    """A checkpoint of initial weights that detect something everywhere."""
    from mmengine.registry import MODELS, DefaultScope
    cfg = Config.fromfile(config)
    torch.manual_seed(0)
    with DefaultScope.overwrite_default_scope(cfg.default_scope):
        model = MODELS.build(cfg.model)
    model.init_weights()
    for parameter in model.parameters():
        parameter.data.add_(torch.randn_like(parameter) * 0.05)
    torch.save(dict(state_dict=model.state_dict()), path)
    return path


def torch_free(path):
    """The predictions as nested lists, which compare by value."""

    def plain(value):
        if isinstance(value, torch.Tensor):
            return value.tolist()
        if hasattr(value, 'keys'):
            return {key: plain(value[key]) for key in value.keys()}
        if isinstance(value, (list, tuple)):
            return [plain(item) for item in value]
        return value if isinstance(value, (int, float, str, bytes)) else None

    return plain(pickle.loads(path.read_bytes()))


@pytest.mark.slow
def test_two_processes_train(write_config, forks, tmp_path):
    """SyncBN, which segmentors use, has no CPU version."""
    config = write_config(
        'segmentation', 'model["decode_head"].update('
        'norm_cfg=dict(_delete_=True, type="SyncBN"))')
    log = forks('train', config, '--seed', 0, '--auto-scale-lr')
    assert log.count('replaced by BN') == 1
    assert 'multiplied by 2' in log
    groups = torch.load(tmp_path / 'work/iter_2.pth')['optimizer'][
        'param_groups']
    recipe = Config.fromfile(config).optim_wrapper.optimizer.lr
    assert {group['initial_lr'] / group['lr_scale'] for group in groups} == {
        2 * recipe}


@pytest.mark.slow
def test_mistake_of_two_processes(write_config, run):
    config = write_config('classification')
    log = run('dist_test.sh', config, 'none.pth', 2, status=2)
    assert log.startswith('error: ') and log.count('\n') == 1


@pytest.fixture
def cluster(tmp_path, monkeypatch):
    """A folder with an srun that starts one process and keeps its call."""
    folder = tmp_path / 'bin'
    folder.mkdir()
    scripts = dict(
        srun='''#!/bin/bash
printf '%s\\n' "$@" > "${0%/*}/call"
echo "${MASTER_ADDR:-}" "${MASTER_PORT:-}" > "${0%/*}/master"
while [[ $1 != *python* ]]; do shift; done
export SLURM_PROCID=0 SLURM_NTASKS=1 SLURM_LOCALID=0 SLURM_NODELIST=here
exec "$@"
''',
        scontrol='#!/bin/bash\necho 127.0.0.1\n')
    for name, text in scripts.items():
        (folder / name).write_text(text)
        (folder / name).chmod(0o755)
    monkeypatch.setenv('PATH', str(folder), prepend=':')
    return folder


@pytest.mark.slow
def test_slurm(write_config, run, cluster, tmp_path):
    config = write_config('classification')
    log = run('slurm_train.sh', 'part', 'my job', config,
              tmp_path / 'a work dir', '--seed', 1, GPUS='4',
              SRUN_ARGS='--time 1:00 --quiet', MASTER_PORT='29641')
    call = (cluster / 'call').read_text().splitlines()
    assert call[:2] == ['-p', 'part'] and '--job-name=my job' in call
    assert {'--ntasks=4', '--gres=gpu:4', '--kill-on-bad-exit=1',
            '--cpus-per-task=8', '--time', '1:00', '--quiet'} <= set(call)
    checkpoint, = (tmp_path / 'a work dir').glob('epoch_1.pth')
    assert 'accuracy/top1' in log


def test_slurm_job(run, cluster, tmp_path):
    """It resumes, with the flags of the user."""
    echo = tmp_path / 'python'
    echo.write_text('#!/bin/bash\necho "$@"')
    echo.chmod(0o755)
    log = run('slurm_job.sh', 'c.py', 'a work dir', '--no-validate',
              PYTHON=str(echo), SLURM_SUBMIT_DIR=str(TOOLS.parent),
              SLURM_JOB_ID='30007', SLURM_JOB_NODELIST='node[0-1]',
              SLURM_CPUS_PER_TASK='3')
    assert log.split(' ', 2)[2].strip() == (
        'c.py --resume --work-dir a work dir --launcher slurm --no-validate')
    assert '--cpus-per-task=3' in (cluster / 'call').read_text().split()


def test_variables_of_slurm(cluster, monkeypatch):
    """Each job, and each step of it, has a port of its own."""
    ports = set()
    for job, step in ('30007', '0'), ('30007', '1'), ('30008', '0'):
        monkeypatch.setattr(os, 'environ', dict(
            PATH=str(cluster), SLURM_PROCID='5', SLURM_NTASKS='8',
            SLURM_LOCALID='1', SLURM_JOB_ID=job, SLURM_STEP_ID=step,
            SLURM_NODELIST='node[0-1]'))
        monkeypatch.setattr(torch.cuda, 'device_count', lambda: 4)
        distributed.translate_variables('slurm')
        assert [os.environ[name] for name in (
            'RANK', 'WORLD_SIZE', 'LOCAL_RANK', 'MASTER_ADDR')] == [
                '5', '8', '1', '127.0.0.1']
        ports.add(int(os.environ['MASTER_PORT']))
    assert len(ports) == 3 and all(1024 < port < 32768 for port in ports)
    # each task sees its own GPU only
    monkeypatch.setattr(torch.cuda, 'device_count', lambda: 1)
    distributed.translate_variables('slurm')
    assert os.environ['LOCAL_RANK'] == '0' and local_rank() == 1


@pytest.mark.parametrize('training, requeue, status, requeued', [
    # it saves its state, and slurm ends a job that it requeues
    ('exit 75', 'kill $(< job)', -15, True),
    ('exit 75', 'exit 1', 75, True),
    # one process was faster than another, which slurm has ended
    ('exit 143', 'exit 1', 143, True),
    # it comes to its end, or fails
    ('exit 0', 'exit 1', 0, False), ('exit 2', 'exit 1', 2, False)])
def test_slurm_job_whose_time_is_over(training, requeue, status, requeued,
                                      tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    scripts = dict(
        srun=f'trap "{training}" USR1; touch training\n'
             'for i in {1..100}; do sleep 0.05; done',
        scontrol='[ $1 = show ] || { echo "$@" > requeued; '
                 f'{requeue}; }}')
    for name, text in scripts.items():
        (tmp_path / name).write_text(f'#!/bin/bash\n{text}\n')
        (tmp_path / name).chmod(0o755)
    job = subprocess.Popen(
        ['bash', str(TOOLS / 'slurm_job.sh'), 'config.py', 'work'],
        stdout=subprocess.DEVNULL, env=dict(
            os.environ, PATH=f'{tmp_path}:{os.environ["PATH"]}',
            SLURM_SUBMIT_DIR=str(TOOLS.parent), SLURM_JOB_ID='7',
            SLURM_JOB_NODELIST='node0'))
    (tmp_path / 'job').write_text(str(job.pid))
    while not (tmp_path / 'training').exists():
        time.sleep(0.02)
    job.send_signal(signal.SIGUSR1)
    assert job.wait(10) == status
    assert (tmp_path / 'requeued').exists() == requeued
    if requeued:
        assert (tmp_path / 'requeued').read_text() == 'requeue 7\n'


@pytest.mark.slow
@pytest.mark.parametrize('number', [
    pytest.param(signal.SIGTERM, marks=pytest.mark.faults), signal.SIGUSR1])
def test_torchrun_passes_signals_on(number, write_config, tmp_path):
    """All processes save the same iteration; the status says so."""
    config = write_config('classification', 'train_cfg.update('
                          'max_epochs=200, val_interval=200)\n')
    with open(tmp_path / 'log', 'w') as log:
        run = subprocess.Popen(
            ['bash', str(TOOLS / 'dist_train.sh'), config, '2'],
            cwd=tmp_path, stdout=log, stderr=log,
            env=dict(os.environ, PYTHON=sys.executable))
    while not list(tmp_path.glob('work/epoch_*.pth')):
        assert run.poll() is None
        time.sleep(0.05)
    run.send_signal(number)
    begin = time.monotonic()
    assert run.wait(60) == 75
    assert time.monotonic() - begin < 30
    text = (tmp_path / 'log').read_text()
    assert 'Continue it with --resume' in text and 'Traceback' not in text
    pointer = (tmp_path / 'work/last_checkpoint').read_text()
    assert (tmp_path / 'work' / pointer).exists()


@pytest.mark.parametrize('number', [
    signal.SIGTERM, pytest.param(signal.SIGUSR1, marks=pytest.mark.faults)])
def test_a_signal_before_training(number, write_config, tmp_path):
    """The status is that of a run which is to be started again."""
    config = write_config('classification')
    run = subprocess.Popen(
        [sys.executable, str(TOOLS / 'train.py'), config], cwd=tmp_path,
        stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    while not listens(run.pid, number):
        assert run.poll() is None
        time.sleep(0.001)
    run.send_signal(number)
    text = run.communicate(timeout=60)[1]
    assert run.returncode == 75
    assert text.count('\n') == 1 and 'is not training at the moment' in text
    assert not (tmp_path / 'work').exists()


def listens(pid: int, number: int) -> bool:
    """Return whether a process has a handler for a signal."""
    status = Path(f'/proc/{pid}/status').read_text()
    caught, = (line.split()[1] for line in status.splitlines()
               if line.startswith('SigCgt'))
    return bool(int(caught, 16) >> number - 1 & 1)


def test_slurm_job_is_submitted_from_the_checkout(run, tmp_path):
    for folder in ({}, dict(SLURM_SUBMIT_DIR=str(tmp_path))):
        log = run('slurm_job.sh', 'a.py', 'work', status=2, **folder)
        assert log.startswith('error: submit it') and log.count('\n') == 1


@pytest.mark.parametrize('name', ['dist_train.sh', 'dist_test.sh',
                                  'slurm_train.sh', 'slurm_test.sh',
                                  'slurm_job.sh'])
def test_usage(name, run):
    assert run(name, 'one', status=2).startswith('usage: ')
