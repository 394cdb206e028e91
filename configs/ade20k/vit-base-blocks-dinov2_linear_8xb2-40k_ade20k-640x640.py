"""Linear segmentation on the last four blocks of a frozen DINOv2 ViT-B.

Recipe    DINOv2's with several layers (facebookresearch/dinov2,
          dinov2_vitb14_ade20k_ms_config.py): the last four blocks, all with
          the last norm, batch normalisation and one linear layer, crops of
          640, tested on windows. Theirs is tested at several scales besides.
Command   bash tools/dist_train.sh \
              configs/ade20k/vit-base-blocks-dinov2_linear_8xb2-40k_ade20k-640x640.py \
              8 --amp --amp-dtype bfloat16
Cost      (527 + 2.0 + 3.9) GFLOPs (backbone, heads, backward pass) x 16 images
          x 40,000 iterations = 0.34 EFLOPs, 0.76 GPU hours at 125 TFLOP/s in
          bf16; 0.54 GiB a GPU (tools/model_zoo.py; not measured)
Result    not yet trained; DINOv2's model card has 51.3 mIoU at several scales
"""
_base_ = [
    '../_base_/backbones/dinov2-base.py',
    '../_base_/models/upernet_hpvit.py',
    '../_base_/datasets/ade20k_640x640.py',
    '../_base_/schedules/ade20k_linear-40k.py',
    '../_base_/default_runtime/mmseg.py',
]

model = dict(
    data_preprocessor=dict(size=(640, 640), **_base_.normalization),
    backbone=dict(
        patch_size=14,
        patch_stride=14,
        stage_depths=(12, ),
        out_blocks=(8, 9, 10, 11),
        drop_path_rate=0.,
        frozen_stages=1,
        **_base_.backbone),
    neck=dict(type='hpvit_mm.BatchNormNeck', in_channels=[768] * 4),
    decode_head=dict(
        _delete_=True,
        type='FCNHead',
        in_channels=[768, 768, 768, 768],
        in_index=[0, 1, 2, 3],
        input_transform='resize_concat',
        num_convs=0,
        concat_input=False,
        channels=3072,
        dropout_ratio=0.,
        num_classes=150,
        align_corners=False,
        loss_decode=dict(
            type='CrossEntropyLoss',
            use_sigmoid=False,
            avg_non_ignore=True,
            loss_weight=1.0)),
    auxiliary_head=None,
    test_cfg=dict(mode='slide', crop_size=(640, 640), stride=(320, 320)))
