"""Tests of the inference library."""

import inference  # noqa: F401 - sets how torch's threads wait, which must happen before torch is loaded
