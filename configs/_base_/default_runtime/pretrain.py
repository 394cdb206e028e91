# Pre-training on mmpretrain, by the classes of hpvit_mm.models.pretraining.
_base_ = './mmpretrain.py'

custom_imports = dict(imports=['hpvit_mm.models.pretraining'])
# masks differ between GPUs
randomness = dict(diff_rank_seed=True)
