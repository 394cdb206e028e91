# MAE of ViT-B: 75 % of the patches hidden, a decoder of 8 blocks of width 512,
# pixels normalised by patch (github.com/facebookresearch/mae, PRETRAIN.md).
model = dict(
    type='hpvit_mm.MAE',
    mask_ratio=0.75,
    data_preprocessor=dict(
        type='ClsDataPreprocessor',
        mean=[123.675, 116.28, 103.53],
        std=[58.395, 57.12, 57.375],
        to_rgb=True),
    backbone=dict(
        type='hpvit_mm.HPViT',
        arch='base',
        patch_stride=16,
        stage_depths=(12, ),
        # takes part in the encoder, and is in the checkpoint
        with_cls_token=True),
    neck=dict(
        type='hpvit_mm.MAEDecoder',
        in_channels=768,
        patch_size=16,
        embed_dims=512,
        num_layers=8,
        num_heads=16),
    head=dict(
        type='MAEPretrainHead',
        norm_pix=True,
        patch_size=16,
        loss=dict(type='PixelReconstructionLoss', criterion='L2')))
