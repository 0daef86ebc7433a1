"""Experiments: functions of one point each, for `vmalloc_model.sweep`."""
