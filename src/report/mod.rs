//! Report → bytes. Renderers map a value to bytes; must never know a file, a terminal or a clock.
