"""HPViT-L (conv pooling) from MAE's ViT-L, fine-tuned on ImageNet-1K.

Recipe    MAE's fine-tuning of ViT-L, see the schedule's file
Command   bash tools/dist_train.sh \
              configs/imagenet/hpvit-large-conv-mae_8xb128-50e_in1k.py 8 \
              --amp --amp-dtype bfloat16
Cost      (311 + 0.002 + 617) GFLOPs (backbone, heads, backward pass) x
          1,281,167 images x 50 epochs = 59.4 EFLOPs, 132 GPU hours at 125
          TFLOP/s in bf16; 58.2 GiB a GPU (tools/model_zoo.py; not measured)
Result    not yet trained
"""
_base_ = [
    '../_base_/models/hpvit_classifier.py',
    '../_base_/datasets/imagenet_224.py',
    '../_base_/schedules/imagenet_50e.py',
    '../_base_/default_runtime/mmpretrain.py',
]

model = dict(
    backbone=dict(
        arch='large',
        drop_path_rate=0.2,
        init_cfg=dict(
            type='Pretrained',
            checkpoint='https://dl.fbaipublicfiles.com/mae/pretrain/'
            'mae_pretrain_vit_large.pth')),
    head=dict(in_channels=1024))
