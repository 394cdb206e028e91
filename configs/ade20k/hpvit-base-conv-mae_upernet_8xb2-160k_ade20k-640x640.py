"""UperNet with HPViT-B (conv pooling) on ADE20K at 640 pixels.

Recipe    that of 512 pixels; windows of 20 need no padding at 640 pixels
Command   bash tools/dist_train.sh \
              configs/ade20k/hpvit-base-conv-mae_upernet_8xb2-160k_ade20k-640x640.py 8 \
              --amp --amp-dtype bfloat16
Cost      (1,250 + 688 + 3,846) GFLOPs (backbone, heads, backward pass) x 16
          images x 160,000 iterations = 14.8 EFLOPs, 32.9 GPU hours at 125
          TFLOP/s in bf16; 7.8 GiB a GPU (tools/model_zoo.py; not measured)
Result    not yet trained
"""
_base_ = [
    '../_base_/models/upernet_hpvit.py',
    '../_base_/datasets/ade20k_640x640.py',
    '../_base_/schedules/ade20k_160k.py',
    '../_base_/default_runtime/mmseg.py',
]

model = dict(
    data_preprocessor=dict(size=(640, 640)),
    backbone=dict(
        window_size=20,
        init_cfg=dict(
            type='Pretrained',
            checkpoint='https://dl.fbaipublicfiles.com/mae/pretrain/'
            'mae_pretrain_vit_base.pth')),
    test_cfg=dict(mode='slide', crop_size=(640, 640), stride=(426, 426)))
