"""Run the tap as `python -m tap_analytics`."""

from tap_analytics.tap import TapAnalytics

TapAnalytics.cli()
