"""HiViT-B from its MAE pre-training, fine-tuned on ImageNet-1K.

Recipe    the official one (zhangxiaosong18/hivit, self_supervised): MAE's with
          layer decay 0.85 and drop path 0.2. Fetch mae_hivit_base_1600ep.pth from
          its links, or train configs/pretrain/mae_hivit-base_8xb512-1600e_in1k.py.
Command   bash tools/dist_train.sh \
              configs/imagenet/hivit-base-mae_8xb128-100e_in1k.py 8 \
              --amp --amp-dtype bfloat16
Cost      (31.6 + 0.001 + 63.2) GFLOPs (backbone, heads, backward pass) x
          1,281,167 images x 100 epochs = 12.1 EFLOPs, 27.0 GPU hours at 125
          TFLOP/s in bf16; 20.5 GiB a GPU (tools/model_zoo.py; not measured)
Result    not yet trained; published: 84.6 % top-1 (zhangxiaosong18/hivit)
"""
_base_ = [
    '../_base_/models/hivit_classifier.py',
    '../_base_/datasets/imagenet_224.py',
    '../_base_/schedules/imagenet_100e.py',
    '../_base_/default_runtime/mmpretrain.py',
]

model = dict(
    backbone=dict(
        init_cfg=dict(
            type='Pretrained', checkpoint='checkpoints/mae_hivit_base_1600ep.pth')))

optim_wrapper = dict(paramwise_cfg=dict(layer_decay_rate=0.85))
