"""HPViT-T from MAE-Lite's pre-training, fine-tuned for 1,000 epochs.

Recipe    that of 300 epochs, from which it inherits. MAE-Lite's result of
          79.0 % top-1 has relative positions besides.
Command   bash tools/dist_train.sh \
              configs/imagenet/hpvit-tiny-conv-mae_8xb128-lite-1000e_in1k.py 8 \
              --amp --amp-dtype bfloat16
Cost      (10.6 + 0.00038 + 20.4) GFLOPs (backbone, heads, backward pass) x
          1,281,167 images x 1,000 epochs = 39.7 EFLOPs, 88.2 GPU hours at 125
          TFLOP/s in bf16; 8.0 GiB a GPU (tools/model_zoo.py; not measured)
Result    not yet trained
"""
_base_ = './hpvit-tiny-conv-mae_8xb128-lite-300e_in1k.py'

max_epochs = 1000
param_scheduler = _base_.param_scheduler
param_scheduler[1].end = max_epochs
train_cfg = dict(max_epochs=max_epochs)
