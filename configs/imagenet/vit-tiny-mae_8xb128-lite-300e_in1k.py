"""The plain ViT-T from MAE-Lite's pre-training, fine-tuned for 300 epochs.

Recipe    MAE-Lite's improved fine-tuning, see the schedule's file. Fetch
          mae_tiny_400e.pth.tar from its links, or train
          configs/pretrain/mae_vit-tiny_8xb512-400e_in1k.py.
Command   bash tools/dist_train.sh \
              configs/imagenet/vit-tiny-mae_8xb128-lite-300e_in1k.py 8 \
              --amp --amp-dtype bfloat16
Cost      (2.4 + 0.00038 + 4.8) GFLOPs (backbone, heads, backward pass) x
          1,281,167 images x 300 epochs = 2.8 EFLOPs, 6.2 GPU hours at 125
          TFLOP/s in bf16; 2.2 GiB a GPU (tools/model_zoo.py; not measured)
Result    not yet trained; published: 78.0 % top-1 (wangsr126/MAE-Lite)
"""
_base_ = [
    '../_base_/models/mae-lite_classifier.py',
    '../_base_/datasets/imagenet_mae-lite-224.py',
    '../_base_/schedules/imagenet_mae-lite-300e.py',
    '../_base_/default_runtime/mmpretrain.py',
]

model = dict(
    backbone=dict(
        patch_stride=16,
        stage_depths=(12, ),
        init_cfg=dict(
            type='Pretrained', checkpoint='checkpoints/mae_tiny_400e.pth.tar')))
