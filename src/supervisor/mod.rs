//! Keeps a child process running: a pure state machine and a thin driver.
