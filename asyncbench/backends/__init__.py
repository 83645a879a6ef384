"""The runtimes that execute a model. `base` is what they promise; each other module is one of them."""
