# GreenMIM of Swin-B: 75 % of units of 32 pixels hidden, a decoder of one block
# of width 512 (arXiv 2205.13515, github.com/LayneH/GreenMIM).
_base_ = './mae_vit.py'

model = dict(
    type='hpvit_mm.GreenMIM',
    backbone=dict(
        _delete_=True,
        type='hpvit_mm.MaskedSwin',
        arch='base',
        img_size=224,
        window_size=7,
        drop_path_rate=0.),
    neck=dict(in_channels=1024, patch_size=32, num_layers=1),
    head=dict(patch_size=32))
