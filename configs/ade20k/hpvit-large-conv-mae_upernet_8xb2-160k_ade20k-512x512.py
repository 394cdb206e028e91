"""UperNet with HPViT-L (conv pooling) from MAE's ViT-L on ADE20K.

Recipe    that of HPViT-B; with layer decay 0.75 and drop path 0.2, MAE's for
          ViT-L on ImageNet: no recipe of MAE's ViT-L with UperNet has been
          found.
Command   bash tools/dist_train.sh \
              configs/ade20k/hpvit-large-conv-mae_upernet_8xb2-160k_ade20k-512x512.py 8 \
              --amp --amp-dtype bfloat16
Cost      (1,699 + 448 + 4,269) GFLOPs (backbone, heads, backward pass) x 16
          images x 160,000 iterations = 16.4 EFLOPs, 36.5 GPU hours at 125
          TFLOP/s in bf16; 12.4 GiB a GPU (tools/model_zoo.py; not measured)
Result    not yet trained
"""
_base_ = [
    '../_base_/models/upernet_hpvit.py',
    '../_base_/datasets/ade20k_512x512.py',
    '../_base_/schedules/ade20k_160k.py',
    '../_base_/default_runtime/mmseg.py',
]

model = dict(
    backbone=dict(
        arch='large',
        drop_path_rate=0.2,
        window_size=16,
        init_cfg=dict(
            type='Pretrained',
            checkpoint='https://dl.fbaipublicfiles.com/mae/pretrain/'
            'mae_pretrain_vit_large.pth')),
    decode_head=dict(in_channels=[1024, 1024, 1024, 1024]),
    auxiliary_head=dict(in_channels=1024),
    test_cfg=dict(mode='slide', crop_size=(512, 512), stride=(341, 341)))

optim_wrapper = dict(paramwise_cfg=dict(layer_decay_rate=0.75))
