"""Mistakes end before anything starts, with one sentence and status 2."""

import pytest
import torch

# what to add to the command line of a good run, and what the sentence says
OPTIONS = [
    ('modle.backbone.window_size=7', 'no entry modle', 'model'),
    ('model.backbone.wimdow_size=7', 'wimdow_size', 'mean window_size?'),
    ('model.backbone.arch.embed_dim=9', 'embed_dim', 'mean embed_dims?'),
    ('model.backbone.type=hpvit_mm.HPVit', 'HPVit', 'mean hpvit_mm.HPViT?'),
    ('model.backbone.attention=dillated', 'dillated', 'dilated'),
    ('model.backbone.stage_depths=3,3', 'stage_depths', 'num_layers'),
    ('model.head.num_class=10', 'num_class', 'mean num_classes?'),
    ('model.head.type=LinearClassHead', 'LinearClassHead', 'LinearClsHead?'),
    ('model.head.num_classes=7', 'model.head.num_classes is 7',
     'has 10 classes'),
    ('optim_wrapper.optimizer.lrr=1', 'optimizer.lrr', 'mean lr?'),
    ('optim_wrapper.clip_gard=1', 'clip_gard', 'mean clip_grad?'),
    ('optim_wrapper.paramwise_cfg.layer_decay_rat=1', 'layer_decay_rat',
     'mean layer_decay_rate?'),
    ('optim_wrapper.optimizer.type=AdamV', 'AdamV', 'mean Adam'),
    ('optim_wrapper.constructor=hpvit_mm.Foo', 'hpvit_mm.Foo', 'allowed are'),
    ('train_cfg.max_epoch=3', 'max_epoch', 'mean max_epochs?'),
    ('train_cfg.type=EpochBasedTrainLop', 'Lop', 'mean EpochBasedTrainLoop?'),
    ('train_dataloader.batchsize=3', 'batchsize', 'mean batch_size?'),
    ('train_dataloader.dataset.data_rot=x', 'data_rot', 'mean data_root?'),
    ('train_dataloader.dataset.type=ImagNet', 'ImagNet', 'mean ImageNet?'),
    ('train_dataloader.dataset.pipeline.9.scale=3', 'list of', 'below'),
    ('train_dataloader.dataset.pipeline.1.scal=3', 'scal', 'mean scale?'),
    ('default_hooks.checkpoint.intervall=1', 'intervall', 'mean interval?'),
    ('default_hooks.checkpoint.type=ChekpointHook', 'Chek', 'CheckpointHook'),
    ('val_evaluator.type=Acuracy', 'Acuracy', 'mean Accuracy?'),
    ('randomness.sed=1', 'sed', 'mean seed?'),
    ('data_root=/x', 'only a name', 'train_dataloader.dataset.data_root'),
    ('classes=a,b', 'only a name inside the config', 'metainfo.classes'),
    ('work_dir.x=1', 'work_dir', 'no entries'),
    ('default_scope=mmdetection', 'mmdetection', 'not installed'),
    ('load_from=/no/such.pth', '/no/such.pth', 'path'),
    ('model.backbone.init_cfg.type=Pretrained '
     'model.backbone.init_cfg.checkpoint=/no/mae.pth', '/no/mae.pth',
     'init_cfg.checkpoint'),
    ('model.backbone.init_cfg.type=Pretrained '
     'model.backbone.init_cfg.chekpoint=x', 'chekpoint', 'its entries are'),
    ('train_dataloader.dataset.data_root=/no/data', '/no/data', 'data_root'),
    ('train_dataloader.dataset.split= '
     'train_dataloader.dataset.data_prefix=none', 'none', 'data_prefix'),
    ('train_dataloader.dataset.ann_file=none.txt', 'none.txt', 'ann_file'),
    ('train_dataloader.dataset.metainfo.classes=a,b,c', 'has 3 classes',
     'num_classes'),
    ('auto_scale_lr.enabel=True', 'enabel', 'mean enable?'),
]


@pytest.mark.parametrize('options, says', [
    pytest.param(options, says, id=options.split()[-1])
    for options, *says in OPTIONS
])
def test_options(options, says, write_config, refused):
    config = write_config('classification')
    refused('train', config, '--cfg-options', *options.split(), says=says)


CONFIGS = [
    ('a = (', 'not valid Python'),
    ('_base_ = "no_such_base.py"', 'no_such_base.py'),
    ('a = 1 / 0', 'ZeroDivisionError'),
]


