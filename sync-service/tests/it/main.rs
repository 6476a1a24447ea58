//! sync-service and its worker, with real databases, real folders, real gRPC and the simulator over HTTP.

#[cfg(test)]
mod engine_model;
#[cfg(test)]
mod mirror_a_drive;
#[cfg(test)]
mod world;
