"""Keys of --cfg-options."""


def check_options(cfg, options):
    """To come."""
