# What all three libraries share. Each library's own file adds its scope, its
# visualisation and its logging interval.
default_hooks = dict(
    # losses stay on the GPU until they are logged
    runtime_info=dict(type='hpvit_mm.DeferredRuntimeInfoHook'),
    timer=dict(type='IterTimerHook'),
    logger=dict(type='hpvit_mm.RankZeroLoggerHook', interval=50),
    param_scheduler=dict(type='ParamSchedulerHook'),
    checkpoint=dict(
        type='hpvit_mm.SafeCheckpointHook', interval=1, max_keep_ckpts=3),
    sampler_seed=dict(type='DistSamplerSeedHook'),
    # So that a run survives: docs/reliability.md. With the loops of the
    # schedules, which are resumed bit for bit.
    finite=dict(type='hpvit_mm.FiniteHook'),
    preemption=dict(type='hpvit_mm.PreemptionHook'),
    watchdog=dict(type='hpvit_mm.WatchdogHook'),
    record=dict(type='hpvit_mm.RunRecordHook'))

# Checkpoints of tensors and plain data only, which current torch can resume.
custom_hooks = [dict(type='hpvit_mm.PlainCheckpointHook')]

env_cfg = dict(
    cudnn_benchmark=False,
    mp_cfg=dict(mp_start_method='fork', opencv_num_threads=0),
    dist_cfg=dict(backend='nccl'))

vis_backends = [dict(type='LocalVisBackend')]
log_level = 'INFO'
load_from = None
resume = False
randomness = dict(seed=None, deterministic=False)
