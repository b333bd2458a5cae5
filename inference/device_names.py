"""What a device may be called, for those who ask before torch is loaded."""

from typing import Final

DEVICES: Final = ("auto", "cpu", "cuda")
