"""Parts of a config that contradict one another end before the run.

And what looks like a contradiction, but works, is not refused.
"""
import shutil

import numpy as np
import pytest
import torch
from PIL import Image

from hpvit_mm.engine import arguments, settings
from hpvit_mm.engine.checks import check_run

SEG_HEAD = 'model.decode_head'
FIXED = '{}.dataset.pipeline.1.keep_ratio=False'


@pytest.fixture
def accepted(write_config):
    """Asserts that options are no reason to refuse a run."""

    def check(kind, *options, data=None, training=True):
        argv = [write_config(kind, data=data)]
        if options:
            argv += ['--cfg-options', *options]
        if training:
            cfg = settings.training_config(arguments.parse_train(argv))
        else:
            cfg = settings.test_config(arguments.parse_test(
                [*argv[:1], '--untrained', *argv[1:]]))
        check_run(cfg, training)

    return check


@pytest.fixture
def ade(sample_data, tmp_path):
    """A copy of the samples of ADE20K, and a function to edit label maps."""
    folder = tmp_path / 'ade'
    shutil.copytree(sample_data / 'ade/ADEChallengeData2016', folder)

    def edit(change):
        for file in folder.glob('annotations/*/*.png'):
            with Image.open(file) as image:
                values = np.array(image)
            Image.fromarray(change(values)).save(file)
        return folder

    edit.folder = folder
    return edit


@pytest.mark.parametrize('kind, options, says', [
    ('detection', 'model.neck.in_channels=[64,64,64,64]',
     ['model.neck does not fit model.backbone, which returns 4 maps of',
      'correct model.neck.in_channels']),
    ('detection', 'model.rpn_head.in_channels=32',
     ['model.rpn_head does not fit model.neck']),
    ('detection', 'model.backbone.out_indices=[0,1,2]',
     ['model.neck does not fit model.backbone, which returns 3 maps']),
    ('segmentation', 'model.decode_head.in_channels=[8,8,8,8]',
     ['model.decode_head does not fit model.backbone']),
    ('classification', 'model.head.in_channels=13',
     ['model.head does not fit']),
    ('classification', 'val_evaluator.topk=(1,50)',
     ['val_evaluator.topk is (1, 50)', '10 classes']),
    ('classification', 'model.data_preprocessor.num_classes=12 '
     'model.data_preprocessor.to_onehot=True',
     ['data_preprocessor.num_classes is 12', 'head.num_classes is 10']),
    ('classification', 'model.head.cal_acc=True model.head.topk=(1,50)',
     ['model.head.topk is (1, 50)', '10 classes']),
    ('classification', 'model.data_preprocessor.num_classes=None '
     'model.train_cfg=dict(augments=dict(type="Mixup",alpha=0.8))',
     ['data_preprocessor.num_classes is missing', 'set it to 10']),
    ('segmentation', 'train_cfg=dict(_delete_=True,max_epochs=1,'
     'type="EpochBasedTrainLoop") '
     'train_dataloader.sampler=dict(type="InfiniteSampler")',
     ['InfiniteSampler', 'never ends']),
    ('classification', 'val_dataloader.batch_size=1000 '
     'val_dataloader.drop_last=True', ['val_dataloader has no batch']),
    ('classification', 'train_dataloader.batch_size=1000 '
     'train_dataloader.drop_last=True', ['no batch', 'batch_size=1000']),
    ('classification', 'visualizer.vis_backends=[dict(type="NoneVisBackend")]',
     ['visualizer.vis_backends.0', 'NoneVisBackend']),
    ('classification', 'visualizer.vis_backends=[dict(type="AimVisBackend")]',
     ['visualizer.vis_backends.0', 'aim', 'not installed']),
    ('classification', 'model.backbone.in_channels=4',
     ['with 3 channels', 'takes 4', 'model.backbone.in_channels']),
    ('segmentation', 'train_dataloader.batch_size=1',
     ['batch_size is 1', 'model.decode_head', 'norm_cfg']),
    ('segmentation', f'{SEG_HEAD}.loss_decode.class_weight=[1,2]',
     [f'{SEG_HEAD}.loss_decode', '5 classes', 'class_weight']),
    ('segmentation', f'{SEG_HEAD}.loss_decode.class_weight=[1,1,1,1,9]',
     [f'{SEG_HEAD}.loss_decode', 'class_weight']),
    ('segmentation', f'{SEG_HEAD}.ignore_index=0',
     [f'{SEG_HEAD}.loss_decode', 'label 255', f'{SEG_HEAD}.ignore_index']),
    ('segmentation', 'train_dataloader.dataset.ignore_index=11',
     ['train_dataloader.dataset.ignore_index is 11',
      f'{SEG_HEAD}.ignore_index is 255']),
    ('segmentation', 'model.test_cfg.mode=slide',
     ['model.test_cfg', 'slide', 'crop_size']),
    ('segmentation', 'model.test_cfg.mode=slid', ['model.test_cfg', 'slid']),
    ('detection', 'model.test_cfg.rcnn.nms.iou_treshold=0.3',
     ['model.test_cfg.rcnn.nms.iou_treshold', 'mean iou_threshold?']),
    ('segmentation', 'train_dataloader.drop_last=True '
     'model.auxiliary_head.norm_cfg.type=BM', ['norm_cfg', 'BM']),
])
def test_refused(kind, options, says, write_config, refused):
    refused('train', write_config(kind), '--cfg-options', *options.split(),
            says=says)


