"""Masked autoencoders on backbones that compute visible units alone."""
import pytest
import torch
from mmengine.registry import DefaultScope, init_default_scope

import hpvit_mm.models.pretraining  # noqa: F401
from hpvit_mm.errors import UserError
from hpvit_mm.models import HPViT
from hpvit_mm.registry import MODELS

ARCH = dict(embed_dims=32, num_layers=4, num_heads=2, feedforward_channels=64)
VIT = dict(type='hpvit_mm.HPViT', arch=ARCH, img_size=64, patch_stride=16,
           stage_depths=(4, ), with_cls_token=True)
HPVIT = dict(type='hpvit_mm.HPViT', arch=ARCH, img_size=64,
             stage_depths=(1, 1, 1, 1))
HIVIT = dict(type='hpvit_mm.HiViT', img_size=64, out_indices=(0, 1, 2),
             arch=dict(embed_dims=32, depths=(1, 1, 2), num_heads=2))
HIERA = dict(type='hpvit_mm.Hiera', img_size=64, num_pools=2,
             arch=dict(embed_dims=16, num_heads=1, depths=(1, 1, 1, 1)))
# backbone, patches of the decoder, channels of a patch: tokens times width of
# all outputs
BACKBONES = [(HIERA, 16, 16 * 16 + 4 * 32 + 64 + 128),
             (HIERA, 32, 4 * (16 * 16 + 4 * 32 + 64 + 128)),
             (VIT, 16, 32), (HPVIT, 32, 85 * 32), (HIVIT, 16, 7 * 32),
             (dict(HPVIT, out_indices=3), 32, 32)]


@pytest.fixture(autouse=True)
def scope():
    torch.manual_seed(0)
    init_default_scope('mmpretrain')
    yield
    DefaultScope._instance_dict.pop('mmpretrain', None)


def build(backbone=VIT, patch=16, channels=32, **kwargs):
    return MODELS.build(dict(dict(
        type='hpvit_mm.MAE', backbone=backbone,
        neck=dict(type='hpvit_mm.MAEDecoder', in_channels=channels,
                  patch_size=patch, img_size=64, embed_dims=16, num_layers=1,
                  num_heads=2),
        head=dict(type='MAEPretrainHead', norm_pix=True, patch_size=patch,
                  loss=dict(type='PixelReconstructionLoss', criterion='L2'))),
        **kwargs))


def images(number):
    """Waves, which a network can continue."""
    y, x = torch.meshgrid(*[torch.linspace(0, 6, 64)] * 2, indexing='ij')
    angles, phases = torch.rand(2, number, 3, 1, 1) * 6
    return (angles.sin() * x + angles.cos() * y + phases).sin()


@pytest.mark.parametrize('backbone, patch, channels', BACKBONES)
def test_it_learns(backbone, patch, channels):
    model = build(backbone, patch, channels, mask_ratio=0.5,
                  fixed_position=backbone is not HIERA)
    model.head.norm_pix = False  # takes longer
    x = images(8)
    optimizer = torch.optim.AdamW(
        [p for p in model.parameters() if p.requires_grad], 5e-3)
    losses = []
    for _ in range(30):
        loss = model.loss(x, [])['loss']
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(float(loss.detach()))
    assert sum(losses[-5:]) < 0.93 * sum(losses[:5])
    fixed = {n for n, p in model.named_parameters() if p.grad is None}
    assert fixed == {n for n, _ in model.named_parameters()
                     if n.endswith('pos_embed')
                     and backbone is not HIERA
                     or n == 'neck.decoder_pos_embed'}


def test_units_are_put_where_they_belong():
    decoder = build().neck
    decoder.decoder_blocks = torch.nn.Sequential()
    decoder.decoder_norm = decoder.decoder_pred = torch.nn.Identity()
    mask = torch.rand(2, 16).argsort(1).view(2, 4, 4) < 9
    features = torch.randn(2, 7, 1, 32)
    out = decoder([features], mask, 16) - decoder.decoder_pos_embed
    for one, hidden, visible in zip(out, mask.flatten(1), features):
        torch.testing.assert_close(
            one[~hidden], decoder.decoder_embed(visible[:, 0]))
        assert torch.allclose(one[hidden], decoder.mask_token[0], atol=1e-6)


