"""Experiments of the three libraries that take seconds.

They are the quick start's, made smaller.
"""
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]

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
        mask_head=dict(num_convs=1, in_channels=16, conv_out_channels=16)),
    test_cfg=dict(rpn=dict(nms_pre=50, max_per_img=20),
                  rcnn=dict(max_per_img=5)))
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


def folder_of_data(kind: str, samples: Path) -> Path:
    """Return the folder of an experiment's sample data."""
    return samples / KINDS[kind][1]


def write_config(path: Path, kind: str, data: Path, work_dir: Path,
                 more: str = '') -> None:
    """Write the config of a tiny experiment, with ``more`` lines."""
    pattern, _, changes = KINDS[kind]
    base = min((ROOT / 'configs/quickstart').glob(pattern))
    path.write_text((SMALL + changes).format(
        base=str(base), work_dir=str(work_dir), data=str(data)) + more)


def newest(work: Path) -> Path:
    """The checkpoint that was written last."""
    return max(work.glob('*_[0-9].pth'), key=lambda one: one.stat().st_mtime)
