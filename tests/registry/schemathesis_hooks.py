"""Tells schemathesis how uploads look."""

from __future__ import annotations

import schemathesis
from tests.registry.uploads import uploads

schemathesis.openapi.media_type("application/x-tar", uploads())
