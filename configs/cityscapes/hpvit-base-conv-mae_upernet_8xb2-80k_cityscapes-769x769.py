"""UperNet with HPViT-B (conv pooling) on Cityscapes at 769 pixels.

Recipe    that of 512 x 1024; windows of 25 pad least; crops, strides and
          aligned corners as in mmsegmentation's configs for 769 pixels
Command   bash tools/dist_train.sh \
              configs/cityscapes/hpvit-base-conv-mae_upernet_8xb2-80k_cityscapes-769x769.py 8 \
              --amp --amp-dtype bfloat16
Cost      (2,044 + 999 + 6,038) GFLOPs (backbone, heads, backward pass) x 16
          images x 80,000 iterations = 11.6 EFLOPs, 25.8 GPU hours at 125
          TFLOP/s in bf16; 10.5 GiB a GPU (tools/model_zoo.py; not measured)
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
        window_size=25,
        init_cfg=dict(
            type='Pretrained',
            checkpoint='https://dl.fbaipublicfiles.com/mae/pretrain/'
            'mae_pretrain_vit_base.pth')),
    decode_head=dict(num_classes=19, align_corners=True),
    auxiliary_head=dict(num_classes=19, align_corners=True),
    test_cfg=dict(mode='slide', crop_size=(769, 769), stride=(513, 513)))
