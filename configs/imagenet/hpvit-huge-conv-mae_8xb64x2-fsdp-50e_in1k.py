"""HPViT-H (conv pooling) on ImageNet-1K with FSDP.

Recipe    that of the run without it, from which it inherits: weights,
          gradients and AdamW's averages are shared out among the processes,
          1.3 GB a GPU instead of 10.4.
Command   bash tools/dist_train.sh \
              configs/imagenet/hpvit-huge-conv-mae_8xb64x2-fsdp-50e_in1k.py 8 \
              --amp --amp-dtype bfloat16
Cost      (545 + 0.0026 + 1,083) GFLOPs (backbone, heads, backward pass) x
          1,281,167 images x 50 epochs = 104 EFLOPs, 232 GPU hours at 125
          TFLOP/s in bf16; 39.1 GiB a GPU (tools/model_zoo.py; not measured)
Result    not yet trained
"""
_base_ = [
    './hpvit-huge-conv-mae_8xb64x2-50e_in1k.py',
    '../_base_/default_runtime/fsdp.py',
]
