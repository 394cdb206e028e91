"""A sample of tools/analysis/checkpoint_coverage.py, which checks all."""
import importlib.util
from pathlib import Path

import pytest

FILE = Path(__file__).parents[2] / 'tools/analysis/checkpoint_coverage.py'


@pytest.fixture(scope='module')
def coverage():
    spec = importlib.util.spec_from_file_location('coverage_tool', FILE)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize('name', [
    'vit_base_patch16_dinov3', 'vit_small_plus_patch16_dinov3_qkvb',
    'vit_giant_patch14_reg4_dinov2', 'eva02_small_patch14_224',
    'eva02_base_patch14_224', 'vit_pe_core_base_patch16_224',
    'aimv2_large_patch14_224', 'vit_base_patch16_clip_quickgelu_224',
    'vit_so400m_patch16_siglip_256', 'vit_medium_patch16_rope_reg1_gap_256',
    'vit_base_patch16_rope_ape_224', 'vit_base_patch16_rope_mixed_224',
    'vit_base_patch16_rpn_224', 'beit3_base_patch16_224'])
def test_timm(coverage, name, record_property):
    what, error = coverage.check_timm(name)
    record_property('error', error)
    assert what == 'exact', error


@pytest.mark.parametrize('name, says', [
    ('vit_dlittle_patch16_reg1_gap_256', 'lambda_q1'),
    ('beit_base_patch16_224', 'relative positions')])
def test_what_timm_has_and_hpvit_not(coverage, name, says):
    what, sentence = coverage.check_timm(name)
    assert what == 'refused' and says in sentence


@pytest.mark.parametrize('name', [
    'ViTModel', 'Dinov2Model SwiGLU', 'DINOv3ViTModel',
    'DINOv3ViTModel SwiGLU', 'CLIPVisionModel', 'SiglipVisionModel',
    'IJepaModel', 'Aimv2VisionModel'])
def test_transformers(coverage, name, record_property):
    """The folder alone tells the whole architecture."""
    what, error = coverage.check_transformers(name)
    record_property('error', error)
    assert what == 'exact', error
