"""Mask2Former with HPViT-B from DINOv2 on COCO instances, 50 epochs.

Recipe    mmdetection's for Mask2Former, with layer decay instead of a tenth of
          the rate for the backbone (see the schedule), tested at 1024 pixels.
          Drop path and attention as with Mask R-CNN. The kernel of 14 pixels
          is resized to 16, as ViT-Adapter and EoMT do: strides of 4 to 32 need
          it.
Command   bash tools/dist_train.sh \
              configs/coco/hpvit-base-avg-dinov2_mask2former_8xb2-lsj-50e_coco.py 8 \
              --amp --amp-dtype bfloat16
Cost      (3,038 + 0 + 7,963) GFLOPs (backbone, neck, backward pass; not
          counted: panoptic_head) x 117,266 images x 50 epochs = more than 64.5
          EFLOPs, 143 GPU hours at 125 TFLOP/s in bf16; 7.8 GiB a GPU
          (tools/model_zoo.py; not measured)
Result    not yet trained
"""
_base_ = [
    '../_base_/backbones/dinov2-base.py',
    '../_base_/models/mask2former_hpvit_mmdet.py',
    '../_base_/datasets/coco_lsj-1024.py',
    '../_base_/schedules/coco_mask2former-50e.py',
    '../_base_/default_runtime/mmdet.py',
]

model = dict(
    data_preprocessor=_base_.normalization,
    backbone=dict(
        drop_path_rate=0.3,
        attention=('dilated', 'dilated', ('window', 'window', 'global') * 2,
                   'global'),
        window_size=16,
        with_cp=(True, False, False, False),
        **_base_.backbone))

# 25 epochs of 2 repetitions
train_dataloader = dict(batch_size=2, dataset=dict(times=2))
