"""asyncbench: how many inferences in flight, at which batch, does this device really take?"""

__all__ = ["__version__"]

__version__ = "0.1.0"
