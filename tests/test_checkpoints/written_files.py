"""Files of packages that cannot be installed, by the names in their code.

They are written out of tensors with MAE's names, and what the loader reads
must be what was put in.
"""
import pickle
from argparse import Namespace
from dataclasses import dataclass, field
from pathlib import Path
from typing import Callable, Iterable, Tuple

import torch
from peers import (CLASSES, DEPTH, HEADS, HIDDEN, IMAGE, PATCH, WIDTH,
                   Tensors, modern_names, noise, optimizer_state, others,
                   prefixed, renamed)


@dataclass(frozen=True)
class Written:
    """A kind of file.

    Attributes:
        name: Whose file it is.
        family: Name in the load report.
        content: Makes the content of the file from tensors by MAE's names.
        parts: Parts beside the patch embedding and the blocks, by the names
            in :func:`mae_tensors`.
        rows: Rows of the position embedding for prefix tokens.
        key_bias: Whether keys have a bias; BEiT's have none.
        options: Options of the loader.
        refused: Regular expression in the message with which the file must be
            refused.
    """
    name: str
    family: str
    content: Callable[[Tensors], dict]
    parts: Tuple[str, ...] = ('cls_token', 'pos_embed', 'norm')
    rows: int = 1
    key_bias: bool = True
    options: dict = field(default_factory=dict)
    refused: str = ''

    def __str__(self) -> str:
        return self.name

    def tensors(self) -> Tensors:
        return mae_tensors(self.parts, self.rows, self.key_bias)

    def write(self, path: Path) -> None:
        content = self.content(self.tensors())
        if 'pickled' in self.name:
            path.write_bytes(pickle.dumps(content))
        else:
            torch.save(content, path)


