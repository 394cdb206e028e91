"""k-NN evaluation of a converted, never fine-tuned HPViT-B on ImageNet-1K.

Recipe    DINO's (facebookresearch/dino, eval_knn.py): each image is given the
          class of its 20 nearest neighbours in the training set, by cosine
          similarity, weighted with a temperature of 0.07. Nothing is trained.
Command   python tools/test.py --untrained \
              configs/imagenet/hpvit-base-avg-mae_knn_in1k.py
Cost      (123 + 0) GFLOPs (backbone, heads) x 1,331,167 images = 0.16 EFLOPs,
          5.8 GPU hours at 7.8 TFLOP/s in fp32 (tools/model_zoo.py; not
          measured)
Result    not yet evaluated
"""
_base_ = [
    '../_base_/models/hpvit_classifier.py',
    '../_base_/datasets/imagenet_test-224.py',
    '../_base_/default_runtime/mmpretrain.py',
]

model = dict(
    backbone=dict(
        pooling='avg',
        drop_path_rate=0.,
        init_cfg=dict(
            type='Pretrained',
            checkpoint='https://dl.fbaipublicfiles.com/mae/pretrain/'
            'mae_pretrain_vit_base.pth')),
    head=None,
    train_cfg=None)

test_cfg = dict(
    type='hpvit_mm.KNNTestLoop',
    num_neighbours=20,
    temperature=0.07,
    bank=dict(
        batch_size=128,
        num_workers=8,
        collate_fn=dict(type='default_collate'),
        sampler=dict(type='DefaultSampler', shuffle=False),
        dataset=dict(
            type='ImageNet',
            data_root='data/imagenet',
            split='train',
            pipeline=_base_.test_pipeline)))
