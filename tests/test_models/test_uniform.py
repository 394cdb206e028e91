"""UM-MAE: Swin on one unit of each 2 x 2."""
import pytest
import torch
from mmengine.registry import DefaultScope, init_default_scope

from hpvit_mm.errors import UserError
from hpvit_mm.models.pretraining.uniform import UniformSwin
from hpvit_mm.registry import MODELS

ARCH = dict(embed_dims=8, depths=[1, 1, 2, 1], num_heads=[1, 2, 2, 4])


@pytest.fixture(autouse=True)
def scope():
    torch.manual_seed(0)
    init_default_scope('mmpretrain')
    yield
    DefaultScope._instance_dict.pop('mmpretrain', None)


def swin(**kwargs):
    return UniformSwin(**dict(dict(arch=ARCH, img_size=128, window_size=2,
                                   drop_path_rate=0.), **kwargs))


def algorithm(**kwargs):
    return MODELS.build(dict(dict(
        type='hpvit_mm.UniformMAE',
        backbone=dict(type='hpvit_mm.UniformSwin', arch=ARCH, img_size=128,
                      window_size=2, drop_path_rate=0.),
        neck=dict(type='hpvit_mm.MAEDecoder', in_channels=4 * 64,
                  patch_size=16, img_size=128, embed_dims=32, num_layers=1,
                  num_heads=2),
        head=dict(type='MAEPretrainHead', norm_pix=True, patch_size=16,
                  loss=dict(type='PixelReconstructionLoss',
                            criterion='L2'))), **kwargs))


def test_one_of_four_is_visible():
    mask = algorithm().random_mask(torch.zeros(64, 3, 128, 192))
    assert mask.shape == (64, 8, 12)
    visible = (~mask).unflatten(2, (6, 2)).unflatten(1, (4, 2))
    assert (visible.sum(dim=(2, 4)) == 1).all()
    # each of the four is drawn as often
    share = visible.float().mean(dim=(0, 1, 3))
    assert (share - 0.25).abs().max() < 0.05


def test_it_computes_the_image_of_the_sample():
    """By mmpretrain's own Swin, on an image made by hand."""
    model = swin()
    model.eval()  # mmpretrain's returns nothing
    x = torch.randn(2, 3, 128, 128)
    mask = algorithm().random_mask(x)
    sample = torch.empty(2, 3, 64, 64)
    for b, row, column in (~mask).nonzero().tolist():
        y, x_ = row // 2 * 16, column // 2 * 16
        sample[b, :, y:y + 16, x_:x_ + 16] = x[
            b, :, row * 16:row * 16 + 16, column * 16:column * 16 + 16]
    whole, = model(sample)  # (B, 64, 2, 2)
    out, = model(x, mask)
    assert out.shape == (2, 16, 1, 4 * 64)
    for b in range(2):
        for number, (row, column) in enumerate((~mask[b]).nonzero().tolist()):
            parts = out[b, number, 0].view(4, 64)
            own = row // 2 % 2 * 2 + column // 2 % 2
            torch.testing.assert_close(parts[own],
                                       whole[b, :, row // 4, column // 4])
            assert not parts[[i for i in range(4) if i != own]].any()


def test_some_of_the_sample_is_replaced_in_training():
    model = swin()
    hidden = model._secondary_mask(5, (4, 4))
    # 4 of 16 units, with 4 x 4 tokens each
    assert hidden.sum(dim=(1, 2)).tolist() == [4 * 16] * 5
    x = torch.randn(1, 3, 128, 128)
    mask = algorithm().random_mask(x)
    model(x, mask)[0].sum().backward()
    assert model.mask_token.grad.abs().sum() > 0
    assert not hasattr(swin(secondary_ratio=0.), 'mask_token')


def test_its_weights_are_swins():
    model = swin()
    other = MODELS.build(dict(type='mmpretrain.SwinTransformer', arch=ARCH,
                              img_size=128, window_size=2))
    assert set(model.state_dict()) - set(other.state_dict()) == {
        'mask_token'}


def test_it_learns():
    model = algorithm()
    optimizer = torch.optim.AdamW(model.parameters(), lr=5e-3)
    x = torch.nn.functional.interpolate(torch.randn(4, 3, 4, 4), size=128,
                                        mode='bilinear')
    losses = []
    for _ in range(30):
        loss = model.loss(x, [])['loss']
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert sum(losses[-5:]) < 0.8 * sum(losses[:5])
    filled = model.eval().reconstruct(x, model.random_mask(x))
    assert filled.shape == x.shape


def test_mistakes_are_told():
    x, model = torch.zeros(1, 3, 128, 128), swin()
    mask = torch.ones(1, 8, 8, dtype=torch.bool)
    mask[:, :4, :4] = False
    with pytest.raises(UserError, match='each 2 x 2'):
        model(x, mask)
    with pytest.raises(UserError, match='multiples of 64'):
        model.check_mask(torch.zeros(1, 3, 96, 96))
    with pytest.raises(UserError, match='last stage alone'):
        swin(out_indices=(2, 3)).check_mask(x)
    with pytest.raises(UserError, match='stage 3.*2 tokens.*windows of 4'):
        swin(window_size=4).check_mask(x)
    with pytest.raises(UserError, match='secondary_ratio'):
        swin(secondary_ratio=1.)
    with pytest.raises(UserError, match='must be 0.75'):
        algorithm(mask_ratio=0.5)
