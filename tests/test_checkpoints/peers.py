"""Plain ViTs of other packages, with which the loader is compared.

They are small, random in every parameter, and saved as their own package
saves them. An HPViT of one stage that loads the file must compute what the
peer computes. The packages are imported when a peer is made, because they
take seconds.
"""
import copy
import functools
import importlib
import json
import re
import warnings
from argparse import Namespace
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Callable, Dict, Optional, Tuple

import torch
from torch import Tensor, nn

WIDTH, DEPTH, HEADS, HIDDEN, CLASSES = 48, 2, 3, 96, 5
IMAGE, PATCH = 64, 16
ARCH = dict(embed_dims=WIDTH, num_layers=DEPTH, num_heads=HEADS,
            feedforward_channels=HIDDEN)
# Small, so that the eps of the first norms can be seen in the features: the
# variance of a token is about 0.002.
EMBED_STD = 0.03

Tensors = Dict[str, Tensor]


@dataclass
class Built:
    """A peer that was made.

    Attributes:
        model: The whole model.
        kwargs: Arguments of the HPViT that is the same plain network,
            without prefix tokens.
        prefix_kwargs: Further arguments to keep the prefix tokens.
        run: ``images -> (B, prefix + patches, C)``, behind the blocks.
        blocks: The blocks.
        norm: Applied to the tokens of ``run``.
        pooled: ``images -> (B, C)``, if the peer averages before its last
            norm.
        last: Module behind which code expects the prefix tokens.
    """
    model: nn.Module
    kwargs: dict
    prefix_kwargs: dict
    run: Callable[[Tensor], Tensor]
    blocks: nn.ModuleList
    norm: nn.Module = field(default_factory=nn.Identity)
    pooled: Optional[Callable[[Tensor], Tensor]] = None
    last: Optional[nn.Module] = None

    @torch.no_grad()
    def features(self, images: Tensor, keep_prefix: bool) -> Tensor:
        """Return the patches' features, (B, C, h, w).

        With ``keep_prefix`` those of the peer as it is, else those that its
        blocks compute from the patches' tokens alone. Relative positions are
        left out of both.
        """
        count = sum(map(int, self.prefix_kwargs.values()))
        with ExitStack() as stack:
            if not keep_prefix:
                stack.enter_context(without_prefix(
                    self.blocks[0], count, self.last))
            out = self.run(images)
        if out.ndim == 4:
            return out
        tokens = self.norm(out[:, count if keep_prefix else 0:])
        grid = [side // self.kwargs['patch_size']
                for side in images.shape[2:]]
        return tokens.unflatten(1, grid).permute(0, 3, 1, 2)


@contextmanager
def without_prefix(first: nn.Module, count: int, last: Optional[nn.Module]):
    """Remove ``count`` tokens before a module, and append zeros behind it."""
    handles = [first.register_forward_pre_hook(
        lambda module, args: (args[0][:, count:], *args[1:]))]
    if last is not None:
        handles.append(last.register_forward_hook(
            lambda module, args, out: torch.cat([out.new_zeros(
                len(out), count, out.shape[2]), out], dim=1)))
    yield
    for handle in handles:
        handle.remove()


def save_flat(model: nn.Module, folder: Path) -> Path:
    torch.save(model.state_dict(), folder / 'model.pth')
    return folder / 'model.pth'


@dataclass(frozen=True)
class Peer:
    """A plain ViT of another package, in one of its formats.

    Attributes:
        name: Package, and what is special about it.
        family: Name in the load report.
        make: Makes it; the same one each time.
        save: Saves it to a folder and returns the path.
        drop: What the loader must refuse unless it is told to drop it.
        refused: Regular expression in the message with which the file must be
            refused.
    """
    name: str
    family: str
    make: Callable[[], Built]
    save: Callable[[nn.Module, Path], Path] = save_flat
    drop: Tuple[str, ...] = ()
    refused: str = ''

    def __str__(self) -> str:
        return self.name