@pytest.mark.parametrize('name', ['a.json', 'a.yaml', 'a'])
def test_configs_are_python(name, refused, tmp_path):
    (tmp_path / name).write_text('{}')
    refused('train', tmp_path / name, says=[name, 'not a Python file'])


@pytest.mark.parametrize('text, says', CONFIGS)
@pytest.mark.parametrize('name', ['train', 'test'])
def test_config(name, text, says, refused, tmp_path):
    path = tmp_path / 'broken.py'
    path.write_text(text)
    checkpoint = ['x.pth'] if name == 'test' else []
    refused(name, path, *checkpoint, says=['broken.py', says])


def test_incomplete_config(write_config, refused):
    config = write_config('classification', 'model = None')
    refused('train', config, says=['has no model'])


@pytest.mark.parametrize('name', ['train', 'test'])
def test_missing_config(name, write_config, refused):
    config = write_config('classification')
    checkpoint = ['x.pth'] if name == 'test' else []
    refused(name, config.replace('tion.py', 'ton.py'), *checkpoint,
            says=['does not exist', 'mean', 'classification.py?'])


@pytest.mark.parametrize('flags, says', [
    (['--resume', '/no/epoch_1.pth'], '/no/epoch_1.pth'),
    (['--amp'], 'GPU'),
    (['--amp', '--amp-dtype', 'bfloat16'], 'GPU'),
    (['--amp-dtype', 'bfloat16'], 'add --amp'),
    (['--launcher', 'pytorch'], 'RANK'),
    (['--launcher', 'slurm'], 'SLURM_PROCID'),
    (['--launcher', 'mpi'], 'OMPI_COMM_WORLD_RANK'),
])
def test_training_flags(flags, says, write_config, refused, monkeypatch):
    monkeypatch.setattr(torch.cuda, 'is_available', lambda: False)
    refused('train', write_config('classification'), *flags, says=[says])


def test_amp_replaces_no_other_wrapper(write_config, refused):
    config = write_config('classification',
                          'optim_wrapper = dict(type="ApexOptimWrapper")')
    refused('train', config, '--amp', says=['ApexOptimWrapper', '--amp'])


def test_auto_scale_lr_needs_a_base(write_config, refused):
    config = write_config('classification',
                          'auto_scale_lr = dict(_delete_=True)')
    refused('train', config, '--auto-scale-lr', says=['base_batch_size'])


@pytest.mark.parametrize('flags, says', [
    (['--out', 'x.csv'], 'unknown ending'),
    (['--out', 'folder'], 'only segmentation'),
    (['--out', __file__.replace('.py', '.json')], None),
    (['--show-dir', '.'], 'not empty'),
    (['--show-dir', 'new', '--tta'], 'cannot draw'),
])
def test_testing_flags(flags, says, write_config, refused, tmp_path,
                       monkeypatch):
    monkeypatch.chdir(tmp_path)
    if says is None:
        (tmp_path / 'old.json').touch()
        flags, says = ['--out', 'old.json'], 'exists already'
    refused('test', write_config('classification'), '--untrained', *flags,
            says=[says])


@pytest.mark.parametrize('argv', [['c.py'], ['c.py', 'x.pth', '--untrained'],
                                  ['c.py', 'x.pth', '--cfg-options', 'a']])
def test_command_line(argv, tool):
    status, text = tool('test', *argv)
    assert status == 2 and 'usage' in text


def test_work_dir_that_cannot_be_written(write_config, refused, tmp_path):
    (tmp_path / 'file').touch()
    refused('train', write_config('classification'), '--work-dir',
            tmp_path / 'file' / 'work', says=['work dir', '--work-dir'])


def test_nothing_is_overwritten(write_config, refused, tmp_path):
    (tmp_path / 'work').mkdir()
    (tmp_path / 'work' / 'epoch_3.pth').touch()
    refused('train', write_config('classification'),
            says=['--resume', '--work-dir'])


def test_seg_needs_a_tta_model(write_config, refused):
    config = write_config('segmentation', 'tta_model = None')
    refused('test', config, '--untrained', '--tta', says=['tta_model'])


def test_det_tta_knows_boxes_only(write_config, refused):
    refused('test', write_config('detection'), '--untrained', '--tta',
            says=['masks', '--tta'])


# ------------------------------------------------------------ checkpoints


