//! The harness tried on the real tools, so that a failing test is the product's fault.
