//! An honest WebSocket broadcast server: the known subject that wsbench is checked against.
