"""Outputs of blocks, from a plain ViT's file, are those of timm's."""
import pytest
import timm
import torch

from hpvit_mm.checkpoints import load_pretrained
from hpvit_mm.checkpoints.export import export
from hpvit_mm.models import HPViT

ARCH = dict(embed_dims=48, num_layers=6, num_heads=3, feedforward_channels=96)
BLOCKS = (1, 2, 5)


@pytest.fixture
def vit(tmp_path):
    """timm's ViT, random in every parameter, and its file."""
    torch.manual_seed(0)
    model = timm.create_model(
        'vit_tiny_patch16_224', img_size=64, embed_dim=48, depth=6,
        num_heads=3, mlp_ratio=2, num_classes=0).eval()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.1 * torch.randn_like(parameter))
    torch.save(model.state_dict(), tmp_path / 'vit.pth')
    return model, tmp_path / 'vit.pth'


def plain(**options) -> HPViT:
    """The plain ViT, with the cls token."""
    return HPViT(**dict(dict(
        arch=ARCH, img_size=64, patch_stride=16, stage_depths=(6, ),
        with_cls_token=True, out_blocks=BLOCKS), **options)).eval()


def images(size=64):
    return torch.randn(2, 3, size, size,
                       generator=torch.Generator().manual_seed(1))


@torch.no_grad()
def test_they_are_timms_intermediate_layers(vit):
    theirs, path = vit
    ours = plain()
    report = load_pretrained(ours, path)
    maps = theirs.get_intermediate_layers(
        images(), n=BLOCKS, reshape=True, norm=True)
    for one, other in zip(ours(images()), maps, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-5)
    assert report.new == {
        f'norms.block{i}.{part}': 'starts as the last norm'
        for i in (1, 2) for part in ('weight', 'bias')}
    # without the norms, which may have been trained apart
    raw = theirs.forward_intermediates(
        images(), indices=list(BLOCKS), intermediates_only=True)
    for norm in ours.norms:
        ours.norms[norm] = torch.nn.Identity()
    for one, other in zip(ours(images()), raw, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-5)


@torch.no_grad()
def test_where_the_last_blocks_are_not_built(vit):
    theirs, path = vit
    ours = plain(out_blocks=(1, 3))
    load_pretrained(ours, path)
    assert len(ours.blocks) == 4
    maps = theirs.get_intermediate_layers(
        images(), n=(1, 3), reshape=True, norm=True)
    for one, other in zip(ours(images()), maps, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-5)


@torch.no_grad()
def test_their_files_fit_other_groupings_and_go_back(vit, tmp_path):
    _, path = vit
    blocks = HPViT(arch=ARCH, img_size=64, stage_depths=(2, 1, 3),
                   out_blocks=(0, 5))
    load_pretrained(blocks, path)
    torch.save(blocks.state_dict(), tmp_path / 'blocks.pth')
    again = HPViT(arch=ARCH, img_size=64, stage_depths=(2, 1, 3),
                  out_blocks=(0, 5))
    assert not load_pretrained(again, tmp_path / 'blocks.pth').new

    stages, expected = (plain(out_blocks=None, with_cls_token=False)
                        for _ in range(2))
    load_pretrained(expected, path)
    report = load_pretrained(stages, tmp_path / 'blocks.pth')
    assert 'norms.block0.weight' in report.ignored
    torch.testing.assert_close(stages(images())[0], expected(images())[0])

    torch.save(stages.state_dict(), tmp_path / 'stages.pth')
    load_pretrained(again, tmp_path / 'stages.pth')
    torch.testing.assert_close(again.norms['block0'].weight,
                               stages.norms['0'].weight)

    export(tmp_path / 'blocks.pth', tmp_path / 'timm.pth', 'timm')
    state = torch.load(tmp_path / 'timm.pth')
    assert torch.equal(state['norm.weight'], blocks.norms['block5'].weight)
