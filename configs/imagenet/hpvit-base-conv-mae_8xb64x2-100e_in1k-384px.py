"""HPViT-B (conv pooling) at 384 pixels, fine-tuned on ImageNet-1K.

Recipe    that of 224 pixels, as MAE does with ViT-H at 448. Dilated groups of
          24 x 24 tokens are the plain ViT's grid at 384 pixels. The batch of
          1024 is made in two steps, to fit 80 GB.
Command   bash tools/dist_train.sh \
              configs/imagenet/hpvit-base-conv-mae_8xb64x2-100e_in1k-384px.py 8 \
              --amp --amp-dtype bfloat16
Cost      (451 + 0.0015 + 890) GFLOPs (backbone, heads, backward pass) x
          1,281,167 images x 100 epochs = 172 EFLOPs, 382 GPU hours at 125
          TFLOP/s in bf16; 47.5 GiB a GPU (tools/model_zoo.py; not measured)
Result    not yet trained
"""
_base_ = [
    '../_base_/models/hpvit_classifier.py',
    '../_base_/datasets/imagenet_384.py',
    '../_base_/schedules/imagenet_100e.py',
    '../_base_/default_runtime/mmpretrain.py',
]

model = dict(
    backbone=dict(
        window_size=24,
        init_cfg=dict(
            type='Pretrained',
            checkpoint='https://dl.fbaipublicfiles.com/mae/pretrain/'
            'mae_pretrain_vit_base.pth')))

train_dataloader = dict(batch_size=64)
optim_wrapper = dict(accumulative_counts=2)
