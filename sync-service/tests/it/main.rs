//! sync-service and its worker, with real databases, real folders, real gRPC and the simulator over HTTP.

mod engine_model;
mod mirror_a_drive;
mod world;
