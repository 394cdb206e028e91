"""MAE's fine-tuned ViT-B, with its head, tested on ImageNet-1K.

Recipe    a check of a machine and of its data: MAE's authors report 83.664 %
          for this checkpoint (facebookresearch/mae, FINETUNE.md), with its cls
          token in the attention, which this config keeps.
Command   python tools/test.py --untrained \
              configs/imagenet/vit-base-mae-ft_test-only_in1k.py
Cost      (34.2 + 0.0015) GFLOPs (backbone, heads) x 50,000 images = 0.0017
          EFLOPs, 0.061 GPU hours at 7.8 TFLOP/s in fp32 (tools/model_zoo.py;
          not measured)
Result    not yet evaluated
"""
_base_ = [
    '../_base_/models/hpvit_classifier.py',
    '../_base_/datasets/imagenet_test-224.py',
    '../_base_/default_runtime/mmpretrain.py',
]

checkpoint = ('https://dl.fbaipublicfiles.com/mae/finetune/'
              'mae_finetuned_vit_base.pth')
model = dict(
    backbone=dict(
        patch_stride=16,
        stage_depths=(12, ),
        with_cls_token=True,
        drop_path_rate=0.,
        init_cfg=dict(type='Pretrained', checkpoint=checkpoint)),
    head=dict(
        loss=dict(_delete_=True, type='CrossEntropyLoss'),
        init_cfg=[
            dict(type='hpvit_mm.PretrainedHead', checkpoint=checkpoint)
        ]),
    train_cfg=None)

test_cfg = dict(type='hpvit_mm.GuardedTestLoop')
