"""UperNet with HPViT-L (conv pooling) on Cityscapes at 769 pixels.

Recipe    that of HPViT-B at 769 pixels; with layer decay 0.75 and drop path
          0.2, MAE's for ViT-L on ImageNet: no recipe of MAE's ViT-L with
          UperNet has been found.
Command   bash tools/dist_train.sh \
              configs/cityscapes/hpvit-large-conv-mae_upernet_8xb2-80k_cityscapes-769x769.py 8 \
              --amp --amp-dtype bfloat16
Cost      (4,488 + 1,016 + 10,943) GFLOPs (backbone, heads, backward pass) x 16
          images x 80,000 iterations = 21.1 EFLOPs, 46.8 GPU hours at 125
          TFLOP/s in bf16; 19.4 GiB a GPU (tools/model_zoo.py; not measured)
Result    not yet trained
"""
_base_ = [
    '../_base_/models/upernet_hpvit.py',
    '../_base_/datasets/cityscapes_769x769.py',
    '../_base_/schedules/cityscapes_80k.py',
    '../_base_/default_runtime/mmseg.py',
]

model = dict(
    data_preprocessor=dict(size=(769, 769)),
    backbone=dict(
        arch='large',
        drop_path_rate=0.2,
        window_size=25,
        init_cfg=dict(
            type='Pretrained',
            checkpoint='https://dl.fbaipublicfiles.com/mae/pretrain/'
            'mae_pretrain_vit_large.pth')),
    decode_head=dict(
        in_channels=[1024, 1024, 1024, 1024],
        num_classes=19,
        align_corners=True),
    auxiliary_head=dict(in_channels=1024, num_classes=19, align_corners=True),
    test_cfg=dict(mode='slide', crop_size=(769, 769), stride=(513, 513)))

optim_wrapper = dict(paramwise_cfg=dict(layer_decay_rate=0.75))
