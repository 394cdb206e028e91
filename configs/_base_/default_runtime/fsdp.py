# For models that do not fit a GPU with their gradients and AdamW's averages,
# 16 bytes per parameter: processes share these out among them. Listed beside
# the other _base_ files of an experiment, this changes nothing else. Training
# only: a checkpoint has the whole model, which is tested as any other.
runner_type = 'FlexibleRunner'
# bfloat16 by --amp, as elsewhere: with FSDP's own mixed precision the sums
# from block to block would be in bfloat16, too.
strategy = dict(type='hpvit_mm.FSDPStrategy')
