//! References → order, cycles. Pure.
