//! Each benchmark works, with numbers so small that they measure nothing.

#[cfg(test)]
mod smoke;
