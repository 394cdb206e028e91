"""Mask R-CNN with HPViT-B on COCO, for cards of 24 GB.

Recipe    that of 80 GB cards, from which it inherits: the batch of 64 is made
          in four steps of 2 images on 8 GPUs, in bfloat16 (docs/recipes.md has
          the memory).
Command   bash tools/dist_train.sh \
              configs/coco/hpvit-base-conv-mae_mask-rcnn_8xb2x4-bf16-lsj-100e_coco.py 8
Cost      (3,127 + 611 + 9,047) GFLOPs (backbone, heads, backward pass) x
          117,266 images x 100 epochs = 150 EFLOPs, 333 GPU hours at 125
          TFLOP/s in bf16; 9.4 GiB a GPU (tools/model_zoo.py; not measured)
Result    not yet trained
"""
_base_ = './hpvit-base-conv-mae_mask-rcnn_8xb8-lsj-100e_coco.py'

train_dataloader = dict(batch_size=2)
optim_wrapper = dict(
    type='hpvit_mm.BFloat16OptimWrapper', accumulative_counts=4)
# 250 updates of warm-up are 1000 iterations
param_scheduler = _base_.param_scheduler
param_scheduler[0].end = 1000
