//! sync-service and its worker, with real databases, real folders, real gRPC and the simulator over HTTP.

#[cfg(test)]
mod activity;
#[cfg(test)]
mod big_files;
#[cfg(test)]
mod brake;
#[cfg(test)]
mod broken_connections;
#[cfg(test)]
mod cut_proxy;
#[cfg(test)]
mod destinations;
#[cfg(test)]
mod engine_model;
#[cfg(test)]
mod filters;
#[cfg(test)]
mod fleet;
#[cfg(test)]
mod folded_names;
#[cfg(test)]
mod full_listings;
#[cfg(test)]
mod item_back_off;
#[cfg(test)]
mod kills;
#[cfg(test)]
mod leases;
#[cfg(test)]
mod lifecycle;
#[cfg(test)]
mod listing_faults;
#[cfg(test)]
mod local_changes;
#[cfg(test)]
mod mirror_a_drive;
#[cfg(test)]
mod no_leaks;
#[cfg(test)]
mod opaque_items;
#[cfg(test)]
mod pitfalls;
#[cfg(test)]
mod plans;
#[cfg(test)]
mod postgres;
#[cfg(test)]
mod rpc;
#[cfg(test)]
mod sleeping_sources;
#[cfg(test)]
mod slow_readers;
#[cfg(test)]
mod throttling;
#[cfg(test)]
mod transfer_faults;
#[cfg(test)]
mod verify;
#[cfg(test)]
mod world;