@pytest.mark.parametrize('kind, options', [
    ('classification', 'val_evaluator.topk=(1,10)'),
    ('classification', 'visualizer.vis_backends=[dict(type="LocalVisBackend")'
     ',dict(type="TensorboardVisBackend")]'),
    ('classification', 'train_dataloader.batch_size=1'),  # no BN
    ('segmentation', 'train_dataloader.batch_size=1 '
     'model.decode_head.norm_cfg=dict(type="GN",num_groups=2) '
     'model.auxiliary_head.norm_cfg=dict(type="GN",num_groups=2)'),
    ('detection', 'train_dataloader.dataset.dataset.pipeline.1.poly2mask='
     'False'),
    # which needs data samples, beside images
    ('segmentation', 'model.data_preprocessor.test_cfg=dict(size_divisor=32)'),
    ('segmentation', 'model.test_cfg=dict(mode="slide",crop_size=(64,64),'
     'stride=(32,32))'),
    ('detection', 'model.test_cfg.rcnn.nms=dict(type="soft_nms",min_score=0.1,'
     'iou_threshold=0.3)'),
])
def test_accepted(kind, options, accepted):
    if 'Tensorboard' in options:
        pytest.importorskip('tensorboard')
    accepted(kind, *options.split())


def test_label_maps_for_a_server(write_config, refused):
    refused('test', write_config('segmentation'), '--untrained',
            '--cfg-options', 'test_evaluator.format_only=True',
            says=['test_evaluator.output_dir is missing'])


def test_class_weights_without_ignored_labels(ade, accepted, refused,
                                              write_config):
    """mmseg fails on a label to ignore only; the fork fails on any."""
    import mmseg
    if mmseg.__version__ != '1.2.2':
        pytest.skip('weights and avg_non_ignore never work together there')
    weights = [f'model.{head}.loss_decode.class_weight=[1,1,1,1,9]'
               for head in ('decode_head', 'auxiliary_head')]
    size = ['train_dataloader.dataset.pipeline.2.ratio_range=(1,1)',
            'train_dataloader.dataset.pipeline.2.keep_ratio=False']
    folder = ade(lambda values: np.maximum(values, 1))
    accepted('segmentation', *weights, *size, data=folder)
    # images smaller than the crop are padded
    refused('train', write_config('segmentation', data=folder),
            '--cfg-options', *weights, says=['label 255', '.jpg'])


def test_another_label_to_ignore(ade, accepted, refused, write_config):
    """Data set, heads and padding may agree on another label to ignore."""
    folder = ade(lambda values: np.where(values == 0, 11, values - 1))
    heads = [f'model.{name}.ignore_index=11'
             for name in ('decode_head', 'auxiliary_head')]
    options = [*heads, 'model.data_preprocessor.seg_pad_val=11',
               'train_dataloader.dataset.ignore_index=11',
               'train_dataloader.dataset.reduce_zero_label=False',
               'val_dataloader.dataset.ignore_index=11',
               'val_dataloader.dataset.reduce_zero_label=False']
    refused('train', write_config('segmentation', data=folder),
            '--cfg-options', *options,
            says=['val_evaluator is 255', 'hold 11'])
    accepted('segmentation', *options, 'val_evaluator.ignore_index=11',
             data=folder)


def test_batches_of_different_sizes(ade, accepted, refused, write_config):
    files = sorted(ade.folder.glob('images/validation/*.jpg'))
    for file in files:
        with Image.open(file) as image:
            image = image.resize((64, 48 if file == files[0] else 64))
        image.save(file)
        label = ade.folder / f'annotations/validation/{file.stem}.png'
        Image.new('L', image.size, 1).save(label)
    options = ['test_dataloader.batch_size=2']
    refused('test', write_config('segmentation', data=ade.folder),
            '--untrained', '--cfg-options', *options,
            says=['test_dataloader.batch_size is 2', files[0].name])
    accepted('segmentation', *options, FIXED.format('test_dataloader'),
             data=ade.folder, training=False)
    files[0].unlink()
    accepted('segmentation', *options, data=ade.folder, training=False)


@pytest.fixture
def gpu(monkeypatch):
    """A machine with a GPU, as far as torch says."""
    monkeypatch.setattr(torch.cuda, 'is_available', lambda: True)


def test_losses_of_gpus(accepted, gpu):
    """mmseg's FocalLoss for several classes fails on CPUs."""
    loss = ("dict(_delete_=True,type='FocalLoss',use_sigmoid=True,"
            'class_weight=[1,1,1,1,9])')
    accepted('segmentation', *[f'model.{head}.loss_decode={loss}'
                               for head in ('decode_head', 'auxiliary_head')])


def test_several_gpus_share_a_batch(accepted, gpu, monkeypatch):
    """SyncBN counts the images of all."""
    monkeypatch.setenv('WORLD_SIZE', '2')
    accepted('segmentation', 'launcher=pytorch',
             'train_dataloader.batch_size=1')
