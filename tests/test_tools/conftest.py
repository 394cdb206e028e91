"""The tools on tiny experiments: the quick start's, made smaller."""
import importlib.util
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]

SMALL = '''
_base_ = {base!r}
work_dir = {work_dir!r}
model = dict(backbone=dict(
    arch=dict(embed_dims=24, num_layers=4, num_heads=2,
              feedforward_channels=48),
    stage_depths=(1, 1, 1, 1), init_cfg=None))
train_dataloader = dict(batch_size=8, num_workers=0,
                        persistent_workers=False)
val_dataloader = dict(num_workers=0, persistent_workers=False)
test_dataloader = dict(num_workers=0, persistent_workers=False)
auto_scale_lr = dict(base_batch_size=8)
'''
CLASSIFICATION = '''
model.update(head=dict(in_channels=24))
train_dataloader.update(dataset=dict(data_root={data!r}))
val_dataloader.update(dataset=dict(data_root={data!r}))
test_dataloader.update(dataset=dict(data_root={data!r}))
train_cfg = dict(max_epochs=1, val_interval=1)
'''
DETECTION = '''
model.update(
    neck=dict(in_channels=[24] * 4, out_channels=16),
    rpn_head=dict(in_channels=16, feat_channels=16),
    roi_head=dict(
        bbox_roi_extractor=dict(out_channels=16),
        bbox_head=dict(in_channels=16, conv_out_channels=16,
                       fc_out_channels=32),
        mask_roi_extractor=dict(out_channels=16),
        mask_head=dict(num_convs=1, in_channels=16, conv_out_channels=16)))
train_dataloader.update(dataset=dict(dataset=dict(data_root={data!r})))
val_dataloader.update(dataset=dict(data_root={data!r}))
test_dataloader.update(dataset=dict(data_root={data!r}))
val_evaluator = dict(ann_file={data!r} + '/annotations/instances_val2017.json')
test_evaluator = val_evaluator
train_cfg = dict(max_epochs=1, val_interval=1)
'''
SEGMENTATION = '''
model.update(decode_head=dict(in_channels=[24] * 4, channels=16),
             auxiliary_head=dict(in_channels=24, channels=16))
dataset = dict(type='BaseSegDataset', reduce_zero_label=True,
               data_root={data!r})
train_dataloader.update(dataset=dataset)
val_dataloader.update(dataset=dataset)
test_dataloader.update(dataset=dataset)
train_cfg = dict(max_iters=2, val_interval=2)
default_hooks = dict(checkpoint=dict(interval=2))
'''
# kind: (file name of the quick start's config, folder of the data, changes)
KINDS = dict(
    classification=('hpvit-mini_*imagenet.py', 'imagenet', CLASSIFICATION),
    detection=('hpvit-mini_*coco.py', 'coco', DETECTION),
    segmentation=('hpvit-mini_*ade20k.py', 'ade/ADEChallengeData2016',
                  SEGMENTATION))


@pytest.fixture
def write_config(tmp_path, sample_data):
    """Writes a tiny experiment; returns the path of its config.

    Its work dir is ``work`` in the test's own folder.
    """

    def write(kind: str, more: str = '', data: Path = None) -> str:
        pattern, folder, changes = KINDS[kind]
        base = min((ROOT / 'configs/quickstart').glob(pattern))
        values = dict(base=str(base), work_dir=str(tmp_path / 'work'),
                      data=str(data or sample_data / folder))
        path = tmp_path / f'{kind}.py'
        path.write_text((SMALL + changes).format(**values) + more)
        return str(path)

    return write


@pytest.fixture
def tool(capsys):
    """Calls a tool in this process; returns its status and its stderr.

    For what ends before training: nothing is left behind.
    """

    def call(name: str, *argv):
        spec = importlib.util.spec_from_file_location(
            f'tools_{name}', ROOT / 'tools' / f'{name}.py')
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        capsys.readouterr()
        try:
            status = module.main([str(one) for one in argv])
        except SystemExit as end:  # argparse
            status = end.code
        return status, capsys.readouterr().err

    return call


@pytest.fixture
def run(tmp_path):
    """Runs a tool as a user does, in the test's own folder."""

    def call(name: str, *argv, status: int = 0, **environment):
        script = ROOT / 'tools' / name
        command = [sys.executable] if name.endswith('.py') else ['bash']
        done = subprocess.run(
            [*command, str(script), *map(str, argv)], cwd=tmp_path,
            capture_output=True, text=True, timeout=300,
            env=dict(outside(), PYTHON=sys.executable, **environment))
        log = done.stdout + done.stderr
        assert done.returncode == status, log[-3000:]
        return log

    def outside():
        # pytest may itself run in a process of a launcher
        names = os.environ.keys() - {'RANK', 'LOCAL_RANK', 'WORLD_SIZE'}
        # several threads gain nothing here, and add up in another order
        return dict({name: os.environ[name] for name in names},
                    OMP_NUM_THREADS='1', MKL_NUM_THREADS='1')

    return call
