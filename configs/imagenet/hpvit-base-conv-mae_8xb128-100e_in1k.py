"""HPViT-B (conv pooling) from MAE's ViT-B, fine-tuned on ImageNet-1K.

Recipe    MAE's fine-tuning of ViT-B, see the schedule's file
Command   bash tools/dist_train.sh \
              configs/imagenet/hpvit-base-conv-mae_8xb128-100e_in1k.py 8 \
              --amp --amp-dtype bfloat16
Cost      6 x (71.4 + 0.00077) GFLOPs (backbone, heads) x 1,281,167 images x
          100 epochs = 54.9 EFLOPs, 122 GPU hours at 125 TFLOP/s; 32.5 GiB a
          GPU (tools/model_zoo.py; not measured)
Result    not yet trained
"""
_base_ = [
    '../_base_/models/hpvit_classifier.py',
    '../_base_/datasets/imagenet_224.py',
    '../_base_/schedules/imagenet_100e.py',
    '../_base_/default_runtime/mmpretrain.py',
]

model = dict(
    backbone=dict(
        init_cfg=dict(
            type='Pretrained',
            checkpoint='https://dl.fbaipublicfiles.com/mae/pretrain/'
            'mae_pretrain_vit_base.pth')))
