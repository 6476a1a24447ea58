//! The `sluice` command as people and programs use it: the real binary, the real services, the simulator over HTTP.

#![cfg(test)]

mod bad_input;
mod demo;
mod documents;
mod help;
mod journey;
mod plan;
mod up;
mod verify;
mod world;
