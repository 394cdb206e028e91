"""Mask R-CNN with Swin-B from its GreenMIM pre-training on COCO.

Recipe    that of HPViT with the layer decay of GreenMIM's fine-tuning, 0.9; that of
          its own detection is not published. Train
          configs/pretrain/greenmim_swin-base_8xb256-800e_in1k.py, and copy its
          epoch_800.pth to checkpoints/greenmim_swin_base_800e.pth.
Command   bash tools/dist_train.sh \
              configs/coco/swin-base-greenmim_mask-rcnn_8xb2-ms-3x_coco.py 8 \
              --amp --amp-dtype bfloat16
Cost      (350 + 435 + 1,569) GFLOPs (backbone, heads, backward pass) x 117,266
          images x 36 epochs = 9.9 EFLOPs, 22.1 GPU hours at 125 TFLOP/s in
          bf16; 10.7 GiB a GPU (tools/model_zoo.py; not measured)
Result    not yet trained
"""
_base_ = [
    '../_base_/models/mask-rcnn_hpvit_fpn.py',
    '../_base_/datasets/coco_ms-800.py',
    '../_base_/schedules/coco_3x.py',
    '../_base_/default_runtime/mmdet.py',
]

model = dict(
    backbone=dict(
        _delete_=True,
        type='mmpretrain.SwinTransformer',
        arch='base',
        img_size=224,
        window_size=7,
        pad_small_map=True,
        out_indices=(0, 1, 2, 3),
        drop_path_rate=0.1,
        init_cfg=dict(
            type='Pretrained',
            prefix='backbone.',
            checkpoint='checkpoints/greenmim_swin_base_800e.pth')),
    neck=dict(in_channels=[128, 256, 512, 1024]))

optim_wrapper = dict(
    paramwise_cfg=dict(
        layer_decay_rate=0.9,
        custom_keys=dict(relative_position_bias_table=dict(decay_mult=0.))))
