"""HPViT-T (conv pooling) from MAE-Lite's ViT-T, fine-tuned on ImageNet-1K.

Recipe    MAE's fine-tuning of ViT-B (the schedule's file) with the rates of
          MAE-Lite (wangsr126/MAE-Lite,
          projects/eval_tools/finetuning_mae_exp.py): lr 1e-3 * 1024 / 256 =
          4e-3, layer decay 0.85. Its encoder has 12 heads, not 3. Fetch
          mae_tiny_400e.pth.tar from the links in its projects/mae_lite.
Command   bash tools/dist_train.sh \
              configs/imagenet/hpvit-tiny-conv-mae_8xb128-100e_in1k.py 8 \
              --amp --amp-dtype bfloat16
Cost      (10.6 + 0.00038 + 20.4) GFLOPs (backbone, heads, backward pass) x
          1,281,167 images x 100 epochs = 4.0 EFLOPs, 8.8 GPU hours at 125
          TFLOP/s in bf16; 8.0 GiB a GPU (tools/model_zoo.py; not measured)
Result    not yet trained
"""
_base_ = [
    '../_base_/models/hpvit_classifier.py',
    '../_base_/datasets/imagenet_224.py',
    '../_base_/schedules/imagenet_100e.py',
    '../_base_/default_runtime/mmpretrain.py',
]

model = dict(
    backbone=dict(
        arch=dict(
            _delete_=True,
            embed_dims=192,
            num_layers=12,
            num_heads=12,
            feedforward_channels=768),
        init_cfg=dict(
            type='Pretrained',
            checkpoint='checkpoints/mae_tiny_400e.pth.tar')),
    head=dict(in_channels=192))

optim_wrapper = dict(
    optimizer=dict(lr=4e-3), paramwise_cfg=dict(layer_decay_rate=0.85))