@pytest.mark.parametrize('name', ['train', 'test'])
def test_files_that_are_no_checkpoints(name, write_config, refused, tmp_path):
    config = write_config('classification')
    (tmp_path / 'text.pth').write_text('hello')
    torch.save(torch.zeros(3), tmp_path / 'tensor.pth')
    torch.save(dict(state_dict={}), tmp_path / 'empty.pth')
    for file in ('none', 'text', 'tensor', 'empty'):
        path = tmp_path / f'{file}.pth'
        argv = [path] if name == 'test' else ['--cfg-options',
                                              f'load_from={path}']
        refused(name, config, *argv, says=[f'{file}.pth'])


@pytest.mark.parametrize('name', ['train', 'test'])
def test_a_flipped_bit(name, write_config, refused, tmp_path):
    config = write_config('classification')
    path = tmp_path / 'a.pth'
    torch.save(dict(state_dict={
        name: torch.ones(tensor.shape)
        for name, tensor in skeleton(config).state_dict().items()}), path)
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 4
    path.write_bytes(content)
    argv = [path] if name == 'test' else ['--cfg-options', f'load_from={path}']
    refused(name, config, *argv, says=['a.pth is damaged', 'checksum'])


def test_checkpoints_of_other_models(write_config, refused, tmp_path):
    config = write_config('classification')
    path = tmp_path / 'other.pth'
    tensors = skeleton(config).state_dict()
    tensors = {name: torch.zeros(tensor.shape)
               for name, tensor in tensors.items()}

    def refuse(tensors, *says):
        torch.save(dict(state_dict=tensors), path)
        refused('test', config, path, says=['other.pth', *says])

    refuse(dict(tensors, **{'backbone.blocks.9.x': torch.zeros(1)}),
           '1 unknown (backbone.blocks.9.x)')
    refuse({n: t for n, t in tensors.items() if 'norm1' not in n},
           '8 missing (backbone.blocks.0.norm1.weight', 'model.backbone')
    refuse(dict(tensors, **{'head.fc.weight': torch.zeros(3, 24)}),
           'head.fc.weight (3, 24) instead of (10, 24)', 'number of classes')
    refuse({n[9:]: t for n, t in tensors.items() if n.startswith('backb')},
           'weights of a backbone alone', 'init_cfg.checkpoint')
    # for a new training the head may differ, the backbone may not
    argv = ['--cfg-options', f'load_from={path}']
    refused('train', config, *argv, says=['other.pth', 'missing'])
    # weights alone cannot be resumed
    torch.save(dict(state_dict=tensors), path)
    refused('train', config, '--resume', path, says=['no optimizer',
                                                     'load_from='])


def test_resuming_with_another_optimizer(write_config, refused, tmp_path):
    config = write_config('classification')
    tensors = skeleton(config).state_dict()
    torch.save(dict(
        state_dict={n: torch.zeros(t.shape) for n, t in tensors.items()},
        optimizer=dict(param_groups=[dict(params=[0, 1, 2])]),
        message_hub={}, meta=dict(epoch=1, iter=9)), tmp_path / 'old.pth')
    refused('train', config, '--resume', tmp_path / 'old.pth',
            says=['1 groups', 'paramwise_cfg'])


def test_keys_of_the_constructor(write_config, refused):
    """Also in the file, where no --cfg-options are looked at."""
    config = write_config('classification', 'optim_wrapper = dict('
                          'paramwise_cfg=dict(layer_decay_rat=0.5))')
    refused('train', config, says=['layer_decay_rat', 'paramwise_cfg'])


def skeleton(config):
    from mmengine.config import Config
    from mmengine.registry import DefaultScope

    from hpvit_mm.engine.checks import build_skeleton
    cfg = Config.fromfile(config)
    with DefaultScope.overwrite_default_scope(cfg.default_scope):
        return build_skeleton(cfg)


# ------------------------------------------------------------------- data


def test_coco_default_classes(write_config, refused):
    config = write_config(
        'detection', 'for loader in (train_dataloader["dataset"],):\n'
        '    loader["dataset"]["metainfo"] = None\ndel loader\n'
        'model["roi_head"]["bbox_head"]["num_classes"] = 80\n'
        'model["roi_head"]["mask_head"]["num_classes"] = 80\n')
    refused('train', config, says=['person', 'zero', 'metainfo.classes'])


@pytest.mark.parametrize('file, says', [('none.json', 'does not exist'),
                                        ('{config}', 'has another')])
def test_evaluator_of_other_data(file, says, write_config, refused):
    config = write_config('detection')
    refused('train', config, '--cfg-options', 'val_evaluator.ann_file='
            + file.format(config=config),
            says=['val_evaluator.ann_file', says, 'val2017.json'])
