"""Converts pipelines of dlt's `rest_api` source; the command `tap-analytics-from-dlt`."""
