#!/usr/bin/env python
"""Describe a checkpoint, and how HPViT would load it."""
import argparse
import json
import sys
from pathlib import Path

# The package beside this file, also where it is not installed.
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from hpvit_mm.cli import examples, run_tool  # noqa: E402


def main(argv=None) -> int:
    """Run the tool and return its exit status."""
    parser = argparse.ArgumentParser(**examples(
        'Describe a checkpoint. Its tensors are not loaded, and '
        'nothing in it is executed.',
        'python tools/inspect_checkpoint.py mae_pretrain_vit_base.pth',
        'python tools/inspect_checkpoint.py '
        'hf://timm/vit_base_patch16_dinov3.lvd1689m --json'))
    parser.add_argument('checkpoint', help='a file, a URL (http, https, '
                        'hf), or a folder of Hugging Face')
    parser.add_argument('--prefix', help='prefix of the encoder in names, '
                        'if there is more than one encoder')
    parser.add_argument('--json', action='store_true',
                        help='print JSON instead of lines')
    args = parser.parse_args(argv)

    def run():
        from hpvit_mm.checkpoints.describe import describe
        found = describe(args.checkpoint, args.prefix)
        print(json.dumps(found, indent=2) if args.json else lines(found))

    return run_tool(run)


def lines(found: dict) -> str:
    """Return the description as text."""
    size = f', {found["bytes"] / 1e6:,.1f} MB' if found['bytes'] else ''
    text = [f'{found["file"]}{size}']

    def add(title, value):
        if value or value == 0:
            text.append(f'  {title:<12}  {value}')

    add('entries', ', '.join(f'{name} ({kind})' for name, kind
                             in found['entries'].items()))
    dtypes = ', '.join(f'{count} {name}'
                       for name, count in found['dtypes'].items())
    add('tensors', f'{found["tensors"]} ({dtypes or "none"}), '
        f'{found["parameters"]:,} values')
    add('training', ', '.join(f'{name} {value}' for name, value
                              in found['training'].items()))
    encoder = found['encoder']
    if encoder is None:
        add('encoder', f'none that HPViT can load: {found["problem"]}')
        return '\n'.join(text)
    add('names like', encoder['family'])
    add('size', encoder['size'])
    names = encoder.get('architectures')
    if names:
        add('architecture', names[0] if len(names) == 1 else
            f'{" or ".join(names)}: the same tensors; set arch to the one '
            'that the file is from')
    elif encoder.get('differences'):
        name, differences = encoder['differences']
        add('architecture', f'nearest is {name}, with ' + ', '.join(
            f'{key} {ours} instead of {theirs}'
            for key, (theirs, ours) in differences.items()))
    add('patches', ' x '.join(map(str, encoder['patch_size'])) + ' pixels, '
        f'{encoder["in_channels"]} channels')
    add('stages', encoder.get('stages'))
    if encoder.get('grid'):
        add('positions', ' x '.join(map(str, encoder['grid'])))
    add('prefix', ', '.join(f'{count} {name}' for name, count
                            in encoder.get('prefix_tokens', {}).items()))
    add('ignored', ', '.join(f'{count} ({why})' for why, count
                             in encoder.get('ignored', {}).items()))
    if encoder.get('backbone'):
        from hpvit_mm.checkpoints.convert import config_line
        more = {name: encoder[name] for name in ('prefix', 'drop')
                if encoder.get(name)}
        add('backbone', config_line(encoder['backbone'], found['file'],
                                    **more))
        if not encoder.get('arch_is_known', True):
            add('arch', 'the file does not tell its activation and its '
                'positions, and loading needs them: set act and rotary of '
                'arch, or arch=dict(base=NAME, ...)')
        if not encoder.get('heads_are_known', True):
            add('heads', 'assumed, the file does not tell them: set num_heads '
                'of arch if it has others')
    return '\n'.join(text)


if __name__ == '__main__':
    sys.exit(main())
