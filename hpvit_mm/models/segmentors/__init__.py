"""Segmentors, built on mmseg's; the registry imports them on demand."""
from .encoder_decoder import FastEncoderDecoder, FastSegTTAModel

__all__ = ['FastEncoderDecoder', 'FastSegTTAModel']
