#!/usr/bin/env python
"""Compare HPViT with every plain ViT of timm and transformers.

Each network is built small (width 64, two blocks) with random parameters,
saved, and loaded into an HPViT of one stage.
"""
import argparse
import re
import sys
import tempfile
import warnings
from collections import Counter
from pathlib import Path

# The package beside this file, also where it is not installed.
sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from hpvit_mm import environment  # noqa: E402
from hpvit_mm.cli import examples, run_tool  # noqa: E402

MODULES = ('vision_transformer', 'deit', 'beit', 'eva',
           'vision_transformer_sam')
# Some cannot be built with the first ones: the hidden width of SwiGLU must
# be even, and each block of others has an option of its own.
SIZES = (dict(embed_dim=64, depth=2, num_heads=2),
         dict(embed_dim=96, depth=2, num_heads=3),
         dict(embed_dim=64, num_heads=2),
         dict(embed_dim=384, num_heads=96))
EXACT = 1e-5  # relative, in fp32


def main(argv=None) -> int:
    """Run the tool and return its exit status: 1 if anything is wrong."""
    parser = argparse.ArgumentParser(**examples(
        __doc__,
        'python tools/analysis/checkpoint_coverage.py --match dinov3'))
    parser.add_argument('--match', default='', help='regular expression for '
                        'the names of the architectures (default: all)')
    parser.add_argument('--no-transformers', action='store_true',
                        help='only timm')
    args = parser.parse_args(argv)
    environment.prepare()
    wrong = []

    def run():
        import timm
        import transformers
        print(f'timm {timm.__version__}, transformers '
              f'{transformers.__version__}')
        checks = [('timm', check_timm, name)
                  for name in timm_names(args.match)]
        if not args.no_transformers:
            checks += [('transformers', check_transformers, name)
                       for name in TRANSFORMERS
                       if re.search(args.match, name)]
        rows = []
        for package, check, name in checks:
            rows.append((f'{package} {name}', *check(name)))
            print(*rows[-1], sep=' | ', flush=True)
        for package in ('timm', 'transformers'):
            counts = Counter(row[1] for row in rows if row[0].startswith(
                f'{package} '))
            print(f'{package}: {sum(counts.values())} architectures,',
                  ', '.join(f'{n} {what}' for what, n in counts.items()))
        wrong.extend(row for row in rows if row[1] == 'wrong')

    return run_tool(run) or int(bool(wrong))


def timm_names(match=''):
    """Names of timm's plain ViTs."""
    import timm
    return [name for module in MODULES
            for name in timm.list_models(module=module)
            if re.search(match, name)]


def randomize(model):
    """Draw every parameter; many start as 0 or 1 and would hide errors."""
    import torch
    torch.manual_seed(0)
    with torch.no_grad():
        for name, param in model.named_parameters():
            if param.ndim == 1 and re.search(r'norm\w*\.weight$|norm\w*$',
                                             name):
                param.normal_(1, 0.2)
            elif param.ndim == 2:
                param.normal_(0, param.shape[1]**-0.5)
            else:
                param.normal_(0, 0.3 if param.ndim == 1 else 0.03)
    return model.eval()


def verdict(compare):
    """Run a comparison; return (what, the error or the sentence)."""
    from hpvit_mm.errors import UserError
    try:
        error = compare()
    except UserError as refusal:
        return 'refused', str(refusal)
    return ('exact' if error < EXACT else 'wrong'), f'{error:.1e}'


def check_timm(name):
    """Compare an architecture of timm, whose state dict is all there is."""
    import timm
    import torch
    for sizes in SIZES:
        try:
            with warnings.catch_warnings():
                warnings.simplefilter('ignore')
                model = timm.create_model(name, **sizes)
            break
        except (AssertionError, IndexError, TypeError):
            if sizes == SIZES[-1]:
                raise
    randomize(model)
    with tempfile.TemporaryDirectory() as folder:
        file = f'{folder}/model.pth'
        torch.save(model.state_dict(), file)
        return verdict(lambda: timm_error(name, model, file))