def test_patches_of_units_are_put_where_they_belong():
    """An image of units of 2 x 2 patches of 2 x 2 tokens."""
    decoder = build(patch=16, channels=4 * 8).neck
    decoder.decoder_blocks = torch.nn.Sequential()
    decoder.decoder_norm = decoder.decoder_pred = torch.nn.Identity()
    tokens = torch.randn(1, 8, 8, 8)  # (B, H, W, C)
    mask = torch.tensor([[[True, False], [False, True]]])
    units = torch.stack([tokens[0, :4, 4:], tokens[0, 4:, :4]]).flatten(1, 2)
    out = decoder([units[None]], mask, 32) - decoder.decoder_pos_embed
    patches = tokens.unflatten(2, (4, 2)).unflatten(1, (4, 2)).transpose(2, 3)
    expected = decoder.decoder_embed(patches.flatten(3))[0]  # (4, 4, C)
    out = out.view(4, 4, -1)
    torch.testing.assert_close(out[:2, 2:], expected[:2, 2:])
    torch.testing.assert_close(out[2:, :2], expected[2:, :2])
    assert (out[:2, :2] - decoder.mask_token).abs().max() < 1e-6


def test_the_encoder_is_that_of_mmpretrain():
    """With cls, on the visible patches, from its checkpoint."""
    from mmpretrain.models.selfsup.mae import MAEViT
    arch = dict(embed_dims=32, num_layers=4, num_heads=2,
                feedforward_channels=64)
    peer = MAEViT(arch=arch, img_size=64, mask_ratio=0.5)
    peer.init_weights()
    peer.eval()
    ours = HPViT(**{k: v for k, v in VIT.items() if k != 'type'}).eval()
    tensors, _ = ours.fit_checkpoint(
        {f'backbone.{n}': t for n, t in peer.state_dict().items()}, 'peer')
    ours.load_state_dict(tensors)
    x = torch.randn(2, 3, 64, 64)
    latent, mask, restore = peer(x)
    out, = ours(x, mask.bool().view(2, 4, 4))
    # theirs are shuffled: token j is patch restore.argsort()[j]
    order = restore.argsort(1)[:, :8].argsort(1)
    theirs = latent[:, 1:].gather(1, order[..., None].expand(-1, -1, 32))
    torch.testing.assert_close(out[:, :, 0], theirs, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize('norm_pix', [True, False])
def test_a_reconstruction_keeps_what_is_visible(norm_pix):
    model = build(HPVIT, 32, 85 * 32)
    model.head.norm_pix = norm_pix
    x = images(2)
    mask = torch.tensor([[[True, False], [True, True]]] * 2)
    out = model.reconstruct(x, mask)
    assert torch.equal(out[:, :, :32, 32:], x[:, :, :32, 32:])
    assert out.isfinite().all() and not torch.equal(out, x)
    # what is hidden has no part in the prediction but by the unit's scale
    if not norm_pix:
        y = x.clone()
        y[:, :, 32:] = 7.
        torch.testing.assert_close(model.reconstruct(y, mask), out)


@pytest.mark.parametrize('kwargs', [
    dict(patch_stride=16, stage_depths=(4, )),
    dict(patch_stride=16, stage_depths=(4, ), with_cls_token=True),
    dict(stage_depths=(1, 1, 1, 1)),
    dict(stage_depths=(1, 1, 1, 1), out_type='avg_featmap')])
def test_its_checkpoint_starts_a_fine_tuning(kwargs, tmp_path):
    model = build()
    torch.save(dict(state_dict=model.state_dict()), tmp_path / 'epoch_1.pth')
    backbone = HPViT(ARCH, img_size=64, init_cfg=dict(
        type='Pretrained', checkpoint=str(tmp_path / 'epoch_1.pth')), **kwargs)
    backbone.check_pretrained()
    backbone.init_weights()
    assert torch.equal(backbone.blocks[3].mlp.fc2.weight,
                       model.backbone.blocks[3].mlp.fc2.weight)
    last = backbone.norms[str(len(backbone.stage_depths) - 1)]
    assert torch.equal(last.weight, model.backbone.norms['0'].weight)


def test_masks_have_the_ratio_and_differ():
    model = build(mask_ratio=0.75)
    mask = model.random_mask(torch.zeros(8, 3, 64, 64))
    assert (mask.flatten(1).sum(1) == 12).all()
    assert len({tuple(one.flatten().tolist()) for one in mask}) > 4


@pytest.mark.parametrize('kwargs, says', [
    (dict(mask_ratio=0.99), 'leaves 0 of the 16 mask units'),
    (dict(mask_ratio=0.), 'leaves 16 of the 16'),
    (dict(patch=32), 'patch_size is 32, but the mask unit of HPViT has 16'),
    (dict(backbone=dict(type='ResNet', depth=18)),
     'ResNet cannot compute visible units')])
def test_what_does_not_fit(kwargs, says):
    with pytest.raises(UserError, match=says):
        build(**kwargs)


@pytest.mark.parametrize('size, channels, says', [
    ((64, 64), 48, 'in_channels is 48, but the outputs .* have 32 channels'),
    ((64, 48), 32, 'takes square images'),
    ((40, 40), 32, 'multiples of the mask unit')])
def test_what_does_not_fit_images(size, channels, says):
    with pytest.raises(UserError, match=says):
        build(channels=channels).loss(torch.randn(2, 3, *size), [])


# ------------------------------------------------------------ distillation

TEACHER = dict(VIT, arch=dict(ARCH, num_heads=4))


@pytest.mark.parametrize('backbone, patch, channels, teacher', [
    (VIT, 16, 32, TEACHER),
    (HIERA, 16, 16 * 16 + 4 * 32 + 64 + 128,
     dict(HIERA, arch=dict(HIERA['arch'], depths=(1, 1, 2, 2))))])
def test_distillation(backbone, patch, channels, teacher):
    model = build(backbone, patch, channels, type='hpvit_mm.DistilledMAE',
                  teacher=teacher, mask_ratio=0.5).train()
    x = images(8)
    before = {n: p.clone() for n, p in model.teacher.named_parameters()}
    optimizer = torch.optim.AdamW(
        [p for p in model.parameters() if p.requires_grad], 5e-3)
    losses = []
    for _ in range(40):
        loss = model.loss(x, [])
        optimizer.zero_grad()
        sum(loss.values()).backward()
        optimizer.step()
        losses.append(float(loss['loss_distill'].detach()))
    assert losses[-1] < 0.8 * losses[0]
    assert not model.teacher.training
    assert all(torch.equal(p, before[n])
               for n, p in model.teacher.named_parameters())


def test_decoupled_distillation():
    """The decoder reads block 2, block 4 is distilled, 3 are fine-tuned."""
    model = build(dict(VIT, out_blocks=(1, 3)), decouple=True,
                  type='hpvit_mm.DistilledMAE', teacher=TEACHER).train()
    sum(model.loss(images(2), []).values()).backward()
    for name, one in model.named_parameters():
        assert one.requires_grad == (one.grad is not None), name
    student = HPViT(ARCH, img_size=64, patch_stride=16, stage_depths=(3, 1),
                    out_indices=0)
    student.fit_checkpoint(model.state_dict(), 'epoch_1.pth')


def test_the_attention_map_is_that_of_the_attention():
    from hpvit_mm.models.layers import Attention
    from hpvit_mm.models.pretraining.distill import attention_map
    attn, x = Attention(32, 4), torch.randn(2, 1, 9, 32)
    values = attn.qkv(x)[:, 0, :, 64:].unflatten(2, (4, 8)).transpose(1, 2)
    out = (attention_map(attn, x) @ values).transpose(1, 2).flatten(2)
    torch.testing.assert_close(attn.proj(out), attn(x)[:, 0])


@pytest.mark.parametrize('teacher', [
    dict(VIT, with_cls_token=False), HIVIT, dict(VIT, patch_stride=8)])
def test_a_teacher_of_another_geometry(teacher):
    with pytest.raises(UserError, match='teacher of the same geometry'):
        build(type='hpvit_mm.DistilledMAE', teacher=teacher)
