"""What the loader of checkpoints is tested against.

``PEERS`` are plain ViTs of other packages: small, random in every parameter,
and saved as their own package saves them. An HPViT of one stage that loads
the file must compute what the peer computes.

``LAYOUTS`` write files of packages that cannot be installed, with the names
and shapes of their code, out of tensors with MAE's names. What is read from
the file must be what was put in.

The packages are imported when a peer is made, because they take seconds. On a
machine without a GPU they need ``hpvit_mm.environment.prepare()`` before.
"""
import copy
import json
import pickle
import re
import warnings
from argparse import Namespace
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Callable, Dict, Iterable, List, Optional, Tuple

import torch
from torch import Tensor, nn

WIDTH, DEPTH, HEADS, HIDDEN, CLASSES = 48, 3, 3, 96, 5
IMAGE, PATCH = 64, 16
# Small, so that the eps of the first norms can be seen in the features: the
# variance of a token is about 0.002.
EMBED_STD = 0.03

Tensors = Dict[str, Tensor]
Saver = Callable[[Tensors, Path], Path]


@dataclass
class Built:
    """A peer that was made.

    Attributes:
        kwargs: Arguments of the HPViT that is the same plain network,
            without prefix tokens.
        save: Writes the peer into a folder, in its own format, and returns
            the path: a file, or the folder.
        features: ``(images (B, 3, H, W), keep_prefix) -> (B, C, h, w)``, the
            patches' tokens behind the last norm. With ``keep_prefix`` of the
            peer as it is; else its embedding, its blocks and its norm are
            run on the patches' tokens alone. Relative positions, which are
            in the file, are left out of both.
        prefix_kwargs: Further arguments of the HPViT that keeps the prefix
            tokens.
        pooled: ``images -> (B, C)``, where the peer averages before its last
            norm: what it computes, with its prefix tokens, for its head.
    """
    kwargs: dict
    save: Callable[[Path], Path]
    features: Callable[[Tensor, bool], Tensor]
    prefix_kwargs: dict = field(default_factory=dict)
    pooled: Optional[Callable[[Tensor], Tensor]] = None


@dataclass(frozen=True)
class Peer:
    """A plain ViT of another package.

    Attributes:
        name: Where it is from, and what is special about it.
        layout: What the loader's report calls the layout of its file.
        make: Makes it; the same one each time.
        drop: What the loader must refuse the file for unless it is told to
            drop it.
        refused: Regular expression in the message with which the loader must
            refuse the file. Such a peer's features are not HPViT's.
    """
    name: str
    layout: str
    make: Callable[[], Built]
    drop: Tuple[str, ...] = ()
    refused: str = ''

    def __str__(self) -> str:
        return self.name


# ------------------------------------------------------------ for all peers


def seeded(make: Callable[..., Built]) -> Callable[..., Built]:
    """Make the same peer each time, and leave torch's seed alone."""

    def wrapped(*args, **kwargs):
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            return make(*args, **kwargs)

    return wrapped


def randomize(model: nn.Module) -> nn.Module:
    """Draw every parameter; many start as 0 or 1 and would hide errors."""
    with torch.no_grad():
        for module in model.modules():
            for name, param in module.named_parameters(recurse=False):
                if isinstance(module, nn.LayerNorm) and name == 'weight':
                    param.normal_(1, 0.2)
                elif param.ndim == 2:
                    param.normal_(0, param.shape[1]**-0.5)
                elif param.ndim == 4:
                    param.normal_(0, EMBED_STD * param[0].numel()**-0.5)
                else:
                    param.normal_(0, EMBED_STD if param.ndim == 3 else 0.3)
    model.eval()  # OpenMMLab's returns nothing
    return model


@contextmanager
def without_prefix(first: nn.Module, count: int,
                   last: Optional[nn.Module] = None):
    """Let a network run its blocks on the tokens of patches alone.

    Args:
        first: Its first block.
        count: Prefix tokens in front of the others, which are taken away.
        last: The module behind which they are put back as zeros, for code
            that will cut them off.
    """

    def take(module, args):
        return (args[0][:, count:], *args[1:])

    def put_back(module, args, out):
        zeros = out.new_zeros(len(out), count, out.shape[2])
        return torch.cat([zeros, out], dim=1)

    handles = [first.register_forward_pre_hook(take)]
    if last is not None:
        handles.append(last.register_forward_hook(put_back))
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


