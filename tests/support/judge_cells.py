"""What the live judges are shown: each layout of other programs with every scheme that it has a place for."""

SCHEMES = {
    "w4a16": ("--scheme", "w4a16"),
    "w4a16-g64": ("--scheme", "w4a16", "--group-size", "64"),
    "w4a16-g128": ("--scheme", "w4a16", "--group-size", "128"),
    "w4a16-g64-asym": ("--scheme", "w4a16", "--group-size", "64", "--asym"),
    "w4a16-g128-asym": ("--scheme", "w4a16", "--group-size", "128", "--asym"),
    "w8a16": ("--scheme", "w8a16"),
    "w8a16-g128": ("--scheme", "w8a16", "--group-size", "128"),
    "w8a8": ("--scheme", "w8a8"),
    "w8a8-dynamic": ("--scheme", "w8a8-dynamic"),
}
SYMMETRIC_GROUPS = ["w4a16-g64", "w4a16-g128"]
GROUPS = [*SYMMETRIC_GROUPS, "w4a16-g64-asym", "w4a16-g128-asym"]
EIGHT_BITS = ["w8a16", "w8a16-g128"]
WEIGHT_ONLY = ["w4a16", *GROUPS, *EIGHT_BITS]
ACTIVATIONS = ["w8a8", "w8a8-dynamic"]

LAYOUTS = {
    "autoawq": GROUPS,
    "gptq": ["w4a16", *SYMMETRIC_GROUPS, *EIGHT_BITS],  # asymmetric: only where no zero point is 0, and only AutoGPTQ loads it
    "gptq-v2": WEIGHT_ONLY,
    "compressed-tensors": [*WEIGHT_ONLY, *ACTIVATIONS],
}


def cells(*layouts):
    """(layout, scheme) pairs."""
    return [(layout, scheme) for layout in layouts for scheme in LAYOUTS[layout]]
