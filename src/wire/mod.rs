//! RFC 6455 frames, the handshake, and the stamp: octets in, values out. Must never know a socket or a scenario.
