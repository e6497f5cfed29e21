"""JSON that loses no digit: numbers are decimals where a float would round them."""

from __future__ import annotations

from decimal import Decimal

import msgspec

decode = msgspec.json.Decoder(float_hook=Decimal).decode
"""Decodes any JSON, from bytes or text."""

encode = msgspec.json.Encoder(decimal_format="number").encode
"""Encodes decimals as numbers."""