def mae_tensors(parts: Iterable[str], rows: int = 1,
                key_bias: bool = True) -> Tensors:
    """Random tensors of the encoder of a plain ViT.

    Args:
        parts: 'cls_token', 'reg_token' (four registers), 'dist_token',
            'pos_embed', 'norm', 'fc_norm' and 'layer_scale'.
        rows: Rows of ``pos_embed`` for prefix tokens.
        key_bias: Whether the third of ``attn.qkv.bias`` for keys is not 0.
    """
    shapes = {
        'cls_token': (1, 1, WIDTH), 'dist_token': (1, 1, WIDTH),
        'reg_token': (1, 4, WIDTH),
        'pos_embed': (1, rows + (IMAGE // PATCH)**2, WIDTH)}
    shapes = {name: s for name, s in shapes.items() if name in parts}
    shapes.update({'patch_embed.proj.weight': (WIDTH, 3, PATCH, PATCH),
                   'patch_embed.proj.bias': (WIDTH, )})
    for i in range(DEPTH):
        shapes.update(prefixed(f'blocks.{i}.', block_shapes(
            'layer_scale' in parts)))
    for name in {'norm', 'fc_norm'} & set(parts):
        shapes.update({f'{name}.weight': (WIDTH, ), f'{name}.bias': (WIDTH, )})
    generator = torch.Generator().manual_seed(0)
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


def linear(name: str, rows: int = CLASSES) -> Tensors:
    return noise_of({f'{name}.weight': (rows, WIDTH),
                     f'{name}.bias': (rows, )})


# --------------------------------------------------- MAE, MAE-Lite, I-JEPA


def mae_full(tensors: Tensors) -> Tensors:
    """facebookresearch/mae, models_mae.py: with the decoder."""
    width = 32
    return {**tensors, **noise_of({
        'mask_token': (1, 1, width),
        'decoder_pos_embed': (1, 17, width),
        'decoder_embed.weight': (width, WIDTH),
        'decoder_embed.bias': (width, ),
        **prefixed('decoder_blocks.0.', block_shapes(width=32, hidden=64)),
        'decoder_norm.weight': (width, ),
        'decoder_norm.bias': (width, ),
        'decoder_pred.weight': (3 * PATCH**2, width),
        'decoder_pred.bias': (3 * PATCH**2, )})}


def mae_training(tensors: Tensors) -> dict:
    """facebookresearch/mae, util/misc.py, save_model."""
    return dict(
        model=mae_full(tensors), epoch=3, optimizer=optimizer_state(tensors),
        scaler=dict(scale=65536.), args=Namespace(
            lr=1.5e-4, model='mae_vit_base_patch16', output_dir=None))


def mae_lite(tensors: Tensors) -> dict:
    """wangsr126/MAE-Lite, mae_lite/tools/train.py: DDP around a wrapper.

    The names are those that its projects/eval_tools/det/convert_to_d2.py
    expects.
    """
    return dict(
        start_epoch=400, model=prefixed('module.model.', mae_full(tensors)),
        optimizer=optimizer_state(tensors), scheduler=dict(last_epoch=1),
        best_top1=0., best_top5=0., best_top1_epoch=0, scaler={})


def mae_lite_distilled(tensors: Tensors) -> dict:
    """MAE-Lite, playground/mae_lite/distill/mae_lite_distill_exp.py.

    The teacher's encoder is in the file too.
    """
    return dict(start_epoch=400, model={
        **prefixed('module.model.', mae_full(tensors)),
        **prefixed('module.tch_model.', others(tensors)),
        'module.attn_adapter.adapter11.weight': noise(12, HEADS, 1, 1)})


def i_jepa(tensors: Tensors) -> dict:
    """facebookresearch/ijepa, src/train.py, save_checkpoint."""
    return dict(
        encoder=prefixed('module.', others(tensors)),
        predictor=prefixed('module.', {
            **linear('predictor_embed'),
            'predictor_pos_embed': noise(1, 16, 32)}),
        target_encoder=prefixed('module.', tensors),
        opt=optimizer_state(tensors), scaler=None, epoch=3, loss=.5)


# ------------------------------------------------- DINO, MoCo v3 and DINOv2


def dino_head(prefix: str) -> Tensors:
    """facebookresearch/dino, vision_transformer.py, DINOHead."""
    return prefixed(prefix, noise_of({
        'mlp.0.weight': (8, WIDTH), 'mlp.0.bias': (8, ),
        'last_layer.weight_g': (9, 1), 'last_layer.weight_v': (9, 8)}))


def dino_training(tensors: Tensors) -> dict:
    """facebookresearch/dino, main_dino.py; the teacher is the one to use."""
    return dict(
        student={**prefixed('module.backbone.', others(tensors)),
                 **dino_head('module.head.')},
        teacher={**prefixed('backbone.', tensors), **dino_head('head.')},
        optimizer=optimizer_state(tensors), epoch=100,
        args=Namespace(arch='vit_base'), dino_loss=dict(center=noise(1, 9)))


def moco(tensors: Tensors) -> dict:
    """facebookresearch/moco-v3, main_moco.py and moco/builder.py."""
    head = noise_of({'head.0.weight': (8, WIDTH), 'predictor.0.weight': (8, )})
    return dict(epoch=300, arch='vit_base', state_dict={
        **prefixed('module.base_encoder.', {**tensors, **head}),
        **prefixed('module.momentum_encoder.', others(tensors))},
        optimizer=optimizer_state(tensors), scaler={})


def dinov2(tensors: Tensors) -> Tensors:
    """facebookresearch/dinov2, dinov2/models/vision_transformer.py."""
    return {**renamed(tensors, (r'^reg_token$', 'register_tokens')),
            'mask_token': noise(1, WIDTH)}


def dinov2_teacher(tensors: Tensors) -> dict:
    """dinov2/train/train.py, do_test, with ``block_chunks`` of DEPTH.

    Later chunks begin with identities, so that the second number is the
    block's.
    """
    content = renamed(dinov2(tensors), (r'^blocks\.(\d+)\.',
                                        r'blocks.\1.\1.'))
    return dict(teacher={**prefixed('backbone.', content),
                         **dino_head('dino_head.'), **dino_head('ibot_head.')})


def dinov2_one_chunk(tensors: Tensors) -> dict:
    return dict(teacher=prefixed('backbone.', renamed(
        dinov2(tensors), (r'^blocks\.(\d+)\.', r'blocks.0.\1.'))))


def dinov2_giant(tensors: Tensors) -> dict:
    """dinov2/layers/swiglu_ffn.py: ``dinov2_vitg14_pretrain.pth``."""
    gated = {name: tensor[:, ::2] if 'fc2.weight' in name else tensor
             for name, tensor in dinov2(tensors).items()}
    return renamed(gated, (r'\.fc1\.', '.w12.'), (r'\.fc2\.', '.w3.'))


# ------------------------------------------------------------ DeiT and BEiT


def with_head(*heads: str) -> Callable[[Tensors], dict]:
    """Write the tensors, and heads, as ``model``."""
    return lambda tensors: dict(model={
        **tensors, **{k: v for head in heads for k, v in linear(head).items()}
    })


def deit3(tensors: Tensors) -> dict:
    """facebookresearch/deit, models_v2.py: ``deit_3_base_224_1k.pth``."""
    return with_head('head')(renamed(tensors, (r'\.ls([12])\.gamma$',
                                               r'.gamma_\1')))


def beit_names(tensors: Tensors) -> Tensors:
    """microsoft/unilm, beit/modeling_finetune.py, Attention and Block."""
    content = renamed(tensors, (r'\.ls([12])\.gamma$', r'.gamma_\1'))
    for i in range(DEPTH):
        bias = content.pop(f'blocks.{i}.attn.qkv.bias')  # q, k, v
        content[f'blocks.{i}.attn.q_bias'] = bias[:WIDTH].clone()
        content[f'blocks.{i}.attn.v_bias'] = bias[2 * WIDTH:].clone()
    return content


def relative_tables(*prefixes: str) -> Tensors:
    """Relative positions of 4 x 4 patches and cls, and their index."""
    return {f'{prefix}.relative_position_{name}': tensor
            for prefix in prefixes for name, tensor in (
                ('bias_table', noise(7 * 7 + 3, HEADS)),
                ('index', torch.arange(17 * 17).reshape(17, 17)))}


def beit(tensors: Tensors) -> dict:
    """unilm, beit/modeling_pretrain.py: one table for all blocks."""
    return dict(model={
        **beit_names(tensors), **relative_tables('rel_pos_bias'),
        **linear('lm_head', 9), 'mask_token': noise(1, 1, WIDTH)})


def beit_finetuned(tensors: Tensors) -> dict:
    """unilm, beit/modeling_finetune.py: a table per block, fc_norm."""
    return dict(model={
        **beit_names(tensors), **linear('head'), **relative_tables(
            *[f'blocks.{i}.attn' for i in range(DEPTH)])})


def beit2(tensors: Tensors) -> dict:
    """unilm, beit2/modeling_pretrain.py, ...MaskedImageModelingCLS.

    Its run_class_finetuning.py looks for 'model' or 'module', DeepSpeed's.
    """
    extra = renamed({name: tensor for name, tensor in others(
        beit_names(tensors)).items() if name.startswith('blocks.0.')},
        ('^blocks', 'cls_pt_layers'))
    return dict(module={**beit(tensors)['model'], **extra})


# -------------------------------------------------------------------- ViTDet


def decomposed(prefix: str, tensors: Tensors) -> Tensors:
    """Block 1 is global, the others have windows of 2 x 2 patches."""
    return prefixed(prefix, {**tensors, **{
        f'blocks.{i}.attn.rel_pos_{axis}': noise(
            7 if i == 1 else 3, WIDTH // HEADS)
        for i in range(DEPTH) for axis in 'hw'}})


def vitdet(tensors: Tensors) -> dict:
    """detectron2, checkpoint of a training; modeling/backbone/vit.py."""
    return dict(model={
        **decomposed('backbone.net.', tensors),
        'backbone.simfp_2.0.weight': noise(WIDTH, 8, 2, 2),
        'backbone.simfp_3.1.norm.weight': noise(8),
        'proposal_generator.rpn_head.conv.conv0.weight': noise(8, 8, 3, 3),
        'roi_heads.box_head.0.conv1.weight': noise(8, 8, 3, 3),
    }, iteration=9, optimizer=optimizer_state(tensors))


def vitdet_pickle(tensors: Tensors) -> dict:
    """``model_final_*.pkl`` of its model zoo: pickled arrays of NumPy."""
    return dict(
        model={n: t.numpy() for n, t in vitdet(tensors)['model'].items()},
        __author__='detectron2', matching_heuristics=False)


def mmdet_vitdet(tensors: Tensors) -> dict:
    """open-mmlab/mmdetection, projects/ViTDet/vitdet/vit.py, ViT."""
    return dict(meta=dict(epoch=100), state_dict={
        **decomposed('backbone.', tensors),
        'neck.fpn1.0.weight': noise(WIDTH, 8, 2, 2),
        'rpn_head.rpn_cls.weight': noise(3, 8, 1, 1)})


# -------------------------------------------------- transformers, OpenMMLab


def hugging_face(tensors: Tensors) -> Tensors:
    """transformers 4.57.6, models/vit/modeling_vit.py.

    Features cannot tell whether the bias of the keys arrived, because the
    softmax takes it away; tensors can.
    """
    content = {}
    for name, tensor in renamed(
            tensors,
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
            (r'^norm\.', 'layernorm.')).items():
        if '.attn.qkv.' not in name:
            content[name] = tensor
            continue
        for part, third in zip(('query', 'key', 'value'), tensor.chunk(3)):
            content[name.replace('attn.qkv', f'attention.attention.{part}')
                    ] = third.clone()
    return content


def hugging_face_classifier(tensors: Tensors) -> Tensors:
    """``pytorch_model.bin`` of ViTForImageClassification."""
    return {**prefixed('vit.', hugging_face(tensors)), **linear('classifier')}


def modern_hugging_face(tensors: Tensors) -> Tensors:
    """State dict of a ViTModel of transformers 5, with its pooler."""
    return {**modern_names(hugging_face(tensors)),
            **linear('pooler.dense', WIDTH)}


def mmengine_training(tensors: Tensors) -> dict:
    """mmengine 0.10.7, runner/runner.py, save_checkpoint, with EMAHook.

    The averaged weights are those in 'state_dict'. The loss curves are
    pickled objects, which ``weights_only`` refuses.
    """
    from mmengine.logging import MessageHub
    content = prefixed('backbone.', renamed(
        tensors, (r'^blocks\.(\d+)\.norm', r'layers.\1.ln'),
        (r'^blocks\.', 'layers.'),
        (r'^patch_embed\.proj\.', 'patch_embed.projection.'),
        (r'\.mlp\.fc1\.', '.ffn.layers.0.0.'),
        (r'\.mlp\.fc2\.', '.ffn.layers.1.'), (r'^norm\.', 'ln1.')))
    hub = MessageHub('peers')
    hub.update_scalar('train/loss', 1.5)
    hub.update_info('epoch', 3)
    return dict(
        meta=dict(epoch=3, cfg='model = dict()'), state_dict=content,
        message_hub=hub.state_dict(), optimizer=optimizer_state(tensors),
        param_schedulers=[dict(last_step=3)],
        ema_state_dict=prefixed('module.', others(content)))


def wrapped(tensors: Tensors) -> dict:
    """Names of torch's wrappers, if they were not taken off.

    torch.compile: '_orig_mod.'; torch/distributed/fsdp/_common_utils.py:
    '_fsdp_wrapped_module.'; torch/distributed/algorithms/_checkpoint/
    checkpoint_wrapper.py: '_checkpoint_wrapped_module.'.
    """
    inner = '_fsdp_wrapped_module._checkpoint_wrapped_module.'
    return dict(model=prefixed(
        '_orig_mod._fsdp_wrapped_module.module.',
        renamed(tensors, (r'^(blocks\.\d+\.)', r'\1' + inner))))


NORM = ('cls_token', 'pos_embed', 'norm')
FC_NORM = ('cls_token', 'pos_embed', 'fc_norm')
SCALED = NORM + ('layer_scale', )
REGISTERS = SCALED + ('reg_token', )
DISTILLED = dict(parts=NORM + ('dist_token', ), rows=2)
MAE = 'MAE or timm ViT'
ALLOWED = dict(options=dict(drop=['relative_position']))
BEIT = dict(parts=('cls_token', 'norm', 'layer_scale'), key_bias=False,
            **ALLOWED)
VITDET = dict(parts=('pos_embed', ), **ALLOWED)

WRITTEN = [
    Written('MAE', MAE, with_head()),
    Written('MAE with decoder', MAE, lambda t: dict(model=mae_full(t))),
    Written('MAE training', MAE, mae_training),
    Written('MAE fine-tuned', MAE, with_head('head'), FC_NORM),
    Written('MAE-Lite', MAE, mae_lite),
    Written('D-MAE-Lite', MAE, mae_lite_distilled,
            options=dict(prefix='module.model.')),
    Written('I-JEPA', MAE, i_jepa, ('pos_embed', 'norm'), rows=0),
    Written('DINO', MAE, dict),
    Written('DINO training', MAE, dino_training),
    Written('MoCo v3', MAE, moco,
            options=dict(prefix='module.base_encoder.')),
    Written('DINOv2', 'DINOv2', dinov2, SCALED),
    Written('DINOv2 with registers', 'DINOv2', dinov2, REGISTERS),
    Written('DINOv2 teacher, chunks', 'DINOv2', dinov2_teacher, SCALED),
    Written('DINOv2 teacher, one chunk', 'DINOv2', dinov2_one_chunk, SCALED),
    Written('DINOv2 giant', 'DINOv2', dinov2_giant, SCALED,
            refused='act=swiglu'),
    Written('DeiT', MAE, with_head('head')),
    Written('DeiT distilled', MAE, with_head('head', 'head_dist'),
            **DISTILLED),
    Written('DeiT-III', 'DeiT-III', deit3, SCALED, rows=0),
    Written('BEiT', 'BEiT', beit, **BEIT),
    Written('BEiT fine-tuned', 'BEiT', beit_finetuned, **dict(
        BEIT, parts=('cls_token', 'fc_norm', 'layer_scale'))),
    Written('BEiT v2', 'BEiT', beit2, **BEIT),
    Written('ViTDet of detectron2', 'ViTDet', vitdet, **VITDET),
    Written('ViTDet of detectron2, pickled', 'ViTDet', vitdet_pickle,
            **VITDET),
    Written('ViTDet of mmdetection', 'ViTDet', mmdet_vitdet, **VITDET),
    Written('transformers ViT', 'Hugging Face ViT', hugging_face_classifier),
    Written('transformers 5 ViT', 'Hugging Face ViT', modern_hugging_face),
    Written('transformers DeiT', 'Hugging Face ViT', hugging_face_classifier,
            **DISTILLED),
    Written('mmengine training', 'OpenMMLab ViT', mmengine_training),
    Written('wrapped by FSDP', MAE, wrapped),
    Written('compiled', MAE, lambda t: prefixed('_orig_mod.', t)),
]
