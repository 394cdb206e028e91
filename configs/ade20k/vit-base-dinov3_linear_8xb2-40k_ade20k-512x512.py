"""Linear segmentation on DINOv3's frozen plain ViT-B on ADE20K.

Recipe    DINOv3's (facebookresearch/dinov3,
          eval/segmentation/configs/config-ade20k-linear-training.yaml): the
          last block with its norm, batch normalisation and one linear layer,
          AdamW 1e-3, weight decay 1e-3, crops of 512, tested on windows.
          Warm-up and decay are DINOv2's, theirs is a one-cycle schedule.
Command   bash tools/dist_train.sh \
              configs/ade20k/vit-base-dinov3_linear_8xb2-40k_ade20k-512x512.py 8 \
              --amp --amp-dtype bfloat16
Cost      (215 + 0.24 + 0.47) GFLOPs (backbone, heads, backward pass) x 16
          images x 40,000 iterations = 0.14 EFLOPs, 0.31 GPU hours at 125
          TFLOP/s in bf16; 0.37 GiB a GPU (tools/model_zoo.py; not measured)
Result    not yet trained; DINOv3's model card has 51.8 mIoU
"""
_base_ = [
    '../_base_/backbones/dinov3-base.py',
    '../_base_/models/upernet_hpvit.py',
    '../_base_/datasets/ade20k_512x512.py',
    '../_base_/schedules/ade20k_linear-40k.py',
    '../_base_/default_runtime/mmseg.py',
]

model = dict(
    data_preprocessor=_base_.normalization,
    backbone=dict(
        patch_stride=16,
        stage_depths=(12, ),
        drop_path_rate=0.,
        frozen_stages=1,
        **_base_.backbone),
    neck=dict(type='hpvit_mm.BatchNormNeck', in_channels=[768]),
    decode_head=dict(
        _delete_=True,
        type='FCNHead',
        in_channels=[768],
        in_index=[0],
        input_transform='resize_concat',
        num_convs=0,
        concat_input=False,
        channels=768,
        dropout_ratio=0.,
        num_classes=150,
        align_corners=False,
        loss_decode=dict(
            type='CrossEntropyLoss',
            use_sigmoid=False,
            avg_non_ignore=True,
            loss_weight=1.0)),
    auxiliary_head=None,
    test_cfg=dict(mode='slide', crop_size=(512, 512), stride=(341, 341)))

optim_wrapper = dict(optimizer=dict(weight_decay=1e-3))
