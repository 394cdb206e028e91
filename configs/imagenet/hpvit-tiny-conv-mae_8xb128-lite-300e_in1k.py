"""HPViT-T from MAE-Lite's ViT-T, fine-tuned for 300 epochs.

Recipe    MAE-Lite's improved fine-tuning, see the schedule's file. Fetch
          mae_tiny_400e.pth.tar from its links.
Command   bash tools/dist_train.sh \
              configs/imagenet/hpvit-tiny-conv-mae_8xb128-lite-300e_in1k.py 8 \
              --amp --amp-dtype bfloat16
Cost      (10.6 + 0.00038 + 20.4) GFLOPs (backbone, heads, backward pass) x
          1,281,167 images x 300 epochs = 11.9 EFLOPs, 26.5 GPU hours at 125
          TFLOP/s in bf16; 8.0 GiB a GPU (tools/model_zoo.py; not measured)
Result    not yet trained
"""
_base_ = [
    '../_base_/models/mae-lite_classifier.py',
    '../_base_/datasets/imagenet_mae-lite-224.py',
    '../_base_/schedules/imagenet_mae-lite-300e.py',
    '../_base_/default_runtime/mmpretrain.py',
]

model = dict(
    backbone=dict(
        init_cfg=dict(
            type='Pretrained', checkpoint='checkpoints/mae_tiny_400e.pth.tar')))
