"""UperNet with HPViT-L (conv pooling) from MAE's ViT-L on Cityscapes.

Recipe    that of HPViT-B; with layer decay 0.75 and drop path 0.2, MAE's for
          ViT-L on ImageNet: no recipe of MAE's ViT-L with UperNet has been
          found.
Command   bash tools/dist_train.sh \
              configs/cityscapes/hpvit-large-conv-mae_upernet_8xb2-80k_cityscapes-512x1024.py 8 \
              --amp --amp-dtype bfloat16
Cost      (3,555 + 891 + 8,840) GFLOPs (backbone, heads, backward pass) x 16
          images x 80,000 iterations = 17.0 EFLOPs, 37.8 GPU hours at 125
          TFLOP/s in bf16; 17.4 GiB a GPU (tools/model_zoo.py; not measured)
Result    not yet trained
"""
_base_ = [
    '../_base_/models/upernet_hpvit.py',
    '../_base_/datasets/cityscapes_512x1024.py',
    '../_base_/schedules/cityscapes_80k.py',
    '../_base_/default_runtime/mmseg.py',
]

model = dict(
    data_preprocessor=dict(size=(512, 1024)),
    backbone=dict(
        arch='large',
        drop_path_rate=0.2,
        window_size=16,
        init_cfg=dict(
            type='Pretrained',
            checkpoint='https://dl.fbaipublicfiles.com/mae/pretrain/'
            'mae_pretrain_vit_large.pth')),
    decode_head=dict(in_channels=[1024, 1024, 1024, 1024], num_classes=19),
    auxiliary_head=dict(in_channels=1024, num_classes=19),
    test_cfg=dict(mode='slide', crop_size=(512, 1024), stride=(341, 683)))

optim_wrapper = dict(paramwise_cfg=dict(layer_decay_rate=0.75))
