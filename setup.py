"""Packaging of hpvit_mm.

`pip install -e .` installs hpvit_mm and nothing else, so that it never
replaces a package that is already there. The libraries it stands on need an
order (mmcv is compiled beside torch): tools/setup_env.sh and requirements.txt
do that. The extras only name them, for whoever resolves by other means.
"""
import re
from pathlib import Path

from setuptools import find_packages, setup

ROOT = Path(__file__).resolve().parent


def read(name):
    path = ROOT / name
    return path.read_text(encoding='utf-8') if path.exists() else ''


# Read, not imported: an isolated build has none of our dependencies.
VERSION = re.search(r"^__version__ = '([^']+)'",
                    read('hpvit_mm/__init__.py'), re.M).group(1)

setup(
    name='hpvit_mm',
    version=VERSION,
    description='Hierarchical vision transformers from pre-trained plain '
    'ones, for mmpretrain, mmdet and mmseg',
    long_description=read('README.md'),
    long_description_content_type='text/markdown',
    license='Apache-2.0',
    python_requires='>=3.10,<3.13',
    packages=find_packages(include=['hpvit_mm', 'hpvit_mm.*']),
    # links to configs/ and tools/, as in OpenMMLab's packages
    package_data={'hpvit_mm': ['.mim/model-index.yml'] + [
        f'.mim/**/*.{ending}'
        for ending in ('py', 'sh', 'yml', 'json', 'pth', 'md', 'html')]},
    install_requires=[],
    extras_require={
        # Ranges that the libraries themselves impose on each other.
        'official': [
            'torch', 'torchvision', 'setuptools<81', 'mmengine>=0.10.7',
            'mmcv>=2.1,<2.2', 'mmdet>=3.3', 'mmsegmentation>=1.2.2',
            'mmpretrain>=1.2', 'ftfy', 'regex'
        ],
        'onedl': [
            'torch', 'torchvision', 'onedl-mmengine>=0.10.12',
            'onedl-mmcv>=2.3.6', 'onedl-mmdetection>=3.5.1',
            'onedl-mmsegmentation>=1.4.2', 'onedl-mmpretrain>=1.3.6'
        ],
        'export': ['onnx', 'onnxscript', 'onnxruntime'],
        'docs': ['sphinx', 'myst-parser'],
        'tests': ['pytest', 'pytest-xdist', 'sphinx', 'myst-parser',
                  'scikit-learn', 'scikit-image', 'matplotlib', 'timm', 'transformers', 'onnx', 'onnxscript',
                  'onnxruntime'],
    },
)
