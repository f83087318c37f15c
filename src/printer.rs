//! Where lines for people come out.