def to_map(tokens: Tensor, images: Tensor, patch: int) -> Tensor:
    """(B, h * w, C) -> (B, C, h, w)"""
    grid = [side // patch for side in images.shape[2:]]
    return tokens.unflatten(1, grid).permute(0, 3, 1, 2)


def features_of(run: Callable[[Tensor], Tensor], first: nn.Module,
                count: int, patch: int = PATCH,
                norm: nn.Module = nn.Identity()):
    """``Built.features`` of a network that gives all its tokens.

    Args:
        run: ``images -> (B, prefix + patches, C)``.
        first: The first block.
        count: Number of prefix tokens.
        patch: Side of the patches in pixels.
        norm: What is applied to its tokens. Defaults to nothing.
    """

    def features(images: Tensor, keep_prefix: bool) -> Tensor:
        with torch.no_grad():
            if keep_prefix:
                tokens = run(images)[:, count:]
            else:
                with without_prefix(first, count):
                    tokens = run(images)
            return to_map(norm(tokens), images, patch)

    return features


def hpvit_kwargs(eps: float, img_size=IMAGE, patch: int = PATCH,
                 qkv_bias: bool = True, layer_scale: bool = False,
                 pre_norm: bool = False) -> dict:
    """``Built.kwargs`` of the one size that all peers have."""
    return dict(
        arch=dict(embed_dims=WIDTH, num_layers=DEPTH, num_heads=HEADS,
                  feedforward_channels=HIDDEN),
        img_size=img_size, patch_size=patch, patch_stride=patch,
        stage_depths=(DEPTH, ), norm_cfg=dict(type='LN', eps=eps),
        qkv_bias=qkv_bias, layer_scale_init_value=0.1 if layer_scale else 0.,
        pre_norm=pre_norm)


def prefix_kwargs(cls_token: bool = True, registers: int = 0) -> dict:
    return dict(with_cls_token=cls_token, num_registers=registers)


def noise(*shape: int) -> Tensor:
    """Tensors that a file holds besides, and that must not be taken."""
    return torch.randn(shape, generator=torch.Generator().manual_seed(7))


def others(tensors: Tensors) -> Tensors:
    """Tensors of the same names, of a network that is not wanted."""
    return {name: noise(*tensor.shape) for name, tensor in tensors.items()}


def prefixed(prefix: str, tensors: Tensors) -> Tensors:
    return {prefix + name: tensor for name, tensor in tensors.items()}


def optimizer_state(tensors: Tensors) -> dict:
    """What AdamW adds to the checkpoint of a training."""
    moments = {
        i: dict(step=torch.tensor(9.), exp_avg=noise(*tensor.shape))
        for i, tensor in enumerate(tensors.values())
    }
    return dict(state=moments,
                param_groups=[dict(lr=1e-3, params=list(moments))])


# -------------------------------------------------------------------- timm


def save_flat(tensors: Tensors, folder: Path) -> Path:
    torch.save(tensors, folder / 'model.pth')
    return folder / 'model.pth'


def save_safetensors(tensors: Tensors, folder: Path) -> Path:
    from safetensors.torch import save_file
    save_file({n: t.contiguous() for n, t in tensors.items()},
              folder / 'model.safetensors', metadata=dict(format='pt'))
    return folder / 'model.safetensors'


def save_timm_training(tensors: Tensors, folder: Path) -> Path:
    """timm 1.0.31, utils/checkpoint_saver.py, of a model in DDP."""
    path = folder / 'model_best.pth.tar'
    torch.save(dict(
        epoch=2, arch='vit', state_dict=prefixed('module.', others(tensors)),
        optimizer=optimizer_state(tensors), version=2,
        args=Namespace(lr=1e-3), amp_scaler=dict(scale=1.),
        state_dict_ema=prefixed('module.', tensors), metric=0.5), path)
    return path


def save_deit_training(tensors: Tensors, folder: Path) -> Path:
    """facebookresearch/deit, main.py."""
    path = folder / 'checkpoint.pth'
    torch.save(dict(
        model=others(tensors), optimizer=optimizer_state(tensors),
        lr_scheduler=dict(last_epoch=2), epoch=2,
        model_ema=prefixed('module.', tensors), scaler=dict(scale=1.),
        args=Namespace(lr=1e-3)), path)
    return path


@seeded
def make_timm(cls: str = 'vision_transformer.VisionTransformer',
              save: Saver = save_flat, registers: int = 0,
              eps: float = 1e-6, img_size=IMAGE, patch: int = PATCH,
              **options) -> Built:
    """A ViT of ``timm.models``.

    Args:
        cls: Its module and its class.
        save: Writes its state dict.
        registers: What HPViT counts as registers.
        eps: Of its norms.
        img_size: Side, or height and width, of the images.
        patch: Side of the patches.
        **options: Further arguments of the class.
    """
    import importlib
    module, name = cls.split('.')
    module = importlib.import_module(f'timm.models.{module}')
    model = randomize(getattr(module, name)(
        img_size=img_size, patch_size=patch, num_classes=CLASSES,
        embed_dim=WIDTH, depth=DEPTH, num_heads=HEADS,
        mlp_ratio=HIDDEN / WIDTH, norm_layer=partial(nn.LayerNorm, eps=eps),
        **options))
    return built_timm(
        model, lambda folder: save(model.state_dict(), folder), registers,
        hpvit_kwargs(eps, img_size, patch, options.get('qkv_bias', True),
                     bool(options.get('init_values')),
                     options.get('pre_norm', False)))


def built_timm(model: nn.Module, save: Callable[[Path], Path],
               registers: int, kwargs: dict) -> Built:
    cls_token = model.cls_token is not None
    built = Built(
        kwargs, save,
        features_of(model.forward_features, model.blocks[0],
                    cls_token + registers, kwargs['patch_size'],
                    model.fc_norm),
        prefix_kwargs(cls_token, registers))
    if not isinstance(model.fc_norm, nn.Identity):

        def pooled(images: Tensor) -> Tensor:
            with torch.no_grad():
                return model.forward_head(
                    model.forward_features(images), pre_logits=True)

        built.pooled = pooled
    return built


@seeded
def make_timm_hub() -> Built:
    """A folder as on the hub: its config.json is timm's own."""
    import timm
    from timm.models import save_for_hf
    model = randomize(timm.create_model(
        'vit_tiny_patch16_224', img_size=IMAGE, embed_dim=WIDTH, depth=DEPTH,
        num_heads=HEADS, mlp_ratio=HIDDEN / WIDTH, num_classes=CLASSES))

    def save(folder: Path) -> Path:
        save_for_hf(model, str(folder), safe_serialization='both')
        return folder

    return built_timm(model, save, 0, hpvit_kwargs(1e-6))


def timm_peer(name: str, layout: str = 'MAE or timm ViT',
              refused: str = '', **options) -> Peer:
    return Peer(f'timm, {name}', layout, partial(make_timm, **options), (),
                refused)


def swiglu_mlp(*args, **kwargs) -> nn.Module:
    """What ViT-g of DINOv2 has, named as timm names it."""
    from timm.layers import SwiGLUPacked
    return SwiGLUPacked(*args, **kwargs)


TIMM = [
    timm_peer('plain'),
    timm_peer('plain, safetensors', save=save_safetensors),
    timm_peer('plain, not square', img_size=(48, 80)),
    timm_peer('plain, training with averages', save=save_timm_training),
    timm_peer('plain, DeiT training with averages', save=save_deit_training),
    timm_peer('fine-tuned on averages', global_pool='avg'),
    timm_peer('without cls', class_token=False, global_pool='avg'),
    timm_peer('without qkv bias', qkv_bias=False),
    timm_peer('distilled DeiT', cls='deit.VisionTransformerDistilled',
              registers=1),
    timm_peer('DeiT-III', no_embed_class=True, init_values=1e-6),
    timm_peer('CLIP', pre_norm=True, eps=1e-5),
    timm_peer('DINOv2', init_values=1e-5, patch=14, img_size=70),
    timm_peer('DINOv2 with registers', init_values=1e-5, patch=14,
              img_size=70, reg_tokens=4, registers=4, no_embed_class=True),
    timm_peer('registers with positions', reg_tokens=4, registers=4),
    timm_peer('registers without cls', reg_tokens=4, registers=4,
              class_token=False, global_pool='avg'),
    timm_peer('BEiT', 'BEiT', cls='beit.Beit', init_values=0.1,
              use_fc_norm=False),
    timm_peer('BEiT fine-tuned on averages', 'BEiT', cls='beit.Beit',
              init_values=0.1, use_fc_norm=True),
    Peer('timm, folder of the hub', 'MAE or timm ViT', make_timm_hub),
    timm_peer('norms of queries and keys', refused='q_norm', qk_norm=True),
    timm_peer('SwiGLU', refused='SwiGLU|mlp.fc', mlp_layer=swiglu_mlp),
    timm_peer('norm of the patches', refused=r'patch_embed\.norm',
              embed_norm_layer=nn.LayerNorm),
]

# ------------------------------------------------------------- transformers

# From the names on the hub, which `save_pretrained` writes, to those of the
# modules of transformers 5, which `torch.save(model.state_dict())` writes.
MODERN_NAMES = (
    (r'\.attention\.attention\.(query|key|value)\.',
     lambda match: f'.attention.{match[1][0]}_proj.'),
    (r'\.attention\.output\.dense\.', '.attention.o_proj.'),
    (r'\.intermediate\.dense\.', '.mlp.fc1.'),
    (r'(layer\.\d+)\.output\.dense\.', r'\1.mlp.fc2.'),
    (r'\.attention\.attention\.relative', '.relative'),
    (r'encoder\.relative_position_bias\.', 'shared_position_bias.'),
    (r'decoder_(encoder\.layer|layers)\.', 'decoder_layers.'),
)
# Of DINOv2 the modules kept this name.
MODERN_LAYERS = (r'encoder\.layer\.', 'layers.')


def modern_names(tensors: Tensors) -> Tensors:
    renames = MODERN_NAMES
    if not any('layer_scale1' in name for name in tensors):
        renames += (MODERN_LAYERS, )
    renamed = {}
    for name, tensor in tensors.items():
        for pattern, replacement in renames:
            name = re.sub(pattern, replacement, name)
        renamed[name] = tensor
    return renamed


def save_pretrained(model: nn.Module, folder: Path, **options) -> Path:
    """A folder with the names on the hub; transformers 4 and 5."""
    from transformers.utils import logging
    logging.disable_progress_bar()
    model.save_pretrained(folder, **options)
    return folder


def read_back(folder: Path) -> Tensors:
    from safetensors.torch import load_file
    return load_file(folder / 'model.safetensors')


def save_modern(model: nn.Module, folder: Path) -> Path:
    """A folder with the names of the modules of transformers 5."""
    save_pretrained(model, folder)
    save_safetensors(modern_names(read_back(folder)), folder)
    return folder


def save_modern_swiglu(model: nn.Module, folder: Path) -> Path:
    """transformers 5 has divided the first matrix."""
    save_pretrained(model, folder)
    tensors = {}
    for name, tensor in modern_names(read_back(folder)).items():
        if 'weights_in' in name:
            halves = zip(('gate_proj', 'up_proj'), tensor.chunk(2))
            tensors.update({name.replace('weights_in', part): half.clone()
                            for part, half in halves})
        else:
            tensors[name.replace('weights_out', 'down_proj')] = tensor
    save_safetensors(tensors, folder)
    return folder


def save_sharded(model: nn.Module, folder: Path) -> Path:
    return save_pretrained(model, folder, max_shard_size='60KB')


def save_bin(model: nn.Module, folder: Path) -> Path:
    """A folder as transformers wrote it before safetensors."""
    save_pretrained(model, folder)
    torch.save(read_back(folder), folder / 'pytorch_model.bin')
    (folder / 'model.safetensors').unlink()
    return folder


def save_sharded_bin(model: nn.Module, folder: Path) -> Path:
    save_pretrained(model, folder)
    tensors = read_back(folder)
    (folder / 'model.safetensors').unlink()
    weight_map = {}
    for i in (0, 1):
        file = f'pytorch_model-0000{i + 1}-of-00002.bin'
        part = dict(list(tensors.items())[i::2])
        torch.save(part, folder / file)
        weight_map.update(dict.fromkeys(part, file))
    (folder / 'pytorch_model.bin.index.json').write_text(json.dumps(
        dict(metadata=dict(total_size=1), weight_map=weight_map)))
    return folder


def save_weights_alone(model: nn.Module, folder: Path) -> Path:
    """The file out of a folder: nothing tells the heads or eps."""
    save_pretrained(model, folder)
    (folder / 'config.json').unlink()
    return folder / 'model.safetensors'


def save_state_dict(model: nn.Module, folder: Path) -> Path:
    """``torch.save`` of a state dict, with transformers 5's names."""
    save_pretrained(model, folder)
    return save_flat(modern_names(read_back(folder)), folder)


def save_old_beit(model: nn.Module, folder: Path) -> Path:
    """With the buffers that files of transformers before 4.45 hold."""
    save_pretrained(model, folder)
    tensors = read_back(folder)
    for name in [n for n in tensors if n.endswith('_bias_table')]:
        rows = (IMAGE // PATCH)**2 + 1
        tensors[name.replace('_bias_table', '_index')] = torch.randint(
            9, (rows, rows))
    save_safetensors(tensors, folder)
    return folder


@seeded
def make_hugging_face(cls: str, save=save_pretrained, registers: int = 0,
                      eps: float = 1e-12, layer_scale: bool = False,
                      patch: int = PATCH, img_size=IMAGE,
                      **options) -> Built:
    """A ViT of transformers.

    Args:
        cls: Its class.
        save: ``(model, folder) -> path``.
        registers: What HPViT counts as registers.
        eps: Of its norms.
        layer_scale: Whether it has LayerScale.
        patch: Side of the patches.
        img_size: Side, or height and width, of the images.
        **options: Further entries of its configuration.
    """
    import transformers
    cls = getattr(transformers, cls)
    sizes = dict(
        hidden_size=WIDTH, num_hidden_layers=DEPTH, num_attention_heads=HEADS,
        image_size=img_size, patch_size=patch, layer_norm_eps=eps)
    # DINOv2 takes the one, the others take the other.
    sizes.update(intermediate_size=HIDDEN, mlp_ratio=HIDDEN // WIDTH)
    model = randomize(cls(cls.config_class(**sizes, **options)))
    plain = without_relative_position(model)
    encoder = getattr(plain, plain.base_model_prefix, plain)
    extra = {}
    if 'ViTMAE' in cls.__name__:
        # It shuffles the patches by noise, and keeps all in their order.
        extra['noise'] = torch.arange((IMAGE // patch)**2).float()[None]

    def run(images: Tensor) -> Tensor:
        more = {k: v.expand(len(images), -1) for k, v in extra.items()}
        return encoder(images, **more).last_hidden_state

    norm = getattr(getattr(encoder, 'pooler', None), 'layernorm', None)
    built = Built(
        hpvit_kwargs(eps, img_size, patch, options.get('qkv_bias', True),
                     layer_scale),
        lambda folder: save(model, folder),
        features_of(run, layers_of(encoder)[0], 1 + registers, patch,
                    norm or nn.Identity()),
        prefix_kwargs(True, registers))
    if norm is not None:

        def pooled(images: Tensor) -> Tensor:
            with torch.no_grad():
                return encoder(images).pooler_output

        built.pooled = pooled
    return built


def layers_of(encoder: nn.Module) -> nn.ModuleList:
    """The blocks, in transformers 5 or in 4 and in DINOv2."""
    if hasattr(encoder, 'layers'):
        return encoder.layers
    return encoder.encoder.layer


def without_relative_position(model: nn.Module) -> nn.Module:
    """The same model without relative positions, if it has any."""
    flags = ('use_relative_position_bias',
             'use_shared_relative_position_bias')
    if not any(getattr(model.config, flag, False) for flag in flags):
        return model
    config = copy.deepcopy(model.config)
    for flag in flags:
        setattr(config, flag, False)
    plain = type(model)(config)
    plain.load_state_dict(model.state_dict(), strict=False)
    plain.eval()
    return plain


def hf_peer(name: str, layout: str, cls: str, drop: Tuple[str, ...] = (),
            refused: str = '', **options) -> Peer:
    return Peer(f'transformers, {name}', layout,
                partial(make_hugging_face, cls, **options), drop, refused)


HF_VIT = partial(hf_peer, layout='Hugging Face ViT')
HF_DINO = partial(hf_peer, layout='Hugging Face ViT', eps=1e-6,
                  layer_scale=True, patch=14, img_size=70)
HF_BEIT = partial(hf_peer, layout='Hugging Face ViT', layer_scale=True)
MAE_DECODER = dict(
    decoder_hidden_size=32, decoder_num_hidden_layers=1,
    decoder_num_attention_heads=2, decoder_intermediate_size=64,
    mask_ratio=0.)
ABSOLUTE = dict(use_absolute_position_embeddings=True)
RELATIVE = ('relative_position', )

HUGGING_FACE = [
    HF_VIT('ViT', cls='ViTModel'),
    HF_VIT('ViT, another eps', cls='ViTModel', eps=1e-5),
    HF_VIT('ViT, weights alone', cls='ViTModel', save=save_weights_alone),
    HF_VIT('ViT, not square', cls='ViTModel', img_size=(48, 80)),
    HF_VIT('ViT, modules of 5', cls='ViTModel', save=save_modern),
    HF_VIT('ViT, state dict of 5', cls='ViTModel', save=save_state_dict),
    HF_VIT('ViT, pytorch_model.bin', cls='ViTModel', save=save_bin),
    HF_VIT('ViT, sharded', cls='ViTModel', save=save_sharded),
    HF_VIT('ViT, sharded pytorch_model.bin', cls='ViTModel',
           save=save_sharded_bin),
    HF_VIT('ViT without qkv bias', cls='ViTModel', qkv_bias=False),
    HF_VIT('classifier', cls='ViTForImageClassification'),
    HF_VIT('classifier, modules of 5', cls='ViTForImageClassification',
           save=save_modern),
    HF_VIT('MAE encoder', cls='ViTMAEModel', mask_ratio=0.),
    HF_VIT('MAE', cls='ViTMAEForPreTraining', **MAE_DECODER),
    HF_VIT('MAE, modules of 5', cls='ViTMAEForPreTraining',
           save=save_modern, **MAE_DECODER),
    HF_VIT('distilled DeiT', cls='DeiTModel', registers=1),
    HF_DINO('DINOv2', cls='Dinov2Model'),
    HF_DINO('DINOv2 with registers', cls='Dinov2WithRegistersModel',
            registers=4),
    HF_DINO('DINOv2 with registers, modules of 5',
            cls='Dinov2WithRegistersModel', registers=4, save=save_modern),
    HF_BEIT('BEiT', cls='BeitModel', use_mean_pooling=False, **ABSOLUTE),
    HF_BEIT('BEiT, modules of 5', cls='BeitModel', use_mean_pooling=False,
            save=save_modern, **ABSOLUTE),
    HF_BEIT('BEiT fine-tuned on averages', cls='BeitModel', **ABSOLUTE),
    HF_BEIT('BEiT classifier', cls='BeitForImageClassification',
            num_labels=CLASSES, **ABSOLUTE),
    HF_BEIT('BEiT, relative positions', cls='BeitModel', drop=RELATIVE,
            use_relative_position_bias=True),
    HF_BEIT('BEiT, relative positions, old', cls='BeitModel', drop=RELATIVE,
            save=save_old_beit, use_relative_position_bias=True),
    HF_BEIT('BEiT, relative positions, modules of 5', cls='BeitModel',
            drop=RELATIVE, save=save_modern, use_relative_position_bias=True),
    HF_BEIT('BEiT, shared relative positions', cls='BeitModel',
            drop=RELATIVE, use_mean_pooling=False,
            use_shared_relative_position_bias=True),
    HF_BEIT('BEiT, shared relative positions, modules of 5', cls='BeitModel',
            drop=RELATIVE, use_mean_pooling=False, save=save_modern,
            use_shared_relative_position_bias=True),
    HF_DINO('SwiGLU', cls='Dinov2Model', refused='SwiGLU',
            use_swiglu_ffn=True),
    HF_DINO('SwiGLU, modules of 5', cls='Dinov2Model', refused='SwiGLU',
            use_swiglu_ffn=True, save=save_modern_swiglu),
    HF_VIT('another activation', cls='ViTModel', refused='quick_gelu',
           hidden_act='quick_gelu'),
]

# --------------------------------------------------------------- OpenMMLab


def save_openmmlab(tensors: Tensors, folder: Path,
                   head: str = 'head.fc') -> Path:
    """A published file: tools/publish_model.py keeps these two entries."""
    content = prefixed('backbone.', tensors)
    content[f'{head}.weight'] = noise(CLASSES, WIDTH)
    content[f'{head}.bias'] = noise(CLASSES)
    path = folder / 'vit-base_8xb128_in1k.pth'
    torch.save(dict(meta=dict(epoch=300, mmengine_version='0.10.7'),
                    state_dict=content), path)
    return path


@seeded
def make_mmpretrain(cls: str, registers: int = 0, eps: float = 1e-6,
                    layer_scale: bool = False, averages: bool = False,
                    **options) -> Built:
    """A backbone of mmpretrain.

    Args:
        cls: Its class.
        registers: What HPViT counts as registers.
        eps: Of its norms.
        layer_scale: Whether it has LayerScale.
        averages: Whether it normalises averages of tokens, and no tokens, as
            networks that MAE was fine-tuned to.
        **options: Further arguments.
    """
    from mmpretrain.models import backbones
    create = partial(
        getattr(backbones, cls), kwargs_arch(), img_size=IMAGE,
        patch_size=PATCH, norm_cfg=dict(type='LN', eps=eps),
        final_norm=not averages)
    with warnings.catch_warnings():
        warnings.simplefilter('ignore')  # of its own options
        model = randomize(create(
            out_type='avg_featmap' if averages else 'raw', **options))
        # The same weights, for all tokens and without relative positions.
        if options.get('use_rel_pos_bias'):
            options = dict(options, use_rel_pos_bias=False)
        raw = create(out_type='raw', **options)
    raw.load_state_dict(model.state_dict(), strict=False)
    raw.eval()
    if cls == 'DeiT3':
        for layer in raw.layers:
            layer.forward = partial(deit3_forward, layer)
    cls_token = model.cls_token is not None
    built = Built(
        hpvit_kwargs(eps, IMAGE, PATCH, options.get('qkv_bias', True),
                     layer_scale, options.get('pre_norm', False)),
        lambda folder: save_openmmlab(model.state_dict(), folder),
        features_of(lambda images: raw(images)[0], raw.layers[0],
                    cls_token + registers, PATCH,
                    model.ln2 if averages else nn.Identity()),
        prefix_kwargs(cls_token, registers))
    if averages:

        def pooled(images: Tensor) -> Tensor:
            with torch.no_grad():
                return model(images)[0]

        built.pooled = pooled
    return built


def deit3_forward(layer: nn.Module, x: Tensor) -> Tensor:
    """A block of DeiT-III.

    mmpretrain 1.2.0 and onedl-mmpretrain 1.3.6 apply ln1 twice, and ln2 never
    (deit3.py, line 184). The weights that mmpretrain has converted are the
    authors', who apply both.
    """
    x = x + layer.attn(layer.ln1(x))
    return layer.ffn(layer.ln2(x), identity=x)


def kwargs_arch() -> dict:
    return dict(hpvit_kwargs(0.)['arch'])


@seeded
def make_mmpretrain_mae() -> Built:
    """MAE's pre-training in mmpretrain, with its decoder."""
    from mmengine.registry import DefaultScope
    from mmpretrain.models import MAE
    loss = dict(type='PixelReconstructionLoss', criterion='L2')
    with DefaultScope.overwrite_default_scope('mmpretrain'):
        model = randomize(MAE(
            backbone=dict(type='MAEViT', arch=kwargs_arch(), img_size=IMAGE,
                          patch_size=PATCH, mask_ratio=0.75),
            neck=dict(type='MAEPretrainDecoder', num_patches=16,
                      patch_size=PATCH, embed_dim=WIDTH, decoder_embed_dim=32,
                      decoder_depth=1, decoder_num_heads=2, mlp_ratio=2),
            head=dict(type='MAEPretrainHead', norm_pix=True, patch_size=PATCH,
                      loss=loss)))

    def save(folder: Path) -> Path:
        path = folder / 'epoch_300.pth'
        torch.save(dict(meta=dict(epoch=300), state_dict=model.state_dict()),
                   path)
        return path

    encoder = model.backbone
    return Built(
        hpvit_kwargs(1e-6), save,
        features_of(lambda images: encoder(images, mask=None)[0],
                    encoder.layers[0], 1), prefix_kwargs())


@seeded
def make_mmseg(cls: str, eps: float = 1e-5, layer_scale: bool = False,
               **options) -> Built:
    """A backbone of mmsegmentation; MAE and BEiT have relative positions."""
    from mmseg.models import backbones
    with warnings.catch_warnings():
        warnings.simplefilter('ignore')  # of torch.meshgrid
        model = randomize(getattr(backbones, cls)(
            img_size=(IMAGE, IMAGE), patch_size=PATCH, embed_dims=WIDTH,
            num_layers=DEPTH, num_heads=HEADS, mlp_ratio=HIDDEN // WIDTH,
            norm_cfg=dict(type='LN', eps=eps), final_norm=True, **options))
    plain = copy.deepcopy(model)
    for layer in plain.layers:
        if hasattr(layer.attn, 'relative_position_bias_table'):
            layer.attn.relative_position_bias_table = None

    def features(images: Tensor, keep_prefix: bool) -> Tensor:
        with torch.no_grad():
            if keep_prefix:
                return plain(images)[-1]
            with without_prefix(plain.layers[0], 1, plain.norm1):
                return plain(images)[-1]

    return Built(
        hpvit_kwargs(eps, layer_scale=layer_scale,
                     pre_norm=options.get('pre_norm', False)),
        lambda folder: save_openmmlab(model.state_dict(), folder,
                                      'decode_head.conv_seg'),
        features, prefix_kwargs())


def mmpretrain_peer(name: str, cls: str, layout: str = 'OpenMMLab ViT',
                    drop: Tuple[str, ...] = (), **options) -> Peer:
    return Peer(f'mmpretrain, {name}', layout,
                partial(make_mmpretrain, cls, **options), drop)


def mmseg_peer(name: str, layout: str, cls: str, drop: Tuple[str, ...] = (),
               **options) -> Peer:
    return Peer(f'mmsegmentation, {name}', layout,
                partial(make_mmseg, cls, **options), drop)


QUERY_BIAS = dict(layer_scale=True, use_abs_pos_emb=True)
OPENMMLAB = [
    mmpretrain_peer('ViT', 'VisionTransformer'),
    mmpretrain_peer('ViT without cls', 'VisionTransformer',
                    with_cls_token=False),
    mmpretrain_peer('ViT without qkv bias', 'VisionTransformer',
                    qkv_bias=False),
    mmpretrain_peer('ViT fine-tuned on averages', 'VisionTransformer',
                    averages=True),
    mmpretrain_peer('CLIP', 'VisionTransformer', pre_norm=True, eps=1e-5),
    mmpretrain_peer('DINOv2', 'VisionTransformer', layer_scale=True,
                    layer_scale_init_value=1e-5),
    mmpretrain_peer('distilled DeiT', 'DistilledVisionTransformer',
                    registers=1),
    mmpretrain_peer('DeiT-III', 'DeiT3', layer_scale=True),
    mmpretrain_peer('BEiT', 'BEiTViT', 'OpenMMLab ViT',
                    use_rel_pos_bias=False, **QUERY_BIAS),
    mmpretrain_peer('BEiT fine-tuned on averages', 'BEiTViT',
                    'OpenMMLab ViT', averages=True, use_rel_pos_bias=False,
                    **QUERY_BIAS),
    mmpretrain_peer('BEiT, relative positions', 'BEiTViT', 'OpenMMLab ViT',
                    RELATIVE, use_rel_pos_bias=True, layer_scale=True),
    Peer('mmpretrain, MAE', 'OpenMMLab ViT', make_mmpretrain_mae),
    mmseg_peer('ViT', 'OpenMMLab ViT', 'VisionTransformer',
               patch_bias=True),
    mmseg_peer('ViT without patch bias', 'OpenMMLab ViT',
               'VisionTransformer', eps=1e-6),
    mmseg_peer('CLIP', 'OpenMMLab ViT', 'VisionTransformer',
               pre_norm=True),
    mmseg_peer('MAE', 'OpenMMLab ViT', 'MAE', RELATIVE, layer_scale=True),
    mmseg_peer('BEiT', 'OpenMMLab ViT', 'BEiT', RELATIVE, layer_scale=True),
]

PEERS = TIMM + HUGGING_FACE + OPENMMLAB

# ========================================================== files by the code

Writer = Callable[[Tensors, Path], None]


@dataclass(frozen=True)
class Layout:
    """A kind of file of a package that cannot be installed.

    Attributes:
        name: Whose file it is.
        layout: What the loader's report calls it.
        write: Writes tensors with MAE's names to a path.
        parts: What it holds beside the patch embedding and the blocks, by
            the names in :func:`mae_tensors`.
        rows: Rows of the position embedding for prefix tokens.
        key_bias: Whether keys have a bias; BEiT's have none.
        suffix: How the file's name ends.
        options: What the loader must be told.
        refused: Regular expression in the message with which the loader must
            refuse the file, whatever it is told.
    """
    name: str
    layout: str
    write: Writer
    parts: Tuple[str, ...] = ('cls_token', 'pos_embed', 'norm')
    rows: int = 1
    key_bias: bool = True
    suffix: str = '.pth'
    options: dict = field(default_factory=dict)
    refused: str = ''

    def __str__(self) -> str:
        return self.name

    def tensors(self, seed: int = 0) -> Tensors:
        """Random tensors with MAE's names, all that the file can hold."""
        return mae_tensors(self.parts, self.rows, self.key_bias, seed)


def mae_tensors(parts: Iterable[str], rows: int = 1, key_bias: bool = True,
                seed: int = 0) -> Tensors:
    """Random tensors with MAE's names of the encoder of a plain ViT.

    Args:
        parts: 'cls_token', 'reg_token' (four registers), 'dist_token',
            'pos_embed', 'norm', 'fc_norm' and 'layer_scale'.
        rows: Rows of ``pos_embed`` for prefix tokens.
        key_bias: Whether the third of ``attn.qkv.bias`` for keys is not 0.
        seed: Of the numbers.
    """
    shapes = {
        'cls_token': (1, 1, WIDTH),
        'dist_token': (1, 1, WIDTH),
        'reg_token': (1, 4, WIDTH),
        'pos_embed': (1, rows + (IMAGE // PATCH)**2, WIDTH),
    }
    shapes = {name: s for name, s in shapes.items() if name in parts}
    shapes['patch_embed.proj.weight'] = (WIDTH, 3, PATCH, PATCH)
    shapes['patch_embed.proj.bias'] = (WIDTH, )
    for i in range(DEPTH):
        shapes.update(prefixed(f'blocks.{i}.', block_shapes(
            'layer_scale' in parts)))
    for name in ('norm', 'fc_norm'):
        if name in parts:
            shapes.update({f'{name}.weight': (WIDTH, ),
                           f'{name}.bias': (WIDTH, )})
    generator = torch.Generator().manual_seed(seed)
    tensors = {name: torch.randn(shape, generator=generator)
               for name, shape in shapes.items()}
    if not key_bias:
        for i in range(DEPTH):
            tensors[f'blocks.{i}.attn.qkv.bias'][WIDTH:2 * WIDTH] = 0
    return tensors


def block_shapes(layer_scale: bool = False, width: int = WIDTH,
                 hidden: int = HIDDEN) -> dict:
    shapes = {}
    for name, rows, columns in (
            ('attn.qkv', 3 * width, width), ('attn.proj', width, width),
            ('mlp.fc1', hidden, width), ('mlp.fc2', width, hidden)):
        shapes[f'{name}.weight'] = (rows, columns)
        shapes[f'{name}.bias'] = (rows, )
    for name in ('norm1', 'norm2'):
        shapes[f'{name}.weight'] = shapes[f'{name}.bias'] = (width, )
    if layer_scale:
        shapes['ls1.gamma'] = shapes['ls2.gamma'] = (width, )
    return shapes


def noise_of(shapes: dict) -> Tensors:
    return {name: noise(*shape) for name, shape in shapes.items()}


def renamed(tensors: Tensors, *renames: Tuple[str, str]) -> Tensors:
    """Tensors with regular expressions replaced in their names."""
    result = {}
    for name, tensor in tensors.items():
        for pattern, replacement in renames:
            name = re.sub(pattern, replacement, name)
        result[name] = tensor
    return result


# ----------------------------------------------------------------------- MAE


def mae_decoder() -> Tensors:
    """facebookresearch/mae, models_mae.py."""
    width, block = 32, block_shapes(width=32, hidden=64)
    return noise_of({
        'mask_token': (1, 1, width),
        'decoder_pos_embed': (1, 17, width),
        'decoder_embed.weight': (width, WIDTH),
        'decoder_embed.bias': (width, ),
        **prefixed('decoder_blocks.0.', block),
        'decoder_norm.weight': (width, ),
        'decoder_norm.bias': (width, ),
        'decoder_pred.weight': (3 * PATCH**2, width),
        'decoder_pred.bias': (3 * PATCH**2, ),
    })


def linear(name: str, rows: int = CLASSES) -> Tensors:
    return noise_of({f'{name}.weight': (rows, WIDTH),
                     f'{name}.bias': (rows, )})


def write_mae(tensors: Tensors, path: Path) -> None:
    """``mae_pretrain_vit_base.pth``: the encoder."""
    torch.save(dict(model=tensors), path)


def write_mae_full(tensors: Tensors, path: Path) -> None:
    """``mae_visualize_vit_base.pth``: with the decoder."""
    torch.save(dict(model={**tensors, **mae_decoder()}), path)


def write_mae_training(tensors: Tensors, path: Path) -> None:
    """facebookresearch/mae, util/misc.py, save_model."""
    torch.save(dict(
        model={**tensors, **mae_decoder()}, epoch=3,
        optimizer=optimizer_state(tensors), scaler=dict(scale=65536.),
        args=Namespace(lr=1.5e-4, model='mae_vit_base_patch16',
                       output_dir=None)), path)


def write_mae_finetuned(tensors: Tensors, path: Path) -> None:
    """models_vit.py with global_pool: fc_norm instead of norm."""
    torch.save(dict(model={**tensors, **linear('head')}), path)


def write_mae_lite(tensors: Tensors, path: Path) -> None:
    """wangsr126/MAE-Lite, mae_lite/tools/train.py: DDP around a wrapper.

    The names are those that its projects/eval_tools/det/convert_to_d2.py
    expects.
    """
    content = prefixed('module.model.', {**tensors, **mae_decoder()})
    torch.save(dict(
        start_epoch=400, model=content, optimizer=optimizer_state(tensors),
        scheduler=dict(last_epoch=1), best_top1=0., best_top5=0.,
        best_top1_epoch=0, scaler={}), path)


def write_mae_lite_distilled(tensors: Tensors, path: Path) -> None:
    """MAE-Lite, playground/mae_lite/distill/mae_lite_distill_exp.py.

    The teacher's encoder is in the file too.
    """
    content = prefixed('module.model.', {**tensors, **mae_decoder()})
    content.update(prefixed('module.tch_model.', others(tensors)))
    content['module.attn_adapter.adapter11.weight'] = noise(12, HEADS, 1, 1)
    torch.save(dict(start_epoch=400, model=content), path)


# ------------------------------------------------------------ DINO, MoCo v3


def write_flat(tensors: Tensors, path: Path) -> None:
    """facebookresearch/dino: ``dino_vitbase16_pretrain.pth``."""
    torch.save(tensors, path)


def dino_head(prefix: str) -> Tensors:
    """facebookresearch/dino, vision_transformer.py, DINOHead."""
    return prefixed(prefix, noise_of({
        'mlp.0.weight': (8, WIDTH), 'mlp.0.bias': (8, ),
        'mlp.2.weight': (8, 8), 'mlp.2.bias': (8, ),
        'last_layer.weight_g': (9, 1), 'last_layer.weight_v': (9, 8)}))


def write_dino_training(tensors: Tensors, path: Path) -> None:
    """facebookresearch/dino, main_dino.py; the teacher is the one to use."""
    student = prefixed('module.backbone.', others(tensors))
    teacher = prefixed('backbone.', tensors)
    torch.save(dict(
        student={**student, **dino_head('module.head.')},
        teacher={**teacher, **dino_head('head.')},
        optimizer=optimizer_state(tensors), epoch=100,
        args=Namespace(arch='vit_base'),
        dino_loss=dict(center=noise(1, 9))), path)


def write_moco(tensors: Tensors, path: Path) -> None:
    """facebookresearch/moco-v3, main_moco.py and moco/builder.py."""
    head = noise_of({'head.0.weight': (8, WIDTH), 'head.1.weight': (8, ),
                     'predictor.0.weight': (8, 8)})
    content = {
        **prefixed('module.base_encoder.', {**tensors, **head}),
        **prefixed('module.momentum_encoder.', others(tensors)),
    }
    torch.save(dict(epoch=300, arch='vit_base', state_dict=content,
                    optimizer=optimizer_state(tensors), scaler={}), path)


# -------------------------------------------------------------------- DINOv2


def dinov2_names(tensors: Tensors) -> Tensors:
    """facebookresearch/dinov2, dinov2/models/vision_transformer.py."""
    tensors = renamed(tensors, (r'^reg_token$', 'register_tokens'))
    return {**tensors, 'mask_token': noise(1, WIDTH)}


def write_dinov2(tensors: Tensors, path: Path) -> None:
    """``dinov2_vitb14_pretrain.pth``, ``dinov2_vitb14_reg4_pretrain.pth``."""
    torch.save(dinov2_names(tensors), path)


def write_dinov2_teacher(tensors: Tensors, path: Path) -> None:
    """dinov2/train/train.py, do_test, with ``block_chunks`` of DEPTH.

    Chunk 2 begins with two identities, so that the second number is the
    block's.
    """
    content = renamed(dinov2_names(tensors),
                      (r'^blocks\.(\d+)\.', r'blocks.\1.\1.'))
    torch.save(dict(teacher={
        **prefixed('backbone.', content), **dino_head('dino_head.'),
        **dino_head('ibot_head.')}), path)


def write_dinov2_one_chunk(tensors: Tensors, path: Path) -> None:
    """The same, with all blocks in one chunk."""
    content = renamed(dinov2_names(tensors),
                      (r'^blocks\.(\d+)\.', r'blocks.0.\1.'))
    torch.save(dict(teacher=prefixed('backbone.', content)), path)


def write_dinov2_giant(tensors: Tensors, path: Path) -> None:
    """dinov2/layers/swiglu_ffn.py: ``dinov2_vitg14_pretrain.pth``."""
    content = dinov2_names(tensors)
    for i in range(DEPTH):
        for name in ('fc1.weight', 'fc1.bias', 'fc2.weight', 'fc2.bias'):
            del content[f'blocks.{i}.mlp.{name}']
        content.update(prefixed(f'blocks.{i}.mlp.', noise_of({
            'w12.weight': (128, WIDTH), 'w12.bias': (128, ),
            'w3.weight': (WIDTH, 64), 'w3.bias': (WIDTH, )})))
    torch.save(content, path)


# ---------------------------------------------------------------------- DeiT


def write_deit(tensors: Tensors, path: Path) -> None:
    """facebookresearch/deit, models.py: ``deit_base_patch16_224.pth``."""
    torch.save(dict(model={**tensors, **linear('head')}), path)


def write_deit_distilled(tensors: Tensors, path: Path) -> None:
    """models.py, DistilledVisionTransformer."""
    torch.save(dict(model={**tensors, **linear('head'),
                           **linear('head_dist')}), path)


def write_deit3(tensors: Tensors, path: Path) -> None:
    """facebookresearch/deit, models_v2.py: ``deit_3_base_224_1k.pth``."""
    content = renamed(tensors, (r'\.ls([12])\.gamma$', r'.gamma_\1'))
    torch.save(dict(model={**content, **linear('head')}), path)


# ---------------------------------------------------------------------- BEiT


def beit_names(tensors: Tensors) -> Tensors:
    """microsoft/unilm, beit/modeling_finetune.py, Attention and Block."""
    content = renamed(tensors, (r'\.ls([12])\.gamma$', r'.gamma_\1'))
    for i in range(DEPTH):
        bias = content.pop(f'blocks.{i}.attn.qkv.bias')  # q, k, v
        content[f'blocks.{i}.attn.q_bias'] = bias[:WIDTH].clone()
        content[f'blocks.{i}.attn.v_bias'] = bias[2 * WIDTH:].clone()
    return content


def relative_tables(prefix: str) -> Tensors:
    """Relative positions of 4 x 4 patches and cls, and their index."""
    return {
        f'{prefix}.relative_position_bias_table': noise(7 * 7 + 3, HEADS),
        f'{prefix}.relative_position_index': torch.arange(17 * 17).reshape(
            17, 17),
    }


def write_beit(tensors: Tensors, path: Path) -> None:
    """unilm, beit/modeling_pretrain.py: one table for all blocks."""
    torch.save(dict(model={
        **beit_names(tensors), **relative_tables('rel_pos_bias'),
        **linear('lm_head', 9), 'mask_token': noise(1, 1, WIDTH)}), path)


def write_beit_finetuned(tensors: Tensors, path: Path) -> None:
    """unilm, beit/modeling_finetune.py: a table per block, fc_norm."""
    content = beit_names(tensors)
    for i in range(DEPTH):
        content.update(relative_tables(f'blocks.{i}.attn'))
    torch.save(dict(model={**content, **linear('head')}), path)


def write_beit2(tensors: Tensors, path: Path) -> None:
    """unilm, beit2/modeling_pretrain.py, ...MaskedImageModelingCLS.

    Its run_class_finetuning.py looks for 'model' or 'module', DeepSpeed's.
    """
    block = beit_names({**mae_tensors(('layer_scale', ), key_bias=False)})
    extra = {name.replace('blocks.0', 'cls_pt_layers.0'): tensor
             for name, tensor in block.items() if name.startswith('blocks.0')}
    torch.save(dict(module={
        **beit_names(tensors), **relative_tables('rel_pos_bias'), **extra,
        **linear('lm_head', 9), 'mask_token': noise(1, 1, WIDTH)}), path)


# -------------------------------------------------------------------- ViTDet


def with_decomposed_positions(tensors: Tensors) -> Tensors:
    """Block 1 is global, the others have windows of 2 x 2 patches."""
    content = dict(tensors)
    for i in range(DEPTH):
        for axis in 'hw':
            content[f'blocks.{i}.attn.rel_pos_{axis}'] = noise(
                7 if i == 1 else 3, WIDTH // HEADS)
    return content


def simple_feature_pyramid() -> Tensors:
    """facebookresearch/detectron2, modeling/backbone/vit.py."""
    shapes = {}
    for level, up, convs in ((2, 2, (4, 5)), (3, 1, (1, 2)), (4, 0, (0, 1)),
                             (5, 0, (1, 2))):
        if up:
            shapes[f'simfp_{level}.0.weight'] = (WIDTH, 8, 2, 2)
            shapes[f'simfp_{level}.0.bias'] = (8, )
        if up == 2:
            shapes[f'simfp_{level}.1.weight'] = (8, )
            shapes[f'simfp_{level}.1.bias'] = (8, )
            shapes[f'simfp_{level}.3.weight'] = (8, 8, 2, 2)
            shapes[f'simfp_{level}.3.bias'] = (8, )
        for conv in convs:
            shapes[f'simfp_{level}.{conv}.weight'] = (8, 8, 1, 1)
            shapes[f'simfp_{level}.{conv}.norm.weight'] = (8, )
            shapes[f'simfp_{level}.{conv}.norm.bias'] = (8, )
    return noise_of(shapes)


def vitdet_model(tensors: Tensors) -> Tensors:
    """detectron2's names of the whole detector."""
    return {
        **prefixed('backbone.net.', with_decomposed_positions(tensors)),
        **prefixed('backbone.', simple_feature_pyramid()),
        'proposal_generator.rpn_head.conv.conv0.weight': noise(8, 8, 3, 3),
        'roi_heads.box_head.0.conv1.weight': noise(8, 8, 3, 3),
    }


def write_vitdet(tensors: Tensors, path: Path) -> None:
    """detectron2, checkpoint of a training."""
    torch.save(dict(model=vitdet_model(tensors), iteration=9,
                    optimizer=optimizer_state(tensors)), path)


def write_vitdet_pickle(tensors: Tensors, path: Path) -> None:
    """``model_final_*.pkl`` of its model zoo: pickled arrays of NumPy."""
    arrays = {n: t.numpy() for n, t in vitdet_model(tensors).items()}
    path.write_bytes(pickle.dumps(dict(
        model=arrays, __author__='detectron2', matching_heuristics=False)))


def write_mmdet_vitdet(tensors: Tensors, path: Path) -> None:
    """open-mmlab/mmdetection, projects/ViTDet/vitdet/vit.py, ViT."""
    torch.save(dict(meta=dict(epoch=100), state_dict={
        **prefixed('backbone.', with_decomposed_positions(tensors)),
        'neck.fpn1.0.weight': noise(WIDTH, 8, 2, 2),
        'rpn_head.rpn_cls.weight': noise(3, 8, 1, 1),
    }), path)


# ------------------------------------------------------------- transformers

HUGGING_FACE_NAMES = (
    (r'^(cls_token|dist_token|reg_token|pos_embed|patch_embed)',
     r'embeddings.\1'),
    ('pos_embed', 'position_embeddings'),
    ('dist_token', 'distillation_token'),
    (r'patch_embed\.proj', 'patch_embeddings.projection'),
    (r'^blocks\.', 'encoder.layer.'),
    (r'\.norm1\.', '.layernorm_before.'),
    (r'\.norm2\.', '.layernorm_after.'),
    (r'\.attn\.proj\.', '.attention.output.dense.'),
    (r'\.mlp\.fc1\.', '.intermediate.dense.'),
    (r'\.mlp\.fc2\.', '.output.dense.'),
    (r'^norm\.', 'layernorm.'),
)


def hugging_face_names(tensors: Tensors) -> Tensors:
    """transformers 4.57.6, models/vit/modeling_vit.py.

    Features cannot tell whether the bias of the keys arrived, because the
    softmax takes it away; tensors can.
    """
    content = {}
    for name, tensor in renamed(tensors, *HUGGING_FACE_NAMES).items():
        if '.attn.qkv.' not in name:
            content[name] = tensor
            continue
        for part, third in zip(('query', 'key', 'value'), tensor.chunk(3)):
            content[name.replace('attn.qkv', f'attention.attention.{part}')
                    ] = third.clone()
    return content


def write_hugging_face(tensors: Tensors, path: Path) -> None:
    """``pytorch_model.bin`` of ViTForImageClassification."""
    torch.save({**prefixed('vit.', hugging_face_names(tensors)),
                **linear('classifier')}, path)


def write_modern_hugging_face(tensors: Tensors, path: Path) -> None:
    """State dict of a ViTModel of transformers 5, with its pooler."""
    torch.save({**modern_names(hugging_face_names(tensors)),
                **linear('pooler.dense', WIDTH)}, path)


# ------------------------------------------------------- mmengine's trainings

MMPRETRAIN_NAMES = (
    (r'^blocks\.(\d+)\.norm', r'layers.\1.ln'),
    (r'^blocks\.', 'layers.'),
    (r'^patch_embed\.proj\.', 'patch_embed.projection.'),
    (r'\.mlp\.fc1\.', '.ffn.layers.0.0.'),
    (r'\.mlp\.fc2\.', '.ffn.layers.1.'),
    (r'^norm\.', 'ln1.'),
)


def write_mmengine_training(tensors: Tensors, path: Path) -> None:
    """mmengine 0.10.7, runner/runner.py, save_checkpoint, with EMAHook.

    The averaged weights are those in 'state_dict'. The loss curves are
    pickled objects, which ``weights_only`` refuses.
    """
    from mmengine.logging import MessageHub
    content = prefixed('backbone.', renamed(tensors, *MMPRETRAIN_NAMES))
    hub = MessageHub('peers')
    hub.update_scalar('train/loss', 1.5)
    hub.update_info('epoch', 3)
    torch.save(dict(
        meta=dict(epoch=3, cfg='model = dict()'), state_dict=content,
        message_hub=hub.state_dict(), optimizer=optimizer_state(tensors),
        param_schedulers=[dict(last_step=3)],
        ema_state_dict=prefixed('module.', others(content))), path)


# ------------------------------------------------------- wrappers of trainings


def write_wrapped(tensors: Tensors, path: Path) -> None:
    """What torch puts into names, where its wrappers were not taken off.

    torch.compile: '_orig_mod.'; torch/distributed/fsdp/_common_utils.py:
    '_fsdp_wrapped_module.'; torch/distributed/algorithms/_checkpoint/
    checkpoint_wrapper.py: '_checkpoint_wrapped_module.'.
    """
    inner = '_fsdp_wrapped_module._checkpoint_wrapped_module.'
    torch.save(dict(model=prefixed(
        '_orig_mod._fsdp_wrapped_module.module.',
        renamed(tensors, (r'^(blocks\.\d+\.)', r'\1' + inner)))), path)


def write_compiled(tensors: Tensors, path: Path) -> None:
    torch.save(prefixed('_orig_mod.', tensors), path)


NORM = ('cls_token', 'pos_embed', 'norm')
FC_NORM = ('cls_token', 'pos_embed', 'fc_norm')
SCALED = NORM + ('layer_scale', )
BEIT = ('cls_token', 'norm', 'layer_scale')
MAE_NAME = 'MAE or timm ViT'
ALLOWED = dict(drop=RELATIVE)

LAYOUTS: List[Layout] = [
    Layout('MAE', MAE_NAME, write_mae),
    Layout('MAE with decoder', MAE_NAME, write_mae_full),
    Layout('MAE training', MAE_NAME, write_mae_training),
    Layout('MAE fine-tuned', MAE_NAME, write_mae_finetuned, FC_NORM),
    Layout('MAE-Lite', MAE_NAME, write_mae_lite, suffix='.pth.tar'),
    Layout('D-MAE-Lite', MAE_NAME, write_mae_lite_distilled,
           suffix='.pth.tar', options=dict(prefix='module.model.')),
    Layout('DINO', MAE_NAME, write_flat),
    Layout('DINO training', MAE_NAME, write_dino_training),
    Layout('MoCo v3', MAE_NAME, write_moco, suffix='.pth.tar',
           options=dict(prefix='module.base_encoder.')),
    Layout('DINOv2', 'DINOv2', write_dinov2, SCALED),
    Layout('DINOv2 with registers', 'DINOv2', write_dinov2,
           SCALED + ('reg_token', )),
    Layout('DINOv2 teacher, chunks', 'DINOv2', write_dinov2_teacher, SCALED),
    Layout('DINOv2 teacher, one chunk', 'DINOv2', write_dinov2_one_chunk,
           SCALED),
    Layout('DINOv2 giant', 'DINOv2', write_dinov2_giant, SCALED,
           refused='SwiGLU'),
    Layout('DeiT', MAE_NAME, write_deit),
    Layout('DeiT distilled', MAE_NAME, write_deit_distilled,
           NORM + ('dist_token', ), rows=2),
    Layout('DeiT-III', 'DeiT-III', write_deit3, SCALED, rows=0),
    Layout('BEiT', 'BEiT', write_beit, BEIT, key_bias=False,
           options=ALLOWED),
    Layout('BEiT fine-tuned', 'BEiT', write_beit_finetuned,
           ('cls_token', 'fc_norm', 'layer_scale'), key_bias=False,
           options=ALLOWED),
    Layout('BEiT v2', 'BEiT', write_beit2, BEIT, key_bias=False,
           options=ALLOWED),
    Layout('ViTDet of detectron2', 'ViTDet', write_vitdet, ('pos_embed', ),
           options=ALLOWED),
    Layout('ViTDet of detectron2, pickled', 'ViTDet', write_vitdet_pickle,
           ('pos_embed', ), suffix='.pkl', options=ALLOWED),
    Layout('ViTDet of mmdetection', 'ViTDet', write_mmdet_vitdet,
           ('pos_embed', ), options=ALLOWED),
    Layout('transformers ViT', 'Hugging Face ViT', write_hugging_face,
           suffix='.bin'),
    Layout('transformers 5 ViT', 'Hugging Face ViT',
           write_modern_hugging_face),
    Layout('transformers DeiT', 'Hugging Face ViT', write_hugging_face,
           NORM + ('dist_token', ), rows=2, suffix='.bin'),
    Layout('mmengine training', 'OpenMMLab ViT', write_mmengine_training),
    Layout('wrapped by FSDP', MAE_NAME, write_wrapped),
    Layout('compiled', MAE_NAME, write_compiled),
]
