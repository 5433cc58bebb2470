"""What schemathesis sends where a component is wanted: anything, and what begins like one."""

import schemathesis
from hypothesis import strategies

COMPONENT = b"\0asm\x0d\0\x01\0"

schemathesis.openapi.media_type(
    "application/wasm",
    strategies.one_of(strategies.binary(), strategies.binary().map(lambda rest: COMPONENT + rest)),
)