def made_once(make: Callable[..., Built]) -> Callable[..., Built]:
    """Make the same peer each time, and each one once."""

    @functools.cache
    def wrapped(*args, **kwargs):
        with torch.random.fork_rng(devices=[]), warnings.catch_warnings():
            warnings.simplefilter('ignore')
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


def hpvit_kwargs(eps: float, img_size=IMAGE, patch: int = PATCH,
                 qkv_bias: bool = True, layer_scale: bool = False,
                 pre_norm: bool = False) -> dict:
    arch = dict(ARCH, act='gelu') if pre_norm else ARCH
    return dict(
        arch=arch, img_size=img_size, patch_size=patch, patch_stride=patch,
        stage_depths=(DEPTH, ), norm_cfg=dict(type='LN', eps=eps),
        qkv_bias=qkv_bias, layer_scale_init_value=0.1 if layer_scale else 0.,
        pre_norm=pre_norm)


def prefix_kwargs(cls_token: bool = True, registers: int = 0) -> dict:
    return dict(with_cls_token=cls_token, num_registers=registers)


def noise(*shape: int) -> Tensor:
    """Tensors that a file holds besides, and that must not be used."""
    return torch.randn(shape, generator=torch.Generator().manual_seed(7))


def others(tensors: Tensors) -> Tensors:
    """Tensors of the same names, of a network that is not wanted."""
    return {name: noise(*tensor.shape) for name, tensor in tensors.items()}


def prefixed(prefix: str, tensors: Tensors) -> Tensors:
    return {prefix + name: tensor for name, tensor in tensors.items()}


def renamed(tensors: Tensors, *renames: Tuple[str, str]) -> Tensors:
    """Tensors with regular expressions replaced in their names."""
    result = {}
    for name, tensor in tensors.items():
        for pattern, replacement in renames:
            name = re.sub(pattern, replacement, name)
        result[name] = tensor
    return result


def optimizer_state(tensors: Tensors) -> dict:
    """What AdamW adds to the checkpoint of a training."""
    return dict(
        state={i: dict(step=torch.tensor(9.), exp_avg=noise(*tensor.shape))
               for i, tensor in enumerate(tensors.values())},
        param_groups=[dict(lr=1e-3, params=list(range(len(tensors))))])


# -------------------------------------------------------------------- timm


def save_safetensors(model, folder: Path) -> Path:
    from safetensors.torch import save_file
    tensors = model if isinstance(model, dict) else model.state_dict()
    save_file({n: t.contiguous() for n, t in tensors.items()},
              folder / 'model.safetensors', metadata=dict(format='pt'))
    return folder / 'model.safetensors'


def save_timm_training(model: nn.Module, folder: Path) -> Path:
    """timm 1.0.31, utils/checkpoint_saver.py, of a model in DDP."""
    path, tensors = folder / 'model_best.pth.tar', model.state_dict()
    torch.save(dict(
        epoch=2, arch='vit', state_dict=prefixed('module.', others(tensors)),
        optimizer=optimizer_state(tensors), version=2,
        args=Namespace(lr=1e-3), amp_scaler=dict(scale=1.),
        state_dict_ema=prefixed('module.', tensors), metric=0.5), path)
    return path


def save_deit_training(model: nn.Module, folder: Path) -> Path:
    """facebookresearch/deit, main.py."""
    path, tensors = folder / 'checkpoint.pth', model.state_dict()
    torch.save(dict(
        model=others(tensors), optimizer=optimizer_state(tensors),
        lr_scheduler=dict(last_epoch=2), epoch=2,
        model_ema=prefixed('module.', tensors), scaler=dict(scale=1.),
        args=Namespace(lr=1e-3)), path)
    return path


