//! Us and the init system.
