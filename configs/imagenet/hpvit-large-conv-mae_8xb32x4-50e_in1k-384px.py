"""HPViT-L (conv pooling) at 384 pixels, fine-tuned on ImageNet-1K.

Recipe    that of 224 pixels, as MAE does with ViT-H at 448. Dilated groups of
          24 x 24 tokens are the plain ViT's grid at 384 pixels. The batch of
          1024 is made in four steps, to fit 80 GB.
Command   bash tools/dist_train.sh \
              configs/imagenet/hpvit-large-conv-mae_8xb32x4-50e_in1k-384px.py 8 \
              --amp --amp-dtype bfloat16
Cost      (966 + 0.002 + 1,917) GFLOPs (backbone, heads, backward pass) x
          1,281,167 images x 50 epochs = 185 EFLOPs, 410 GPU hours at 125
          TFLOP/s in bf16; 44.5 GiB a GPU (tools/model_zoo.py; not measured)
Result    not yet trained
"""
_base_ = [
    '../_base_/models/hpvit_classifier.py',
    '../_base_/datasets/imagenet_384.py',
    '../_base_/schedules/imagenet_50e.py',
    '../_base_/default_runtime/mmpretrain.py',
]

model = dict(
    backbone=dict(
        arch='large',
        drop_path_rate=0.2,
        window_size=24,
        init_cfg=dict(
            type='Pretrained',
            checkpoint='https://dl.fbaipublicfiles.com/mae/pretrain/'
            'mae_pretrain_vit_large.pth')),
    head=dict(in_channels=1024))

train_dataloader = dict(batch_size=32)
optim_wrapper = dict(accumulative_counts=4)