def save_timm_hub(model: nn.Module, folder: Path) -> Path:
    """A folder as on the hub: its config.json is timm's own."""
    from timm.models import save_for_hf
    save_for_hf(model, str(folder), safe_serialization='both')
    return folder


@made_once
def timm_vit(cls: str = 'vision_transformer.VisionTransformer',
             registers: int = 0, eps: float = 1e-6, img_size=IMAGE,
             patch: int = PATCH, **options) -> Built:
    """A ViT of ``timm.models``: its module and class, or its architecture.

    HPViT counts ``registers`` as such.
    """
    sizes = dict(img_size=img_size, embed_dim=WIDTH, depth=DEPTH,
                 num_heads=HEADS, mlp_ratio=HIDDEN / WIDTH,
                 **dict(dict(num_classes=CLASSES), **options))
    if '.' in cls:
        module, name = cls.split('.')
        module = importlib.import_module(f'timm.models.{module}')
        model = getattr(module, name)(
            patch_size=patch, norm_layer=partial(nn.LayerNorm, eps=eps),
            **sizes)
    else:
        import timm
        model = timm.create_model(cls, **sizes)
    randomize(model)
    cls_token = model.cls_token is not None
    norm = model.fc_norm
    return Built(
        model, hpvit_kwargs(eps, img_size, patch,
                            options.get('qkv_bias', True),
                            bool(options.get('init_values')),
                            options.get('pre_norm', False)),
        prefix_kwargs(cls_token, registers), model.forward_features,
        model.blocks, norm, None if isinstance(norm, nn.Identity) else
        lambda x: model.forward_head(model.forward_features(x),
                                     pre_logits=True))


def timm_peer(name: str, family: str = 'MAE or timm ViT', save=save_flat,
              refused: str = '', **options) -> Peer:
    return Peer(f'timm, {name}', family, partial(timm_vit, **options), save,
                (), refused)


def hub_peer(name: str, refused: str = '', **options) -> Peer:
    return timm_peer(f'folder of {name}', save=save_timm_hub, cls=name,
                     refused=refused, **options)


def swiglu_mlp(*args, **kwargs) -> nn.Module:
    """The MLP of DINOv2's ViT-g, named as timm names it."""
    from timm.layers import SwiGLUPacked
    return SwiGLUPacked(*args, **kwargs)


DINO = dict(patch=14, img_size=70, init_values=1e-5)
EVA = dict(cls='eva.Eva', use_rot_pos_emb=True)
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
    timm_peer('DINOv2', **DINO),
    timm_peer('DINOv2 with registers', reg_tokens=4, registers=4,
              no_embed_class=True, **DINO),
    timm_peer('registers with positions', reg_tokens=4, registers=4),
    timm_peer('registers without cls', reg_tokens=4, registers=4,
              class_token=False, global_pool='avg'),
    timm_peer('BEiT', 'BEiT', cls='beit.Beit', init_values=0.1,
              use_fc_norm=False),
    timm_peer('BEiT fine-tuned on averages', 'BEiT', cls='beit.Beit',
              init_values=0.1, use_fc_norm=True),
    hub_peer('vit_tiny_patch16_224'),
    hub_peer('vit_base_patch16_siglip_256', 'looks like SigLIP'),
    hub_peer('vit_so400m_patch16_siglip_256', 'act=gelu_tanh'),
    hub_peer('vit_base_patch32_clip_quickgelu_224', 'act=quick_gelu'),
    hub_peer('vit_base_patch16_rpn_224', 'post_norm=True'),
    timm_peer('norms of queries and keys', refused='qk_norm=True',
              qk_norm=True),
    timm_peer('SwiGLU', refused='act=.*swiglu|SwiGLU', mlp_layer=swiglu_mlp),
    timm_peer('norm of the patches', refused='patch_norm=True',
              embed_norm_layer=nn.LayerNorm),
    timm_peer('SigLIP without config', refused='SigLIP', global_pool='map',
              class_token=False),
    timm_peer('DINOv3', refused='neither a position', init_values=1e-5,
              use_abs_pos_emb=False, rope_type='dinov3', **EVA),
    timm_peer('mixed rotary positions', refused='learned=True',
              rope_type='mixed', **EVA),
    timm_peer('PE', refused='rotary', use_pre_transformer_norm=True,
              attn_pool_num_heads=HEADS, global_pool='map', **EVA),
    timm_peer('PE spatial', refused='rotary', use_pre_transformer_norm=True,
              use_post_transformer_norm=False, use_fc_norm=False,
              num_classes=0, **EVA),
    timm_peer('EVA-02', refused='swiglu', swiglu_mlp=True, **EVA),
]

