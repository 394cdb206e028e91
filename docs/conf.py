"""The documentation as a static site: sphinx-build -c docs . site."""
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from hpvit_mm import __version__, environment  # noqa: E402

environment.prepare()  # before autodoc imports the package

project = 'hpvit_mm'
version = release = __version__
extensions = ['myst_parser', 'sphinx.ext.autodoc', 'sphinx.ext.napoleon']
root_doc = 'README'
include_patterns = ['*.md', 'docs/*.md', 'configs/*/README.md',
                    'tools/study/README.md']
myst_heading_anchors = 4
autodoc_member_order = 'bysource'
autodoc_typehints = 'none'  # napoleon has them from the docstrings
html_theme = 'alabaster'
html_theme_options = dict(page_width='1200px', sidebar_width='260px')
html_copy_source = False

CHAPTERS = {
    'Get started': 'docs/install docs/usage docs/data docs/own_data docs/faq',
    'Networks': 'docs/backbone docs/checkpoints docs/dinov3 docs/pretraining '
                'docs/relatives docs/own_backbone',
    'Work': 'docs/cluster docs/data_speed docs/inference docs/analysis '
            'docs/export',
    'Results': 'docs/study docs/performance docs/reliability docs/model_zoo '
               'docs/recipes configs/imagenet/README configs/coco/README '
               'configs/ade20k/README configs/cityscapes/README '
               'configs/pretrain/README configs/quickstart/README '
               'tools/study/README',
    'More': 'docs/reference CONTRIBUTING CHANGELOG',
}


def add_contents(app, docname, source):
    """Append the contents to the README; GitHub would show it as code."""
    if docname == 'README':
        source[0] += ''.join(
            f'\n```{{toctree}}\n:hidden:\n:caption: {chapter}\n\n'
            + '\n'.join(pages.split()) + '\n```\n'
            for chapter, pages in CHAPTERS.items())


def setup(app):
    """Called by Sphinx."""
    app.connect('source-read', add_contents)
