"""Linear probing of a converted, never fine-tuned HPViT-B on ImageNet-1K.

Recipe    MAE's linear probing, see the schedule's file: a batch norm without
          parameters and a linear layer, on features that stay as they are. MAE
          probes the cls token, we the average of the patches.
Command   bash tools/dist_train.sh \
              configs/imagenet/hpvit-base-avg-mae_linear-8xb512x4-90e_in1k.py 8 \
              --amp --amp-dtype bfloat16
Cost      (123 + 0.0015 + 0.0015) GFLOPs (backbone, heads, backward pass) x
          1,281,167 images x 90 epochs = 14.2 EFLOPs, 31.6 GPU hours at 125
          TFLOP/s in bf16; 32.8 GiB a GPU (tools/model_zoo.py; not measured)
Result    not yet trained
"""
_base_ = [
    '../_base_/models/hpvit_classifier.py',
    '../_base_/datasets/imagenet_linear-224.py',
    '../_base_/schedules/imagenet_linear-90e.py',
    '../_base_/default_runtime/mmpretrain.py',
]

model = dict(
    backbone=dict(
        # a convolution that is never trained stays the average
        pooling='avg',
        drop_path_rate=0.,
        frozen_stages=4,
        init_cfg=dict(
            type='Pretrained',
            checkpoint='https://dl.fbaipublicfiles.com/mae/pretrain/'
            'mae_pretrain_vit_base.pth')),
    neck=dict(type='ClsBatchNormNeck', input_features=768),
    head=dict(
        loss=dict(_delete_=True, type='CrossEntropyLoss'),
        init_cfg=[dict(type='TruncNormal', layer='Linear', std=0.01)]),
    train_cfg=dict(augments=None))