# ------------------------------------------------------------- transformers

# From the names on the hub, which `save_pretrained` writes, to those of the
# modules of transformers 5, which `torch.save(model.state_dict())` writes.
MODERN_NAMES = (
    (r'\.attention\.attention\.(q|k|v)\w+\.', r'.attention.\1_proj.'),
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
    dino = any('layer_scale1' in name for name in tensors)
    return renamed(tensors, *MODERN_NAMES, *() if dino else (MODERN_LAYERS, ))


def save_pretrained(model: nn.Module, folder: Path, **options) -> Path:
    """A folder with the names on the hub; transformers 4 and 5."""
    from transformers.utils import logging
    logging.disable_progress_bar()
    model.save_pretrained(folder, **options)
    return folder


def read_back(model: nn.Module, folder: Path) -> Tensors:
    """Save a model; return its tensors by the names on the hub."""
    from safetensors.torch import load_file
    save_pretrained(model, folder)
    return load_file(folder / 'model.safetensors')


def save_modern(model: nn.Module, folder: Path) -> Path:
    """A folder with the names of the modules of transformers 5."""
    tensors = {}
    for name, tensor in modern_names(read_back(model, folder)).items():
        if 'weights_in' in name:  # SwiGLU, which has become two matrices
            for part, half in zip(('gate_proj', 'up_proj'), tensor.chunk(2)):
                tensors[name.replace('weights_in', part)] = half.clone()
        else:
            tensors[name.replace('weights_out', 'down_proj')] = tensor
    save_safetensors(tensors, folder)
    return folder


def save_sharded(model: nn.Module, folder: Path) -> Path:
    return save_pretrained(model, folder, max_shard_size='60KB')


def save_bin(model: nn.Module, folder: Path) -> Path:
    """A folder as transformers wrote it before safetensors."""
    torch.save(read_back(model, folder), folder / 'pytorch_model.bin')
    (folder / 'model.safetensors').unlink()
    return folder


def save_sharded_bin(model: nn.Module, folder: Path) -> Path:
    tensors, weight_map = read_back(model, folder), {}
    (folder / 'model.safetensors').unlink()
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
    torch.save(modern_names(read_back(model, folder)), folder / 'model.pth')
    return folder / 'model.pth'


def save_old_beit(model: nn.Module, folder: Path) -> Path:
    """With the buffers that files of transformers before 4.45 hold."""
    tensors, rows = read_back(model, folder), (IMAGE // PATCH)**2 + 1
    for name in [n for n in tensors if n.endswith('_bias_table')]:
        tensors[name.replace('_bias_table', '_index')] = torch.randint(
            9, (rows, rows))
    save_safetensors(tensors, folder)
    return folder


@made_once
def hugging_face_vit(cls: str, registers: int = 0, cls_token: bool = True,
                     eps: float = 1e-12, layer_scale: bool = False,
                     patch: int = PATCH, img_size=IMAGE, **options) -> Built:
    """A ViT of transformers: its class and entries of its configuration."""
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
    # ViTMAE shuffles the patches by noise; this keeps all in their order.
    order = torch.arange((IMAGE // patch)**2).float()[None]

    def run(images: Tensor) -> Tensor:
        more = dict(noise=order.expand(len(images), -1)) \
            if 'ViTMAE' in cls.__name__ else {}
        return encoder(images, **more).last_hidden_state

    norm = getattr(getattr(encoder, 'pooler', None), 'layernorm', None)
    # the blocks, in transformers 5, or in 4 and in DINOv2
    blocks = encoder.layers if hasattr(encoder, 'layers') \
        else encoder.encoder.layer
    return Built(
        model, hpvit_kwargs(eps, img_size, patch,
                            options.get('qkv_bias', True), layer_scale),
        prefix_kwargs(cls_token, registers), run, blocks,
        norm or nn.Identity(),
        norm and (lambda images: encoder(images).pooler_output))


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


def hf_peer(name: str, cls: str, save=save_pretrained,
            drop: Tuple[str, ...] = (), refused: str = '',
            **options) -> Peer:
    return Peer(f'transformers, {name}', 'Hugging Face ViT',
                partial(hugging_face_vit, cls, **options), save, drop,
                refused)


HF_VIT = partial(hf_peer, cls='ViTModel')
HF_DINO = partial(hf_peer, eps=1e-6, layer_scale=True, patch=14, img_size=70)
HF_BEIT = partial(hf_peer, cls='BeitModel', layer_scale=True)
MAE_DECODER = dict(
    decoder_hidden_size=32, decoder_num_hidden_layers=1,
    decoder_num_attention_heads=2, decoder_intermediate_size=64,
    mask_ratio=0.)
ABSOLUTE = dict(use_absolute_position_embeddings=True)
RELATIVE = dict(drop=('relative_position', ), use_relative_position_bias=True)
SHARED = dict(drop=('relative_position', ), use_mean_pooling=False,
              use_shared_relative_position_bias=True)

HUGGING_FACE = [
    HF_VIT('ViT'),
    HF_VIT('ViT, another eps', eps=1e-5),
    HF_VIT('ViT, weights alone', save=save_weights_alone),
    HF_VIT('ViT, not square', img_size=(48, 80)),
    HF_VIT('ViT, modules of 5', save=save_modern),
    HF_VIT('ViT, state dict of 5', save=save_state_dict),
    HF_VIT('ViT, pytorch_model.bin', save=save_bin),
    HF_VIT('ViT, sharded', save=save_sharded),
    HF_VIT('ViT, sharded pytorch_model.bin', save=save_sharded_bin),
    HF_VIT('ViT without qkv bias', qkv_bias=False),
    HF_VIT('classifier', cls='ViTForImageClassification'),
    HF_VIT('classifier, modules of 5', cls='ViTForImageClassification',
           save=save_modern),
    HF_VIT('MAE encoder', cls='ViTMAEModel', mask_ratio=0.),
    HF_VIT('MAE', cls='ViTMAEForPreTraining', **MAE_DECODER),
    HF_VIT('MAE, modules of 5', cls='ViTMAEForPreTraining',
           save=save_modern, **MAE_DECODER),
    HF_VIT('distilled DeiT', cls='DeiTModel', registers=1),
    HF_VIT('I-JEPA', cls='IJepaModel', cls_token=False),
    HF_DINO('DINOv2', cls='Dinov2Model'),
    HF_DINO('DINOv2 with registers', cls='Dinov2WithRegistersModel',
            registers=4),
    HF_DINO('DINOv2 with registers, modules of 5',
            cls='Dinov2WithRegistersModel', registers=4, save=save_modern),
    HF_BEIT('BEiT', use_mean_pooling=False, **ABSOLUTE),
    HF_BEIT('BEiT, modules of 5', use_mean_pooling=False, save=save_modern,
            **ABSOLUTE),
    HF_BEIT('BEiT fine-tuned on averages', **ABSOLUTE),
    HF_BEIT('BEiT classifier', cls='BeitForImageClassification',
            num_labels=CLASSES, **ABSOLUTE),
    HF_BEIT('BEiT, relative positions', **RELATIVE),
    HF_BEIT('BEiT, relative positions, old', save=save_old_beit, **RELATIVE),
    HF_BEIT('BEiT, relative positions, modules of 5', save=save_modern,
            **RELATIVE),
    HF_BEIT('BEiT, shared relative positions', **SHARED),
    HF_BEIT('BEiT, shared relative positions, modules of 5',
            save=save_modern, **SHARED),
    HF_DINO('SwiGLU', cls='Dinov2Model', refused='swiglu',
            use_swiglu_ffn=True),
    HF_DINO('SwiGLU, modules of 5', cls='Dinov2Model', refused='swiglu',
            use_swiglu_ffn=True, save=save_modern),
    HF_VIT('another activation', refused='act=quick_gelu',
           hidden_act='quick_gelu'),
]

# --------------------------------------------------------------- OpenMMLab


def save_openmmlab(model: nn.Module, folder: Path) -> Path:
    """A published file: tools/publish_model.py keeps these two entries."""
    content = prefixed('backbone.', model.state_dict())
    content['head.fc.weight'] = noise(CLASSES, WIDTH)
    content['decode_head.conv_seg.bias'] = noise(CLASSES)
    path = folder / 'vit-base_8xb128_in1k.pth'
    torch.save(dict(meta=dict(epoch=300, mmengine_version='0.10.7'),
                    state_dict=content), path)
    return path


def save_epoch(model: nn.Module, folder: Path) -> Path:
    path = folder / 'epoch_300.pth'
    torch.save(dict(meta=dict(epoch=300), state_dict=model.state_dict()),
               path)
    return path


@made_once
def mmpretrain_vit(cls: str, registers: int = 0, eps: float = 1e-6,
                   layer_scale: bool = False, averages: bool = False,
                   **options) -> Built:
    """A backbone of mmpretrain.

    With ``averages`` it normalises averages of tokens, and no tokens, as
    networks that MAE was fine-tuned to.
    """
    from mmpretrain.models import backbones
    create = partial(
        getattr(backbones, cls), dict(ARCH), img_size=IMAGE, patch_size=PATCH,
        norm_cfg=dict(type='LN', eps=eps), final_norm=not averages)
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
    return Built(
        model, hpvit_kwargs(eps, qkv_bias=options.get('qkv_bias', True),
                            layer_scale=layer_scale,
                            pre_norm=options.get('pre_norm', False)),
        prefix_kwargs(model.cls_token is not None, registers),
        lambda images: raw(images)[0], raw.layers,
        model.ln2 if averages else nn.Identity(),
        (lambda images: model(images)[0]) if averages else None)


def deit3_forward(layer: nn.Module, x: Tensor) -> Tensor:
    """A block of DeiT-III.

    mmpretrain 1.2.0 and onedl-mmpretrain 1.3.6 apply ln1 twice, and ln2 never
    (deit3.py, line 184). The weights that mmpretrain has converted are the
    authors', who apply both.
    """
    x = x + layer.attn(layer.ln1(x))
    return layer.ffn(layer.ln2(x), identity=x)


@made_once
def mmpretrain_mae() -> Built:
    """MAE's pre-training in mmpretrain, with its decoder."""
    from mmengine.registry import DefaultScope
    from mmpretrain.models import MAE
    loss = dict(type='PixelReconstructionLoss', criterion='L2')
    with DefaultScope.overwrite_default_scope('mmpretrain'):
        model = randomize(MAE(
            backbone=dict(type='MAEViT', arch=dict(ARCH), img_size=IMAGE,
                          patch_size=PATCH, mask_ratio=0.75),
            neck=dict(type='MAEPretrainDecoder', num_patches=16,
                      patch_size=PATCH, embed_dim=WIDTH, decoder_embed_dim=32,
                      decoder_depth=1, decoder_num_heads=2, mlp_ratio=2),
            head=dict(type='MAEPretrainHead', norm_pix=True, patch_size=PATCH,
                      loss=loss)))
    encoder = model.backbone
    return Built(model, hpvit_kwargs(1e-6), prefix_kwargs(),
                 lambda images: encoder(images, mask=None)[0],
                 encoder.layers)


@made_once
def mmseg_vit(cls: str, eps: float = 1e-5, layer_scale: bool = False,
              **options) -> Built:
    """A backbone of mmsegmentation; MAE and BEiT have relative positions."""
    from mmseg.models import backbones
    model = randomize(getattr(backbones, cls)(
        img_size=(IMAGE, IMAGE), patch_size=PATCH, embed_dims=WIDTH,
        num_layers=DEPTH, num_heads=HEADS, mlp_ratio=HIDDEN // WIDTH,
        norm_cfg=dict(type='LN', eps=eps), final_norm=True, **options))
    plain = copy.deepcopy(model)
    for layer in plain.layers:
        if hasattr(layer.attn, 'relative_position_bias_table'):
            layer.attn.relative_position_bias_table = None
    return Built(
        model, hpvit_kwargs(eps, layer_scale=layer_scale,
                            pre_norm=options.get('pre_norm', False)),
        prefix_kwargs(), lambda images: plain(images)[-1], plain.layers,
        last=plain.norm1)


def openmmlab_peer(name: str, make, *args, drop: Tuple[str, ...] = (),
                   save=save_openmmlab, **options) -> Peer:
    return Peer(name, 'OpenMMLab ViT', partial(make, *args, **options), save,
                drop)


MMPRETRAIN = partial(openmmlab_peer, make=mmpretrain_vit)
MMSEG = partial(openmmlab_peer, make=mmseg_vit)
VIT = dict(cls='VisionTransformer')
BEIT = dict(cls='BEiTViT', layer_scale=True, use_abs_pos_emb=True,
            use_rel_pos_bias=False)
TABLES = dict(layer_scale=True, drop=('relative_position', ))
OPENMMLAB = [
    MMPRETRAIN('mmpretrain, ViT', **VIT),
    MMPRETRAIN('mmpretrain, ViT without cls', with_cls_token=False, **VIT),
    MMPRETRAIN('mmpretrain, ViT without qkv bias', qkv_bias=False, **VIT),
    MMPRETRAIN('mmpretrain, ViT fine-tuned on averages', averages=True,
               **VIT),
    MMPRETRAIN('mmpretrain, CLIP', pre_norm=True, eps=1e-5, **VIT),
    MMPRETRAIN('mmpretrain, DINOv2', layer_scale=True,
               layer_scale_init_value=1e-5, **VIT),
    MMPRETRAIN('mmpretrain, distilled DeiT', registers=1,
               cls='DistilledVisionTransformer'),
    MMPRETRAIN('mmpretrain, DeiT-III', cls='DeiT3', layer_scale=True),
    MMPRETRAIN('mmpretrain, BEiT', **BEIT),
    MMPRETRAIN('mmpretrain, BEiT fine-tuned on averages', averages=True,
               **BEIT),
    MMPRETRAIN('mmpretrain, BEiT, relative positions', cls='BEiTViT',
               use_rel_pos_bias=True, **TABLES),
    openmmlab_peer('mmpretrain, MAE', mmpretrain_mae, save=save_epoch),
    MMSEG('mmsegmentation, ViT', patch_bias=True, **VIT),
    MMSEG('mmsegmentation, ViT without patch bias', eps=1e-6, **VIT),
    MMSEG('mmsegmentation, CLIP', pre_norm=True, **VIT),
    MMSEG('mmsegmentation, MAE', cls='MAE', **TABLES),
    MMSEG('mmsegmentation, BEiT', cls='BEiT', **TABLES),
]

PEERS = TIMM + HUGGING_FACE + OPENMMLAB
