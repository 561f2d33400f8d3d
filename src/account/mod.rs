//! The books: a mergeable fold over events. Must never know a socket, a clock, or what anybody will conclude.