def timm_error(name, model, file):
    """The relative error of HPViT, told timm's name of the architecture."""
    import torch

    from hpvit_mm.checkpoints import read_checkpoint, read_plain
    from hpvit_mm.checkpoints.architecture import arch_of
    plain = read_plain(dict(state_dict=read_checkpoint(file), arch=name),
                       'model.pth')
    arch = dict(dict(act='gelu'), **arch_of(plain))
    arch['num_heads'] = model.blocks[0].attn.num_heads
    patch = arch['patch_size']
    # timm drops pixels behind the last patch
    grid = [side // patch * patch for side in model.patch_embed.img_size]

    @torch.no_grad()
    def features(x):
        over = [full - side for full, side in zip(
            model.patch_embed.img_size, grid)]
        x = torch.nn.functional.pad(x, (0, over[1], 0, over[0]))
        tokens = model.forward_features(x)
        if hasattr(model, 'fc_norm'):
            tokens = model.fc_norm(tokens)
        norms = [m for n, m in model.named_children() if 'norm' in n
                 and n != 'norm_pre' and list(m.parameters())]
        if not norms:  # HPViT has a norm of its own for each output
            tokens = torch.nn.functional.layer_norm(
                tokens, tokens.shape[-1:], eps=arch['norm_cfg']['eps'])
        return tokens[:, model.num_prefix_tokens:]

    return error_of(arch, file, grid, features)


def error_of(arch, file, size, features):
    """The relative error of the patches' features."""
    import torch

    from hpvit_mm.checkpoints import load_pretrained
    from hpvit_mm.models import HPViT
    model = HPViT(arch, img_size=size, patch_size=arch['patch_size'],
                  patch_stride=arch['patch_size'],
                  stage_depths=(arch['num_layers'], )).eval()
    load_pretrained(model, file)
    x = torch.randn(1, 3, *size)
    theirs = features(x)
    with torch.no_grad():
        # (B, C, h, w) -> (B, h * w, C)
        ours = model(x)[0].flatten(2).transpose(1, 2)
    return ((ours - theirs).norm() / theirs.norm()).item()


BASE = dict(hidden_size=64, num_hidden_layers=2, num_attention_heads=2,
            intermediate_size=96, image_size=64, patch_size=16)
# Class -> options, prefix tokens.
TRANSFORMERS = {
    'ViTModel': (dict(), 1),
    'ViTMAEModel': (dict(mask_ratio=0.), 1),
    'DeiTModel': (dict(), 2),
    'Dinov2Model': (dict(), 1),
    'Dinov2Model SwiGLU': (dict(use_swiglu_ffn=True), 1),
    'Dinov2WithRegistersModel': (dict(num_register_tokens=4), 5),
    'DINOv3ViTModel': (dict(num_register_tokens=4), 5),
    'DINOv3ViTModel SwiGLU': (dict(num_register_tokens=4,
                                   use_gated_mlp=True, hidden_act='silu'), 5),
    'BeitModel': (dict(use_absolute_position_embeddings=True,
                       use_mean_pooling=False), 1),
    'BeitModel relative': (dict(use_relative_position_bias=True), 1),
    'CLIPVisionModel': (dict(), 1),
    'CLIPVisionModel GELU': (dict(hidden_act='gelu'), 1),
    'SiglipVisionModel': (dict(), 0),
    'Siglip2VisionModel': (dict(num_patches=16), 0),
    'IJepaModel': (dict(layer_norm_eps=1e-6), 0),
    'Aimv2VisionModel': (dict(), 0),
}


def check_transformers(name):
    """Compare a model of transformers, in a folder with its config.json."""
    import torch
    import transformers
    from transformers.utils import logging

    import hpvit_mm
    from hpvit_mm.checkpoints.convert import told_arguments
    logging.disable_progress_bar()
    options, prefix = TRANSFORMERS[name]
    cls = getattr(transformers, name.split()[0])
    model = randomize(cls(cls.config_class(**dict(BASE, **options))))

    @torch.no_grad()
    def features(x):
        out = model(x)
        tokens = out.last_hidden_state
        if 'CLIP' in name:  # its norm is that of cls
            tokens = model.post_layernorm(tokens)
        tokens = tokens[:, prefix:]
        if 'MAE' in name:  # shuffled
            tokens = tokens[0, out.ids_restore[0]][None]
        return tokens

    def compare():
        arguments = told_arguments(folder, {})
        return error_of(arguments['arch'], folder, (64, 64), features)

    with tempfile.TemporaryDirectory() as folder:
        model.save_pretrained(folder)
        return verdict(compare)


if __name__ == '__main__':
    sys.exit(main())
